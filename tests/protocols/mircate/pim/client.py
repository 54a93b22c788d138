"""A test client for product information, with a merchant of shirts."""

import base64
from collections.abc import Iterable
from typing import Any

import httpx
import msgspec

from goodsgate.app import create_services
from goodsgate.protocols.mircate import message_senders
from goodsgate.protocols.mircate.pim.configuration import PimConfiguration, encode
from goodsgate.protocols.mircate.pim.unpublished import RESOURCE_TYPE
from tests.http_gate import HttpGate
from tests.protocols.mircate.client import Mircate
from tests.protocols.mircate.pim.shirts import SHIRTS

PNG = b"\x89PNG\r\n\x1a\n" + b"image" * 20
JPEG = b"\xff\xd8\xff\xe0" + b"image" * 20


class Manager(Mircate):
    """The client of a merchant that manages products."""

    def __init__(self, gate: HttpGate, merchant: str, *, configuration: PimConfiguration | None = SHIRTS,
                 scopes: Iterable[str] = ("submit", "read")) -> None:
        super().__init__(gate, merchant, scopes=scopes)
        if configuration is not None:
            body = encode(configuration)
            gate.shop.store.add_resource(merchant, RESOURCE_TYPE, name="settled", body=body, resources_max=1)

    def pim(self, method: str, arguments: Any = None) -> httpx.Response:
        """Call a method of `PIMAPI`."""
        return self.call(f"PIMAPI/{method}", arguments)

    def put(self, product: dict[str, Any]) -> httpx.Response:  # type: ignore[override]  # nobody puts otherwise here
        """Upsert one product."""
        return self.pim("upsertProduct", {name: value for name, value in product.items() if name != "id"})

    def put_all(self, *products: dict[str, Any]) -> None:
        """Upsert products, all of which must be valid."""
        for product in products:
            response = self.put(product)
            assert response.status_code == 200, response.text

    def ids(self, **query: Any) -> list[str]:
        """Return the ids of a page of products."""
        response = self.pim("getProducts", {**query, "source": False})
        assert response.status_code == 200, response.text
        return [one["id"] for one in response.json()["products"]]

    def source(self, id: str) -> dict[str, Any]:
        """Return one product as it is read."""
        response = self.pim("getProducts", {"filters": {"idList": [id]}})
        assert response.status_code == 200, response.text
        (one,) = response.json()["products"]
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
        """Read an image without a key."""
        path = self.path("PIMAPI/getImage", filename.partition("-")[0])
        return httpx.get(self.gate.url + path, params={"filename": filename}, trust_env=False)

    def deliver_messages(self) -> None:
        """Deliver all messages of the outbox, as a worker process does in the background."""
        store = self.gate.shop.store
        handlers = message_senders(create_services(store, self.gate.shop.config))
        while messages := store.claim_messages(lease_seconds=30, limit=10):
            for message in messages:
                handlers[message.topic].send(message)
                store.mark_sent(message)

    def configuration(self) -> dict[str, Any]:
        """Return the stored configuration."""
        (resource,) = self.gate.shop.store.resources(self.merchant, RESOURCE_TYPE)
        configuration: dict[str, Any] = msgspec.json.decode(resource.body)
        return configuration
