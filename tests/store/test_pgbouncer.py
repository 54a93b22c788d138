"""Through PgBouncer in transaction mode: nothing the store needs lives in a session, and nobody can listen."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from goodsgate.model.batch import Kind, RoundKind, State
from goodsgate.model.catalogue import Merchant
from goodsgate.store.contract import BatchFilter, NewRound, Store, SweepCounts
from goodsgate.store.strict import StrictStore
from tests import stores
from tests.factories import NOW
from tests.pgbouncer import PgBouncer
from tests.postgres import server
from tests.store import child

SESSIONS = 3
"""Of the server, for all that come."""
WAIT_SECONDS = 60
LANES = [("acme", Kind.PRODUCT), ("acme", Kind.STOCK), ("bolt", Kind.PRODUCT)]


@pytest.fixture(scope="module")
def bouncer() -> Iterator[PgBouncer]:
    """In front of the server of the tests."""
    made = PgBouncer(server(), sessions=SESSIONS)
    yield made
    made.close()


@pytest.fixture
def address(bouncer: PgBouncer, tmp_path: Path) -> Iterator[str]:
    """The way through it to a fresh database."""
    yield bouncer.address(stores.create_address(tmp_path, "postgres"))
    stores.drop(tmp_path)


@pytest.fixture
def store(address: str) -> Iterator[Store]:
    """With two merchants."""
    opened = _open(address)
    opened.migrate()
    for merchant in ("acme", "bolt"):
        opened.add_merchant(Merchant(id=merchant, name=merchant, created_at=NOW))
    yield opened
    opened.close()


def _open(address: str) -> Store:
    return StrictStore(stores.open_at(address, small_payload_bytes=100, connections_max=6))


def test_a_submission_passes_through_it(store: Store) -> None:
    """Sealed in pieces, claimed, renewed, committed, fixed, cancelled, swept; and the doctor is content."""
    batch = child.submit(store, 5, padding=1_500_000)
    claim = store.claim("w", lease_seconds=30, rounds_max=1, bytes_max=100)
    assert claim is not None
    assert not store.renew_claim(claim, lease_seconds=30).others_waiting
    store.release_claim(claim)
    child.work(store)
    store.append_upload("acme", "0" * 32, b"fix")
    fixing = NewRound(merchant="acme", batch=batch, kind=RoundKind.FIX)
    assert store.add_round(fixing, upload="0" * 32, open_rounds_max=10) is not None
    child.work(store)
    found = store.batch("acme", batch)
    assert found is not None
    assert (found.state, found.counts.created, found.rounds) == (State.FINISHED, 5, 2)
    assert len(store.items("acme", Kind.PRODUCT, "products").rows) == 5
    cancelled = child.submit(store, 4)
    asked = store.cancel("acme", cancelled)
    assert asked is not None
    assert asked.cancelling
    child.work(store)
    child.sweep(store)
    assert store.sweep(child.KEPT, steps_max=5) == SweepCounts()
    assert store.batches("acme", BatchFilter()).rows == []
    assert store.health_checks()
    assert [check for check in store.quick_checks() if not check.is_ok] == []


def test_many_threads_share_its_few_sessions(store: Store, address: str) -> None:
    """Submitters, workers and readers of several merchants; settings of one transaction never reach another's."""
    other = _open(address)
    sent: list[tuple[str, str]] = []
    stop = threading.Event()
    faults: list[BaseException] = []

    def run(job: object, *given: object) -> None:
        try:
            job(*given)  # type: ignore[operator]
        except BaseException as fault:  # whatever it is, the test is to fail with it
            faults.append(fault)

    def submit(merchant: str, kind: Kind) -> None:
        sent.extend((merchant, child.submit(store, 4, merchant=merchant, kind=kind)) for _ in range(8))

    def work(opened: Store) -> None:
        while not stop.is_set() or opened.statistics()["lanes"]:
            child.work(opened)

    def read() -> None:
        while not stop.is_set():
            for merchant in ("acme", "bolt"):
                for one in other.batches(merchant, BatchFilter(), limit=5).rows:
                    assert one.merchant == merchant
                    other.results(merchant, one.id)

    submitters = [threading.Thread(target=run, args=(submit, *lane)) for lane in LANES]
    rest = [threading.Thread(target=run, args=given) for given in ((work, store), (work, other), (read,))]
    for thread in (*submitters, *rest):
        thread.start()
    for thread in submitters:
        thread.join()
    stop.set()
    for thread in rest:
        thread.join()
    other.close()
    assert faults == []
    assert len(sent) == 8 * len(LANES)
    for merchant, batch in sent:
        found = store.batch(merchant, batch)
        assert found is not None
        assert (found.state, found.counts.accounted) == (State.FINISHED, 4)


def test_changes_are_noticed_without_listening(store: Store, address: str) -> None:
    """By looking: the change token moves, and who waits for work does not wait for long."""
    other = _open(address)
    seen = None
    until = time.monotonic() + WAIT_SECONDS
    while seen is None or seen != other.change_token():  # until nothing is on its way any more
        assert time.monotonic() < until
        seen = other.change_token()
        time.sleep(0.25)
    child.submit(store, 3)
    while other.change_token() == seen:
        assert time.monotonic() < until, "nothing was noticed"
        time.sleep(0.01)
    other.wait_for_work(0.05)
    claim = other.claim("w", lease_seconds=30, rounds_max=1, bytes_max=100)
    assert claim is not None
    other.release_claim(claim)
    other.close()


def test_its_sessions_keep_nothing(store: Store, address: str, bouncer: PgBouncer) -> None:
    """No statement is prepared in them, nothing is listened to, no setting stays."""
    child.submit(store, 3)
    child.work(store)
    with psycopg.connect(address, prepare_threshold=None, autocommit=True) as db:
        assert db.execute("SELECT count(*) FROM pg_prepared_statements").fetchone() == (0,)
        assert db.execute("SELECT count(*) FROM pg_listening_channels()").fetchone() == (0,)
        kept = db.execute("SELECT current_user::text, current_setting('goodsgate.merchant', true)").fetchone()
        assert kept in (("gate", None), ("gate", ""))
    assert "ERROR" not in bouncer.log.read_text()
