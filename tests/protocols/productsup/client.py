"""A client as somebody would write it for Productsup: a base URL and a token."""

from collections.abc import Iterable
from typing import Any

import httpx
import pytest

from tests.served import Served

ONE_STORE = pytest.mark.parametrize("gate", ["sqlite"], indirect=True, scope="module")
"""For tables in which the store has no part: once is enough."""
JSON_API = "application/vnd.api+json"


class Productsup(httpx.Client):
    """One token's client."""

    def __init__(self, gate: Served, merchant: str, *, scopes: Iterable[str] = ("submit", "read")) -> None:
        super().__init__(base_url=gate.url, timeout=30, trust_env=False)
        self.gate = gate
        self.merchant = merchant
        self.headers["authorization"] = f"Bearer {gate.secret(merchant, scopes)}"

    def create(self, name: object, type: object = "chunked", **data: Any) -> httpx.Response:
        """POST, as the documentation has it; `data` are further members beside the attributes."""
        document = {"data": {"type": "stream", "attributes": {"name": name, "type": type}, **data}}
        return self.post("/streams", json=document, headers={"content-type": JSON_API, "accept": JSON_API})

    def made(self, name: str = "My product stream", type: str = "chunked") -> str:
        """The id of a new stream."""
        answered = self.create(name, type)
        assert answered.status_code == 201, answered.text
        return str(answered.json()["data"]["id"])

    def rename(self, stream: str, name: object, **data: Any) -> httpx.Response:
        """PATCH."""
        document = {"data": {"type": "stream", "attributes": {"name": name}, **data}}
        return self.patch(f"/streams/{stream}", json=document, headers={"content-type": JSON_API})


def error(answered: httpx.Response) -> dict[str, Any]:
    """The one error of an error document; its status is the answer's."""
    assert answered.headers["content-type"] == JSON_API
    body = answered.json()
    assert list(body) == ["errors"]
    (told,) = body["errors"]
    assert told["status"] == str(answered.status_code)
    return dict(told)


NDJSON = {"content-type": "application/x-ndjson"}
PLATFORM = "/platform/v2"


class Site:
    """One site of a client, spoken to as the companion API is."""

    def __init__(self, client: Productsup, *, schedule: str = "", title: str = "Shop", **more: Any) -> None:
        self.client = client
        made = client.post(f"{PLATFORM}/sites", json={"title": title, "import_schedule": schedule, **more})
        assert made.status_code == 200, made.text
        self.id = int(made.json()["Sites"][0]["id"])
        self.path = f"{PLATFORM}/sites/{self.id}"

    def source(self, stream: str, **more: Any) -> int:
        """The id of a new data source."""
        added = self.client.post(f"{self.path}/streams", json={"stream_id": int(stream), **more})
        assert added.status_code == 200, added.text
        return int(added.json()["Sources"][0]["id"])

    def start(self, action: str = "import") -> str:
        """The id of a new process."""
        started = self.client.post(f"{PLATFORM}/process/{self.id}", json={"action": action})
        assert started.status_code == 200, started.text
        return str(started.json()["process_id"])

    def status(self, pid: str) -> str:
        """Of a process."""
        return str(self.client.get(f"{self.path}/status/{pid}").json()["status"])

    def errors(self, **query: Any) -> list[tuple[str, str]]:
        """Type and message of each."""
        told = self.client.get(f"{self.path}/errors", params=query).json()["Errors"]
        return [(one["type"], one["message"]) for one in told]

    def products(self, stage: str = "import", **query: Any) -> list[dict[str, str]]:
        """As the site has them."""
        answered = self.client.get(f"/product/v2/site/{self.id}/stage/{stage}/0", params=query)
        assert answered.status_code == 200, answered.text
        return list(answered.json()["products"])


def upload(client: Productsup, stream: str, body: bytes) -> str:
    """Where the batch of an upload is."""
    answered = client.post(f"/streams/{stream}/products", content=body, headers=NDJSON)
    assert answered.status_code == 202, answered.text
    return str(answered.headers["content-location"])


def batch_status(client: Productsup, where: str) -> str:
    """``uploaded``, ``processed`` or ``failed``."""
    return str(client.get(where).json()["data"]["attributes"]["status"])
