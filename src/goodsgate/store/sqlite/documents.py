"""BatchFilter as they are shown, from both files: right at every instant, also between their two commits."""

from typing import Any, Protocol

import apsw
import msgspec

from goodsgate.model.batch import FINAL_STATES, Batch, Counts, Kind, State, Withheld
from goodsgate.store.contract import BatchFilter, Page
from goodsgate.store.moments import id_bytes, microseconds, moment, moment_or_none
from goodsgate.store.progress import COUNTED, Progress
from goodsgate.store.queue import decode_columns, decode_policy
from goodsgate.store.sqlite.ask import every, one, value
from goodsgate.store.sqlite.progress import progress_of
from goodsgate.store.sqlite.resources import Resources

decode_facts = msgspec.json.Decoder(dict[str, str]).decode
decode_withheld = msgspec.json.Decoder(Withheld).decode

SEQ_MAX = 2**63 - 1


class Row(msgspec.Struct):
    """One row of the view `document`, in its order."""

    merchant: int
    seq: int
    id: bytes
    kind: str
    collection: str
    policy: bytes
    format: str
    packing: str
    label: str
    folded: str
    protocol: str
    facts: bytes
    rounds: int
    bytes_total: int
    received_at: int
    started_at: int | None
    state: str | None
    """None while a round is open."""
    finished_at: int | None
    total: int | None
    bytes_done: int
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
    open: int
    cancelling: int
    round_started_at: int | None
    position: int


class RowsOf(Protocol):
    """Asks for a page of rows, each with its merchant, behind a place."""

    def __call__(self, db: apsw.Connection, place: int, *, open: bool) -> list[tuple[Any, ...]]:
        """`open`: only what is not older than the oldest open batch."""


class Documents(Resources):
    """Batch by id, and lists of them."""

    def batch(self, merchant: str, batch: str) -> Batch | None:
        """None for an unknown id, and for one of another merchant."""
        packed, number = id_bytes(batch), self.number(merchant)
        if packed is None or number is None:
            return None
        before = None
        while True:
            with self.intake.reading() as db:
                row = row_of(db, number, packed)
            if row is None:
                return None
            found = self.shown(row, merchant, again=row == before)
            if found is not None:
                return found
            before = row

    def batches(self, merchant: str, filters: BatchFilter, *, after: str | None = None, limit: int = 50) -> Page[Batch]:
        """In reverse order of acceptance; `after` is a place in that order."""
        number = self.number(merchant)
        if number is None:
            return Page([], None)
        asked = {**_asked(filters, limit), "merchant": number}

        def rows(db: apsw.Connection, place: int, *, open: bool) -> list[tuple[Any, ...]]:
            oldest = (value(db, "oldest_open_batch", asked) or SEQ_MAX) if open else 0
            return [(*row, merchant) for row in every(db, "documents", {**asked, "after": place, "oldest": oldest})]

        return self._listed(rows, filters, after=after, limit=limit)

    def all_batches(self, filters: BatchFilter, *, after: str | None = None, limit: int = 50) -> Page[Batch]:
        """In reverse order of acceptance, too."""
        asked = _asked(filters, limit)

        def rows(db: apsw.Connection, place: int, *, open: bool) -> list[tuple[Any, ...]]:
            oldest = (value(db, "oldest_open_of_all") or SEQ_MAX) if open else 0
            return every(db, "documents_of_all", {**asked, "after": place, "oldest": oldest})

        return self._listed(rows, filters, after=after, limit=limit)

    def _listed(self, rows_of: RowsOf, filters: BatchFilter, *, after: str | None, limit: int) -> Page[Batch]:
        place = min(int(after), SEQ_MAX) if after is not None and after.isdecimal() else SEQ_MAX
        open = filters.state is not None and filters.state not in FINAL_STATES
        found: list[tuple[int, Batch]] = []
        while len(found) <= limit:
            with self.intake.reading() as db:
                rows = rows_of(db, place, open=open)
            for *values, merchant in rows:
                row = Row(*values)
                place = row.seq
                batch = self.shown(row, merchant) or self.batch(merchant, row.id.hex())
                if batch is not None and _passes(batch, filters):
                    found.append((row.seq, batch))
            if len(rows) <= limit:
                break
        more = len(found) > limit
        return Page([batch for _, batch in found[:limit]], str(found[limit - 1][0]) if more else None)

    def shown(self, row: Row, merchant: str, *, again: bool = False) -> Batch | None:
        """The document of a row; None if the row was outrun by another round since it was read. If it is read again
        and still the same, the intake file was put back from a backup, and the round has ended."""
        if not row.open:
            return _document(row, merchant, _state(row.state), row)
        with self.catalogue.reading() as db:
            progress = progress_of(db, row.merchant, row.id)
        if progress is None:
            return _document(row, merchant, _unsettled(row), row)
        if progress.round > row.rounds - 1 and not again:
            return None
        if progress.has_ended(row.rounds - 1):
            return _document(row, merchant, State(progress.ended or State.FINISHED), progress)
        return _document(row, merchant, _unsettled(row), progress)


def row_of(db: apsw.Connection, merchant: int, batch: bytes) -> Row | None:
    """From an intake connection."""
    row = one(db, "document", {"merchant": merchant, "id": batch})
    return Row(*row) if row is not None else None


def _state(ended: str | None) -> State:
    assert ended is not None
    return State(ended)


def _unsettled(row: Row) -> State:
    return State.QUEUED if row.round_started_at is None else State.WORKING


def _document(row: Row, merchant: str, state: State, counted: Row | Progress) -> Batch:
    """`counted` is whichever file knows more: the intake's mirror, or the catalogue's progress."""
    ended = state in FINAL_STATES
    bytes_done, total, finished_at = row.bytes_done, row.total, row.finished_at
    if isinstance(counted, Progress):
        bytes_done = min(counted.bytes_before + counted.bytes_done, row.bytes_total)
        total = counted.total if counted.read else None
        finished_at = (counted.ended_at or counted.first_at) if ended else None
    return Batch(
        merchant=merchant, id=row.id.hex(), kind=Kind(row.kind), collection=row.collection,
        policy=decode_policy(row.policy), format=row.format, content_encoding=row.packing, label=row.label,
        protocol=row.protocol,
        state=state, cancelling=bool(row.cancelling) and not ended, counts=counts_of(counted),
        warned=counted.warned, total=total, bytes_total=row.bytes_total, bytes_done=bytes_done,
        position=None if ended else row.position, rounds=row.rounds,
        columns=decode_columns(counted.columns) if counted.columns is not None else None,
        withheld=decode_withheld(counted.withheld) if counted.withheld is not None else None,
        received_at=moment(row.received_at), started_at=moment_or_none(row.started_at),
        finished_at=moment_or_none(finished_at), protocol_data=decode_facts(row.facts),
    )


def counts_of(counted: Row | Progress) -> Counts:
    """The seven columns as one value."""
    return Counts(**{name: getattr(counted, name) for name in COUNTED})


def _asked(filters: BatchFilter, limit: int) -> dict[str, object]:
    return {
        "protocol": filters.protocol, "kind": filters.kind, "collection": filters.collection, "state": filters.state,
        "outcome": filters.outcome, "limit": limit + 1,
        "since": None if filters.since is None else microseconds(filters.since),
        "until": None if filters.until is None else microseconds(filters.until),
        "text": filters.text.casefold() if filters.text else None,
    }


def _passes(batch: Batch, filters: BatchFilter) -> bool:
    """What the intake file alone cannot decide of an open batch."""
    if filters.state is not None and batch.state is not filters.state:
        return False
    return filters.outcome is None or batch.outcome == filters.outcome
