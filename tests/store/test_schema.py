"""Statements and migrations as they are kept in files."""

import re
from pathlib import Path

import apsw
import pytest

from goodsgate.store.contract import BatchFilter, StoreError
from goodsgate.store.shared import statement_files
from goodsgate.store.shared.batch_rows import filter_values
from goodsgate.store.shared.progress import Progress
from goodsgate.store.sqlite import SqliteStore, batches
from goodsgate.store.sqlite.database import MIGRATIONS
from goodsgate.store.sqlite.file import SqliteFile
from goodsgate.store.sqlite.statements import TEXTS as SQL
from tests.store.statements import CALL, TOLD, code, is_bound

PACKAGE = Path(statement_files.__file__).parent.parent


@pytest.mark.parametrize("name", [name for name in SQL if name not in ("merchant_number", "add_merchant")])
def test_every_statement_names_its_merchant(name: str) -> None:
    """Or says why it speaks of all: promise 10, read from the file."""
    assert is_bound(SQL[name]) != bool(TOLD.search(SQL[name]))


def test_every_statement_is_used() -> None:
    """By its name, and no name is used that is not there."""
    paths = [path for part in ("sqlite", "shared") for path in (PACKAGE / part).glob("*.py")]
    code = "\n".join(path.read_text("utf-8") for path in paths)
    used = set(re.findall(CALL, code))
    assert used <= SQL.keys()
    assert [name for name in SQL if f'"{name}"' not in code] == []


def test_a_row_of_the_view_has_the_columns_that_are_read(tmp_path: Path) -> None:
    """In their order; so has a row of progress."""
    store = SqliteStore(tmp_path, cache_bytes=1024**2, small_payload_bytes=10)
    store.migrate()
    with store.database.intake.reading() as db:
        rows = db.connection.execute("SELECT name FROM pragma_table_info('batch_document')")
        columns = [column for column, *_ in rows]
    assert columns == list(batches.SqliteBatchRow.__struct_fields__)
    store.close()
    read = re.findall(r"\w+", code(SQL["progress"]).split("FROM")[0])[1:]
    assert read == ["batch", *Progress.__struct_fields__]


@pytest.mark.parametrize("name", ["current_items", "current_documents", "stored_items"])
def test_lookups_never_scan_the_collection(tmp_path: Path, name: str) -> None:
    """A plan that reads all items and runs json_each inside takes minutes where this takes a second."""
    store = SqliteStore(tmp_path, cache_bytes=1024**2, small_payload_bytes=10)
    store.migrate()
    with store.database.catalogue.reading() as db:
        plan = [row[3] for row in db.connection.execute(f"EXPLAIN QUERY PLAN {SQL[name]}", (1, 1, "[]"))]
    assert "SCAN j" in plan[0]
    assert re.match(r"SEARCH i USING (COVERING )?INDEX item_key \(merchant=\? AND collection=\? AND key=\?", plan[1])
    store.close()


@pytest.mark.parametrize(("name", "index"), [
    ("batches", "SEARCH p USING COVERING INDEX batch_newest (merchant=? AND seq<?)"),
    ("failed_batches", "SEARCH p USING INDEX batch_failed (merchant=? AND rowid<?)"),
    ("stopped_batches", "SEARCH p USING INDEX batch_stopped (merchant=? AND state=? AND rowid<?)"),
    ("open_batches", "SEARCH o USING INDEX round_open (merchant=?"),
])
def test_a_page_of_batches_is_read_by_its_index(tmp_path: Path, name: str, index: str) -> None:
    """However many others there are; rounds and sorting come after that, and only for what the page shows."""
    store = SqliteStore(tmp_path, cache_bytes=1024**2, small_payload_bytes=10)
    store.migrate()
    values = {**filter_values(BatchFilter(text="needle"), 50), "merchant": 1, "after": 10, "state": "broken"}
    with store.database.intake.reading() as db:
        plan = [row[3] for row in db.connection.execute(f"EXPLAIN QUERY PLAN {SQL[name]}", values)]
    assert plan[0].startswith(index), plan
    assert not [step for step in plan if step.startswith("SCAN") and "w VIRTUAL" not in step]
    if name != "open_batches":
        assert not any("ORDER BY" in step for step in plan)
    store.close()


@pytest.mark.parametrize("name", ["delete_expired_resources", "count_resources", "resources_by_label"])
def test_a_change_of_one_resource_reads_no_others(tmp_path: Path, name: str) -> None:
    """Nor does a page of a list: a shop has a hundred thousand open orders."""
    store = SqliteStore(tmp_path, cache_bytes=1024**2, small_payload_bytes=10)
    store.migrate()
    asked = dict.fromkeys(("merchant", "type", "now", "label", "since", "until", "limit", "offset"), 1)
    with store.database.intake.reading() as db:
        plan = [row[3] for row in db.connection.execute(f"EXPLAIN QUERY PLAN {SQL[name]}", asked)]
    assert re.search(r"merchant=\? AND type=\? AND (expires_at[<=]|label=\? AND position>)", plan[0])
    store.close()


# -- migrations -------------------------------------------------------------------------------------------------------


def _write(folder: Path, **files: str) -> list[statement_files.Migration]:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name.replace('_', '-')}.sql".removeprefix("n")).write_text(text)
    return statement_files.migrations(folder)


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
        assert db.connection.execute("SELECT x, y FROM a").fetchall() == [(1, None)]
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
        statement_files.statements(tmp_path / "queries.sql")


def test_the_store_applies_its_migrations_once(tmp_path: Path) -> None:
    """And says which."""
    store = SqliteStore(tmp_path, cache_bytes=1024**2, small_payload_bytes=10)
    assert not all(check.is_ok for check in store.quick_checks())
    assert store.migrate() == [f"{migration.number:04d} {migration.title}" for migration in MIGRATIONS]
    assert store.migrate() == []
    assert all(check.is_ok for check in store.quick_checks())
    store.close()
