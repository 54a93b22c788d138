"""Rows of batches as values, and the filters of their listings."""

import re
from typing import Literal, Protocol

import msgspec

from goodsgate.model.batch import FINAL_STATES, Batch, BatchView, Counts, Kind, Outcome, Revision, State, Withheld
from goodsgate.store.contract import BatchFilter, NewBatch
from goodsgate.store.shared.progress import COUNT_NAMES, IN_TRIAL, decode_hold, decode_roles, decode_rule_counts
from goodsgate.store.shared.rounds import decode_columns, decode_policy, decode_reading
from goodsgate.store.shared.timestamps import microseconds, timestamp, timestamp_or_none

decode_protocol_data = msgspec.json.Decoder(dict[str, str]).decode
decode_withheld = msgspec.json.Decoder(Withheld).decode

encode_words = msgspec.json.Encoder().encode

SEQ_MAX = 2**63 - 1
OPEN_VIEWS = (BatchView.OPEN, BatchView.HELD)
_HEX = re.compile("[0-9a-f]{1,32}")

ListSource = Literal["all", "open", "failed", "stopped"]
"""Batches of which an index exists: open, with something rejected or wrong, broken or cancelled."""


class BatchRow(Protocol):
    """What every row of a batch has."""

    id: bytes
    kind: str
    collection: str
    policy: bytes
    format: str
    content_encoding: str
    label: str
    protocol: str
    protocol_data: bytes
    rounds: int
    bytes_total: int
    received_at: int
    started_at: int | None
    cancelling: int
    position: int


class CountedRow(Protocol):
    """The counts of a batch, from its row or its progress."""

    warned: int
    file_errors: int
    columns: bytes | None
    withheld: bytes | None
    reading: bytes | None
    roles: bytes | None
    rule_counts: bytes | None
    trial: int
    hold: bytes | None


def make_batch(row: BatchRow, counted: CountedRow, merchant: str, state: State, *, total: int | None, bytes_done: int,
               finished_at: int | None, revision: Revision) -> Batch:
    """Return a batch from its row and whatever row has its counts."""
    ended = state in FINAL_STATES
    started_at = row.started_at
    if state is State.QUEUED and row.rounds == 1:
        started_at = None  # it was claimed behind a batch that is held, or is to be worked anew
    return Batch(
        merchant=merchant, id=row.id.hex(), kind=Kind(row.kind), collection=row.collection,
        policy=decode_policy(row.policy), format=row.format, content_encoding=row.content_encoding, label=row.label,
        protocol=row.protocol, state=state, cancelling=bool(row.cancelling) and not ended,
        counts=Counts(**{name: getattr(counted, name) for name in COUNT_NAMES}), warned=counted.warned,
        file_errors=counted.file_errors, total=total,
        bytes_total=row.bytes_total, bytes_done=min(bytes_done, row.bytes_total),
        position=None if ended else row.position, rounds=row.rounds,
        columns=decode_columns(counted.columns) if counted.columns is not None else None,
        withheld=decode_withheld(counted.withheld) if counted.withheld is not None else None,
        reading=decode_reading(counted.reading) if counted.reading is not None else [],
        roles=decode_roles(counted.roles) if counted.roles is not None else {},
        rule_counts=decode_rule_counts(counted.rule_counts) if counted.rule_counts is not None else {},
        is_trial=counted.trial == IN_TRIAL, hold=decode_hold(counted.hold) if counted.hold is not None else None,
        received_at=timestamp(row.received_at), started_at=timestamp_or_none(started_at),
        finished_at=timestamp_or_none(finished_at) if ended else None,
        protocol_data=decode_protocol_data(row.protocol_data), revision=revision,
    )


def filter_values(filters: BatchFilter, limit: int) -> dict[str, object]:
    """Return the values of the statements that list batches."""
    words = sorted(filters.text.casefold().split(), key=len, reverse=True) if filters.text else []
    first, others = words[0] if words else None, words[1:]
    is_id = first is not None and bool(_HEX.fullmatch(first))
    return {
        "protocol": filters.protocol, "kind": filters.kind, "collection": filters.collection, "state": filters.state,
        "outcome": filters.outcome, "limit": limit + 1,
        "since": None if filters.since is None else microseconds(filters.since),
        "until": None if filters.until is None else microseconds(filters.until),
        "view": filters.view, "source": list_source(filters), "word": first,
        "low": first.ljust(32, "0") if first and is_id else None,
        "high": first.ljust(32, "f") if first and is_id else None,
        "words": encode_words(others).decode() if others else None,
        "all_words": encode_words(words).decode() if words else None,
    }


def list_source(filters: BatchFilter) -> ListSource:
    """Return among which batches those of a listing are: each has an index."""
    if filters.view in OPEN_VIEWS or (filters.state is not None and filters.state not in FINAL_STATES):
        return "open"
    if filters.state in (State.BROKEN, State.CANCELLED):
        return "stopped"
    if filters.view is BatchView.FAILED or filters.outcome in (Outcome.PARTIAL, Outcome.REJECTED):
        return "failed"
    return "all"


def search_text(batch: NewBatch) -> str:
    """Return what the words of a search are looked for in, without case."""
    parts = batch.label, batch.kind, batch.collection, batch.protocol, batch.origin.key
    return " ".join(part for part in parts if part).casefold()


def page_start(after: str | None) -> int:
    """Return the batch number before which a page begins."""
    return min(int(after), SEQ_MAX) if after is not None and after.isdecimal() else SEQ_MAX
