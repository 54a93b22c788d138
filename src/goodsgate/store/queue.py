"""Rounds that wait in a lane, and what of them a worker claims; the same in every store."""

import msgspec

from goodsgate.model.batch import Kind, Policy, RoundKind
from goodsgate.store.contract import ClaimedRound, LaneStatus
from goodsgate.store.moments import moment, moment_or_none
from goodsgate.store.progress import Progress

HELD = 2**62
"""When a round is due that waits until somebody starts it; microseconds, as all times."""

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
    packing: str
    bytes: int
    received_at: int
    cancelling: int
    overtakes: int


def due_at(policy: Policy) -> int:
    """When a new round may be claimed."""
    return HELD if policy.start == "held" else 0


def together(rounds: list[OpenRound], bytes_max: int) -> list[OpenRound]:
    """The first, and those behind it that are small submissions as it is."""
    if not rounds or not _is_small(rounds[0], bytes_max):
        return rounds[:1]
    small: list[OpenRound] = []
    for found in rounds:
        if not _is_small(found, bytes_max):
            break
        small.append(found)
    return small


def _is_small(found: OpenRound, bytes_max: int) -> bool:
    return found.round_kind == RoundKind.SUBMISSION and found.bytes <= bytes_max


def work_of(merchant: str, kind: str, found: OpenRound, progress: Progress | None) -> ClaimedRound:
    """A round as it is claimed."""
    begun = progress is not None and progress.round == found.number
    return ClaimedRound(
        merchant=merchant, batch=found.batch.hex(), number=found.number, round_kind=RoundKind(found.round_kind),
        kind=Kind(kind), collection=found.collection, policy=decode_policy(found.policy), format=found.format,
        content_encoding=found.packing, bytes_total=found.bytes, received_at=moment(found.received_at),
        cancelling=bool(found.cancelling), overtakes=bool(found.overtakes),
        chunks=progress.portions if begun and progress else 0,
        records=progress.records if begun and progress else 0, total=progress.total if progress else 0,
        columns=decode_columns(progress.columns) if progress and progress.columns is not None else None,
        mapping=decode_mapping(progress.mapping) if progress and progress.mapping is not None else None,
    )


def lane(merchant: str, kind: str, rounds: int, holder: str | None, until: int, waiting_since: int | None, *, now: int,
         ) -> LaneStatus:
    """A lane as it is shown; whose lease ran out holds nothing."""
    held = holder is not None and until > now
    return LaneStatus(
        merchant=merchant, kind=Kind(kind), rounds=rounds, waiting_since=moment_or_none(waiting_since),
        worker=holder if held else None, expires_at=moment(until) if held else None,
    )
