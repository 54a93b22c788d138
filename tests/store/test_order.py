"""Promises 3, 4, 8 and 11: whatever is interleaved, a lane ends as its batches worked one by one would."""

import tempfile
from collections import Counter
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from goodsgate.model.batch import Counts, Kind, Result, State
from goodsgate.store.contract import ChunkCommit, Claim, LeaseLostError, Retention
from goodsgate.store.shared.rounds import REST_SECONDS_MAX
from goodsgate.store.strict.demands import key_order
from tests import effort
from tests.store.scene import Record, Scene, chunk_commit, digest, rejected_record

KEYS = ["a", "A", "b", "ä", "c\x1fx"]
EXAMPLES = [("sqlite", effort.examples(60)), ("postgres", effort.examples(25))]
"""A server takes ten times as long."""
LANES = [("acme", Kind.PRODUCT), ("acme", Kind.STOCK), ("bolt", Kind.PRODUCT)]
LEASE_SECONDS = 10.0


class RequestedRecord(msgspec.Struct, frozen=True):
    """A record as it is sent: upsert, delete (with a version, or without) or something unreadable."""

    verb: str
    key: str = ""
    text: str = ""
    version: int | None = None


class Sent(msgspec.Struct, frozen=True):
    """A batch is accepted in a lane."""

    lane: int
    records: list[RequestedRecord]


class Step(msgspec.Struct, frozen=True):
    """Something happens to what is accepted."""

    what: str
    number: int


ASKED = st.one_of(
    st.builds(
        RequestedRecord, st.just("upsert"), st.sampled_from(KEYS), st.sampled_from("xyz"), st.none() | st.integers(1, 3)
    ),
    st.builds(RequestedRecord, st.just("delete"), st.sampled_from(KEYS), version=st.none() | st.integers(1, 3)),
    st.builds(RequestedRecord, st.just("rejected")),
)
STEPS = st.lists(st.one_of(
    st.builds(Sent, st.integers(0, 2), st.lists(ASKED, max_size=7)),
    st.builds(Step, st.sampled_from(["work", "work", "work", "replay", "late", "cancel", "restart", "sweep"]),
              st.integers(1, 3)),
), min_size=3, max_size=25)


class Shelf(msgspec.Struct):
    """The plain model of a collection: key → text or None for a tombstone, and version."""

    items: dict[str, tuple[str | None, int | None]] = {}

    def apply(self, asked: RequestedRecord) -> Result:
        """One record."""
        if asked.verb == "rejected":
            return Result.REJECTED
        text, version = self.items.get(asked.key, (None, None))
        if version is not None and asked.version is not None and asked.version < version:
            return Result.SUPERSEDED
        if asked.verb == "delete":
            if text is None and asked.version is None:
                return Result.UNCHANGED
            self.items.pop(asked.key, None)
            if asked.version is not None:
                self.items[asked.key] = (None, asked.version)
            return Result.DELETED
        if (text, version) == (asked.text, asked.version):
            return Result.UNCHANGED
        self.items[asked.key] = (asked.text, asked.version)
        return Result.CREATED if text is None else Result.UPDATED


class Hand:
    """A worker that does by the contract's methods alone what the model does to a dictionary."""

    def __init__(self, scene: Scene, together: int) -> None:
        self.scene = scene
        self.together = together
        self.records: dict[str, list[RequestedRecord]] = {}
        self.stale: list[tuple[Claim, ChunkCommit]] = []

    def work(self, size: int) -> bool:
        """Claim, commit a chunk of at most so many records of each work, give back."""
        claim = self.scene.claim(seconds=LEASE_SECONDS, works=self.together, bytes_max=10 * self.together)
        if claim is None:
            return False
        committed = []
        collection_args = self._shelf(claim)
        for work in claim.rounds:
            rest = self.records[work.batch][work.records :]
            if work.cancelling:
                cancelled = [Record(None, Result.CANCELLED) for _ in rest]
                committed.append(chunk_commit(work, *cancelled, ends=State.CANCELLED))
                continue
            mine = rest if len(claim.rounds) > 1 else rest[:size]
            judged = [_judged(asked, collection_args.apply(asked)) for asked in mine]
            committed.append(chunk_commit(work, *judged, ends=State.FINISHED if len(mine) == len(rest) else None))
        self.scene.store.commit(claim, committed)
        self.scene.store.commit(claim, committed)
        self.stale.append((claim, committed[0]))
        self.scene.store.release_claim(claim)
        return True

    def _shelf(self, claim: Claim) -> Shelf:
        """What the store holds under the keys of the claim."""
        keys = sorted({asked.key for work in claim.rounds for asked in self.records[work.batch] if asked.key})
        held = self.scene.store.current_items(claim.merchant, claim.kind, "products", keys, documents=True)
        return Shelf({key: (_text(was.document), was.version) for key, was in held.items()})

    def replay(self, number: int) -> None:
        """A worker that lost its claim comes back with what it committed before."""
        for claim, committed in self.stale[-number:]:
            with pytest.raises(LeaseLostError):
                self.scene.store.commit(claim, [committed])

    def late(self) -> None:
        """A claim is held too long, taken over, and then used."""
        claim = self.scene.claim(seconds=LEASE_SECONDS)
        if claim is None:
            return
        self.scene.clock.forward(LEASE_SECONDS + 1)
        again = self.scene.claim("w2", seconds=LEASE_SECONDS)
        if again is None:  # after several deaths in a row the lane rests
            self.scene.clock.forward(REST_SECONDS_MAX + 1)
            again = self.scene.claim("w2", seconds=LEASE_SECONDS)
        assert again is not None
        if (again.merchant, again.kind) == (claim.merchant, claim.kind):
            with pytest.raises(LeaseLostError):
                self.scene.store.commit(claim, [chunk_commit(claim.rounds[0], Record("LATE"))])
            self.scene.store.release_claim(claim)
        self.scene.store.release_claim(again)
        self.scene.store.release_claim(claim)


def _judged(asked: RequestedRecord, result: Result) -> Record:
    if result is Result.REJECTED:
        return rejected_record(None, asked.text)
    return Record(asked.key, result, asked.text, asked.version)


def _text(document: bytes | None) -> str | None:
    return None if document is None else str(msgspec.json.decode(document)["text"])


def _check(hand: Hand, accepted: list[tuple[int, str]], cancelled: set[str]) -> None:
    shelves = [Shelf({}) for _ in LANES]
    for lane, batch in accepted:
        merchant, kind = LANES[lane]
        found = hand.scene.batch(batch, merchant)
        rows = hand.scene.store.results(merchant, batch, limit=100)
        done = [row for row in rows if row.result is not Result.CANCELLED]
        assert batch in cancelled or len(done) == len(rows)
        expected = [shelves[lane].apply(asked) for asked in hand.records[batch][: len(done)]]
        assert [row.result for row in done] == expected
        assert len(rows) == found.total == len(hand.records[batch])
        assert found.counts == Counts(**Counter(row.result.value for row in rows))
        rejected = [row.number for row in rows if row.result is Result.REJECTED]
        assert [finding.number for finding in hand.scene.store.rejected_records(merchant, batch)] == rejected
        assert sum(group.count for group in hand.scene.store.issue_groups(merchant, batch)) == len(rejected)
    for (merchant, kind), collection_args in zip(LANES, shelves, strict=True):
        live = {key: text for key, (text, _) in collection_args.items.items() if text is not None}
        held = hand.scene.held(merchant=merchant, kind=kind)
        assert [(key, _text(document)) for key, document in held.items()] == [
            (key, live[key]) for key in sorted(live, key=key_order)
        ]
        counted = {name: count for of, name, count in hand.scene.store.collections(merchant) if of is kind}
        assert counted == ({"products": len(live)} if live else {})
        known = {
            key: was for key, was in hand.scene.store.current_items(merchant, kind, "products", KEYS).items()
            if was.hash is not None or was.version is not None  # else a tombstone that means nothing to newer records
        }
        assert {key: was.version for key, was in known.items()} == {key: at for key, (_,
            at) in collection_args.items.items()}
        for key, was in known.items():
            assert was.hash == (digest(Record(key, text=live[key]).document) if key in live else None)


@pytest.mark.parametrize(("kind", "examples"), EXAMPLES)
def test_any_interleaving_ends_as_one_by_one(kind: str, examples: int) -> None:
    """Of submissions, chunks, grouped batches, cancels, lost leases, replays, restarts and sweeps."""

    @settings(max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(steps=STEPS, together=st.integers(1, 3))
    def interleave(steps: list[Sent | Step], together: int) -> None:
        with tempfile.TemporaryDirectory() as folder, Scene(Path(folder), kind) as scene:
            _play(scene, steps, together)

    interleave()


def _play(scene: Scene, steps: list[Sent | Step], together: int) -> None:
    """The steps one after the other, then all that is left; in the end everything is as the model has it."""
    ages = 10**6
    keep = Retention(
        payload_seconds=0, report_seconds=ages, batch_seconds=ages, answer_seconds=0, tombstone_seconds=ages
    )
    hand = Hand(scene, together)
    accepted: list[tuple[int, str]] = []
    cancelled: set[str] = set()
    for step in steps:
        if isinstance(step, Sent):
            merchant, kind = LANES[step.lane]
            batch = scene.seal(merchant, kind)
            hand.records[batch] = step.records
            accepted.append((step.lane, batch))
        elif step.what == "work":
            hand.work(step.number)
        elif step.what == "replay":
            hand.replay(step.number)
        elif step.what == "late":
            hand.late()
        elif step.what == "restart":
            scene.reopen()
        elif step.what == "sweep":
            scene.store.sweep(keep, steps_max=step.number)
        elif accepted:
            lane, batch = accepted[-step.number % len(accepted)]
            scene.store.cancel(LANES[lane][0], batch)
            cancelled.add(batch)
    scene.clock.forward(REST_SECONDS_MAX + 1)
    while hand.work(2):
        pass
    _check(hand, accepted, cancelled)
