"""What follows a batch of products that has ended: deletion of images that no product uses any more, and webhooks.

A batch stores the names of the images that its products had and of those that it adds. When it has ended, the images
that none of its products has are deleted. The message is stored with the end of the batch, so no image is forgotten.
"""

from collections.abc import Iterable, Iterator

from goodsgate.engine.outbox import DeliveryError
from goodsgate.http.services import ProtocolServices
from goodsgate.model.batch import Kind
from goodsgate.model.json_text import read_json
from goodsgate.model.message import Message
from goodsgate.protocols.mircate.dispatcher import MethodCall, is_own_project
from goodsgate.protocols.mircate.pim.images import NAME, image_path
from goodsgate.protocols.mircate.pim.unpublished import COLLECTION, PRODUCTS_MAX
from goodsgate.protocols.mircate.pim.webhooks import ProductEvents
from goodsgate.store.contract import Store, StoreError

TOPIC = "mircate/ended"
IMAGES_KEY = "images"
"""Name under which a batch stores the names of images, separated by commas."""


class EndOfBatch:
    """Deletes images after a batch, and reports its products."""

    def __init__(self, services: ProtocolServices) -> None:
        self._store = services.store
        self._open_images = services.open_images
        self._events = ProductEvents(services)

    def send(self, message: Message) -> None:
        """Clean up after one batch that has ended. Raises DeliveryError."""
        try:
            batch = self._store.batch(message.merchant, message.subject)
            if batch is None:
                return
            self._events.store_messages(batch)
            if IMAGES_KEY not in batch.protocol_data:
                return
            rows = self._store.results(batch.merchant, batch.id, limit=PRODUCTS_MAX)
            used = _image_names(self._store, batch.merchant, [row.key for row in rows if row.key is not None])
            objects = self._open_images()
            for name in set(batch.protocol_data[IMAGES_KEY].split(",")) - used:
                objects.delete(image_path(name))
        except StoreError as fault:
            raise DeliveryError(str(fault)) from fault


def own_images(call: MethodCall, store: Store, keys: list[str], added: str = "") -> list[str]:
    """Return the names of the caller's images that the products have, and of one that is added."""
    names = _image_names(store, call.merchant, keys) | ({added} if added else set())
    matches = ((name, NAME.fullmatch(name)) for name in sorted(names))
    return [name for name, match in matches if match and is_own_project(match[1], call.merchant, call.request.caller)]


def _image_names(store: Store, merchant: str, keys: list[str]) -> set[str]:
    unique = [*dict.fromkeys(keys)]
    items = store.current_items(merchant, Kind.PRODUCT, COLLECTION, unique, documents=True) if keys else {}
    return {name for item in items.values() if item.document for name in _record_images(read_json(item.document))}


def _record_images(record: dict[str, object]) -> Iterator[str]:
    """Yield the image names in a product's attributes, whatever the current types of the attributes."""
    data = record.get("data")
    entries = data.get("attributes") if isinstance(data, dict) else None
    for entry in entries if isinstance(entries, list) else ():
        for datum in entry.get("data") or ():
            value = datum.get("value") if isinstance(datum, dict) else None
            values: Iterable[object] = value if isinstance(value, list) else [value]
            yield from (name for name in values if isinstance(name, str) and NAME.fullmatch(name))
