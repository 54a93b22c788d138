"""Commits portions: beside reading on, where that is another machine's work, and made anew where orders moved stock."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from goodsgate.model import crash
from goodsgate.store.contract import ChunkCommit, Claim, StockChangedError, Store


class Settling:
    """One worker's way to the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._beside = ThreadPoolExecutor(1, "settling")

    def settle(self, claim: Claim, *portions: ChunkCommit, ahead: Callable[[], None] | None = None,
               again: Callable[[], Sequence[ChunkCommit]] | None = None, beside: bool = False) -> Sequence[ChunkCommit]:
        """Commit the portions; what was committed. Raises what the store's settle does.

        `ahead` is done meanwhile where settling is another machine's work, or if `beside`. `again` makes the portions
        once more, where orders have moved stock since: the first try holds nobody up, the second comes to an end
        whatever is moved.
        """
        crash.point("applied")
        try:
            if ahead is None or not (beside or self._store.commits_remotely):
                self._store.commit(claim, portions)
            else:
                settling = self._beside.submit(self._store.commit, claim, portions)
                try:
                    ahead()
                finally:
                    settling.result()
        except StockChangedError:
            if again is None:
                raise
            portions = self._held(claim, portions, again)
        crash.point("settled")
        return portions

    def _held(self, claim: Claim, portions: tuple[ChunkCommit, ...], again: Callable[[], Sequence[ChunkCommit]],
              ) -> tuple[ChunkCommit, ...]:
        """With the items held while the portions are made."""
        made = portions

        def anew() -> Sequence[ChunkCommit]:
            nonlocal made
            made = tuple(again())
            return made

        self._store.commit(claim, portions, refresh=anew)
        return made

    def close(self) -> None:
        """End the thread."""
        self._beside.shutdown()
