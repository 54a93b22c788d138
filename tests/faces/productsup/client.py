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
