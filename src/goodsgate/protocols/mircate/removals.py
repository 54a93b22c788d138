"""Removal of a merchant's products, listed ones or all, with their stock and price."""

from collections.abc import Awaitable, Iterator
from typing import Any

import msgspec
from starlette.responses import Response

from goodsgate.http.json_batches import submit_body
from goodsgate.model.batch import Batch, Duplicates, Kind, Policy, State, Verb
from goodsgate.model.catalogue import KEY_SEPARATOR, item_key, split_key
from goodsgate.protocols.mircate.batch_status import FREQUENCY, TOTAL, batch_ids
from goodsgate.protocols.mircate.dispatcher import CallDispatcher, CallMethod, MethodCall
from goodsgate.protocols.mircate.responses import bad_request, json_response
from goodsgate.protocols.mircate.supplier import SCHEMAS
from goodsgate.protocols.mircate.unpublished import COLLECTION, PROTOCOL, UNITS_BYTES_MAX
from goodsgate.protocols.mircate.waiting import BatchWait
from goodsgate.store.contract import BatchFilter

PAGE = 1_000
KINDS = (Kind.STOCK, Kind.PRICE)
DELETE = Policy(verb=Verb.DELETE, schema="mircate/UnitRemoval", duplicates=Duplicates.OFF)
NO_RECORDS = b"\n"
"""A full feed without a record, which deletes everything."""


class RemovalMethods:
    """Methods Remove My Products and Clean My Products."""

    def __init__(self, dispatcher: CallDispatcher) -> None:
        self._dispatcher = dispatcher
        self._context = dispatcher.context
        self._store = dispatcher.context.store
        self._wait = BatchWait(dispatcher.context)

    def methods(self) -> dict[str, CallMethod]:
        """Return the methods by operation id."""
        return {
            "remove_my_products": CallMethod(work=self.remove_my_products, bytes_max=UNITS_BYTES_MAX),
            "clean_my_products": CallMethod(work=self.clean_my_products),
        }

    def remove_my_products(self, call: MethodCall) -> Awaitable[Response]:
        """Delete the listed products after everything that was accepted before, and count those that exist."""
        self._context.sessions.hold(call.request.http.scope, call.merchant)
        names = [_product_name(at, entry) for at, entry in enumerate(call.arguments["products"])]
        existing: set[tuple[str, str | None]] = set()
        batches = []
        for kind in KINDS:
            keys: list[str] = []
            is_paced = next(self._paced_batches(call.merchant, kind), None) is not None
            for name in dict.fromkeys(names):
                stored = [*self._stored_keys(call.merchant, kind, name)]
                if stored:
                    existing.add(name)
                # Units that wait to be pushed must not be stored again afterwards.
                keys += stored or ([item_key(*name)] if is_paced and name[1] is not None else [])
            batches += self._submit_removal(call.merchant, kind, iter(keys), total=len(keys))
        return self._removed(call.merchant, batches, {"removedCount": len(existing)})

    async def _removed(self, merchant: str, batches: list[Batch], answer: dict[str, Any]) -> Response:
        if await self._wait.for_all(merchant, [batch.id for batch in batches]):
            return json_response(answer)
        return json_response({**answer, "batchIds": [id for batch in batches for id in batch_ids(batch)]}, status=202)

    def clean_my_products(self, call: MethodCall) -> Response:
        """Delete all products, or all of one channel."""
        channel = call.arguments.get("channel")
        with self._dispatcher.exclusive(call.merchant, "clean"):
            for kind in KINDS:
                if channel is None:
                    for batch in [*self._paced_batches(call.merchant, kind)]:
                        self._context.engine.cancel(call.merchant, batch.id)
                    self._clear(call.merchant, kind)
                else:
                    keys = self._keys(call.merchant, kind)
                    self._submit_removal(call.merchant, kind, (key for key in keys if split_key(key)[1] == channel))
        return json_response()

    def _stored_keys(self, merchant: str, kind: Kind, name: tuple[str, str | None]) -> Iterator[str]:
        """Yield the keys of a product in one channel, or in all."""
        sku, channel = name
        if channel is None:
            yield from self._keys(merchant, kind, prefix=sku + KEY_SEPARATOR)
            return
        key = item_key(sku, channel)
        if self._store.item(merchant, kind, COLLECTION, key) is not None:
            yield key

    def _keys(self, merchant: str, kind: Kind, *, prefix: str | None = None) -> Iterator[str]:
        after = None
        while True:
            page = self._store.items(merchant, kind, COLLECTION, after=after, limit=PAGE, prefix=prefix)
            yield from (item.key for item in page.rows)
            after = page.next
            if after is None:
                return

    def _submit_removal(self, merchant: str, kind: Kind, keys: Iterator[str], *, total: int = 0) -> list[Batch]:
        """Submit one batch of deletions unless there are none; it is written while keys are read.

        With a `total`, the number of keys, clients can read its status.
        """
        first = next(keys, None)
        if first is None:
            return []
        submission = self._context.engine.submit(
            merchant=merchant, kind=kind, collection=COLLECTION, policy=DELETE, format="ndjson", protocol=PROTOCOL,
            label="removal", protocol_data={TOTAL: str(total), FREQUENCY: "0"} if total else {},
        )
        try:
            lines = [_line(first)]
            for key in keys:
                lines.append(_line(key))
                if len(lines) == PAGE:
                    submission.write(b"".join(lines))
                    lines.clear()
            submission.write(b"".join(lines) or NO_RECORDS)
            batch = submission.finish().batch
        except BaseException:
            submission.abort()
            raise
        assert batch is not None
        return [batch]

    def _paced_batches(self, merchant: str, kind: Kind) -> Iterator[Batch]:
        """Yield batches that were accepted and are pushed with pauses."""
        for state in (State.QUEUED, State.WORKING, State.HELD):
            after = None
            while True:
                filters = BatchFilter(kind=kind, state=state, collection=COLLECTION)
                page = self._store.batches(merchant, filters, after=after, limit=PAGE)
                yield from (batch for batch in page.rows if batch.policy.pace_seconds)
                after = page.next
                if after is None:
                    break

    def _clear(self, merchant: str, kind: Kind) -> None:
        policy = Policy(mode="full", delete_share_max=1.0, allow_empty=True, schema=SCHEMAS[kind])
        submit_body(
            self._context.engine.submit(
                merchant=merchant, kind=kind, collection=COLLECTION, policy=policy, format="ndjson", protocol=PROTOCOL,
                label="clean",
            ),
            NO_RECORDS, self._context,
        )


def _product_name(at: int, entry: dict[str, Any]) -> tuple[str, str | None]:
    sku = entry.get("sku") or entry.get("productId")
    if not sku:
        raise bad_request(f"products/{at}: sku is missing")
    return str(sku), entry.get("channel")


def _line(key: str) -> bytes:
    sku, channel = split_key(key)
    return msgspec.json.encode({"sku": sku, "channel": channel}) + b"\n"
