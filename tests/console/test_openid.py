"""Signing in with OpenID Connect against a provider on a socket, and attacks on it."""

import base64
import re
import time
from collections.abc import Iterator
from html import unescape
from urllib.parse import parse_qs, quote, urlsplit

import httpx
import msgspec
import pytest
from joserfc.jwk import RSAKey

from goodsgate.http.openid import OpenIdError, OpenIdProvider
from goodsgate.http_settings import create_openid_provider
from tests.console.conftest import csrf
from tests.http.openid_provider import CLIENT_ID, CLIENT_SECRET, LocalProvider
from tests.http_gate import HttpGate
from tests.shop import Shop

START = "/console/sign-in/openid"
CALLBACK = f"{START}/callback"


@pytest.fixture(scope="module")
def provider() -> Iterator[LocalProvider]:
    """A provider for all tests."""
    served = LocalProvider()
    yield served
    served.close()


@pytest.fixture(autouse=True)
def honest(provider: LocalProvider) -> None:
    """Let the provider begin each test without tricks."""
    provider.claims, provider.configuration, provider.signature = {}, {}, "RS256"


@pytest.fixture(scope="module")
def gate(provider: LocalProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpGate]:
    """A gate that knows the provider; its client secret is in a file."""
    folder = tmp_path_factory.mktemp("openid")
    (folder / "secret").write_text(f"{CLIENT_SECRET}\n")
    settings = {
        "oidc_issuer": provider.issuer, "oidc_client_id": CLIENT_ID, "oidc_client_secret_file": str(folder / "secret"),
        "oidc_private": "allow", "oidc_roles": "feed-team=clerk, it=integrator, ops=operator",
        "oidc_name": "Shop login",
    }
    with Shop(folder / "shop", **settings) as shop:
        served = HttpGate(shop)
        yield served
        served.close()


class Browser(httpx.Client):
    """A browser that follows no redirect by itself."""

    def __init__(self, gate: HttpGate) -> None:
        super().__init__(base_url=gate.url, timeout=60, trust_env=False)

    def sign_in(self, provider: LocalProvider, onward: str = "") -> httpx.Response:
        """Go to the provider and back."""
        return self.get(provider.authorize(self.get(START, params={"next": onward}).headers["location"]))


@pytest.fixture
def browser(gate: HttpGate) -> Iterator[Browser]:
    """A browser without cookies."""
    with Browser(gate) as opened:
        yield opened


def _refused(answer: httpx.Response) -> str:
    """Return why a sign-in was refused: there is no session."""
    assert answer.status_code == 403, answer.text
    assert "goodsgate_session" not in str(answer.headers.get_list("set-cookie"))
    reason = re.search(r'role="alert">(.*?)</p>', answer.text)
    assert reason is not None
    return unescape(reason[1])


def test_a_person_signs_in_and_out(gate: HttpGate, provider: LocalProvider, browser: Browser) -> None:
    """With the role that the claims give; the page that was asked for follows, and the log tells it."""
    form = browser.get("/console/sign-in?next=/console/health").text
    assert f'href="{START}?next=%2Fconsole%2Fhealth">Sign in with Shop login<' in form
    answer = browser.sign_in(provider, "/console/health")
    assert (answer.status_code, 'content="0;url=/console/health"' in answer.text) == (200, True)
    session = next(each for each in answer.headers.get_list("set-cookie") if each.startswith("goodsgate_session="))
    for part in ("HttpOnly", "SameSite=strict", "Path=/console"):
        assert part in session
    expected = f"{quote(CLIENT_ID, safe='')}:{quote(CLIENT_SECRET, safe='')}"
    assert provider.authorizations[-1] == f"Basic {base64.b64encode(expected.encode()).decode()}"
    page = browser.get("/console/batches").text
    assert "ada@example.com" in page
    assert "<small>clerk</small>" in page
    (key,) = [key for key in gate.shop.store.keys("acme") if key.label == "ada@example.com"]
    operator = gate.client("acme", "admin")
    listed = next(each for each in operator.get("/v1/merchants/acme/keys").json()["keys"] if each["id"] == key.id)
    assert (listed["kind"], listed["scopes"], listed["settings"]) == ("person", ["clerk"], {})
    assert operator.post(f"/v1/merchants/acme/keys/{key.id}/rotate").status_code == 409
    entry = operator.get("/v1/audit?order=newest&action=sign_in").json()["entries"][0]
    assert (entry["action"], entry["actor"]) == ("sign_in.accept", f"person:ada@example.com (key:{key.id}@acme)")

    out = browser.post("/console/sign-out", data={"csrf": csrf(page)})
    home = browser.get(out.headers["location"]).text
    link = re.search(r'href="([^"]+)">Sign out of Shop login as well', home)
    assert link is not None
    end = urlsplit(browser.get(link[1]).headers["location"])
    assert (f"{end.scheme}://{end.netloc}{end.path}", parse_qs(end.query)["client_id"]) == (
        f"{provider.issuer}/logout", [CLIENT_ID]
    )
    assert browser.get("/console/batches").status_code == 303


def test_roles_follow_the_claims_at_each_sign_in(gate: HttpGate, provider: LocalProvider, browser: Browser) -> None:
    """Also the merchant; a revoked person stays out."""
    for groups, role in ((["it"], "integrator"), ("ops", "operator"), (["feed-team", "unknown"], "clerk")):
        provider.claims = {"sub": "u-2", "groups": groups, "email": None, "name": "Bo <b>"}
        browser.sign_in(provider)
        page = browser.get("/console/batches").text
        assert f"<small>{role}</small>" in page
        assert "Bo &lt;b&gt;" in page
    store = gate.shop.store
    (key,) = [key for key in store.keys("acme") if key.label == "Bo <b>"]
    store.revoke_key("acme", key.id)
    assert "was revoked" in _refused(browser.sign_in(provider))


@pytest.mark.parametrize(("claims", "reason"), [
    ({"groups": ["guests"]}, "has no role here"), ({"groups": None}, "has no role here"),
    ({"groups": {"feed-team": True}}, "has no role here"),
    ({"goodsgate_merchant": "nobody"}, "does not exist"), ({"goodsgate_merchant": None}, "belongs to no merchant"),
    ({"goodsgate_merchant": "../x"}, "belongs to no merchant"),
    ({"nonce": "another"}, "nonce"), ({"nonce": None}, "nonce"),
    ({"aud": "another"}, "aud"), ({"aud": [CLIENT_ID, "another"], "azp": "another"}, "azp"),
    ({"iss": "https://elsewhere.example"}, "iss"), ({"sub": None}, "sub"), ({"sub": ""}, "sub"),
    ({"exp": int(time.time()) - 3600}, "expired"), ({"exp": None}, "exp"),
    ({"iat": int(time.time()) + 9000}, "in the future"),
    ({"nbf": int(time.time()) + 9000}, "not yet valid"), ({"at_hash": "AAAA"}, "at_hash"),
])
def test_claims_that_do_not_fit_are_refused(
    gate: HttpGate, provider: LocalProvider, browser: Browser, claims: dict[str, object], reason: str,
) -> None:
    """With what is wrong, and nobody is signed in."""
    provider.claims = claims
    assert re.search(reason, _refused(browser.sign_in(provider)))
    assert browser.get("/console/batches").status_code == 303


def test_clocks_may_differ_a_little(provider: LocalProvider, browser: Browser) -> None:
    """By the leeway of the settings."""
    provider.claims = {"exp": int(time.time()) - 20, "iat": int(time.time()) + 20}
    assert browser.sign_in(provider).status_code == 200


@pytest.mark.parametrize("signature", ["none", "HS256", "another key"])
def test_id_tokens_that_the_provider_has_not_signed_are_refused(
    provider: LocalProvider, browser: Browser, signature: str,
) -> None:
    """Without a signature, with the public key as a secret, and with a key of somebody else."""
    provider.signature = signature
    assert "not valid" in _refused(browser.sign_in(provider))


def test_new_keys_of_the_provider_are_read(gate: HttpGate, provider: LocalProvider, browser: Browser) -> None:
    """When a token names one that is not known, and not more often than once a minute."""
    assert browser.sign_in(provider).status_code == 200
    before, provider.key = provider.key, RSAKey.generate_key(2048, parameters={"kid": "k2"})
    _refused(browser.sign_in(provider))
    reads = provider.requests.count("/keys")
    _refused(browser.sign_in(provider))
    assert provider.requests.count("/keys") == reads
    provider.key = before


def test_a_state_is_of_one_browser_and_one_use(gate: HttpGate, provider: LocalProvider, browser: Browser) -> None:
    """Neither without the cookie, nor with another one, nor twice, nor changed."""
    back = provider.authorize(browser.get(START).headers["location"])
    with Browser(gate) as other:
        assert "begun elsewhere" in _refused(other.get(back))
        other.get(START)
        assert "begun elsewhere" in _refused(other.get(back))
    cookie = browser.cookies["goodsgate_openid"]
    assert browser.get(back).status_code == 200
    assert "goodsgate_openid" not in browser.cookies
    with Browser(gate) as thief:
        for stolen in (cookie, "x" + cookie, cookie[:-1], "."):
            assert "begun elsewhere" in _refused(thief.get(back, headers={"cookie": f"goodsgate_openid={stolen}"}))


@pytest.mark.parametrize("query", [
    "error=access_denied", "code=", "code=x&iss=https://elsewhere.example", "code=unknown",
])
def test_what_the_provider_refuses_is_told(
    provider: LocalProvider, browser: Browser, query: str,
) -> None:
    """Errors, no code, a code of another provider, and one that it does not know."""
    state = parse_qs(urlsplit(browser.get(START).headers["location"]).query)["state"][0]
    _refused(browser.get(f"{CALLBACK}?state={state}&{query}"))


@pytest.mark.parametrize("onward", ["https://elsewhere.example/", "//elsewhere.example", "/v1/batches", "/console/\\x"])
def test_signing_in_never_leads_to_another_site(provider: LocalProvider, browser: Browser, onward: str) -> None:
    """An address outside the console is replaced by the list of batches."""
    assert 'content="0;url=/console/batches"' in browser.sign_in(provider, onward).text


def test_nothing_but_get_is_answered(browser: Browser) -> None:
    """A form of another site starts nothing."""
    assert [browser.post(path).status_code for path in (START, CALLBACK)] == [405, 405]


def _fresh(gate: HttpGate, **settings: object) -> OpenIdProvider:
    """Return a provider with nothing cached, for settings that differ."""
    provider = create_openid_provider(msgspec.structs.replace(gate.shop.config, **settings))
    assert provider is not None
    return provider


@pytest.mark.parametrize(("settings", "configuration", "reason"), [
    ({"oidc_private": "refuse"}, {}, "without TLS"),
    ({"oidc_private": "refuse", "oidc_issuer": "https://localhost:1/x"}, {}, "private address .*oidc_private"),
    ({}, {"issuer": "https://elsewhere.example"}, "another issuer"),
    ({}, {"authorization_endpoint": "javascript:alert(1)"}, "names no authorization_endpoint"),
    ({"oidc_issuer": "http://127.0.0.1:1/none"}, {}, "cannot be reached"),
])
def test_a_provider_that_cannot_be_trusted_is_not_used(
    gate: HttpGate, provider: LocalProvider, settings: dict[str, object], configuration: dict[str, object], reason: str,
) -> None:
    """Private addresses only if the operator says so, and only the issuer of the settings."""
    provider.configuration = configuration
    with pytest.raises(OpenIdError, match=reason):
        _fresh(gate, **settings).authorization_url(redirect_uri="http://x/", state="s", nonce="n", verifier="v" * 48)


def test_without_a_provider_there_is_nothing(tmp_path) -> None:
    """No address, and no word on the page for signing in; keys work as ever."""
    with Shop(tmp_path / "shop") as shop:
        served = HttpGate(shop)
        client = served.anonymous()
        assert client.get(START).status_code == 404
        assert "openid" not in client.get("/console/sign-in").text
        served.close()
