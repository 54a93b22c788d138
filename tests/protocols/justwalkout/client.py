"""A test client for the Catalog API: an endpoint, an access key, and botocore to sign requests."""

import json
import time
from typing import Any

import httpx
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from goodsgate import auth
from goodsgate.engine.merchant_documents import put_merchant_settings
from goodsgate.model.catalogue import ReferenceEntry, Scope
from tests.http_gate import HttpGate

ONE_STORE = pytest.mark.parametrize("gate", ["sqlite"], indirect=True, scope="module")
"""For tables in which the store has no part: once is enough."""
SCOPES = (Scope.SUBMIT, Scope.READ)
_accounts = iter(range(100_000_000_000, 200_000_000_000))


class JustWalkOut(httpx.Client):
    """The HTTP client of one access key."""

    def __init__(self, gate: HttpGate, merchant: str, *stores: str, account: str | None = None, session: bool = False,
                 scopes: tuple[Scope, ...] = SCOPES, region: str = "us-east-1", **settings: str) -> None:
        super().__init__(base_url=gate.url, timeout=60, trust_env=False)
        self.gate = gate
        self.merchant = merchant
        self.region = region
        store = gate.shop.store
        store.put_reference(merchant, "location", [ReferenceEntry(code=code) for code in stores])
        self.account = f"{next(_accounts)}" if account is None else account
        put_merchant_settings(store, merchant, {"account": self.account, **settings})
        secrets = gate.shop.engine.secrets
        key, self.key = auth.new_access_key(merchant, scopes, secrets, session=session)
        self.key_id = key.id
        store.add_key(key)

    def sign(self, path: str, body: bytes, *, region: str = "", secret: str = "", **headers: str) -> dict[str, str]:
        """Return the headers of a sign POST."""
        credentials = Credentials(self.key.id, secret or self.key.secret, self.key.token)
        request = AWSRequest(
            "POST", f"{self.gate.url}{path}", data=body, headers={"content-type": "application/json", **headers}
        )
        SigV4Auth(credentials, "execute-api", region or self.region).add_auth(request)
        return dict(request.headers)

    def call(self, path: str, document: Any, **how: str) -> httpx.Response:
        """POST a document, or raw bytes; repeat the request while the rate limit refuses it."""
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        while True:
            response = self.post(path, content=body, headers=self.sign(path, body, **how))
            if response.status_code != 429:
                return response
            time.sleep(0.1)

    def upload(self, *items: Any) -> httpx.Response:
        """Call UploadCatalog."""
        return self.call("/v1/catalog/upload", {"catalogItems": [*items]})

    def archive(self, *skus: str, stores: list[str] | None = None) -> httpx.Response:
        """Call ArchiveCatalog for all stores, unless others are given."""
        result = stores if stores is not None else self.stores()
        return self.call("/v1/catalog/archive", {"itemSkus": [*skus], "allApplicableStores": result})

    def stores(self) -> list[str]:
        """Return all stores of the merchant."""
        return [entry.code for entry in self.gate.shop.store.reference(self.merchant, "location").rows]

    def status(self, ingestion: str) -> dict[str, str]:
        """Call GetCatalogUploadStatus."""
        response = self.call("/v1/catalog/getCatalogUploadStatus", {"ingestionId": ingestion})
        assert response.status_code == 200, response.text
        result: dict[str, str] = response.json()
        return result

    def report(self, accepted: httpx.Response, *, status: str = "DONE") -> dict[str, Any]:
        """Process an accepted ingestion and return its report."""
        assert accepted.status_code == 201, accepted.text
        self.gate.shop.work()
        result = self.status(accepted.json()["ingestionId"])
        assert result["processingStatus"] == status
        response = httpx.get(result["reportDownloadLink"], trust_env=False)
        assert response.status_code == 200, response.text
        document: dict[str, Any] = response.json()
        return document

    def codes(self, accepted: httpx.Response) -> list[tuple[int, str, str]]:
        """Return the index, code and severity of each issue of the report."""
        return [(issue["index"], issue["code"], issue["severity"]) for issue in self.report(accepted)["issues"]]

    def items(self, collection: str = "justwalkout") -> dict[str, Any]:
        """Return the items of the catalogue by key."""
        return self.gate.shop.items(collection, merchant=self.merchant)


def item(number: int = 1, store: str = "STORE-1", **members: Any) -> dict[str, Any]:
    """Return a valid item; `members` replace its members or, with None, remove them."""
    body = f"{number:011d}"
    total = sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(body))
    record = {
        "item_sku": f"SKU-{number}", "external_product_id": f"{body}{-total % 10}", "external_product_id_type": "UPC",
        "item_name": f"Example Cola {number}", "store_id": store, "standard_price": "2.49", **members,
    }
    return {name: value for name, value in record.items() if value is not None}
