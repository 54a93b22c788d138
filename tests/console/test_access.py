"""Who gets in, how far, and for how long."""

import re
from datetime import timedelta

import httpx
import pytest

from goodsgate.auth import Authenticator
from goodsgate.model.batch import now
from tests.console.conftest import Person, csrf
from tests.served import Served

PAGES = (
    "batches", "health", "merchants/{m}/submit", "merchants/{m}/catalogue", "merchants/{m}/reference",
    "merchants/{m}/batches/0", "merchants",
)
POSTS = (
    "merchants/{m}/submit", "merchants/{m}/batches/0/retry", "merchants", "sign-out", "merchants/{m}/reference/brand",
)


@pytest.mark.parametrize("page", PAGES)
def test_nothing_is_seen_without_signing_in(gate: Served, page: str) -> None:
    """Every page leads to the form, and from there back."""
    anonymous = gate.anonymous()
    path = "/console/" + page.format(m="acme")
    answer = anonymous.get(path)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/console/sign-in?next=")
    assert anonymous.get(path, headers={"hx-request": "true"}).status_code == 401


def test_a_session_is_a_cookie_for_the_console_alone(gate: Served) -> None:
    """That no script reads and no other site sends; Secure where TLS ends before the gate."""
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
def test_signing_in_leads_to_a_page_of_the_console(gate: Served, onward: str) -> None:
    """Never to another site."""
    with Person(gate, gate.merchant()) as person:
        form = person.get("/console/sign-in", params={"next": onward})
        data = {"key": person.key, "csrf": csrf(form.text), "next": onward}
        answer = person.post("/console/sign-in", data=data, follow_redirects=False)
        assert answer.headers["location"] == "/console/batches"


def test_a_wrong_key_is_told_and_lets_nobody_in(gate: Served) -> None:
    """Nor does one that may not read."""
    with Person(gate, gate.merchant(), "submit") as person:
        form = person.get("/console/sign-in")
        wrong = person.post("/console/sign-in", data={"key": "gg_x_y", "csrf": csrf(form.text)})
        assert (wrong.status_code, "not valid" in wrong.text) == (401, True)
        blind = person.post("/console/sign-in", data={"key": person.key, "csrf": csrf(form.text)})
        assert (blind.status_code, "lacks the scope read" in blind.text) == (403, True)
        assert person.get("/console/batches", follow_redirects=False).status_code == 303


def test_the_form_is_of_the_browser_that_asked_for_it(gate: Served) -> None:
    """Another site cannot sign somebody in as somebody else."""
    with Person(gate, gate.merchant()) as person:
        token = csrf(person.get("/console/sign-in").text)
        data = {"key": person.key, "csrf": token}
        assert httpx.post(f"{gate.url}/console/sign-in", data=data, trust_env=False).status_code == 403
        crossed = person.post("/console/sign-in", data=data, headers={"sec-fetch-site": "cross-site"})
        assert crossed.status_code == 403


def test_signing_out_ends_the_session_and_not_the_key(clerk: Person) -> None:
    """Whoever has kept the cookie has nothing."""
    kept = dict(clerk.cookies)
    answer = clerk.fill("/console/sign-out", "/console/batches")
    assert answer.url.path == "/console/sign-in"
    again = httpx.get(f"{clerk.gate.url}/console/batches", cookies=kept, trust_env=False)
    assert again.status_code == 303
    clerk.sign_in()


def test_a_revoked_key_ends_its_sessions(gate: Served, clerk: Person) -> None:
    """At once in the process that revoked it."""
    store = gate.shop.store
    (key,) = store.keys(clerk.merchant)
    store.revoke_key(clerk.merchant, key.id)
    gate.application.context.authenticator._cached.clear()
    assert clerk.get("/console/batches", follow_redirects=False).status_code == 303


def test_a_session_ends(gate: Served, clerk: Person) -> None:
    """When its time is up."""
    caller = Authenticator(gate.shop.store).caller(clerk.key.encode())
    assert caller is not None
    token = Authenticator(gate.shop.store).create_token(caller, seconds=0.2)
    cookies = {"goodsgate_session": token}
    ends = now() + timedelta(seconds=1.5)
    while now() < ends and httpx.get(f"{gate.url}/console/batches", cookies=cookies, trust_env=False).is_success:
        pass
    assert httpx.get(f"{gate.url}/console/batches", cookies=cookies, trust_env=False).status_code == 303


@pytest.mark.parametrize("path", POSTS)
def test_no_form_works_without_its_token(operator: Person, path: str) -> None:
    """Nor with that of another session, nor from another site."""
    address = "/console/" + path.format(m=operator.merchant)
    for told in ("", "0" * 64):
        answer = operator.post(address, content=f"csrf={told}\nx", headers={"x-csrf": told})
        assert (answer.status_code, "forbidden" in answer.text) == (403, True)
    token = csrf(operator.get("/console/batches").text)
    crossed = operator.post(address, content=f"csrf={token}", headers={"x-csrf": token, "sec-fetch-site": "cross-site"})
    assert crossed.status_code == 403


@pytest.mark.parametrize("path", ["catalogue", "reference", "submit", "batches/0", "reference/brand/usage?code=x"])
def test_a_merchants_key_sees_its_own_alone(clerk: Person, stranger: Person, path: str) -> None:
    """Another merchant is as unknown as one that is not there."""
    theirs, nobodys = (stranger.get(f"/console/merchants/{merchant}/{path}") for merchant in (clerk.merchant, "nobody"))
    assert theirs.status_code == nobodys.status_code == 404
    assert _without_ids(theirs.text) == _without_ids(nobodys.text)
    assert stranger.get("/console/batches", params={"merchant": clerk.merchant}).status_code == 404
    assert stranger.get("/console/merchants").status_code == 403
    assert stranger.get("/console/health/figures").status_code == 403


def test_whoever_runs_the_gate_sees_all(operator: Person, clerk: Person) -> None:
    """The list has everybody's batches, each with its merchant."""
    path = clerk.submit(b"sku,title\nA,Tent\n")
    assert operator.get(path).status_code == 200
    assert path in operator.get("/console/batches").text
    assert path in operator.get("/console/batches", params={"merchant": clerk.merchant}).text
    assert path not in operator.get("/console/batches", params={"merchant": operator.merchant}).text


def test_who_may_only_read_changes_nothing(clerk: Person, reader: Person) -> None:
    """Neither by a button, which is not there, nor by hand."""
    path = clerk.submit(b"sku,title\nA,\n")
    page = reader.get(path).text
    assert "Retry" not in page
    assert reader.get(f"{reader.base}/submit").status_code == 403
    token = csrf(page)
    for action in ("retry", "cancel", "accept-suggestions", "confirm", "records/1", "fix"):
        answer = reader.post(f"{path}/{action}", data={"csrf": token}, headers={"x-csrf": token})
        assert answer.status_code == 403, action


def test_pages_bring_a_policy_that_lets_no_script_in(clerk: Person) -> None:
    """And are kept nowhere."""
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
