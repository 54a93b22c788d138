"""Sessions, scopes and CSRF protection."""

import re
from datetime import timedelta

import httpx
import pytest

from goodsgate.auth import Authenticator
from goodsgate.model.batch import now
from tests.console.conftest import Person, csrf
from tests.http_gate import HttpGate

PAGES = (
    "batches", "health", "merchants/{m}/submit", "merchants/{m}/catalogue", "merchants/{m}/reference",
    "merchants/{m}/batches/0", "merchants",
)
POSTS = (
    "merchants/{m}/submit", "merchants/{m}/batches/0/retry", "merchants", "sign-out", "merchants/{m}/reference/brand",
)


@pytest.mark.parametrize("page", PAGES)
def test_every_page_requires_signing_in(gate: HttpGate, page: str) -> None:
    """Every page redirects to the sign-in form, which leads back to it."""
    anonymous = gate.anonymous()
    path = "/console/" + page.format(m="acme")
    answer = anonymous.get(path)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/console/sign-in?next=")
    assert anonymous.get(path, headers={"hx-request": "true"}).status_code == 401


def test_the_session_cookie_is_limited_to_the_console(gate: HttpGate) -> None:
    """Scripts cannot read it, other sites cannot send it, and it is Secure behind a TLS proxy."""
    with Person(gate, gate.merchant()) as person:
        form = person.get("/console/sign-in")
        data = {"key": person.key, "csrf": csrf(form.text)}
        answer = person.post(
            "/console/sign-in", data=data, follow_redirects=False, headers={"x-forwarded-proto": "https"}
        )
        cookie = next(each for each in answer.headers.get_list("set-cookie") if each.startswith("goodsgate_session="))
        for part in ("HttpOnly", "SameSite=strict", "Path=/console", "Secure", "Max-Age=43200"):
            assert part in cookie
        assert person.key not in str(answer.headers)
        plain = person.post("/console/sign-in", data=data, follow_redirects=False)
        assert "Secure" not in plain.headers["set-cookie"]


@pytest.mark.parametrize("onward", ["https://elsewhere.example/", "//elsewhere.example", "/v1/batches", "/console/\\x"])
def test_signing_in_never_redirects_to_another_site(gate: HttpGate, onward: str) -> None:
    """An address outside the console is replaced by the list of batches."""
    with Person(gate, gate.merchant()) as person:
        form = person.get("/console/sign-in", params={"next": onward})
        data = {"key": person.key, "csrf": csrf(form.text), "next": onward}
        answer = person.post("/console/sign-in", data=data, follow_redirects=False)
        assert answer.headers["location"] == "/console/batches"


def test_a_wrong_key_is_rejected(gate: HttpGate) -> None:
    """A key without the scope read is rejected as well."""
    with Person(gate, gate.merchant(), "submit") as person:
        form = person.get("/console/sign-in")
        wrong = person.post("/console/sign-in", data={"key": "gg_x_y", "csrf": csrf(form.text)})
        assert (wrong.status_code, "not valid" in wrong.text) == (401, True)
        blind = person.post("/console/sign-in", data={"key": person.key, "csrf": csrf(form.text)})
        assert (blind.status_code, "lacks the permission read" in blind.text) == (403, True)
        assert person.get("/console/batches", follow_redirects=False).status_code == 303


def test_the_sign_in_form_works_only_in_the_browser_that_loaded_it(gate: HttpGate) -> None:
    """Another site cannot sign a user in with someone else's key."""
    with Person(gate, gate.merchant()) as person:
        token = csrf(person.get("/console/sign-in").text)
        data = {"key": person.key, "csrf": token}
        assert httpx.post(f"{gate.url}/console/sign-in", data=data, trust_env=False).status_code == 403
        crossed = person.post("/console/sign-in", data=data, headers={"sec-fetch-site": "cross-site"})
        assert crossed.status_code == 403


def test_signing_out_ends_the_session_and_not_the_key(clerk: Person) -> None:
    """A copied cookie no longer works."""
    kept = dict(clerk.cookies)
    answer = clerk.fill("/console/sign-out", "/console/batches")
    assert answer.url.path == "/console/sign-in"
    again = httpx.get(f"{clerk.gate.url}/console/batches", cookies=kept, trust_env=False)
    assert again.status_code == 303
    clerk.sign_in()


def test_a_revoked_key_ends_its_sessions(gate: HttpGate, clerk: Person) -> None:
    """The process that revokes the key ends them at once."""
    store = gate.shop.store
    (key,) = store.keys(clerk.merchant)
    store.revoke_key(clerk.merchant, key.id)
    gate.application.context.authenticator._cached.clear()
    assert clerk.get("/console/batches", follow_redirects=False).status_code == 303


def test_a_session_expires(gate: HttpGate, clerk: Person) -> None:
    """A token is refused after its lifetime."""
    caller = Authenticator(gate.shop.store).caller(clerk.key.encode())
    assert caller is not None
    token = Authenticator(gate.shop.store).create_token(caller, seconds=0.2)
    cookies = {"goodsgate_session": token}
    ends = now() + timedelta(seconds=1.5)
    while now() < ends and httpx.get(f"{gate.url}/console/batches", cookies=cookies, trust_env=False).is_success:
        pass
    assert httpx.get(f"{gate.url}/console/batches", cookies=cookies, trust_env=False).status_code == 303


@pytest.mark.parametrize("path", POSTS)
def test_every_form_requires_its_csrf_token(operator: Person, path: str) -> None:
    """A missing or foreign token is refused, and so is a request from another site."""
    address = "/console/" + path.format(m=operator.merchant)
    for token in ("", "0" * 64):
        answer = operator.post(address, content=f"csrf={token}\nx", headers={"x-csrf": token})
        assert (answer.status_code, "forbidden" in answer.text) == (403, True)
    token = csrf(operator.get("/console/batches").text)
    crossed = operator.post(address, content=f"csrf={token}", headers={"x-csrf": token, "sec-fetch-site": "cross-site"})
    assert crossed.status_code == 403


@pytest.mark.parametrize("path", ["catalogue", "reference", "submit", "batches/0", "reference/brand/usage?code=x"])
def test_a_merchants_key_sees_only_its_own_merchant(clerk: Person, stranger: Person, path: str) -> None:
    """Another merchant's pages look like those of a merchant that does not exist."""
    theirs, nobodys = (stranger.get(f"/console/merchants/{merchant}/{path}") for merchant in (clerk.merchant, "nobody"))
    assert theirs.status_code == nobodys.status_code == 404
    assert _without_ids(theirs.text) == _without_ids(nobodys.text)
    assert stranger.get("/console/batches", params={"merchant": clerk.merchant}).status_code == 404
    assert stranger.get("/console/merchants").status_code == 403
    assert stranger.get("/console/health/figures").status_code == 403


def test_an_admin_sees_all_merchants(operator: Person, clerk: Person) -> None:
    """The list contains the batches of all merchants and can be filtered by merchant."""
    path = clerk.submit(b"sku,title\nA,Tent\n")
    assert operator.get(path).status_code == 200
    assert path in operator.get("/console/batches").text
    assert path in operator.get("/console/batches", params={"merchant": clerk.merchant}).text
    assert path not in operator.get("/console/batches", params={"merchant": operator.merchant}).text


def test_a_user_with_scope_read_changes_nothing(clerk: Person, reader: Person) -> None:
    """There are no buttons for actions, and requests without buttons are refused."""
    path = clerk.submit(b"sku,title\nA,\n")
    page = reader.get(path).text
    assert "Retry" not in page
    assert reader.get(f"{reader.base}/submit").status_code == 403
    token = csrf(page)
    for action in ("retry", "cancel", "accept-suggestions", "confirm", "records/1", "fix", "fix/preview"):
        answer = reader.post(f"{path}/{action}", data={"csrf": token}, headers={"x-csrf": token})
        assert answer.status_code == 403, action


def test_the_content_security_policy_allows_only_our_scripts(clerk: Person) -> None:
    """Pages are not cached."""
    for page in ("/console/batches", "/console/health", "/console/nothing", "/console/sign-in"):
        headers = clerk.get(page).headers
        if page == "/console/nothing":
            continue
        policy = headers["content-security-policy"]
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"


def _without_ids(page: str) -> str:
    return re.sub(r"[0-9a-f]{16,}(-[0-9a-f]+)?", "", page)
