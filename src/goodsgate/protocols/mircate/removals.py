"""A merchant's products taken out again: those that are listed, or all; stock and price alike."""

from collections.abc import Iterator
from typing import Any

import msgspec
from starlette.responses import Response

from goodsgate.http.json_batches import submit_body
from goodsgate.model.batch import Batch, Kind, Policy, State, Strictness, Verb
from goodsgate.model.catalogue import KEY_SEPARATOR, item_key, split_key
from goodsgate.protocols.mircate.answers import answer, bad
from goodsgate.protocols.mircate.guesses import COLLECTION, PROTOCOL, UNITS_BYTES_MAX
from goodsgate.protocols.mircate.supplier import SCHEMAS
from goodsgate.protocols.mircate.transport import Asked, Method, Transport
from goodsgate.store.contract import BatchFilter

PAGE = 1_000
KINDS = (Kind.STOCK, Kind.PRICE)
DELETE = Policy(verb=Verb.DELETE, schema="mircate/UnitRemoval", duplicates=Strictness.OFF)
NOTHING = b"\n"
"""A full feed without a record: all that is held goes."""


class Removals:
    """Remove My Products and Clean My Products."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._context = transport.context
        self._store = transport.context.store

    def methods(self) -> dict[str, Method]:
        """By operation id."""
        return {
            "remove_my_products": Method(work=self.remove_my_products, bytes_max=UNITS_BYTES_MAX),
            "clean_my_products": Method(work=self.clean_my_products),
        }

    def remove_my_products(self, asked: Asked) -> Response:
        """What is held of the listed ones now goes, behind what came before; counted are those that are held."""
        named = [_named(at, entry) for at, entry in enumerate(asked.arguments["products"])]
        found: set[tuple[str, str | None]] = set()
        for kind in KINDS:
            keys: list[str] = []
            waits = next(self._paced(asked.merchant, kind), None) is not None
            for name in dict.fromkeys(named):
                held = [*self._held(asked.merchant, kind, name)]
                if held:
                    found.add(name)
                # What waits to be pushed must not be held again afterwards.
                keys += held or ([item_key(*name)] if waits and name[1] is not None else [])
            self._remove(asked.merchant, kind, iter(keys))
        return answer({"removedCount": len(found)})

    def clean_my_products(self, asked: Asked) -> Response:
        """All that is held, or all of one channel."""
        channel = asked.arguments.get("channel")
        with self._transport.exclusive(asked.merchant, "clean"):
            for kind in KINDS:
                if channel is None:
                    for batch in [*self._paced(asked.merchant, kind)]:
                        self._context.engine.cancel(asked.merchant, batch.id)
                    self._clear(asked.merchant, kind)
                else:
                    keys = self._keys(asked.merchant, kind)
                    self._remove(asked.merchant, kind, (key for key in keys if split_key(key)[1] == channel))
        return answer()

    def _held(self, merchant: str, kind: Kind, name: tuple[str, str | None]) -> Iterator[str]:
        """Keys of what is held of a product: of one of its channels, or of all."""
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

    def _remove(self, merchant: str, kind: Kind, keys: Iterator[str]) -> None:
        """One batch of deletions, if there are any; written while they are looked for."""
        first = next(keys, None)
        if first is None:
            return
        submission = self._context.engine.submit(
            merchant=merchant, kind=kind, collection=COLLECTION, policy=DELETE, format="ndjson", protocol=PROTOCOL,
            label="removal",
        )
        try:
            lines = [_line(first)]
            for key in keys:
                lines.append(_line(key))
                if len(lines) == PAGE:
                    submission.write(b"".join(lines))
                    lines.clear()
            submission.write(b"".join(lines) or NOTHING)
            submission.finish()
        except BaseException:
            submission.abort()
            raise

    def _paced(self, merchant: str, kind: Kind) -> Iterator[Batch]:
        """What is accepted and waits for its moments."""
        for state in (State.QUEUED, State.WORKING):
            after = None
            while True:
                open_ones = BatchFilter(kind=kind, state=state, collection=COLLECTION)
                page = self._store.batches(merchant, open_ones, after=after, limit=PAGE)
                yield from (batch for batch in page.rows if batch.policy.pace_seconds)
                after = page.next
                if after is None:
                    break

    def _clear(self, merchant: str, kind: Kind) -> None:
        policy = Policy(mode="full", delete_share_max=1.0, schema=SCHEMAS[kind])
        submit_body(
            self._context.engine.submit(
                merchant=merchant, kind=kind, collection=COLLECTION, policy=policy, format="ndjson", protocol=PROTOCOL,
                label="clean",
            ),
            NOTHING, self._context,
        )


def _named(at: int, entry: dict[str, Any]) -> tuple[str, str | None]:
    sku = entry.get("sku") or entry.get("productId")
    if not sku:
        raise bad(f"products/{at}: sku is missing")
    return str(sku), entry.get("channel")


def _line(key: str) -> bytes:
    sku, channel = split_key(key)
    return msgspec.json.encode({"sku": sku, "channel": channel}) + b"\n"
