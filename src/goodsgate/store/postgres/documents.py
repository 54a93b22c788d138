"""BatchFilter as they are shown: one row each, right in every snapshot."""

from typing import Any

import msgspec

from goodsgate.model.batch import FINAL_STATES, Batch, Counts, Kind, State, Withheld
from goodsgate.store.contract import BatchFilter, Page
from goodsgate.store.moments import id_bytes, microseconds, moment, moment_or_none
from goodsgate.store.postgres.ask import Cursor, every, one
from goodsgate.store.postgres.resources import Resources
from goodsgate.store.progress import COUNTED
from goodsgate.store.queue import decode_columns, decode_policy

decode_facts = msgspec.json.Decoder(dict[str, str]).decode
decode_withheld = msgspec.json.Decoder(Withheld).decode

SEQ_MAX = 2**63 - 1


class Row(msgspec.Struct):
    """One row of `document`, in its order."""

    seq: int
    id: bytes
    kind: str
    collection: str
    policy: bytes
    format: str
    packing: str
    label: str
    protocol: str
    facts: bytes
    rounds: int
    bytes_total: int
    received_at: int
    started_at: int | None
    finished_at: int | None
    round: int | None
    total: int
    bytes_done: int
    """Of all rounds."""
    created: int
    updated: int
    unchanged: int
    deleted: int
    superseded: int
    rejected: int
    cancelled: int
    warned: int
    columns: bytes | None
    withheld: bytes | None
    ended: str | None
    open: bool
    cancelling: bool
    round_started_at: int | None
    position: int

    @property
    def state(self) -> State:
        """Where the batch is."""
        if not self.open:
            return State(self.ended or State.FINISHED)
        return State.QUEUED if self.round_started_at is None else State.WORKING

    @property
    def read(self) -> bool:
        """The submission was worked to its end, so that the number of its records is known."""
        return self.ended is not None or (self.round or 0) > 0


class Documents(Resources):
    """Batch by id, and lists of them."""

    def batch(self, merchant: str, batch: str) -> Batch | None:
        """None for an unknown id, and for one of another merchant."""
        if id_bytes(batch) is None:
            return None
        number = self.number(merchant)
        if number is None:
            return None
        rows = self.server.at_once("document", {"merchant": number, "id": batch}, merchant=number).rows
        return document(Row(*rows[0]), merchant) if rows else None

    def batches(self, merchant: str, filters: BatchFilter, *, after: str | None = None, limit: int = 50) -> Page[Batch]:
        """In reverse order of acceptance; `after` is a place in that order."""
        number = self.number(merchant)
        asked = {**_asked(filters, limit), "merchant": number, "after": _place(after)}
        with self.server.transaction(number) as db:
            rows = [Row(*row) for row in every(db, "documents", asked)]
        more = len(rows) > limit
        return Page([document(row, merchant) for row in rows[:limit]], str(rows[limit - 1].seq) if more else None)

    def all_batches(self, filters: BatchFilter, *, after: str | None = None, limit: int = 50) -> Page[Batch]:
        """In the order of the numbers they were given, which is that of acceptance in each lane."""
        with self.server.transaction(every=True) as db:
            rows = every(db, "documents_of_all", {**_asked(filters, limit), "after": _place(after)})
        found = [(Row(*values), merchant) for *values, merchant in rows]
        more = str(found[limit - 1][0].seq) if len(found) > limit else None
        return Page([document(row, merchant) for row, merchant in found[:limit]], more)


def _place(after: str | None) -> int:
    return min(int(after), SEQ_MAX) if after is not None and after.isdecimal() else SEQ_MAX


def row_of(db: Cursor, merchant: int, batch: str) -> Row | None:
    """Inside a transaction."""
    row = one(db, "document", {"merchant": merchant, "id": batch})
    return Row(*row) if row is not None else None


def document(row: Row, merchant: str) -> Batch:
    """As the contract has it."""
    state = row.state
    ended = state in FINAL_STATES
    counts: dict[str, Any] = {name: getattr(row, name) for name in COUNTED}
    return Batch(
        merchant=merchant, id=row.id.hex(), kind=Kind(row.kind), collection=row.collection,
        policy=decode_policy(row.policy), format=row.format, content_encoding=row.packing, label=row.label,
        protocol=row.protocol,
        state=state, cancelling=row.cancelling and not ended, counts=Counts(**counts), warned=row.warned,
        total=row.total if row.read else None, bytes_total=row.bytes_total,
        bytes_done=min(row.bytes_done, row.bytes_total), position=None if ended else row.position, rounds=row.rounds,
        columns=decode_columns(row.columns) if row.columns is not None else None,
        withheld=decode_withheld(row.withheld) if row.withheld is not None else None,
        received_at=moment(row.received_at), started_at=moment_or_none(row.started_at),
        finished_at=moment_or_none(row.finished_at) if ended else None, protocol_data=decode_facts(row.facts),
    )


def _asked(filters: BatchFilter, limit: int) -> dict[str, object]:
    return {
        "protocol": filters.protocol, "kind": filters.kind, "collection": filters.collection,
        "state": filters.state, "outcome": filters.outcome, "limit": limit + 1,
        "since": None if filters.since is None else microseconds(filters.since),
        "until": None if filters.until is None else microseconds(filters.until),
        "text": filters.text.casefold() if filters.text else None,
    }
