"""A copy of the embedded store, taken while it is used, shows and does what the store showed and would have done."""

import os
import resource
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goodsgate.model.batch import Kind, RoundKind, State
from goodsgate.model.catalogue import Merchant
from goodsgate.store.contract import (
    BatchFilter,
    Claim,
    NewRound,
    Retention,
    StoreBusyError,
    StoreError,
    StoreFullError,
    SweepCounts,
)
from goodsgate.store.sqlite import SqliteStore, backup
from goodsgate.store.sqlite.statements import SqliteStatements
from goodsgate.store.strict import StrictStore
from tests import effort
from tests.factories import NOW
from tests.store import child

LARGE = 500
"""Bytes of padding that make a payload a file."""
YEAR = 365 * 86_400
PAYLOADS_GO = Retention(
    payload_seconds=0, report_seconds=YEAR, batch_seconds=YEAR, answer_seconds=YEAR, tombstone_seconds=YEAR
)
STEPS = ("submit", "submit large", "price", "claim", "settle", "release", "fix", "cancel", "sweep")


class Used:
    """A store on which one step after the other is taken."""

    def __init__(self, folder: Path) -> None:
        self.store = SqliteStore(folder, cache_bytes=2 * 1024**2, small_payload_bytes=100)
        self.strict = StrictStore(self.store)
        self.strict.migrate()
        self.strict.add_merchant(Merchant(id="acme", name="Acme", created_at=NOW))
        self.batches: list[str] = []
        self.claim: Claim | None = None

    def step(self, what: str, number: int = 1) -> None:
        """One of STEPS; what cannot be done now is not."""
        if what.startswith("submit"):
            padding = LARGE if what == "submit large" else 0
            self.batches.append(child.submit(self.strict, number, padding=padding))
        elif what == "price":
            self.batches.append(child.submit(self.strict, number, kind=Kind.PRICE))
        elif what == "claim" and self.claim is None:
            self.claim = self.strict.claim("worker", lease_seconds=60, rounds_max=1, bytes_max=100)
        elif what == "settle" and self.claim is not None:
            self.settle()
        elif what == "release" and self.claim is not None:
            self.strict.release_claim(self.claim)
            self.claim = None
        elif what == "sweep":
            while self.strict.sweep(PAYLOADS_GO, steps_max=5) != SweepCounts():
                pass
        elif what == "cancel" and self.batches:
            self.strict.cancel("acme", self.batches[-1])
        elif what == "fix" and self.batches:
            self.fix(self.batches[number % len(self.batches)])

    def settle(self) -> None:
        """The next portion of what is claimed, and give the lane back: a claim tells where the work stood."""
        claim, self.claim = self.claim, None
        assert claim is not None
        at = claim.rounds[0]
        (child.fix if at.round_kind is RoundKind.FIX else child.submission)(self.strict, claim, at)
        self.strict.release_claim(claim)

    def fix(self, batch: str) -> None:
        """Queue a round that mends what was rejected, if the batch has ended."""
        found = self.strict.batch("acme", batch)
        if found is None or found.state is not State.FINISHED:
            return
        upload = os.urandom(16).hex()
        self.strict.append_upload("acme", upload, b"fix" * LARGE)
        self.strict.add_round(NewRound(merchant="acme", batch=batch, kind=RoundKind.FIX), upload=upload,
                           open_rounds_max=1_000)

    def close(self) -> None:
        """Leave the seat."""
        self.strict.close()


def opened(folder: Path) -> StrictStore:
    """A copy, as a gate opens it."""
    return StrictStore(SqliteStore(folder, cache_bytes=2 * 1024**2, small_payload_bytes=100))


def contents(store: StrictStore, batches: list[str], *, times: bool = True) -> list[object]:
    """Everything that can be asked, with the payloads themselves."""
    found: list[object] = [store.collections("acme")]
    for kind in (Kind.PRODUCT, Kind.PRICE):
        items = store.items("acme", kind, "products", limit=1_000).rows
        found.append([(item.key, item.document, item.batch) for item in items])
    found.append([batch.id for batch in store.batches("acme", BatchFilter(), limit=500).rows])
    for batch in batches:
        shown = store.batch("acme", batch)
        assert shown is not None
        found.append(shown if times else (shown.state, shown.counts, shown.total, shown.rounds, shown.bytes_done))
        found.append(store.results("acme", batch))
        found.append([(finding.raw, finding.issues) for finding in store.rejected_records("acme", batch)])
        for number in range(shown.rounds):
            payload = store.payload("acme", batch, number)
            found.append(None if payload is None else b"".join(payload))
    return found


@settings(deadline=None, max_examples=effort.examples(60))
@given(st.lists(st.tuples(st.sampled_from(STEPS), st.integers(1, 8)), min_size=1, max_size=30))
def test_a_copy_shows_what_the_store_shows_and_goes_on_as_it_does(steps: list[tuple[str, int]]) -> None:
    """Whatever was done before, a claim that is held and payloads that were swept included."""
    with tempfile.TemporaryDirectory() as folder:
        used = Used(Path(folder) / "store")
        for what, number in steps:
            used.step(what, number)
        used.store.back_up(Path(folder) / "copy")
        copy = opened(Path(folder) / "copy")
        assert contents(copy, used.batches) == contents(used.strict, used.batches)
        used.step("release")
        for store in (copy, used.strict):
            child.work(store)
        assert contents(copy, used.batches, times=False) == contents(used.strict, used.batches, times=False)
        assert all(check.is_ok for check in [*copy.quick_checks(), *copy.health_checks()])
        copy.close()
        used.close()


@pytest.fixture
def used(tmp_path: Path) -> Iterator[Used]:
    """A store with a merchant."""
    made = Used(tmp_path / "store")
    yield made
    made.close()


@contextmanager
def between_snapshots(monkeypatch: pytest.MonkeyPatch, does: list) -> Iterator[None]:
    """While it lasts, the first of `does` is done whenever one file's snapshot is taken and the other's is not."""
    real, calls = backup._snapshot, []

    @contextmanager
    def interposed(db: SqliteStatements) -> Iterator[None]:
        calls.append(db)
        if len(calls) % 2 == 0 and does:
            does.pop(0)()
        with real(db):
            yield

    monkeypatch.setattr(backup, "_snapshot", interposed)
    yield
    monkeypatch.undo()


def test_a_commit_between_the_two_snapshots_is_detected(used: Used, tmp_path: Path,
                                                             monkeypatch: pytest.MonkeyPatch) -> None:
    """Its end is in both files of the copy or in none: an intake file that is ahead would lose the records."""
    used.step("submit", 3)
    used.step("claim")
    with between_snapshots(monkeypatch, [used.settle]):
        used.store.back_up(tmp_path / "copy")
    copy = opened(tmp_path / "copy")
    assert contents(copy, used.batches) == contents(used.strict, used.batches)
    assert copy.items("acme", Kind.PRODUCT, "products").rows
    copy.close()


def test_a_store_that_is_never_at_rest(used: Used, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error is reported, and no partial backup is left."""
    monkeypatch.setattr(backup, "TRIES_MAX", 3)

    def commits() -> None:
        with used.store.database.catalogue.writing() as db:
            db.connection.execute("UPDATE clock SET written_at = written_at + 1")

    with between_snapshots(monkeypatch, [commits] * 3), pytest.raises(StoreBusyError):
        used.store.back_up(tmp_path / "copy")
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_a_payload_that_is_swept_while_it_is_copied(used: Used, tmp_path: Path,
                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    """Accepted after the first look, named by the snapshot, worked and swept before it is copied: the copy is later."""
    real = used.store.database.uploads.copy

    def late(name: str, to: Path) -> bool:
        monkeypatch.setattr(used.store.database.uploads, "copy", real)
        child.work(used.strict)
        used.step("sweep")
        return real(name, to)

    monkeypatch.setattr(used.store.database.uploads, "copy", late)
    with between_snapshots(monkeypatch, [lambda: used.step("submit large", 4)]):
        # What the monkeypatch undoes at the end is the copy of uploads, too: it was set before.
        copied = used.store.back_up(tmp_path / "copy")
    assert (copied.payloads, copied.payloads_lost) == (0, 0)
    copy = opened(tmp_path / "copy")
    assert contents(copy, used.batches) == contents(used.strict, used.batches)
    assert copy.payload("acme", used.batches[0], 0) is None
    copy.close()


def test_lost_payloads_are_reported(used: Used, tmp_path: Path) -> None:
    """Everything else is copied all the same."""
    for _ in range(3):
        used.step("submit large", 4)
    next((tmp_path / "store" / "payloads").iterdir()).unlink()
    copied = used.store.back_up(tmp_path / "copy")
    assert (copied.payloads, copied.payloads_lost) == (2, 1)
    assert len(list((tmp_path / "copy" / "payloads").iterdir())) == 2


def test_an_unfinished_upload_is_not_copied(used: Used, tmp_path: Path) -> None:
    """No client has received its id."""
    used.strict.append_upload("acme", "1" * 32, b"x" * LARGE)
    assert used.store.back_up(tmp_path / "copy").payloads == 0
    assert list((tmp_path / "copy" / "payloads").iterdir()) == []
    used.strict.discard_upload("acme", "1" * 32)


def test_where_a_copy_may_not_go(used: Used, tmp_path: Path) -> None:
    """Into a folder that holds something, a file, the store, a mount point; from a folder that is no store."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    (tmp_path / "empty").mkdir()
    for to in (tmp_path / "full", tmp_path / "full" / "mine", tmp_path / "store" / "copy", Path("/proc")):
        with pytest.raises(StoreError):
            used.store.back_up(to)
    used.store.back_up(tmp_path / "empty")
    used.store.back_up(tmp_path / "not" / "there")
    strange = SqliteStore(tmp_path / "strange", cache_bytes=1024**2, small_payload_bytes=10)
    with pytest.raises(StoreError, match="no store"):
        strange.back_up(tmp_path / "copy")
    strange.close()
    assert {path.name for path in tmp_path.iterdir()} == {"full", "empty", "not", "store"}


def test_a_disk_that_is_too_small(used: Used, tmp_path: Path) -> None:
    """Told before anything is written, or when it is; nothing is left beside."""
    used.step("submit large", 4)
    payload = next((tmp_path / "store" / "payloads").iterdir())
    os.truncate(payload, 10**13)
    with pytest.raises(StoreFullError, match="bytes free"):
        used.store.back_up(tmp_path / "copy")
    os.truncate(payload, 10**6)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for length, bytes_max in ((10**6, 10**5), (10**6, 10**6 - 1), (10, 50_000)):
        os.truncate(payload, length)
        resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_max, hard))
        try:
            with pytest.raises(StoreFullError):
                used.store.back_up(tmp_path / "copy")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path.name for path in tmp_path.iterdir()] == ["store"]
