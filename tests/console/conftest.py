"""A served gate with a worker stepped by hand, and people at its console, over each kind of store."""

import re
from collections.abc import Iterator
from html import unescape

import httpx
import orjson
import pytest

from tests import place
from tests.served import Served
from tests.shop import Shop


class Person(httpx.Client):
    """Somebody with a browser that keeps cookies, follows redirects and runs no script."""

    def __init__(self, gate: Served, merchant: str, *scopes: str) -> None:
        super().__init__(base_url=gate.url, follow_redirects=True, timeout=30, trust_env=False)
        self.gate = gate
        self.merchant = merchant
        self.key = gate.secret(merchant, scopes or ("submit", "read"))
        self.base = f"/console/merchants/{merchant}"

    def sign_in(self) -> "Person":
        """With the key; the list of batches is what comes."""
        form = self.get("/console/sign-in")
        answer = self.post("/console/sign-in", data={"key": self.key, "csrf": csrf(form.text), "next": ""})
        assert answer.status_code == 200, answer.text
        assert answer.url.path == "/console/batches"
        return self

    def fill(self, path: str, page: str, **fields: str) -> httpx.Response:
        """A form of a page, sent."""
        return self.post(path, data={**fields, "csrf": csrf(self.get(page).text)})

    def drop(self, path: str, content: bytes, **fields: str) -> httpx.Response:
        """A file, as the script sends it."""
        headers = {"x-csrf": csrf(self.get("/console/batches").text)}
        return self.post(path, content=orjson.dumps(fields) + b"\n" + content, headers=headers)

    def submit(self, content: bytes, **fields: str) -> str:
        """A file, worked to its end; the batch's path."""
        told = {"filename": "feed.csv", **fields}
        answer = self.drop(f"{self.base}/submit", content, **told)
        assert answer.status_code == 202, answer.text
        self.gate.shop.work()
        return str(answer.headers["x-location"])


def csrf(page: str) -> str:
    """Of the first form of a page."""
    found = re.search(r'name="csrf" value="([0-9a-f]+)"', page)
    assert found is not None, page
    return found[1]


def text_of(page: str) -> str:
    """What a page says, without its markup."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", page)).split())


@pytest.fixture(scope="module", params=place.KINDS)
def gate(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One gate for all tests of a module; each takes merchants of its own."""
    folder = tmp_path_factory.mktemp("console")
    with Shop(folder, kind=request.param, body_idle_seconds=1.0) as shop:
        served = Served(shop)
        yield served
        served.close()
    place.drop(folder)


@pytest.fixture
def clerk(gate: Served) -> Iterator[Person]:
    """A supplier's data clerk, signed in."""
    with Person(gate, gate.merchant()) as person:
        yield person.sign_in()


@pytest.fixture
def reader(gate: Served, clerk: Person) -> Iterator[Person]:
    """Somebody of the same merchant who may only look."""
    with Person(gate, clerk.merchant, "read") as person:
        yield person.sign_in()


@pytest.fixture
def stranger(gate: Served) -> Iterator[Person]:
    """Somebody of another merchant."""
    with Person(gate, gate.merchant()) as person:
        yield person.sign_in()


@pytest.fixture
def operator(gate: Served) -> Iterator[Person]:
    """Whoever runs the gate."""
    with Person(gate, gate.merchant(), "read", "submit", "admin") as person:
        yield person.sign_in()
