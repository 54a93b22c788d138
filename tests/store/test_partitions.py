"""Partitions of large tables in PostgreSQL: their number, and a merchant that gets its own while it submits."""

import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from goodsgate.model.batch import Kind
from goodsgate.model.catalogue import Merchant
from goodsgate.store.contract import HealthCheck, HealthLevel, Store, StoreError
from goodsgate.store.partitions import SupportsPartitions
from goodsgate.store.postgres.isolation import read_partitions
from tests import forked, stores
from tests.factories import NOW
from tests.hosts.workers import wait_until
from tests.postgres import server
from tests.store import child

KILLED = -9
POINTS = (
    "isolation-prepared", "isolation-step", "isolation-copied", "isolation-replaced", "isolation-switched",
    "isolation-switched:5",
)
MERCHANTS = ("acme", "bolt", "cord")
TABLES = """
SELECT c.relname FROM pg_partitioned_table p JOIN pg_class c ON c.oid = p.partrelid
WHERE c.relnamespace = 'goodsgate'::regnamespace AND NOT starts_with(c.relname, 'isolation_') ORDER BY c.relname
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Return the folder of a store whose large tables have one partition each, with three merchants and work done."""
    stores.set_address(tmp_path, server().blank())
    store = stores.open_at(stores.address(tmp_path), small_payload_bytes=100)
    assert isinstance(store, SupportsPartitions)
    assert store.migrate_with_partitions(1)
    for merchant in MERCHANTS:
        store.add_merchant(Merchant(id=merchant, name=merchant, created_at=NOW))
        child.submit(store, 30, merchant=merchant, padding=200)
    child.work(store)
    store.close()
    yield tmp_path
    stores.drop(tmp_path)


@pytest.fixture
def store(folder: Path) -> Iterator[Store]:
    """Return the same store as another process sees it."""
    opened = child.open_store(folder)
    yield opened
    opened.close()


def _content(folder: Path) -> dict[str, str]:
    """Return the rows of each partitioned table as one hash."""
    with stores.raw(folder) as db:
        query = "SELECT count(*) || md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) FROM {} t"
        return {table: str(_value(db, query.format(table))) for table, in db.execute(TABLES).fetchall()}


def _value(db: "psycopg.Connection[tuple[Any, ...]]", query: str) -> Any:
    row = db.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


def _levels(folder: Path) -> tuple[HealthLevel, HealthLevel]:
    """Return what `doctor` says of the schema and of the partitions."""
    store = child.open_store(folder)
    checks = {check.name: check.level for check in store.health_checks()}
    store.close()
    return checks["schema content"], checks["partitions"]


def _check_isolated(folder: Path, merchant: str) -> None:
    """Check that each table has a partition for the merchant alone, and that every number has one partition."""
    with stores.raw(folder) as db:
        number = _value(db, f"SELECT number FROM merchant WHERE id = '{merchant}'")
        partitions = read_partitions(db.cursor())
        for table, in db.execute(TABLES).fetchall():
            own = sorted((each for each in partitions if each.table == table), key=lambda each: each.first or -1)
            assert any(each.is_alone(number) for each in own), table
            assert [each.first for each in own] == [None, *(each.end for each in own[:-1])]
            assert own[-1].end is None
        assert _value(db, "SELECT count(*) FROM pg_class WHERE starts_with(relname, 'isolation_')") == 0
        assert _value(db, "SELECT count(*) FROM pg_trigger WHERE starts_with(tgname, 'isolation_')") == 0
        assert _value(db, "SELECT count(*) FROM pg_class WHERE 'autovacuum_enabled=off' = ANY (reloptions)") == 0
        assert _value(db, "SELECT count(*) FROM pg_constraint WHERE conname = 'isolation_range'") == 0


@pytest.mark.parametrize("point", POINTS)
def test_a_run_that_was_killed_is_run_again(folder: Path, point: str) -> None:
    """At every step: no row is lost, changed or there twice, and the store is as sound as before."""
    before = _content(folder)
    assert forked.run(child.main, "isolate", folder, "bolt", crash_at=point) == KILLED
    assert _content(folder) == before
    assert _levels(folder) == (HealthLevel.OK, HealthLevel.WARN)
    assert forked.run(child.main, "isolate", folder, "bolt") == 0
    assert _content(folder) == before
    _check_isolated(folder, "bolt")
    assert forked.run(child.main, "isolate", folder, "acme") == 0
    assert _content(folder) == before
    _check_isolated(folder, "acme")
    _check_isolated(folder, "bolt")
    assert _levels(folder) == (HealthLevel.OK, HealthLevel.OK)


def test_merchants_go_on_while_one_is_isolated(folder: Path, store: Store) -> None:
    """The merchant itself and others submit, are processed and read; every record is where it belongs."""
    stop, faults, batches = threading.Event(), [], []

    def traffic(merchant: str, kind: Kind) -> None:
        own = child.open_store(folder)
        try:
            while not stop.is_set():
                batches.append((merchant, child.submit(own, 10, merchant=merchant, kind=kind, padding=200)))
                child.work(own)
        except Exception as fault:
            faults.append(fault)
        finally:
            own.close()

    threads = [
        threading.Thread(target=traffic, args=pair)
        for pair in (("bolt", Kind.PRODUCT), ("bolt", Kind.PRICE), ("acme", Kind.PRODUCT))
    ]
    for thread in threads:
        thread.start()
    assert forked.run(child.main, "isolate", folder, "bolt") == 0
    stop.set()
    for thread in threads:
        thread.join()
    child.work(store)
    assert faults == []
    _check_isolated(folder, "bolt")
    for merchant, id in batches:
        batch = store.batch(merchant, id)
        assert batch is not None
        assert batch.outcome is not None
        assert (batch.total, batch.counts.rejected) == (10, 3)


def test_no_partition_is_lost_when_a_snapshot_is_read(folder: Path, store: Store) -> None:
    """One that begins before the switch and is read behind it has all items, because the switch waits for it."""
    with store.item_snapshot("acme", Kind.PRODUCT, "products", page_items=5) as snapshot:
        process = forked.start(child.main, "isolate", folder, "bolt")
        first = next(snapshot.pages)
        assert process.is_alive()
        keys = [item.key for item in first] + [item.key for page in snapshot.pages for item in page]
    process.join(60)
    assert process.exitcode == 0
    assert len(keys) == len(set(keys)) == 20
    _check_isolated(folder, "bolt")


def test_one_process_at_a_time_isolates(folder: Path, store: Store) -> None:
    """A second one is refused at once, and so is a merchant that does not exist."""
    isolating = stores.open_at(stores.address(folder), small_payload_bytes=100)
    assert isinstance(isolating, SupportsPartitions)
    with pytest.raises(StoreError, match="no such merchant: nobody"):
        isolating.isolate("nobody", print)
    refused: list[StoreError] = []

    def second(_: str) -> None:
        if not refused:
            with pytest.raises(StoreError, match="another process") as caught:
                isolating.isolate("acme", print)
            refused.append(caught.value)

    assert len(isolating.isolate("bolt", second)) == len(_content(folder))
    assert refused
    assert isolating.isolate("bolt", print) == []
    isolating.close()


@pytest.mark.parametrize("parts", [5, None])
def test_the_number_of_partitions_is_chosen_when_the_store_is_created(folder: Path, parts: int | None) -> None:
    """It is 16 otherwise. Later it is refused, with what can be done instead."""
    address = server().blank()
    created = stores.open_at(address, small_payload_bytes=100)
    assert isinstance(created, SupportsPartitions)
    if parts is None:
        created.migrate()
    else:
        created.migrate_with_partitions(parts)
    with pytest.raises(StoreError, match="store isolate MERCHANT"):
        created.migrate_with_partitions(6)
    assert created.migrate() == []
    with created.database.server.connecting() as connection:  # type: ignore[attr-defined]
        partitions = read_partitions(connection.cursor())
    bounds = [each.first for each in partitions if each.table == "item"]
    assert bounds == [None, *(part * 2**62 // (parts or 16) for part in range(1, parts or 16))]
    created.close()
    server().drop(address)


def test_doctor_reports_a_partition_that_is_missing(folder: Path, store: Store) -> None:
    """Because merchants whose numbers it had could not submit."""
    with stores.raw(folder) as db:
        db.execute("ALTER TABLE journal DETACH PARTITION journal_001")
    check = next(check for check in store.health_checks() if check.name == "partitions")
    assert (check.level, check.detail) == (HealthLevel.BAD, "journal: a range of merchants has no partition")


def test_doctor_says_how_tables_are_kept(folder: Path, store: Store) -> None:
    """Dead rows and large indexes of tables that are large enough to matter are a warning that says what to do."""
    assert [check.level for check in store.health_checks() if check.name.startswith("table ")] == []
    with stores.raw(folder) as db:
        db.execute("ALTER TABLE item_001 SET (autovacuum_enabled = off)")
        number = _value(db, "SELECT number FROM merchant WHERE id = 'acme'")
        db.execute(
            "INSERT INTO item (merchant, collection, key, batch, written_at)"
            f" SELECT {number}, 7, 'X' || n, gen_random_uuid(), 1 FROM generate_series(1, 150000) n"
        )
        db.execute("DELETE FROM item WHERE collection = 7 AND key < 'X8'")
        db.execute("SELECT pg_stat_force_next_flush()" if server().version >= 15 else "SELECT pg_sleep(1)")

    def check() -> HealthCheck | None:
        return next((check for check in store.health_checks() if check.name == "table item"), None)

    wait_until(lambda: check() is not None, "statistics never showed the rows", seconds_max=20)
    found = check()
    assert found is not None
    assert found.level is HealthLevel.WARN
    assert re.fullmatch(
        r"\d+ MB, indexes \d+ % of it, \d+ % of the rows dead, last autovacuum never", found.detail
    ), found.detail
    assert "VACUUM (ANALYZE) goodsgate.item" in found.remedy
