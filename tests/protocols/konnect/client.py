"""A client as somebody would write it for Konnect: a base URL, a user, a password, and patience."""

import time
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
import pytest

from goodsgate import auth
from goodsgate.app import create_engine
from goodsgate.model.catalogue import ReferenceEntry, Scope
from tests.served import Served

ONE_STORE = pytest.mark.parametrize("gate", ["sqlite"], indirect=True, scope="module")
"""For tables in which the store has no part: once is enough."""
FORMATS = {".csv": "csv", ".ndjson": "ndjson"}
_STARTER: dict[str, list[ReferenceEntry]] = {}
TAX_RULE = "66f0c0ffee0000000000aa01"


class Konnect(httpx.Client):
    """One credential's client; takes its token when it is made."""

    def __init__(self, gate: Served, merchant: str, *, scopes: Iterable[str] = ("submit", "read"),
                 **settings: str) -> None:
        super().__init__(base_url=gate.url, timeout=30, trust_env=False)
        self.merchant = merchant
        self.gate = gate
        key, self.password = auth.new_key(merchant, map(Scope, scopes), settings=settings)
        self.key = key
        gate.shop.store.add_key(key)
        self.headers["x-access-token"] = self.new_token()

    def new_token(self) -> str:
        """One more token."""
        query = {"username": self.merchant, "password": self.password}
        answered = self.get("/aggregator/v1/token", params=query)
        assert answered.status_code == 200, answered.text
        return str(answered.json()["access_token"])

    def create(self, *products: Any, template: str = "footwear") -> httpx.Response:
        """POST."""
        return self.post("/v3/catalog/product", json={"template": template, "products": [*products]})

    def update(self, *products: Any, template: str = "footwear") -> httpx.Response:
        """PUT."""
        return self.put("/v3/catalog/product", json={"template": template, "products": [*products]})

    def remove(self, *products: Any, template: str = "footwear") -> httpx.Response:
        """DELETE, which carries a body."""
        body = {"template": template, "products": [*products]}
        return self.request("DELETE", "/v3/catalog/product", json=body)

    def outcome(self, acknowledged: httpx.Response) -> dict[str, Any]:
        """Poll until the stage is final."""
        assert acknowledged.status_code == 200, acknowledged.text
        trace = acknowledged.json()["trace_id"]
        until = time.monotonic() + 20
        while time.monotonic() < until:
            answered = self.get("/v3/catalog/status", params={"trace_id": trace})
            assert answered.status_code == 200, answered.text
            document: dict[str, Any] = answered.json()
            if document["stage"] != "RUNNING":
                return document
            time.sleep(0.01)
        raise AssertionError("still running")

    def made(self, *products: Any, template: str = "footwear") -> None:
        """Create, all of them."""
        told = self.outcome(self.create(*products, template=template))
        assert told["stage"] == "COMPLETED", told

    def failed(self, acknowledged: httpx.Response) -> list[tuple[str, str]]:
        """Field and code of every error of every failed record."""
        told = self.outcome(acknowledged)
        records = told["meta"]["failed_records"]
        return [(error["field"], error["code"]) for record in records for error in record["errors"]]

    def listed(self, path: str = "/v3/catalog/product", **query: Any) -> list[dict[str, Any]]:
        """The items of one page."""
        answered = self.get(path, params=query)
        assert answered.status_code == 200, answered.text
        items: list[dict[str, Any]] = answered.json()["items"]
        return items


def product(number: int = 1, **members: Any) -> dict[str, Any]:
    """The dossier's minimal product; `members` replace or, with None, remove."""
    record = {
        "name": f"Trail Runner {number}", "slug": f"trail-runner-{number}", "departments": ["5956"],
        "category": "Sports Shoes", "brand": "Acme", "item_code": f"TR-{number:03d}", "country_of_origin": "India",
        "tax_identifier": {"tax_rule_id": TAX_RULE}, "hs_code": "640411", "sizes": [size(number)],
        "trader": [{"type": "Manufacturer", "name": "Acme Ltd", "address": ["1 Mill Road, Pune"]}],
        "attributes": {}, "is_dependent": False, **members,
    }
    return {name: value for name, value in record.items() if value is not None}


def size(number: int = 1, label: str = "42", **members: Any) -> dict[str, Any]:
    """One size of it."""
    entry = {
        "primary_identifier": f"TR-{number:03d}-{label}", "size": label, "price": 4999, "price_effective": 3999,
        **members,
    }
    return {name: value for name, value in entry.items() if value is not None}


def load_starter(gate: Served, merchant: str) -> None:
    """The set that `goodsgate reference starter` loads; read once, as the engine reads it."""
    store = gate.shop.store
    if not _STARTER:
        engine = create_engine(store, gate.shop.config)
        for path in sorted(Path(str(files("goodsgate.cli") / "starter")).iterdir()):
            if path.suffix in FORMATS:
                engine.load_reference(merchant, path.stem, iter([path.read_bytes()]), format=FORMATS[path.suffix])
                _STARTER[path.stem] = store.reference(merchant, path.stem, limit=1000).rows
        return
    for kind, entries in _STARTER.items():
        store.put_reference(merchant, kind, entries)
