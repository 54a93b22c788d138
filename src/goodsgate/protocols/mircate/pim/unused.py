"""Letting go of images that no product has any more, once the batch that may have taken them out has ended.

A batch remembers the images that its products had, and those that it brings; what of them none of its products has when
it has ended goes. The message of its end is kept with its end, so that no image is forgotten.
"""

from collections.abc import Iterable, Iterator

import orjson

from goodsgate.config import Config
from goodsgate.engine.outbox import Undelivered
from goodsgate.model.batch import Kind
from goodsgate.model.message import Message
from goodsgate.protocols.mircate.pim.guesses import COLLECTION, PRODUCTS_MAX
from goodsgate.protocols.mircate.pim.images import NAME, open_images, path_of
from goodsgate.protocols.mircate.transport import Asked, is_own
from goodsgate.store.contract import Store, StoreError

TOPIC = "mircate/images"
HAD = "images"
"""The fact of a batch that names them, with commas between."""


class Courier:
    """Lets images go."""

    def __init__(self, config: Config, store: Store) -> None:
        self._config = config
        self._store = store

    def carry(self, message: Message) -> None:
        """Of one batch that has ended; raises Undelivered."""
        try:
            batch = self._store.batch(message.merchant, message.subject)
            if batch is None:
                return
            rows = self._store.results(batch.merchant, batch.id, limit=PRODUCTS_MAX)
            still = _had(self._store, batch.merchant, [row.key for row in rows if row.key is not None])
            objects = open_images(self._config)
            for name in set(batch.protocol_data[HAD].split(",")) - still:
                objects.delete(path_of(name))
        except StoreError as fault:
            raise Undelivered(str(fault)) from fault


def own_images(asked: Asked, store: Store, keys: list[str], brought: str = "") -> list[str]:
    """Names of the caller's images that products have, and of one that is brought to them."""
    names = _had(store, asked.merchant, keys) | ({brought} if brought else set())
    owners = ((name, NAME.fullmatch(name)) for name in sorted(names))
    return [name for name, named in owners if named and is_own(named[1], asked.merchant, asked.request.caller)]


def _had(store: Store, merchant: str, keys: list[str]) -> set[str]:
    held = store.current_items(merchant, Kind.PRODUCT, COLLECTION, [*dict.fromkeys(keys)],
        documents=True) if keys else {}
    return {name for one in held.values() if one.document for name in _names(orjson.loads(one.document))}


def _names(record: dict[str, object]) -> Iterator[str]:
    """Whatever in a product's attributes is called as images are, of whatever type the attribute is by now."""
    data = record.get("data")
    entries = data.get("attributes") if isinstance(data, dict) else None
    for entry in entries if isinstance(entries, list) else ():
        for datum in entry.get("data") or ():
            value = datum.get("value") if isinstance(datum, dict) else None
            values: Iterable[object] = value if isinstance(value, list) else [value]
            yield from (name for name in values if isinstance(name, str) and NAME.fullmatch(name))
