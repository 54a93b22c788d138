"""Queued rounds, and which of them a worker claims."""

import msgspec

from goodsgate.model.batch import Kind, Policy, RoundKind
from goodsgate.store.contract import ClaimedRound, LaneStatus
from goodsgate.store.shared.progress import Progress
from goodsgate.store.shared.timestamps import timestamp, timestamp_or_none

HELD = 2**62
"""Start time, in microseconds, of a round that is held until somebody releases it."""

decode_policy = msgspec.json.Decoder(Policy).decode
decode_columns = msgspec.json.Decoder(list[str]).decode
decode_mapping = msgspec.json.Decoder(dict[str, list[str]]).decode


class OpenRound(msgspec.Struct):
    """One row of `open_rounds`, in its order."""

    id: int
    seq: int
    batch: bytes
    number: int
    round_kind: str
    collection: str
    policy: bytes
    format: str
    content_encoding: str
    bytes: int
    received_at: int
    cancelling: int
    overtakes: int


def start_time(policy: Policy) -> int:
    """Return when a new round may be claimed, in microseconds."""
    return HELD if policy.start == "held" else 0


def select_rounds(rounds: list[OpenRound], bytes_max: int) -> list[OpenRound]:
    """Return the first round, or several from the first on if they are small submissions."""
    if not rounds or not _is_small(rounds[0], bytes_max):
        return rounds[:1]
    small: list[OpenRound] = []
    for round in rounds:
        if not _is_small(round, bytes_max):
            break
        small.append(round)
    return small


def _is_small(round: OpenRound, bytes_max: int) -> bool:
    return round.round_kind == RoundKind.SUBMISSION and round.bytes <= bytes_max


def claimed_round(merchant: str, kind: str, row: OpenRound, progress: Progress | None) -> ClaimedRound:
    """Return a round with its progress as a claim contains it."""
    begun = progress is not None and progress.round == row.number
    return ClaimedRound(
        merchant=merchant, batch=row.batch.hex(), number=row.number, round_kind=RoundKind(row.round_kind),
        kind=Kind(kind), collection=row.collection, policy=decode_policy(row.policy), format=row.format,
        content_encoding=row.content_encoding, bytes_total=row.bytes, received_at=timestamp(row.received_at),
        cancelling=bool(row.cancelling), overtakes=bool(row.overtakes),
        chunks=progress.chunks if begun and progress else 0,
        records=progress.records if begun and progress else 0, total=progress.total if progress else 0,
        columns=decode_columns(progress.columns) if progress and progress.columns is not None else None,
        mapping=decode_mapping(progress.mapping) if progress and progress.mapping is not None else None,
    )


def lane_status(merchant: str, kind: str, rounds: int, worker: str | None, expires_at: int, waiting_since: int | None,
                *, now: int) -> LaneStatus:
    """Return a lane as operators see it; a worker whose lease has ended holds nothing."""
    leased = worker is not None and expires_at > now
    return LaneStatus(
        merchant=merchant, kind=Kind(kind), rounds=rounds, waiting_since=timestamp_or_none(waiting_since),
        worker=worker if leased else None, expires_at=timestamp(expires_at) if leased else None,
    )
