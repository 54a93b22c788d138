"""Statements and migrations as they are kept in files."""

import re
from pathlib import Path

import apsw
import pytest

from goodsgate.store import sql
from goodsgate.store.contract import StoreError
from goodsgate.store.sqlite import SqliteStore, documents, progress
from goodsgate.store.sqlite.ask import SQL
from goodsgate.store.sqlite.file import SqliteFile
from goodsgate.store.sqlite.folder import MIGRATIONS
from tests.store.statements import TOLD, code, is_bound

PACKAGE = Path(sql.__file__).parent


@pytest.mark.parametrize("name", [name for name in SQL if name not in ("merchant_number", "add_merchant")])
def test_every_statement_names_its_merchant(name: str) -> None:
    """Or says why it speaks of all: promise 10, read from the file."""
    assert is_bound(SQL[name]) != bool(TOLD.search(SQL[name]))


def test_every_statement_is_used() -> None:
    """By its name, and no name is used that is not there."""
    code = "\n".join(path.read_text("utf-8") for path in (PACKAGE / "sqlite").glob("*.py"))
    asked = set(re.findall(r'\b(?:do|do_each|one|value|every|each)\(\s*db, "(\w+)"', code))
    assert asked <= SQL.keys()
    assert [name for name in SQL if f'"{name}"' not in code] == []


def test_a_row_of_the_view_has_the_columns_that_are_read(tmp_path: Path) -> None:
    """In their order; so has a row of progress."""
    store = SqliteStore(tmp_path, cache_bytes=1024**2, small_payload_bytes=10)
    store.migrate()
    with store.intake.reading() as db:
        columns = [column for column, *_ in db.execute("SELECT name FROM pragma_table_info('document')")]
    assert columns == list(documents.Row.__struct_fields__)
    store.close()
    read = re.findall(r"\w+", code(SQL["progress"]).split("FROM")[0])[1:]
    assert read == ["batch", *progress.Progress.__struct_fields__]


@pytest.mark.parametrize("name", ["held", "held_documents", "count_tombstones_among", "count_live_among"])
def test_look_ups_never_scan_the_shelf(tmp_path: Path, name: str) -> None:
    """A plan that reads all items and runs json_each inside takes minutes where this takes a second."""
    store = SqliteStore(tmp_path, cache_bytes=1024**2, small_payload_bytes=10)
    store.migrate()
    with store.catalogue.reading() as db:
        plan = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {SQL[name]}", (1, 1, "[]"))]
    assert "SCAN j" in plan[0]
    assert re.match(r"SEARCH i USING (COVERING )?INDEX item_key \(merchant=\? AND shelf=\? AND key=\?", plan[1])
    store.close()


@pytest.mark.parametrize("name", ["drop_ended_resources", "count_resources", "labelled"])
def test_a_change_of_one_resource_reads_no_others(tmp_path: Path, name: str) -> None:
    """Nor does a page of a list: a shop has a hundred thousand open orders."""
    store = SqliteStore(tmp_path, cache_bytes=1024**2, small_payload_bytes=10)
    store.migrate()
    asked = dict.fromkeys(("merchant", "sort", "now", "word", "since", "until", "limit", "offset"), 1)
    with store.intake.reading() as db:
        plan = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {SQL[name]}", asked)]
    assert re.search(r"merchant=\? AND sort=\? AND (ends_at[<=]|word=\? AND place>)", plan[0])
    store.close()


# -- migrations -------------------------------------------------------------------------------------------------------


def _write(folder: Path, **files: str) -> list[sql.Migration]:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name.replace('_', '-')}.sql".removeprefix("n")).write_text(text)
    return sql.migrations(folder)


FIRST = "-- part: intake\nCREATE TABLE a (x);\nINSERT INTO a VALUES (1);\n-- part: catalogue\nCREATE TABLE b (x);\n"
SECOND = "-- part: intake\nALTER TABLE a ADD COLUMN y;\nCREATE INDEX a_y ON a (y);\n"


def _file(path: Path, part: str = "intake") -> SqliteFile:
    return SqliteFile(path, part=part, writer_cache_bytes=1024**2, wal_pages_max=100, checkpoints_on_close=True)


def _schema(path: Path) -> list[tuple[object, ...]]:
    db = apsw.Connection(str(path))
    rows = db.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name").fetchall()
    db.close()
    return rows


def test_fresh_equals_migrated(tmp_path: Path) -> None:
    """Forward step by step, or all at once; each step once, and what was there stays."""
    one = _write(tmp_path / "m", n0001_first=FIRST)
    stepped, fresh = _file(tmp_path / "stepped.db"), _file(tmp_path / "fresh.db")
    assert stepped.migrate(one) == {1}
    two = _write(tmp_path / "m", n0002_second=SECOND)
    assert [migration.title for migration in two] == ["first", "second"]
    assert stepped.migrate(two) == {2}
    assert stepped.migrate(two) == set()
    assert fresh.migrate(two) == {1, 2}
    with stepped.reading() as db:
        assert db.execute("SELECT x, y FROM a").fetchall() == [(1, None)]
    with pytest.raises(StoreError, match="newer"):
        fresh.migrate(one)
    stepped.close()
    fresh.close()
    assert _schema(tmp_path / "stepped.db") == _schema(tmp_path / "fresh.db")


def test_a_migration_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """It is one transaction with its number."""
    broken = _write(tmp_path / "m", n0001_first="-- part: intake\nCREATE TABLE a (x);\nCREATE TABLE a (x);\n")
    file = _file(tmp_path / "a.db")
    with pytest.raises(apsw.SQLError):
        file.migrate(broken)
    assert file.schema_number() == 0
    file.close()
    assert _schema(tmp_path / "a.db") == []


@pytest.mark.parametrize("files", [{"n0002_late": ""}, {"n0001_a": "", "n0003_b": ""}, {"nfirst": ""}])
def test_migrations_are_numbered_without_a_gap(tmp_path: Path, files: dict[str, str]) -> None:
    """A wrong name or number is found when the program starts."""
    with pytest.raises(ValueError, match="migration"):
        _write(tmp_path / "m", **files)


def test_a_statement_has_one_name(tmp_path: Path) -> None:
    """A second one of the same name would be silently another."""
    (tmp_path / "queries.sql").write_text("-- name: a\nSELECT 1\n\n-- name: a\nSELECT 2\n")
    with pytest.raises(ValueError, match="more than once: a"):
        sql.statements(tmp_path / "queries.sql")


def test_the_store_applies_its_migrations_once(tmp_path: Path) -> None:
    """And says which."""
    store = SqliteStore(tmp_path, cache_bytes=1024**2, small_payload_bytes=10)
    assert not all(well for _, well, _ in store.quick_checks())
    assert store.migrate() == [f"{migration.number:04d} {migration.title}" for migration in MIGRATIONS]
    assert store.migrate() == []
    assert all(well for _, well, _ in store.quick_checks())
    store.close()
