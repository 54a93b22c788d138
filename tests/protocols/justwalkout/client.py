"""A client as somebody would write it for the Catalog API: an endpoint, an access key, and botocore to sign."""

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
from tests.served import Served

ONE_STORE = pytest.mark.parametrize("gate", ["sqlite"], indirect=True, scope="module")
"""For tables in which the store has no part: once is enough."""
SCOPES = (Scope.SUBMIT, Scope.READ)
_accounts = iter(range(100_000_000_000, 200_000_000_000))


class JustWalkOut(httpx.Client):
    """One access key's client."""

    def __init__(self, gate: Served, merchant: str, *stores: str, account: str | None = None, session: bool = False,
                 scopes: tuple[Scope, ...] = SCOPES, region: str = "us-east-1", **settings: str) -> None:
        super().__init__(base_url=gate.url, timeout=30, trust_env=False)
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

    def signed(self, path: str, body: bytes, *, region: str = "", secret: str = "", **headers: str) -> dict[str, str]:
        """The headers of a signed POST."""
        credentials = Credentials(self.key.id, secret or self.key.secret, self.key.token)
        request = AWSRequest(
            "POST", f"{self.gate.url}{path}", data=body, headers={"content-type": "application/json", **headers}
        )
        SigV4Auth(credentials, "execute-api", region or self.region).add_auth(request)
        return dict(request.headers)

    def call(self, path: str, document: Any, **how: str) -> httpx.Response:
        """POST a document, or bytes as they are; waits out the pace."""
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        while True:
            answered = self.post(path, content=body, headers=self.signed(path, body, **how))
            if answered.status_code != 429:
                return answered
            time.sleep(0.1)

    def upload(self, *items: Any) -> httpx.Response:
        """UploadCatalog."""
        return self.call("/v1/catalog/upload", {"catalogItems": [*items]})

    def archive(self, *skus: str, stores: list[str] | None = None) -> httpx.Response:
        """ArchiveCatalog, in all stores unless others are named."""
        told = stores if stores is not None else self.stores()
        return self.call("/v1/catalog/archive", {"itemSkus": [*skus], "allApplicableStores": told})

    def stores(self) -> list[str]:
        """All of the merchant."""
        return [entry.code for entry in self.gate.shop.store.reference(self.merchant, "location").rows]

    def status(self, ingestion: str) -> dict[str, str]:
        """GetCatalogUploadStatus."""
        answered = self.call("/v1/catalog/getCatalogUploadStatus", {"ingestionId": ingestion})
        assert answered.status_code == 200, answered.text
        told: dict[str, str] = answered.json()
        return told

    def report(self, accepted: httpx.Response, *, status: str = "DONE") -> dict[str, Any]:
        """The report of an accepted ingestion, once it has been worked."""
        assert accepted.status_code == 201, accepted.text
        self.gate.shop.work()
        told = self.status(accepted.json()["ingestionId"])
        assert told["processingStatus"] == status
        answered = httpx.get(told["reportDownloadLink"], trust_env=False)
        assert answered.status_code == 200, answered.text
        document: dict[str, Any] = answered.json()
        return document

    def codes(self, accepted: httpx.Response) -> list[tuple[int, str, str]]:
        """Index, code and severity of every issue of its report."""
        return [(told["index"], told["code"], told["severity"]) for told in self.report(accepted)["issues"]]

    def held(self, collection: str = "justwalkout") -> dict[str, Any]:
        """What the catalogue holds, by key."""
        return self.gate.shop.items(collection, merchant=self.merchant)


def item(number: int = 1, store: str = "STORE-1", **members: Any) -> dict[str, Any]:
    """An item with nothing wrong; `members` replace or, with None, remove."""
    body = f"{number:011d}"
    total = sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(body))
    record = {
        "item_sku": f"SKU-{number}", "external_product_id": f"{body}{-total % 10}", "external_product_id_type": "UPC",
        "item_name": f"Example Cola {number}", "store_id": store, "standard_price": "2.49", **members,
    }
    return {name: value for name, value in record.items() if value is not None}
