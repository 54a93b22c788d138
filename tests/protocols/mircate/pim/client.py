"""A client of product information, for a merchant of shirts."""

import base64
from collections.abc import Iterable
from typing import Any

import httpx
import msgspec

from goodsgate.app import create_services
from goodsgate.protocols.mircate import couriers
from goodsgate.protocols.mircate.pim.guesses import SORT
from goodsgate.protocols.mircate.pim.settled import Settled, encode
from tests.protocols.mircate.client import Mircate
from tests.protocols.mircate.pim.shirts import SHIRTS
from tests.served import Served

PNG = b"\x89PNG\r\n\x1a\n" + b"image" * 20
JPEG = b"\xff\xd8\xff\xe0" + b"image" * 20


class Manager(Mircate):
    """Calls methods of `PIMAPI`."""

    def __init__(self, gate: Served, merchant: str, *, settled: Settled | None = SHIRTS,
                 scopes: Iterable[str] = ("submit", "read")) -> None:
        super().__init__(gate, merchant, scopes=scopes)
        if settled is not None:
            gate.shop.store.add_resource(merchant, SORT, name="settled", body=encode(settled), resources_max=1)

    def pim(self, method: str, words: Any = None) -> httpx.Response:
        """POST."""
        return self.call(f"PIMAPI/{method}", words)

    def put(self, product: dict[str, Any]) -> httpx.Response:  # type: ignore[override]  # nobody puts otherwise here
        """Upsert one product."""
        return self.pim("upsertProduct", {name: value for name, value in product.items() if name != "id"})

    def held(self, *products: dict[str, Any]) -> None:
        """Upsert them, all of them well."""
        for product in products:
            answered = self.put(product)
            assert answered.status_code == 200, answered.text

    def ids(self, **query: Any) -> list[str]:
        """Of a page of products."""
        answered = self.pim("getProducts", {**query, "source": False})
        assert answered.status_code == 200, answered.text
        return [one["id"] for one in answered.json()["products"]]

    def source(self, id: str) -> dict[str, Any]:
        """One product as it is read."""
        answered = self.pim("getProducts", {"filters": {"idList": [id]}})
        assert answered.status_code == 200, answered.text
        (one,) = answered.json()["products"]
        assert one["id"] == id
        source: dict[str, Any] = one["source"]
        return source

    def attach(self, id: str, image: bytes = PNG, *, attribute: str = "photo", extension: str = "png", **place: str,
               ) -> httpx.Response:
        """Attach an image to a product."""
        return self.pim("attachProductAttributeImage", {
            "image": base64.b64encode(image).decode(), "productId": id, "extension": extension,
            "attributeCode": attribute, **place,
        })

    def image(self, filename: str) -> httpx.Response:
        """Read one, without a key."""
        path = self.path("PIMAPI/getImage", filename.partition("-")[0])
        return httpx.get(self.gate.url + path, params={"filename": filename}, trust_env=False)

    def carried(self) -> None:
        """Everything that waits to be carried, as a worker process does it beside the work."""
        store, carrying = self.gate.shop.store, couriers(create_services(self.gate.shop.store, self.gate.shop.config))
        while messages := store.claim_messages(lease_seconds=30, limit=10):
            for message in messages:
                carrying[message.topic].carry(message)
                store.mark_sent(message)

    def settled(self) -> dict[str, Any]:
        """What is settled, as it is kept."""
        found = self.gate.shop.store.resources(self.merchant, SORT)
        settled: dict[str, Any] = msgspec.json.decode(found[0].body)
        return settled
