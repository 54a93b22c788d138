"""A Konnect client as an integrator would write it: base URL, user name, password, and polling."""

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
from tests.http_gate import HttpGate

ONE_STORE = pytest.mark.parametrize("gate", ["sqlite"], indirect=True, scope="module")
"""For tables in which the store has no part: once is enough."""
FORMATS = {".csv": "csv", ".ndjson": "ndjson"}
_STARTER: dict[str, list[ReferenceEntry]] = {}
TAX_RULE = "66f0c0ffee0000000000aa01"


class Konnect(httpx.Client):
    """The client of one credential; it gets a token when it is created."""

    def __init__(self, gate: HttpGate, merchant: str, *, scopes: Iterable[str] = ("submit", "read"),
                 **settings: str) -> None:
        super().__init__(base_url=gate.url, timeout=60, trust_env=False)
        self.merchant = merchant
        self.gate = gate
        key, self.password = auth.new_key(merchant, map(Scope, scopes), settings=settings)
        self.key = key
        gate.shop.store.add_key(key)
        self.headers["x-access-token"] = self.new_token()

    def new_token(self) -> str:
        """Return a new token."""
        query = {"username": self.merchant, "password": self.password}
        response = self.get("/aggregator/v1/token", params=query)
        assert response.status_code == 200, response.text
        return str(response.json()["access_token"])

    def create(self, *products: Any, template: str = "footwear") -> httpx.Response:
        """Create products (POST)."""
        return self.post("/v3/catalog/product", json={"template": template, "products": [*products]})

    def update(self, *products: Any, template: str = "footwear") -> httpx.Response:
        """Update products (PUT)."""
        return self.put("/v3/catalog/product", json={"template": template, "products": [*products]})

    def remove(self, *products: Any, template: str = "footwear") -> httpx.Response:
        """Delete products (DELETE with a body)."""
        body = {"template": template, "products": [*products]}
        return self.request("DELETE", "/v3/catalog/product", json=body)

    def final_status(self, acknowledged: httpx.Response) -> dict[str, Any]:
        """Poll until the stage is final, and return the status."""
        assert acknowledged.status_code == 200, acknowledged.text
        trace = acknowledged.json()["trace_id"]
        until = time.monotonic() + 60
        while time.monotonic() < until:
            response = self.get("/v3/catalog/status", params={"trace_id": trace})
            assert response.status_code == 200, response.text
            document: dict[str, Any] = response.json()
            if document["stage"] != "RUNNING":
                return document
            time.sleep(0.01)
        raise AssertionError("still running")

    def create_all(self, *products: Any, template: str = "footwear") -> None:
        """Create products and expect all of them to succeed."""
        result = self.final_status(self.create(*products, template=template))
        assert result["stage"] == "COMPLETED", result

    def record_errors(self, acknowledged: httpx.Response) -> list[tuple[str, str]]:
        """Return field and code of every error of every failed record."""
        result = self.final_status(acknowledged)
        records = result["meta"]["failed_records"]
        return [(error["field"], error["code"]) for record in records for error in record["errors"]]

    def list_items(self, path: str = "/v3/catalog/product", **query: Any) -> list[dict[str, Any]]:
        """Return the items of one page."""
        response = self.get(path, params=query)
        assert response.status_code == 200, response.text
        items: list[dict[str, Any]] = response.json()["items"]
        return items


def product(number: int = 1, **members: Any) -> dict[str, Any]:
    """Return the dossier's minimal product; `members` replace its members or, if None, remove them."""
    record = {
        "name": f"Trail Runner {number}", "slug": f"trail-runner-{number}", "departments": ["5956"],
        "category": "Sports Shoes", "brand": "Acme", "item_code": f"TR-{number:03d}", "country_of_origin": "India",
        "tax_identifier": {"tax_rule_id": TAX_RULE}, "hs_code": "640411", "sizes": [size(number)],
        "trader": [{"type": "Manufacturer", "name": "Acme Ltd", "address": ["1 Mill Road, Pune"]}],
        "attributes": {}, "is_dependent": False, **members,
    }
    return {name: value for name, value in record.items() if value is not None}


def size(number: int = 1, label: str = "42", **members: Any) -> dict[str, Any]:
    """Return one size of the product."""
    entry = {
        "primary_identifier": f"TR-{number:03d}-{label}", "size": label, "price": 4999, "price_effective": 3999,
        **members,
    }
    return {name: value for name, value in entry.items() if value is not None}


def load_starter(gate: HttpGate, merchant: str) -> None:
    """Load the set of `goodsgate reference starter`; the engine parses it once."""
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
