"""Webhooks of products, if the merchant's setting `webhook` is an address.

The status of a product decides: every change of an `ACTIVE` one is reported, and the change to `ARCHIVED`; nothing of a
`DRAFT`, nor of one that is archived already. The form is that of the ancestor. When a batch has ended, one message is
stored for each product to be reported, with the product as it is then.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from goodsgate.engine.merchant_documents import merchant_settings
from goodsgate.engine.outbox import DeliveryError
from goodsgate.http.services import ProtocolServices
from goodsgate.http.webhooks import post_webhook
from goodsgate.model.batch import Batch, Kind, Result, Verb, now
from goodsgate.model.json_text import read_json, write_json
from goodsgate.model.message import Message, NewMessage
from goodsgate.protocols.mircate.pim.configuration_store import ConfigurationStore
from goodsgate.protocols.mircate.pim.listing import product_source
from goodsgate.protocols.mircate.pim.records import key_of
from goodsgate.protocols.mircate.pim.unpublished import COLLECTION, PRODUCTS_MAX
from goodsgate.protocols.mircate.unpublished import PREFIXES
from goodsgate.store.contract import NameTakenError, Store

TOPIC = "mircate/webhook"
"""Topic of messages to the address, and type of the resources that mark a batch as reported."""
URL, KEY = "webhook", "webhook_key"
"""Settings of a merchant: the address, and the key that is sent as ``x-api-key``."""
REPORTED_KEY = "reported"
"""Name under which a batch stores the products that its end reports if it changes them: id → type."""
ACTIVE, ARCHIVED = "ACTIVE", "ARCHIVED"
OPERATIONS = {Result.CREATED: "CREATE", Result.UPDATED: "UPDATE", Result.DELETED: "DELETE"}
MARK_DAYS = 7
"""How long a batch is known to be reported."""


def has_webhook(store: Store, merchant: str) -> bool:
    """Return whether a merchant has an address."""
    return bool(merchant_settings(store, merchant).get(URL))


def products_to_report(store: Store, merchant: str, records: list[bytes], verb: Verb) -> dict[str, str]:
    """Return what a batch has to store so that its end knows which products to report.

    The status that an upsert leaves is the one that it sends, since it is required.
    """
    sent = {key: read_json(record) for record in records if (key := key_of(record))}
    items = store.current_items(merchant, Kind.PRODUCT, COLLECTION, [*sent], documents=True)
    stored = {key: read_json(item.document) for key, item in items.items() if item.document}
    types = {}
    for key, record in (stored if verb is Verb.DELETE else sent).items():
        status = _status(record)
        is_archived_now = status == ARCHIVED and _status(stored.get(key)) != ARCHIVED
        if status == ACTIVE or is_archived_now:
            types[key] = str(record.get("dataType"))
    return {REPORTED_KEY: write_json(types).decode()} if types else {}


def _status(record: Any) -> object:
    data = record.get("data") if isinstance(record, dict) else None
    return data.get("status") if isinstance(data, dict) else None


class ProductEvents:
    """Stores the messages about the products of a batch that has ended."""

    def __init__(self, services: ProtocolServices) -> None:
        self._store = services.store
        self._configurations = ConfigurationStore(services.store)
        self._url = services.settings.public_url or services.settings.local_url

    def store_messages(self, batch: Batch) -> None:
        """Store one message for each product to be reported; nothing if that was done before."""
        if REPORTED_KEY not in batch.protocol_data or not has_webhook(self._store, batch.merchant):
            return
        messages = [
            NewMessage(topic=TOPIC, subject=event["eventDocumentId"], body=write_json(event))
            for event in self._events(batch)
        ]
        if not messages:
            return
        try:
            self._store.add_resource(
                batch.merchant, TOPIC, name=batch.id, body=b"{}", resources_max=1, messages=messages,
                expires_at=now() + timedelta(days=MARK_DAYS),
            )
        except NameTakenError:
            return

    def _events(self, batch: Batch) -> Iterator[dict[str, Any]]:
        types: dict[str, str] = read_json(batch.protocol_data[REPORTED_KEY])
        images = f"{self._url}{PREFIXES[0]}CALL/PIMAPI/getImage/{quote(batch.merchant, safe='')}"
        results = {
            row.key: row.result for row in self._store.results(batch.merchant, batch.id, limit=PRODUCTS_MAX)
            if row.key in types and row.result in OPERATIONS
        }
        for key, result in results.items():
            source = self._source(batch.merchant, key, images) if result is not Result.DELETED else {}
            if source is not None:
                yield {
                    "eventDocument": source, "eventDocumentId": f"{batch.merchant}-{key}",
                    "eventOperation": OPERATIONS[result], "eventType": types[key],
                }

    def _source(self, merchant: str, key: str, images: str) -> dict[str, Any] | None:
        """Return a product with the attributes of its model; None if it does not exist."""
        item = self._store.item(merchant, Kind.PRODUCT, COLLECTION, key)
        if item is None:
            return None
        source = product_source(item, self._configurations.read(merchant), images)
        parent = self._source(merchant, source["parent"], images) if "parent" in source else None
        if parent is not None:
            own = source["data"].get("attributes", [])
            codes = {entry["code"] for entry in own}
            common = parent["data"].get("attributes", [])
            source["data"]["attributes"] = [*own, *(entry for entry in common if entry["code"] not in codes)]
        return source


class ProductWebhookSender:
    """Sends messages about products to their merchant's address."""

    def __init__(self, services: ProtocolServices) -> None:
        self._store = services.store
        self._settings = services.settings

    def send(self, message: Message) -> None:
        """Send one message. Raises DeliveryError."""
        settings = merchant_settings(self._store, message.merchant)
        if not settings.get(URL):
            raise DeliveryError("the merchant has no address any more", final=True)
        post_webhook(
            settings[URL], {"x-api-key": settings.get(KEY, "")}, message.body, settings=self._settings.webhooks,
            timeout_seconds=self._settings.delivery_seconds, topic=TOPIC,
        )
