"""A test client for the Stream API and the Platform API: a base URL and a token."""

from collections.abc import Iterable
from typing import Any

import httpx
import pytest

from tests.http_gate import HttpGate

ONE_STORE = pytest.mark.parametrize("gate", ["sqlite"], indirect=True, scope="module")
"""For tables in which the store has no part: once is enough."""
JSON_API = "application/vnd.api+json"


class Productsup(httpx.Client):
    """The HTTP client of one token."""

    def __init__(self, gate: HttpGate, merchant: str, *, scopes: Iterable[str] = ("submit", "read")) -> None:
        super().__init__(base_url=gate.url, timeout=60, trust_env=False)
        self.gate = gate
        self.merchant = merchant
        self.headers["authorization"] = f"Bearer {gate.secret(merchant, scopes)}"

    def create(self, name: object, type: object = "chunked", **data: Any) -> httpx.Response:
        """Create a stream; `data` holds further members beside the attributes."""
        document = {"data": {"type": "stream", "attributes": {"name": name, "type": type}, **data}}
        return self.post("/streams", json=document, headers={"content-type": JSON_API, "accept": JSON_API})

    def create_stream(self, name: str = "My product stream", type: str = "chunked") -> str:
        """Create a stream and return its id."""
        response = self.create(name, type)
        assert response.status_code == 201, response.text
        return str(response.json()["data"]["id"])

    def rename(self, stream: str, name: object, **data: Any) -> httpx.Response:
        """Rename a stream."""
        document = {"data": {"type": "stream", "attributes": {"name": name}, **data}}
        return self.patch(f"/streams/{stream}", json=document, headers={"content-type": JSON_API})


def error(response: httpx.Response) -> dict[str, Any]:
    """Return the only error of an error document, after a check of its status."""
    assert response.headers["content-type"] == JSON_API
    body = response.json()
    assert list(body) == ["errors"]
    (problem,) = body["errors"]
    assert problem["status"] == str(response.status_code)
    return dict(problem)


NDJSON = {"content-type": "application/x-ndjson"}
PLATFORM = "/platform/v2"


class Site:
    """A site of a client, reached over the Platform API."""

    def __init__(self, client: Productsup, *, schedule: str = "", title: str = "Shop", **more: Any) -> None:
        self.client = client
        create_stream = client.post(f"{PLATFORM}/sites", json={"title": title, "import_schedule": schedule, **more})
        assert create_stream.status_code == 200, create_stream.text
        self.id = int(create_stream.json()["Sites"][0]["id"])
        self.path = f"{PLATFORM}/sites/{self.id}"

    def source(self, stream: str, **more: Any) -> int:
        """Add a data source and return its id."""
        added = self.client.post(f"{self.path}/streams", json={"stream_id": int(stream), **more})
        assert added.status_code == 200, added.text
        return int(added.json()["Sources"][0]["id"])

    def start(self, action: str = "import") -> str:
        """Start a process and return its id."""
        started = self.client.post(f"{PLATFORM}/process/{self.id}", json={"action": action})
        assert started.status_code == 200, started.text
        return str(started.json()["process_id"])

    def status(self, pid: str) -> str:
        """Return the status of a process."""
        return str(self.client.get(f"{self.path}/status/{pid}").json()["status"])

    def errors(self, **query: Any) -> list[tuple[str, str]]:
        """Return the type and message of each error."""
        problems = self.client.get(f"{self.path}/errors", params=query).json()["Errors"]
        return [(one["type"], one["message"]) for one in problems]

    def products(self, stage: str = "import", **query: Any) -> list[dict[str, str]]:
        """Return the products of the site."""
        response = self.client.get(f"/product/v2/site/{self.id}/stage/{stage}/0", params=query)
        assert response.status_code == 200, response.text
        return list(response.json()["products"])


def upload(client: Productsup, stream: str, body: bytes) -> str:
    """Upload a body and return the path of its batch."""
    response = client.post(f"/streams/{stream}/products", content=body, headers=NDJSON)
    assert response.status_code == 202, response.text
    return str(response.headers["content-location"])


def batch_status(client: Productsup, where: str) -> str:
    """Return the status of a batch: ``uploaded``, ``processed`` or ``failed``."""
    return str(client.get(where).json()["data"]["attributes"]["status"])
