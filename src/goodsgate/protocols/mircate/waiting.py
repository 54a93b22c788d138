"""Requests that wait for the end of their batches, for a few seconds."""

from collections.abc import Sequence

from goodsgate.http.context import ServerContext
from goodsgate.http.long_poll import DocumentCache, RenderedBatch, rendered
from goodsgate.protocols.mircate.unpublished import SYNCHRONOUS_SECONDS_MAX


class BatchWait:
    """Waits for the end of batches, within the time that requests may take."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._documents = DocumentCache(context.change_signal, context.change_watch, self._load)

    async def for_all(self, merchant: str, batches: Sequence[str]) -> bool:
        """Return whether all batches have ended."""
        seconds = min(SYNCHRONOUS_SECONDS_MAX, self._context.limits.wait_seconds_max)
        for batch in batches:
            document = await self._documents.wait_for_change(merchant, batch, since=None, seconds=seconds)
            if not document.ended:
                return False
        return True

    async def _load(self, merchant: str, batch: str) -> RenderedBatch:
        return rendered(await self._context.run_in_thread(self._context.engine.batch, merchant, batch), b"")
