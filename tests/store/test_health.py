"""Health checks of the embedded store."""

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import apsw
import psycopg
import pytest

from goodsgate.store.contract import HealthCheck, StoreError
from goodsgate.store.postgres import PostgresStore
from goodsgate.store.sqlite import SqliteStore, health
from tests import postgres
from tests.store.scene import Record, Scene


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """An embedded store; the other has facts of its own."""
    with Scene(tmp_path, "sqlite") as made:
        yield made


def facts(scene: Scene) -> dict[str, tuple[bool, str]]:
    """Return the checks by name, as a second process gets them."""
    store = scene.open()
    return {check.name: (check.is_ok, check.detail) for check in [*store.quick_checks(), *store.health_checks()]}


def test_a_sound_store(scene: Scene) -> None:
    """Everything is well, with a worker and without."""
    assert all(well for well, _ in facts(scene).values())
    assert "no worker" in facts(scene)["worker"][1]
    scene.seal()
    assert scene.claim() is not None
    assert all(well for well, _ in facts(scene).values())
    assert facts(scene)["worker"] == (True, "a worker is running")
    assert facts(scene)["leases"] == (True, "1 lanes are leased, 0 leases are overdue")


def test_pages_that_are_broken(scene: Scene) -> None:
    """The file is named."""
    for number in range(40):
        scene.seal(body=b"%d" % number)
        scene.run([Record(f"K{number}", text="x" * 3_000)])
    scene.close()
    path = scene.folder / "store" / "catalogue.db"
    length = path.stat().st_size
    with path.open("r+b") as file:
        for page in range(length - 4096 * 3, length, 4096):
            file.seek(page)
            file.write(b"\x0d" + bytes(4095))
    checks = facts(scene)
    assert not checks["pages of catalogue.db"][0]
    assert checks["pages of intake.db"] == (True, "sound")
    path.write_bytes(os.urandom(length))
    broken = [check for check in scene.open().quick_checks() if not check.is_ok]
    assert [check.name for check in broken] == ["schema of catalogue.db"]
    assert "catalogue.db is corrupt" in broken[0].detail


def test_the_check_of_a_large_file_is_bounded_in_time(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """And then it is said that it was not seen whole."""
    monkeypatch.setattr(health, "PAGE_CHECK_SECONDS_MAX", 0.0)
    monkeypatch.setattr(health, "STEPS_PER_LOOK", 1)
    well, detail = facts(scene)["pages of catalogue.db"]
    assert well
    assert "as far as" in detail


def test_a_journal_that_is_none(scene: Scene) -> None:
    """As on a file system without shared memory."""
    store = scene.open().store
    with store.database.intake.reading() as db:
        db.connection.execute("PRAGMA synchronous=NORMAL")
    checks = {check.name: (check.is_ok, check.detail) for check in [*store.quick_checks(), *store.health_checks()]}
    assert checks["journal of intake.db"] == (False, "wal, synchronous 1 of 2")


def test_an_overdue_lease_is_reported(scene: Scene) -> None:
    """Of a worker that is there and does nothing; without one there is nothing to be mended."""
    scene.seal()
    scene.claimed(seconds=10)
    scene.clock.now += timedelta(seconds=100)
    assert facts(scene)["leases"] == (False, "1 lanes are leased, 1 leases are overdue")
    scene.close()
    assert facts(scene)["leases"] == (True, "1 lanes are leased, 1 leases are overdue")


def test_room_to_grow(scene: Scene) -> None:
    """Less than a share of what is held is too little."""
    scene.seal(body=b"x" * 10_000)
    payload = next((scene.folder / "store" / "payloads").iterdir())
    os.truncate(payload, 10**13)
    assert not facts(scene)["room to grow"][0]


def test_a_folder_that_was_moved_away_is_no_surprise(tmp_path: Path) -> None:
    """Checks name the place, and statistics raise an error of the store, which `readyz` and metrics expect."""
    store = _sqlite(tmp_path / "store")
    (tmp_path / "store").rename(tmp_path / "moved")
    assert {"place", "folder"} <= {check.name for check in _bad(store.quick_checks())}
    with pytest.raises(StoreError):
        store.statistics()
    store.close()


def test_a_missing_intake_is_reported_by_what_it_means(tmp_path: Path) -> None:
    """Checks that would read it do not repeat it."""
    _sqlite(tmp_path).close()
    for file in tmp_path.glob("intake.db*"):
        file.unlink()
    store = SqliteStore(tmp_path, cache_bytes=1024**2, small_payload_bytes=10)
    assert [check.name for check in _bad(store.quick_checks())] == ["schema of intake.db", "identity"]
    store.close()


@pytest.mark.parametrize(("statement", "difference"), [
    ("DROP INDEX round_open", "index round_open is missing"),
    ("CREATE TABLE notes (text TEXT)", "table notes is unknown"),
    ("ALTER TABLE round ADD COLUMN mood TEXT", "table round differs"),
])
def test_a_schema_of_another_content_is_refused(tmp_path: Path, statement: str, difference: str) -> None:
    """Although it has the right number: it was changed, or created by another version."""
    _sqlite(tmp_path).close()
    connection = apsw.Connection(str(tmp_path / "intake.db"))
    connection.execute(statement)
    connection.close()
    store = SqliteStore(tmp_path, cache_bytes=1024**2, small_payload_bytes=10)
    (check,) = _bad(store.quick_checks())
    assert check.name == "schema of intake.db"
    assert check.detail == f"1 of 1, but of another content: {difference}"
    with pytest.raises(StoreError, match=difference):
        store.migrate()
    store.close()


@pytest.mark.parametrize(("statement", "difference"), [
    ("DROP INDEX goodsgate.round_open", "changed since it was created: missing: index round_open f t"),
    ("ALTER TABLE goodsgate.round ADD COLUMN mood text",
     "changed since it was created: unknown: column round.mood text f"),
    ("ALTER TABLE goodsgate.batch DISABLE ROW LEVEL SECURITY",
     "changed since it was created: missing: table batch r t, unknown: table batch r f"),
    ("UPDATE goodsgate.migration SET fingerprint = 'other'",
     "schema 1 was created by another version of migration 0001 initial"),
])
def test_a_postgresql_schema_of_another_content_is_reported(statement: str, difference: str) -> None:
    """One that was created by another version of the migration is not started on either."""
    address = postgres.server().blank()
    store = PostgresStore(address, connections_max=2, small_payload_bytes=10)
    try:
        store.migrate()
        assert "schema content" not in [check.name for check in _bad(store.health_checks())]
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(statement)
        assert difference in [check.detail for check in _bad(store.health_checks())]
        if "another version" in difference:
            with pytest.raises(StoreError, match=difference):
                store.migrate()
        else:
            assert store.migrate() == []
    finally:
        store.close()


def _sqlite(folder: Path) -> SqliteStore:
    store = SqliteStore(folder, cache_bytes=1024**2, small_payload_bytes=10)
    store.migrate()
    return store


def _bad(checks: list[HealthCheck]) -> list[HealthCheck]:
    return [check for check in checks if not check.is_ok]
