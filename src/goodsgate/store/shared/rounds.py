"""Queued rounds, and which of them a worker claims."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import takewhile

import msgspec

from goodsgate.model.batch import Kind, Policy, ReadingDecision, RoundKind
from goodsgate.model.tracing import Origin
from goodsgate.store.contract import Claim, ClaimedRound, LaneStatus, LeaseLostError, StoreBusyError, StoreFullError
from goodsgate.store.shared.database import Row, Statements, Values
from goodsgate.store.shared.progress import AFTER_TRIAL, IN_TRIAL, Progress, decode_hold
from goodsgate.store.shared.timestamps import microseconds, timestamp, timestamp_or_none

HELD = 2**62
"""Start time, in microseconds, of a round that is held until somebody releases it."""
GUARDED = HELD + 1
"""Start time of a round whose batch is held by guards; the rounds behind it in the lane wait."""
GUARDED_PASSED = HELD + 2
"""The same of one that the rounds behind it pass."""
NOT_BLOCKED = 2**63 - 1
"""No round of the lane is held in front of others."""

REST_SECONDS = 5.0
"""Rest of a lane after the second death of a worker in a row; each further one doubles it."""
REST_SECONDS_MAX = 300.0

decode_policy = msgspec.json.Decoder(Policy).decode
decode_columns = msgspec.json.Decoder(list[str]).decode
decode_mapping = msgspec.json.Decoder(dict[str, list[str]]).decode
decode_reading = msgspec.json.Decoder(list[ReadingDecision]).decode


LaneName = tuple[str, str, str]
"""Merchant, kind and collection."""


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
    started_at: int
    cancelling: int
    overtakes: int
    attempt: int
    deaths: int
    death_chunks: int
    is_waiting: int
    """Whether it waits for earlier products; those behind it in the lane wait, too."""
    request: str
    traceparent: str
    submitter: str
    approved: int
    """Whether its batch was held, and is to be applied now."""

    def chunks(self, progress: Progress | None) -> int:
        """Return the committed chunks of the round, given the progress of its batch."""
        return progress.chunks if progress is not None and progress.round == self.number else 0

    def count_death(self, chunks: int) -> None:
        """Count the death of a worker that had claimed the round; one since the last committed chunk."""
        self.deaths = self.deaths + 1 if chunks == self.death_chunks else 1
        self.death_chunks = chunks


def rest_seconds(rounds: Iterable[OpenRound]) -> float:
    """Return how long a lane rests after a death; after the first one not at all, because it may have been chance."""
    deaths = max((round.deaths for round in rounds), default=0)
    return min(REST_SECONDS * 2 ** (deaths - 2), REST_SECONDS_MAX) if deaths > 1 else 0.0


def lane_values(merchant: int | None, claim: Claim) -> dict[str, object]:
    """Return the lane of a claim, and the claim's fencing token, as the values of a statement."""
    return {
        "merchant": merchant, "kind": claim.kind, "collection": claim.collection, "attempt": claim.attempt
    }


def lost_lease(claim: Claim) -> LeaseLostError:
    """Return the error of a worker that has lost its lane."""
    return LeaseLostError(f"{claim.merchant} {claim.kind} {claim.collection}")


def read_behind(db: Statements, lane: Values, claim: Claim, *, now: int, limit: int) -> list[tuple[OpenRound, Row]]:
    """Return the rounds behind the only one of a claim, and what stands behind the columns of a round in their rows."""
    values = {**lane, "cancelling": False, "now": now, "held": HELD, "blocked_from": NOT_BLOCKED, "limit": limit + 1}
    columns = len(OpenRound.__struct_fields__)
    rows = [(OpenRound(*row[:columns]), row[columns:]) for row in db.rows("open_rounds", values)]
    block = db.first("lane_block", lane) if len(rows) > 1 else None
    if block is None:
        return []
    claimed, first = claim.rounds[0], rows[0][0]
    if (first.batch.hex(), first.number) != (claimed.batch, claimed.number):
        return []  # one that rested is due now, and comes first
    return list(takewhile(lambda row: row[0].id < block[0] and not row[0].is_waiting, rows[1:]))


class ReleaseFailures:
    """Lanes that this process could not release. Their leases end as if it had died, but it lives."""

    def __init__(self) -> None:
        self._attempts: dict[LaneName, int] = {}

    @contextmanager
    def releasing(self, claim: Claim) -> Iterator[None]:
        """Remember the lane if the store refuses to release it; raises nothing then."""
        try:
            yield
        except (StoreFullError, StoreBusyError):
            self._attempts[claim.merchant, claim.kind, claim.collection] = claim.attempt

    def has_died(self, lane: LaneName, attempt: int) -> bool:
        """Return whether a worker died whose claim was not released."""
        return self._attempts.pop(lane, None) != attempt


def start_time(policy: Policy) -> int:
    """Return when a new round may be claimed, in microseconds."""
    return HELD if policy.start == "held" else 0


def hold_times(progress: Progress) -> dict[str, int]:
    """Return from when the round of a held batch is claimed, which is never, and when the batch is given up."""
    assert progress.hold is not None
    hold = decode_hold(progress.hold)
    assert hold.expires_at is not None
    starts_at = GUARDED if hold.mode == "wait" else GUARDED_PASSED
    return {"starts_at": starts_at, "until": microseconds(hold.expires_at)}


def wait_end(policy: Policy, *, now: int) -> int:
    """Return until when a new round waits for earlier products, in microseconds; 0 if it does not."""
    return now + int(policy.products_first_seconds * 1e6) if policy.products_first_seconds else 0


def select_rounds(rounds: list[OpenRound], bytes_max: int) -> list[OpenRound]:
    """Return the first round, or several from the first on if they are small submissions."""
    if not rounds or rounds[0].is_waiting:
        return []
    if not _is_small(rounds[0], bytes_max):
        return rounds[:1]
    small: list[OpenRound] = []
    for round in rounds:
        if round.is_waiting or not _is_small(round, bytes_max):
            break
        small.append(round)
    return small


def _is_small(round: OpenRound, bytes_max: int) -> bool:
    return round.round_kind == RoundKind.SUBMISSION and round.bytes <= bytes_max and not round.deaths


def claimed_round(merchant: str, kind: str, row: OpenRound, progress: Progress | None) -> ClaimedRound:
    """Return a round with its progress as a claim contains it."""
    in_trial = progress is not None and progress.trial == IN_TRIAL and row.number == 0
    is_tried = progress is not None and (progress.trial == AFTER_TRIAL or (in_trial and bool(row.approved)))
    hold = decode_hold(progress.hold) if progress is not None and progress.hold is not None else None
    if in_trial and is_tried:
        progress = None  # it begins anew with the next commit
    chunks = row.chunks(progress)
    return ClaimedRound(
        merchant=merchant, batch=row.batch.hex(), number=row.number, round_kind=RoundKind(row.round_kind),
        kind=Kind(kind), collection=row.collection, policy=decode_policy(row.policy), format=row.format,
        content_encoding=row.content_encoding, bytes_total=row.bytes, received_at=timestamp(row.received_at),
        started_at=timestamp(row.started_at), cancelling=bool(row.cancelling), overtakes=bool(row.overtakes),
        worker_deaths=row.deaths if row.death_chunks == chunks else 0,
        chunks=chunks, records=progress.records if chunks and progress else 0, total=progress.total if progress else 0,
        columns=decode_columns(progress.columns) if progress and progress.columns is not None else None,
        mapping=decode_mapping(progress.mapping) if progress and progress.mapping is not None else None,
        reading=decode_reading(progress.reading) if progress and progress.reading is not None else [],
        origin=Origin(row.request, row.traceparent, row.submitter),
        is_trial=in_trial and not is_tried, is_tried=is_tried, hold=hold,
    )


def lane_status(merchant: str, kind: str, collection: str, rounds: int, worker: str | None, expires_at: int,
                waiting_since: int | None, *, now: int) -> LaneStatus:
    """Return a lane as operators see it; a worker whose lease has ended holds nothing."""
    leased = worker is not None and expires_at > now
    return LaneStatus(
        merchant=merchant, kind=Kind(kind), collection=collection, rounds=rounds,
        waiting_since=timestamp_or_none(waiting_since), worker=worker if leased else None,
        expires_at=timestamp(expires_at) if leased else None,
    )
