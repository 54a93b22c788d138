"""A server that is stopped, paused, cut off or full: refused or done, never acknowledged falsely, never done twice."""

import itertools
import os
import random
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from goodsgate.model.batch import Counts, Kind, Policy, State, new_id
from goodsgate.model.catalogue import Merchant
from goodsgate.store.contract import (
    BatchFilter,
    Idempotency,
    LeaseLostError,
    NewBatch,
    Store,
    StoreBusyError,
    StoreFullError,
)
from goodsgate.store.strict import StrictStore
from tests import postgres, stores
from tests.factories import NOW
from tests.postgres import Server
from tests.store import child
from tests.store.scene import chunk_commit
from tests.store.wire import Wire


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection is waited for one second, for the tests' sake."""
    monkeypatch.setattr("goodsgate.store.postgres.server.POOL_SECONDS", 1.0)


@pytest.fixture(scope="module")
def own() -> Iterator[Server]:
    """A server that nobody else uses."""
    binaries = postgres.first(itertools.chain(postgres.machine(), postgres.wheel()))
    if binaries is None:
        pytest.skip("no PostgreSQL on this machine and no wheel")
    made = Server(binaries)
    yield made
    made.close()


@pytest.fixture
def address(own: Server) -> Iterator[str]:
    """A fresh database there, of a store with a merchant."""
    made = own.database()
    store = _open(made)
    store.add_merchant(Merchant(id="acme", name="Acme", created_at=NOW))
    store.close()
    yield made
    own.drop(made)


@pytest.fixture
def store(address: str) -> Iterator[Store]:
    """It, on the server's clock."""
    opened = _open(address)
    yield opened
    opened.close()


def _open(address: str) -> Store:
    return StrictStore(stores.open_at(address, small_payload_bytes=1_000, connections_max=4))


def _asked(store: Store) -> dict[str, Callable[[], object]]:
    """Something of every part of the contract."""
    return {
        "seal": lambda: child.submit(store, 3), "receive": lambda: store.append_upload("acme", "0" * 32,
        b"x" * 5_000_000),
        "claim": lambda: store.claim("w", lease_seconds=5, rounds_max=1, bytes_max=1),
        "batches": lambda: store.batches("acme", BatchFilter()),
        "items": lambda: store.items("acme", Kind.PRODUCT, "products"),
        "reserve": lambda: store.reserve_idempotency_key("acme", "k", lease_seconds=5), "figures": store.statistics,
    }


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_restarted_server_is_used_again(own: Server, store: Store, mode: str) -> None:
    """Everything says that it is busy; when the server is back the same store goes on, at once."""
    batch = child.submit(store, 3)
    claim = store.claim("w", lease_seconds=60, rounds_max=1, bytes_max=100)
    assert claim is not None
    own.stop(mode)
    try:
        faults: list[BaseException | None] = []
        threads = [threading.Thread(target=_raised, args=(ask, faults)) for ask in _asked(store).values()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [type(fault) for fault in faults if not isinstance(fault, StoreBusyError)] == []
        store.release_idempotency_key("acme", "k")
        store.discard_upload("acme", "0" * 32)
        assert not all(check.is_ok for check in store.quick_checks())
    finally:
        own.start()
    assert [one.id for one in store.batches("acme", BatchFilter()).rows] == [batch]
    child.submission(store, claim, claim.rounds[0])
    found = store.batch("acme", batch)
    assert found is not None
    assert found.counts.accounted == 3
    assert all(check.is_ok for check in store.quick_checks())


def _raised(ask: Callable[[], object], faults: list[BaseException | None]) -> None:
    try:
        ask()
    except Exception as fault:
        faults.append(fault)
    else:
        faults.append(None)


def test_a_paused_server_is_waited_for(own: Server, store: Store) -> None:
    """Nothing is acknowledged while it stands still; what was asked is done once, when it goes on."""
    sealed: list[str] = []
    thread = threading.Thread(target=lambda: sealed.append(child.submit(store, 3)))
    child.submit(store, 1)
    own.pause()
    try:
        thread.start()
        time.sleep(0.5)
        assert sealed == []
    finally:
        own.resume()
    thread.join()
    assert {one.id for one in store.batches("acme", BatchFilter()).rows} >= set(sealed)
    assert len(store.batches("acme", BatchFilter()).rows) == 2


# -- the wire ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def wire(own: Server) -> Iterator[Wire]:
    """Between the store and the server."""
    made = Wire(own.port)
    yield made
    made.close()


@pytest.fixture
def wired(own: Server, address: str, wire: Wire) -> Iterator[Store]:
    """The store, at the other end of the wire."""
    opened = _open(own.address(urlsplit(address).path[1:], port=wire.port))
    assert opened.batches("acme", BatchFilter()).rows == []
    yield opened
    opened.close()


def test_a_batch_whose_answer_was_lost_is_looked_up(wired: Store, wire: Wire, store: Store) -> None:
    """The commit took effect, so it is acknowledged, and its idempotency key gives the same answer again."""
    for key in ("one", "two"):
        assert wired.reserve_idempotency_key("acme", key, lease_seconds=30) is None
        wire.break_at_commit(b"INSERT INTO batch", sent=True)
        batch = _sealed(wired, key)
        found = store.reserve_idempotency_key("acme", key, lease_seconds=30)
        assert found is not None
        assert (found.batch, found.body) == (batch, batch.encode())
    assert wire.broken == 2
    assert len(store.batches("acme", BatchFilter()).rows) == 2
    child.work(store)


def test_a_batch_that_never_arrived_is_not_acknowledged(wired: Store, wire: Wire, store: Store) -> None:
    """Nothing of it remains, and sending it again makes one batch."""
    assert wired.reserve_idempotency_key("acme", "k", lease_seconds=30) is None
    wire.break_at_commit(b"INSERT INTO batch", sent=False)
    with pytest.raises(StoreBusyError):
        _sealed(wired, "k")
    assert store.batches("acme", BatchFilter()).rows == []
    batch = _sealed(wired, "k")
    assert [one.id for one in store.batches("acme", BatchFilter()).rows] == [batch]


def _sealed(store: Store, key: str) -> str:
    asked = Idempotency(merchant="acme", key=key, fingerprint=b"f" * 32, answer=lambda batch: batch.id.encode())
    return child.submit(store, 3, idempotency=asked)


@pytest.mark.parametrize("sent", [True, False], ids=["done", "undone"])
def test_a_commit_whose_answer_was_lost_takes_effect_once(wired: Store, wire: Wire, store: Store, sent: bool) -> None:
    """Whether it took effect or not, the worker commits again and the records count once."""
    batch = child.submit(store, 3)
    claim = wired.claim("w", lease_seconds=60, rounds_max=1, bytes_max=100)
    assert claim is not None
    committed = chunk_commit(claim.rounds[0], *map(child.record, range(1, 4)), ends=State.FINISHED)
    wire.break_at_commit(b"UPDATE lane SET written_at", sent=sent)
    with pytest.raises(StoreBusyError):
        wired.commit(claim, [committed])
    found = store.batch("acme", batch)
    assert found is not None
    assert found.counts == (Counts(created=2, rejected=1) if sent else Counts())
    wired.commit(claim, [committed])
    wired.release_claim(claim)
    found = store.batch("acme", batch)
    assert found is not None
    assert (found.state, found.counts) == (State.FINISHED, Counts(created=2, rejected=1))
    assert store.statistics()["lanes"] == 0


def test_a_worker_that_was_cut_off_does_not_stand_in_the_way(wired: Store, wire: Wire, store: Store) -> None:
    """Its transaction is open and its lease ends: another takes the lane over, and its late commit is refused."""
    batch = child.submit(store, 3)
    stale = wired.claim("w1", lease_seconds=0.5, rounds_max=1, bytes_max=100)
    assert stale is not None
    claim = None
    until = time.monotonic() + 60
    while claim is None and time.monotonic() < until:
        claim = store.claim("w2", lease_seconds=60, rounds_max=1, bytes_max=100)
        time.sleep(0.02)
    assert claim is not None
    with pytest.raises(LeaseLostError):
        child.submission(wired, stale, stale.rounds[0])
    child.submission(store, claim, claim.rounds[0])
    found = store.batch("acme", batch)
    assert found is not None
    assert found.counts.accounted == 3


# -- again and again --------------------------------------------------------------------------------------------------


def test_what_was_acknowledged_survives_restarts(own: Server, address: str, store: Store) -> None:
    """Submitters and workers through crashes and pauses of the server: every acknowledged batch is worked, once."""
    sealed: list[str] = []
    stop = threading.Event()

    def submit(kind: Kind) -> None:
        while not stop.is_set():
            with suppress(StoreBusyError):
                sealed.append(child.submit(store, 4, kind=kind))
            stop.wait(0.01)

    def work(opened: Store) -> None:
        while not stop.is_set():
            try:
                child.work(opened, lease_seconds=1)
            except StoreBusyError:
                stop.wait(0.01)

    other = _open(address)
    threads = [threading.Thread(target=submit, args=(kind,)) for kind in (Kind.PRODUCT, Kind.STOCK)]
    threads += [threading.Thread(target=work, args=(opened,)) for opened in (store, other)]
    for thread in threads:
        thread.start()
    for mode in ("immediate", "fast", "immediate"):
        time.sleep(0.4)
        own.pause()
        time.sleep(0.1)
        own.resume()
        own.stop(mode)
        own.start()
    time.sleep(0.4)
    stop.set()
    for thread in threads:
        thread.join()
    child.work(store, lease_seconds=1)
    other.close()
    assert sealed
    found = {one.id: one for one in store.batches("acme", BatchFilter(), limit=100_000).rows}
    assert set(sealed) <= found.keys()
    for batch in found.values():
        assert (batch.state, batch.counts.accounted, batch.total) == (State.FINISHED, 4, 4)


# -- a full disk ------------------------------------------------------------------------------------------------------


@pytest.fixture
def small(own: Server) -> Iterator[tuple[str, Path]]:
    """A database whose tables are on a disk of 80 MB; root alone may make one."""
    disk = own.folder / "small"
    disk.mkdir()
    uid, gid = own.account or (os.getuid(), os.getgid())
    mount = ["mount", "-t", "tmpfs", "-o", f"size=80m,mode=0700,uid={uid},gid={gid}", "tmpfs", str(disk)]
    made = subprocess.run(mount, capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"no disk of our own: {made.stderr.strip()}")
    try:
        own.database()  # so that there is a template
        with own.admin() as db:
            db.execute(f"CREATE TABLESPACE small LOCATION '{disk}'")
            db.execute(f"CREATE DATABASE small OWNER {postgres.ROLE} TEMPLATE {postgres.TEMPLATE} TABLESPACE small")
            db.execute("CHECKPOINT")  # or the server finds out later that its own tables have no room
        yield own.address("small"), disk
        with own.admin() as db:
            db.execute("DROP DATABASE small WITH (FORCE)")
            db.execute("DROP TABLESPACE small")
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def _fill(store: Store, batches: list[str]) -> None:
    """With payloads that cannot be packed."""
    for number in itertools.count():
        upload, batch = new_id(), new_id()
        store.append_upload("acme", upload, random.Random(number).randbytes(600_000))
        sent = NewBatch(
            merchant="acme", id=batch, kind=Kind.PRODUCT, collection="products", policy=Policy(), format="ndjson",
            content_encoding="identity",
        )
        store.add_batch(sent, upload=upload, open_rounds_max=10_000)
        batches.append(batch)


def test_a_full_disk_refuses_and_loses_nothing(small: tuple[str, Path]) -> None:
    """Every batch that was acknowledged is there with its payload, the one refused never was; and room helps."""
    address, disk = small
    store = _open(address)
    store.add_merchant(Merchant(id="acme", name="Acme", created_at=NOW))
    batches: list[str] = []
    with pytest.raises(StoreFullError):
        _fill(store, batches)
    assert batches
    assert [one.id for one in store.batches("acme", BatchFilter(), limit=10_000).rows] == batches[::-1]
    for number, batch in enumerate(batches):
        assert b"".join(store.payload("acme", batch, 0) or ()) == random.Random(number).randbytes(600_000)
    subprocess.run(["mount", "-o", "remount,size=240m", str(disk)], check=True)
    assert store.batch("acme", child.submit(store, 3, padding=600_000)) is not None
    store.close()
