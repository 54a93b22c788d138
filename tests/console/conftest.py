"""A served gate over each kind of store, with users of its console; tests run its worker step by step."""

import re
from collections.abc import Iterator
from html import unescape

import httpx
import orjson
import pytest

from tests import stores
from tests.http_gate import HttpGate
from tests.shop import Shop


class Person(httpx.Client):
    """A user whose browser keeps cookies, follows redirects and runs no scripts."""

    def __init__(self, gate: HttpGate, merchant: str, *scopes: str) -> None:
        super().__init__(base_url=gate.url, follow_redirects=True, timeout=60, trust_env=False)
        self.gate = gate
        self.merchant = merchant
        self.key = gate.secret(merchant, scopes or ("submit", "read"))
        self.base = f"/console/merchants/{merchant}"

    def sign_in(self) -> "Person":
        """Sign in with the key; the list of batches follows."""
        form = self.get("/console/sign-in")
        answer = self.post("/console/sign-in", data={"key": self.key, "csrf": csrf(form.text), "next": ""})
        assert answer.status_code == 200, answer.text
        assert answer.url.path == "/console/batches"
        return self

    def fill(self, path: str, page: str, **fields: str) -> httpx.Response:
        """Submit a form of a page."""
        return self.post(path, data={**fields, "csrf": csrf(self.get(page).text)})

    def drop(self, path: str, content: bytes, **fields: str) -> httpx.Response:
        """Upload a file as the console's script does."""
        headers = {"x-csrf": csrf(self.get("/console/batches").text)}
        return self.post(path, content=orjson.dumps(fields) + b"\n" + content, headers=headers)

    def submit(self, content: bytes, **fields: str) -> str:
        """Submit a file, process it, and return the path of the batch."""
        fields = {"filename": "feed.csv", **fields}
        answer = self.drop(f"{self.base}/submit", content, **fields)
        assert answer.status_code == 202, answer.text
        self.gate.shop.work()
        return str(answer.headers["x-location"])


def csrf(page: str) -> str:
    """Return the CSRF token of the first form of a page."""
    match = re.search(r'name="csrf" value="([0-9a-f]+)"', page)
    assert match is not None, page
    return match[1]


def text_of(page: str) -> str:
    """Return the text of a page without its markup."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", page)).split())


@pytest.fixture(scope="module", params=stores.KINDS)
def gate(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpGate]:
    """One gate for all tests of a module; each test uses its own merchants."""
    folder = tmp_path_factory.mktemp("console")
    local = {"webhook_hosts": "127.0.0.1", "webhook_private": "allow"}
    with Shop(folder, kind=request.param, body_idle_seconds=1.0, exports=str(folder / "exports"), **local) as shop:
        served = HttpGate(shop)
        yield served
        served.close()
    stores.drop(folder)


@pytest.fixture
def clerk(gate: HttpGate) -> Iterator[Person]:
    """A signed-in user of a supplier."""
    with Person(gate, gate.merchant()) as person:
        yield person.sign_in()


@pytest.fixture
def reader(gate: HttpGate, clerk: Person) -> Iterator[Person]:
    """A user of the same merchant with the scope read only."""
    with Person(gate, clerk.merchant, "read") as person:
        yield person.sign_in()


@pytest.fixture
def stranger(gate: HttpGate) -> Iterator[Person]:
    """A user of another merchant."""
    with Person(gate, gate.merchant()) as person:
        yield person.sign_in()


@pytest.fixture
def operator(gate: HttpGate) -> Iterator[Person]:
    """A user with the scope admin."""
    with Person(gate, gate.merchant(), "read", "submit", "admin") as person:
        yield person.sign_in()
