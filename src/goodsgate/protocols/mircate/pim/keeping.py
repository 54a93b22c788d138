"""What a merchant has settled, read and changed."""

from collections.abc import Callable

from goodsgate.engine.settled import settle, settled
from goodsgate.protocols.mircate.answers import bad
from goodsgate.protocols.mircate.pim.guesses import SETTLED_BYTES_MAX, SORT
from goodsgate.protocols.mircate.pim.settled import Settled, decode, encode
from goodsgate.store.contract import Store

Change = Callable[[Settled], Settled]


class Keeping:
    """The one resource of each merchant."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def read(self, merchant: str) -> Settled:
        """As it is now."""
        return _decoded(settled(self._store, merchant, SORT))

    def change(self, merchant: str, change: Change) -> bytes:
        """Make a change, from what is settled to what is to be; what is then held. Raises what `change` does.

        Made again where somebody else was quicker.
        """

        def changed(held: bytes | None) -> bytes:
            body = encode(change(_decoded(held)))
            if len(body) > SETTLED_BYTES_MAX:
                raise bad(f"More than {SETTLED_BYTES_MAX} bytes cannot be settled.")
            return body

        return settle(self._store, merchant, SORT, changed)


def _decoded(held: bytes | None) -> Settled:
    return decode(held) if held is not None else Settled()
