"""Row-level security, the second lock: whatever a statement says, rows of another merchant are not there."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
from psycopg import errors, sql

from goodsgate.model.audit import Act, acting
from goodsgate.model.batch import Kind, Result, State, new_id
from goodsgate.model.catalogue import Key, ReferenceEntry, Token
from goodsgate.model.catalogue import Scope as KeyScope
from goodsgate.model.job import JobRun, JobTime
from goodsgate.model.message import NewMessage
from goodsgate.store.contract import GroupParent, Idempotency, StockChange
from tests import stores
from tests.factories import NOW
from tests.store.scene import Record, Scene, advanced, chunk_commit, rejected_record, waiting_record, warned_record
from tests.store.test_dry_runs import change, dry_commit

Database = psycopg.Connection[tuple[Any, ...]]

OPEN_TO_ALL = {
    "common_numbering": "the last number of each type, which is unique over all merchants",
    "host": "machines, which belong to no merchant",
    "migration": "what was done to the schema; the role may only read it",
    "secret": "the gate's own",
    "worker": "worker processes, which belong to no merchant",
}
"""Tables without a merchant, and why strangers may see them."""
DISPATCHING = {
    "merchant", "credential", "idempotency_key", "batch", "round", "upload", "lane", "collection", "total_count",
    "token", "resource", "message", "stock_order", "journal_head", "waiting_reference", "group_parent", "label",
    "feed_day",
    "audit_entry", "audit_head", "job",
}
"""What a transaction that asks for it sees whole: whose turn it is, what is past its time, who is calling."""

UNCHANGING = {"audit_entry"}
"""Tables whose rows nobody changes, not even the role of the gate."""


def _fill(scene: Scene, merchant: str) -> None:
    """Something in every table."""
    store = scene.store
    scopes = frozenset({KeyScope.READ})
    store.add_key(Key(id="k", digest=merchant.encode() * 8, merchant=merchant, scopes=scopes, label="", created_at=NOW))
    store.note_worker("w1")
    store.lease_quota(merchant, "requests", window_seconds=60, least=1, amount=1, limit=10)
    ahead = NOW + timedelta(days=1)
    store.add_token(Token(digest=merchant.encode() * 8, merchant=merchant, key="k", created_at=NOW, expires_at=ahead))
    with acting(Act(action="key.add", actor="key:k")):
        store.record_act(merchant)
    store.put_reference(merchant, "brand", [ReferenceEntry(code="x")])
    messages = [NewMessage(topic="tested/word", subject="a")]
    store.add_resource(
        merchant, "tested/stream", name="a", body=b"{}", resources_max=9, labels=[("open", 1)], messages=messages
    )
    store.add_resource(merchant, "tested/job", name="a", body=b"{}", resources_max=9, job=JobTime(NOW))
    job = store.claim_job(["tested/job"], lease_seconds=10)
    assert job is not None
    store.save_job(job, state=b"{}", run=JobRun(number=1, started_at=NOW), end=JobTime(None))
    answered = Idempotency(merchant=merchant, key="k", fingerprint=b"f" * 32, answer=lambda batch: b"answer")
    scene.seal(merchant, body=bytes(range(256)) * 8_000, idempotency=answered)
    claim = scene.claimed()
    waiting = waiting_record("B", ("brand", "y"))
    records = (Record("A", version=1), rejected_record(), waiting, warned_record("C"))
    parent = GroupParent(names=("P",), body=b"{}", expires_at=NOW)
    committed = chunk_commit(claim.rounds[0], *records, parents=[parent])
    marked = [msgspec.structs.replace(write, index_entries=(("slug", "a"),)) for write in committed.writes]
    store.commit(claim, [msgspec.structs.replace(committed, writes=marked)])
    store.current_items(merchant, Kind.PRODUCT, "products", ["A"])
    newer = Record("A", Result.UPDATED, version=2)
    store.commit(claim, [chunk_commit(advanced(claim.rounds[0], committed), newer, ends=State.FINISHED)])
    store.release_claim(claim)
    scene.seal(merchant, Kind.STOCK)
    scene.run([Record("A")])
    scene.seal(merchant, Kind.PRICE, dry_run=True)
    claim = scene.claimed()
    store.commit(claim, [dry_commit(claim.rounds[0], change("A"), ends=State.FINISHED)])
    store.release_claim(claim)
    reserved = StockChange(reserved={"A": 1}, order_state=b"{}", order_closed=False)
    store.change_stock(merchant, "products", order="o", keys=["A"], change=lambda _: reserved)
    store.append_upload(merchant, new_id(), bytes(range(256)) * 8_000)  # on its way in
    scene.seal(merchant)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A database that holds rows of two merchants in every table."""
    with Scene(tmp_path_factory.mktemp("rows"), "postgres") as scene:
        for merchant in ("acme", "bolt"):
            _fill(scene, merchant)
        with stores.raw(scene.folder) as db:  # as a store does that indexes the words of its items
            db.execute("INSERT INTO item_terms SELECT merchant, collection, key, 'a'::tsvector FROM item")
        yield scene


@pytest.fixture
def db(filled: Scene) -> Iterator[Database]:
    """A transaction of the gate's own login, which changes nothing in the end."""
    with psycopg.connect(filled.address, options="-c search_path=goodsgate") as connection:
        yield connection
        connection.rollback()


def _tables(db: Database) -> dict[str, str]:
    """Name → column that says whose a row is, of every table that has one; from the catalogue of the database."""
    return {name: column for name, column in _all_tables(db).items() if column is not None}


def _all_tables(db: Database) -> dict[str, str | None]:
    rows = db.execute(
        "SELECT c.relname, (SELECT a.attname FROM pg_attribute a WHERE a.attrelid = c.oid"
        " AND a.attname = CASE c.relname WHEN 'merchant' THEN 'number' ELSE 'merchant' END)"
        " FROM pg_class c WHERE c.relnamespace = 'goodsgate'::regnamespace AND c.relkind IN ('r', 'p')"
        " AND NOT c.relispartition"
    ).fetchall()
    return dict(rows)


def _as(db: Database, merchant: int | None, *, every: bool = False) -> None:
    """As the store begins a transaction."""
    db.execute("SET LOCAL ROLE goodsgate_app")
    db.execute("SELECT set_config('goodsgate.merchant', %s, true)", ("" if merchant is None else str(merchant),))
    db.execute("SELECT set_config('goodsgate.every', %s, true)", ("on" if every else "off",))


def _count(db: Database, statement: str, table: str, column: str, **given: object) -> int:
    """Rows that a statement about the table gives or changes."""
    text = sql.SQL(statement).format(table=sql.Identifier(table),
        whose=sql.Identifier(column))  # type: ignore[arg-type]
    return db.execute(text, given).rowcount


def _numbers(folder: Path) -> tuple[int, int]:
    with stores.raw(folder) as db:
        rows = db.execute("SELECT number FROM merchant WHERE id IN ('acme', 'bolt') ORDER BY id").fetchall()
    return int(rows[0][0]), int(rows[1][0])


def test_every_table_says_whose_its_rows_are(filled: Scene, db: Database) -> None:
    """Or is named here with a reason; and in every one there are rows of both merchants for the tests below."""
    tables = _tables(db)
    assert _all_tables(db).keys() - tables.keys() == OPEN_TO_ALL.keys()
    acme, bolt = _numbers(filled.folder)
    with stores.raw(filled.folder) as raw:
        for table, column in tables.items():
            for number in (acme, bolt):
                assert _count(raw, "SELECT 1 FROM {table} WHERE {whose} = %(n)s", table, column, n=number), table


def test_a_stranger_sees_changes_and_deletes_nothing(filled: Scene, db: Database) -> None:
    """By statements that forgot the merchant, or name another one."""
    acme, bolt = _numbers(filled.folder)
    tables = _tables(db)
    _as(db, acme)
    for table, column in tables.items():
        mine = _count(db, "SELECT 1 FROM {table} WHERE {whose} = %(n)s", table, column, n=acme)
        assert mine, table
        assert _count(db, "SELECT 1 FROM {table}", table, column) == mine, table
        assert _count(db, "SELECT 1 FROM {table} WHERE {whose} = %(n)s", table, column, n=bolt) == 0, table
        if table not in {"merchant"} | UNCHANGING:  # whose number nobody may set
            assert _count(db, "UPDATE {table} SET {whose} = {whose}", table, column) == mine, table
        assert _count(db, "DELETE FROM {table} WHERE {whose} <> %(n)s", table, column, n=acme) == 0, table
        with pytest.raises(errors.InsufficientPrivilege), db.transaction():
            _count(db, "TRUNCATE {table}", table, column)


def test_nothing_is_given_to_a_stranger(filled: Scene, db: Database) -> None:
    """A row cannot be made another merchant's, nor put among its rows."""
    acme, bolt = _numbers(filled.folder)
    tables = _tables(db)
    _as(db, acme)
    for table, column in tables.items():
        if table == "merchant":
            continue
        refused = errors.RaiseException if table in UNCHANGING else errors.InsufficientPrivilege
        with pytest.raises(refused, match=r"never change|row-level security"), db.transaction():
            _count(db, "UPDATE {table} SET {whose} = %(n)s", table, column, n=bolt)
        with pytest.raises((errors.InsufficientPrivilege, errors.NotNullViolation)), db.transaction():
            _count(db, "INSERT INTO {table} ({whose}) VALUES (%(n)s)", table, column, n=bolt)


def test_who_names_no_merchant_sees_nothing(db: Database) -> None:
    """Unset or empty."""
    tables = _tables(db)
    db.execute("SET LOCAL ROLE goodsgate_app")
    for _ in range(2):
        for table, column in tables.items():
            assert _count(db, "SELECT 1 FROM {table}", table, column) == 0, table
            assert _count(db, "DELETE FROM {table}", table, column) == 0, table
        _as(db, None)


def test_what_is_dispatched_can_be_seen_whole_and_nothing_else(filled: Scene, db: Database) -> None:
    """By a transaction that says so: no item, no payload, no issue is among it."""
    acme, bolt = _numbers(filled.folder)
    tables = _tables(db)
    _as(db, None, every=True)
    for table, column in tables.items():
        for number in (acme, bolt):
            seen = _count(db, "SELECT 1 FROM {table} WHERE {whose} = %(n)s", table, column, n=number)
            assert bool(seen) == (table in DISPATCHING), table


def test_partitions_are_no_way_around(db: Database) -> None:
    """The role has no right to any of them by its own name."""
    parts = db.execute(
        "SELECT relname FROM pg_class"
        " WHERE relnamespace = 'goodsgate'::regnamespace AND relispartition AND relkind = 'r'"
    ).fetchall()
    assert parts
    _as(db, None, every=True)
    for (part,) in parts:
        with pytest.raises(errors.InsufficientPrivilege), db.transaction():
            db.execute(sql.SQL("SELECT 1 FROM {}").format(sql.Identifier(part)))


def test_row_level_security_applies_to_superusers(filled: Scene) -> None:
    """Because every transaction takes the role."""
    acme, _ = _numbers(filled.folder)
    with stores.raw(filled.folder) as raw, raw.transaction():
        _as(raw, acme)
        for table, column in _tables(raw).items():
            assert _count(raw, "SELECT 1 FROM {table} WHERE {whose} <> %(n)s", table, column, n=acme) == 0, table
