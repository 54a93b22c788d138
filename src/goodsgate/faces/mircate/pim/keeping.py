"""What a merchant has settled, read and changed."""

from collections.abc import Callable

import msgspec

from goodsgate.faces.mircate.answers import bad, busy
from goodsgate.faces.mircate.pim.guesses import SETTLED_BYTES_MAX, SORT
from goodsgate.faces.mircate.pim.settled import Settled, decode, encode
from goodsgate.model.catalogue import Resource
from goodsgate.store.contract import NameTaken, ResourcesFull, Store

Change = Callable[[Settled], Settled]
TRIES = 5
"""After which somebody else is quicker for too long."""


class Keeping:
    """The one resource of each merchant."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def read(self, merchant: str) -> Settled:
        """As it is now."""
        return _settled(self._resource(merchant))

    def change(self, merchant: str, change: Change) -> bytes:
        """Make a change, from what is settled to what is to be; what is then held. Raises what `change` does, and busy.

        Made again where somebody else was quicker.
        """
        for _ in range(TRIES):
            held = self._resource(merchant)
            body = encode(change(_settled(held)))
            if len(body) > SETTLED_BYTES_MAX:
                raise bad(f"More than {SETTLED_BYTES_MAX} bytes cannot be settled.")
            if self._put(merchant, held, body):
                return body
        raise busy()

    def _resource(self, merchant: str) -> Resource | None:
        found = self._store.resources(merchant, SORT, limit=1)
        return found[0] if found else None

    def _put(self, merchant: str, held: Resource | None, body: bytes) -> bool:
        if held is not None:
            return self._store.put_resource(msgspec.structs.replace(held, body=body)) is not None
        try:
            self._store.add_resource(merchant, SORT, name="settled", body=body, resources_max=1)
        except (NameTaken, ResourcesFull):
            return False
        return True


def _settled(resource: Resource | None) -> Settled:
    return decode(resource.body) if resource is not None else Settled()
