"""Transactions of one statement: on one way to the server and back, whole or not at all, whatever is in them."""

import threading
from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import urlsplit

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from goodsgate.model.batch import Kind, new_id
from goodsgate.store.contract import BatchFilter, Idempotency, KeyInUseError, Store, StoreBusyError, StoreError
from goodsgate.store.postgres import PostgresStore
from goodsgate.store.postgres.connections import Connection
from tests import effort, stores
from tests.postgres import Server
from tests.store import child
from tests.store.wire import Wire

TEXTS = st.one_of(
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30),
    st.sampled_from([
        "'; DROP TABLE batch; --", "\\'", "%s %(merchant)s %%", "$1 $$ :kind", "/* ", "-- ;COMMIT", "\\x00",
    ]),
)


@pytest.fixture
def store(address: str) -> Iterator[PostgresStore]:
    """As bare as it is."""
    opened = stores.open_at(address, small_payload_bytes=100_000)
    assert isinstance(opened, PostgresStore)
    yield opened
    opened.close()


@pytest.fixture
def wired(own: Server, address: str, wire: Wire) -> Iterator[Store]:
    """A store at the other end of the wire."""
    opened = stores.open_at(own.address(urlsplit(address).path[1:], port=wire.port), small_payload_bytes=1_000)
    yield opened
    opened.close()


@settings(max_examples=effort.examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(label=TEXTS, collection=TEXTS, facts=st.dictionaries(TEXTS, TEXTS, max_size=3), body=st.binary(max_size=2_000))
def test_stored_values_are_read_unchanged(store: PostgresStore, label: str, collection: str, facts: dict[str, str],
                                          body: bytes) -> None:
    """Texts and bytes stand among statements, and are none."""
    upload = new_id()
    store.append_upload("acme", upload, body)
    sent = msgspec.structs.replace(child.new_batch("acme"), label=label, collection=collection, protocol_data=facts)
    sealed = store.add_batch(sent, upload=upload, open_rounds_max=10_000)
    stored = store.batch("acme", sent.id)
    assert stored is not None
    assert msgspec.structs.replace(stored, revision=()) == sealed
    assert (sealed.label, sealed.collection, sealed.protocol_data) == (label, collection, facts)
    assert b"".join(store.payload("acme", sent.id, 0) or ()) == body


@given(text=TEXTS.filter(bool), answer=st.binary(max_size=200))
@settings(max_examples=effort.examples(40), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_idempotency_key_is_reserved_once(store: PostgresStore, text: str, answer: bytes) -> None:
    """Its response is returned byte for byte."""
    with suppress(KeyInUseError):
        if store.reserve_idempotency_key("acme", text, lease_seconds=60) is None:
            with pytest.raises(KeyInUseError):
                store.reserve_idempotency_key("acme", text, lease_seconds=60)
            asked = Idempotency(merchant="acme", key=text, fingerprint=b"\0'\\" * 8, answer=lambda _: answer)
            batch = child.submit(store, 1, idempotency=asked)
            found = store.reserve_idempotency_key("acme", text, lease_seconds=60)
            assert found is not None
            assert (found.batch, found.fingerprint, found.body) == (batch, b"\0'\\" * 8, answer)


def test_a_submission_takes_one_round_trip(store: PostgresStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """This holds for a body of one piece and for releasing a lane; a claim takes three at most."""
    ways: list[int] = []
    mine = threading.get_ident()
    waited = Connection.wait

    def counted(connection: Connection, *args: object, **kwargs: object) -> object:
        if threading.get_ident() == mine:
            ways[-1] += 1
        return waited(connection, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr("goodsgate.store.shared.merchant_numbers.CACHED_SECONDS", 600.0)
    child.submit(store, 1)
    monkeypatch.setattr("goodsgate.store.postgres.connections.TRUSTED_SECONDS", 600.0)
    monkeypatch.setattr(Connection, "wait", counted)
    ways.append(0)
    child.submit(store, 2)
    ways.append(0)
    claim = store.claim("w", lease_seconds=60, rounds_max=10, bytes_max=1_000)
    assert claim is not None
    ways.append(0)
    store.release_claim(claim)
    monkeypatch.undo()
    assert ways == [1, 3, 1]


def test_a_missing_commit_is_an_error(store: PostgresStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """No caller assumes that the transaction is stored."""
    monkeypatch.setattr("goodsgate.store.postgres.server.COMMIT", "SELECT 1")
    with pytest.raises(StoreError):
        child.submit(store, 1)
    monkeypatch.undo()
    assert store.batches("acme", BatchFilter()).rows == []
    child.submit(store, 1)
    assert store.statistics()["rounds.queued"] == 1


@pytest.mark.parametrize("padding", [0, 1_500_000], ids=["whole", "pieces"])
@pytest.mark.parametrize("sent", [True, False], ids=["done", "undone"])
def test_a_submission_is_acknowledged_if_it_is_stored(wired: Store, wire: Wire, store: PostgresStore, sent: bool,
                                                      padding: int) -> None:
    """The wire breaks on the way there, or on the way back; without an idempotency key."""
    batch = None
    wire.break_at_commit(b"INSERT INTO batch", sent=sent)
    with suppress(StoreBusyError):
        batch = child.submit(wired, 3, padding=padding)
    assert wire.broken == 1
    assert (batch is not None) == sent
    assert [one.id for one in store.batches("acme", BatchFilter()).rows] == ([batch] if sent else [])


@pytest.mark.parametrize("seconds", [0.0, 600.0], ids=["tried", "trusted"])
def test_a_closed_connection_is_not_used(own: Server, address: str, store: PostgresStore, seconds: float,
                                         monkeypatch: pytest.MonkeyPatch) -> None:
    """The server has closed it: the next submission uses another connection and is not refused."""
    monkeypatch.setattr("goodsgate.store.postgres.connections.TRUSTED_SECONDS", seconds)
    child.submit(store, 1)
    with own.admin(urlsplit(address).path[1:]) as db:
        named = "SELECT pid FROM pg_stat_activity WHERE application_name = 'goodsgate'"
        closed = [pid for (pid,) in db.execute(named)]
        db.execute("SELECT pg_terminate_backend(pid) FROM unnest(%s::integer[]) pid", [closed])
        while db.execute("SELECT 1 FROM pg_stat_activity WHERE pid = ANY(%s)", [closed]).fetchone():
            pass  # the thread that listens may connect again at any time
    child.submit(store, 1)
    assert len(store.batches("acme", BatchFilter()).rows) == 2


def test_a_lane_is_released_if_its_rounds_cannot_be_read(wired: Store, wire: Wire, store: PostgresStore) -> None:
    """No worker has to wait for the end of the lease."""
    batch = child.submit(store, 1)
    wire.break_at_commit(b"FROM round r JOIN batch b", sent=False)
    with pytest.raises(StoreBusyError):
        wired.claim("w", lease_seconds=600, rounds_max=1, bytes_max=100)
    assert wire.broken == 1
    claim = store.claim("other", lease_seconds=60, rounds_max=1, bytes_max=100)
    assert claim is not None
    assert [work.batch for work in claim.rounds] == [batch]


def test_a_full_queue_accepts_nothing(store: PostgresStore) -> None:
    """All kinds are counted, in the statement itself."""
    child.submit(store, 1, open_rounds_max=2)
    child.submit(store, 1, kind=Kind.STOCK, open_rounds_max=2)
    for kind in (Kind.PRODUCT, Kind.STOCK, Kind.PRICE):
        with pytest.raises(StoreError, match="acme"):
            child.submit(store, 1, kind=kind, open_rounds_max=2)
    number = store.database.number("acme")
    assert number is not None
    with store.database.server.transaction(number) as db:
        assert db.cursor.execute("SELECT sum(open), count(*) FROM lane").fetchone() == (2, 2)
        assert db.cursor.execute("SELECT count(*) FROM payload").fetchone() == (2,)
