"""Statements, schema and migrations of the PostgreSQL store: read from its files and from a database's catalogue."""

import difflib
import re
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from goodsgate.store.contract import StoreError
from goodsgate.store.postgres import PostgresStore, schema
from goodsgate.store.postgres.database import MIGRATIONS
from goodsgate.store.postgres.statements import TEXTS
from goodsgate.store.shared.statement_files import Migration
from goodsgate.store.sqlite import statements as embedded
from goodsgate.store.sqlite.database import MIGRATIONS as EMBEDDED_MIGRATIONS
from tests import postgres, stores
from tests.postgres import Server, server
from tests.store.statements import CALL, DIFFERS, TOLD, code, is_bound

PACKAGE = Path(schema.__file__).parent.parent
UNBOUND_KEYS = {
    ("merchant", "id"): "a caller's merchant is looked up among all",
    ("credential", "digest"): "so is a caller's key",
    ("credential", "previous_digest"): "also by the secret that was replaced",
    ("token", "digest"): "so is what stands for it",
    ("host", "name"): "machines belong to no merchant",
    ("worker", "name"): "nor do worker processes",
    ("migration", "number"): "steps of the schema belong to no merchant",
    ("secret", "name"): "the gate's own",
    ("common_numbering", "type"): "numbers that are unique over all merchants",
}
"""Table and first column of unique keys that do not lead with the merchant, and why."""
LARGE = {
    "item", "item_version", "finding", "finding_segment", "finding_place", "journal", "chunk", "payload", "index_entry",
    "item_index_entries", "item_terms",
}
"""What grows with the records that are submitted."""


def _open(address: str) -> PostgresStore:
    return PostgresStore(address, connections_max=2, small_payload_bytes=10)


# -- statements -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in TEXTS if name not in ("merchant_number", "add_merchant")])
def test_every_statement_names_its_merchant(name: str) -> None:
    """Or says why it speaks of all: promise 10, read from the file."""
    assert is_bound(TEXTS[name]) != bool(TOLD.search(TEXTS[name]))


def test_every_statement_is_used() -> None:
    """By its name, and no name is used that is not there."""
    paths = [path for part in ("postgres", "shared") for path in (PACKAGE / part).glob("*.py")]
    text = "\n".join(path.read_text("utf-8") for path in paths)
    used = set(re.findall(CALL, text))
    assert used <= TEXTS.keys()
    assert [name for name in TEXTS if f'"{name}"' not in text] == []


@pytest.mark.parametrize("name", TEXTS)
def test_no_table_is_read_without_comparing_its_merchant(name: str) -> None:
    """Also where several are joined: so that rows of one merchant are all that a shard needs."""
    text = code(TEXTS[name])
    first, *joined = _referenced(text) or [("", "")]
    if not TOLD.search(TEXTS[name]) and not re.search(r"\bINSERT INTO \w+ \([^)]*\bmerchant\b", text):
        assert _compares(text, *first) or re.search(r"(?<![.\w])(merchant|number) = :merchant\b", text), first
    for table, alias in joined:
        written = f"INSERT INTO {table} (merchant," in text
        assert written or _compares(text, table, alias), (table, alias)


def _compares(text: str, table: str, alias: str) -> bool:
    """Whether the merchant of the rows of this table is held to something, or gone through in its order."""
    column = "number" if table == "merchant" else "merchant"
    if not alias:
        return bool(re.search(rf"(?<![.\w]){column} = :|\b{table}\.{column} = |\({column}(, \w+)+\) IN", text))
    return bool(re.search(rf"\b{alias}\.{column} [=>] |= {alias}\.{column}\b", text))


def _referenced(text: str) -> list[tuple[str, str]]:
    """Tables of the schema that a statement reads or writes, with their aliases ('' for none)."""
    tables = "|".join(sorted(_tables_of_migrations(), key=len, reverse=True))
    words = "JOIN|WHERE|SET|ON|ORDER|LIMIT|FOR|USING|VALUES|GROUP|DEFAULT|SELECT|CROSS|LEFT|FROM"
    named = rf"(?:FROM|JOIN|UPDATE|INTO|COPY|USING)\s+({tables})\b(?:[ \n]+(?:AS )?(?!{words})(\w+))?"
    return [(table, alias) for table, alias in re.findall(rf"\b{named}", text)]


def _tables_of_migrations() -> set[str]:
    text = "\n".join(migration.parts["database"] for migration in MIGRATIONS)
    return set(re.findall(r"CREATE TABLE (\w+)", text)) | {"migration"}


def test_both_stores_have_the_same_statements_in_the_same_order() -> None:
    """A name that one of them has alone, or at another place, says why."""
    ours, theirs = list(TEXTS), list(embedded.TEXTS)
    matched = difflib.SequenceMatcher(None, ours, theirs, autojunk=False).get_matching_blocks()
    same = {ours[block.a + at] for block in matched for at in range(block.size)}
    untold = [f"postgres: {name}" for name in ours if name not in same and not DIFFERS.search(TEXTS[name])]
    untold += [f"sqlite: {name}" for name in theirs if name not in same and not DIFFERS.search(embedded.TEXTS[name])]
    assert untold == []


# -- the schema -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Iterator["psycopg.Connection[tuple[Any, ...]]"]:
    """A migrated database, as its superuser sees it."""
    folder = tmp_path_factory.mktemp("schema")
    stores.create_address(folder, "postgres")
    with stores.raw(folder) as connection:
        yield connection
    stores.drop(folder)


def test_every_unique_key_leads_with_the_merchant(db: "psycopg.Connection[tuple[Any, ...]]") -> None:
    """So that the rows can be distributed by it; the exceptions have reasons."""
    keys = db.execute(
        "SELECT t.relname, a.attname FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid"
        " LEFT JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = i.indkey[0]"
        " WHERE i.indisunique AND NOT t.relispartition AND t.relnamespace = 'goodsgate'::regnamespace"
    ).fetchall()
    leading = {(table, column) for table, column in keys if column != "merchant"}
    assert leading - {("merchant", "number")} == UNBOUND_KEYS.keys()
    assert {table for table, column in keys if column == "merchant"} == _tables_of_migrations() - {
        "merchant", "host", "worker", "migration", "secret", "common_numbering"
    }


def test_large_tables_are_partitioned_by_merchant(db: "psycopg.Connection[tuple[Any, ...]]") -> None:
    """By ranges of its random number, and by nothing else."""
    rows = db.execute(
        "SELECT c.relname, p.partstrat::text, a.attname, p.partnatts,"
        " (SELECT count(*) FROM pg_inherits h WHERE h.inhparent = c.oid)"
        " FROM pg_partitioned_table p JOIN pg_class c ON c.oid = p.partrelid"
        " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = p.partattrs[0]"
        " WHERE c.relnamespace = 'goodsgate'::regnamespace"
    ).fetchall()
    assert {name for name, *_ in rows} == LARGE
    assert {tuple(how) for _, *how in rows} == {("r", "merchant", 1, postgres.PARTITIONS)}


def test_rows_are_locked_to_their_merchant(db: "psycopg.Connection[tuple[Any, ...]]") -> None:
    """Row-level security is on wherever there is a merchant; what it does, test_postgres_rows shows."""
    rows = db.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'goodsgate'::regnamespace AND relkind IN ('r', 'p')"
        " AND NOT relispartition AND NOT relrowsecurity"
    ).fetchall()
    assert {name for (name,) in rows} == {"host", "migration", "secret", "common_numbering", "worker"}


def test_texts_are_ordered_by_their_bytes(db: "psycopg.Connection[tuple[Any, ...]]") -> None:
    """Whatever the database's own order: every text of an index says so."""
    rows = db.execute(
        "SELECT t.relname, i.relname, a.attname FROM pg_index x JOIN pg_class t ON t.oid = x.indrelid"
        " JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_attribute a ON a.attrelid = i.oid"
        " JOIN pg_am m ON m.oid = i.relam AND m.amname = 'btree'"  # others compare bytes in any case
        " WHERE t.relnamespace = 'goodsgate'::regnamespace AND a.atttypid = 'text'::regtype"
        " AND a.attnum <= x.indnkeyatts"  # what an index only includes has no order
        " AND a.attcollation <> (SELECT oid FROM pg_collation WHERE collname = 'C')"
    ).fetchall()
    assert rows == []


# -- migrations -------------------------------------------------------------------------------------------------------

NEXT = len(MIGRATIONS) + 1
SECOND = Migration(NEXT, "second", {"database": "ALTER TABLE item ADD COLUMN y text; CREATE TABLE made (x int)"})
BROKEN = Migration(NEXT, "broken", {"database": "CREATE TABLE made (x int); CREATE TABLE made (x int)"})


@pytest.fixture
def blank() -> Iterator[str]:
    """The address of a database with nothing in it."""
    address = server().blank()
    yield address
    server().drop(address)


def _dump(address: str) -> str:
    """The schema in SQL, as the server's own tool writes it, without what is random in it."""
    dump = subprocess.run(
        [server().binaries / "pg_dump", "--schema-only", address], capture_output=True, text=True, check=True
    ).stdout
    return "\n".join(line for line in dump.splitlines() if not line.startswith("\\"))


def _migrate(address: str, to: list[Migration], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(schema, "MIGRATIONS", to)
    store = _open(address)
    try:
        return store.migrate()
    finally:
        store.close()


def test_migrations_are_those_of_the_embedded_store() -> None:
    """Same numbers, same titles."""
    assert [(one.number, one.title) for one in MIGRATIONS] == [(one.number, one.title) for one in EMBEDDED_MIGRATIONS]


def test_fresh_equals_migrated(blank: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Step by step or all at once; each step once, and a newer schema is not touched."""
    stepped = server().blank()
    steps = [*MIGRATIONS, SECOND]
    for number in range(1, len(steps) + 1):
        title = f"{number:04d} {steps[number - 1].title}"
        assert _migrate(stepped, steps[:number], monkeypatch) == [title]
        assert _migrate(stepped, steps[:number], monkeypatch) == []
    assert len(_migrate(blank, steps, monkeypatch)) == len(steps)
    assert _dump(stepped) == _dump(blank)
    with pytest.raises(StoreError, match="newer"):
        _migrate(stepped, MIGRATIONS, monkeypatch)
    server().drop(stepped)


def test_a_migration_that_fails_leaves_nothing(blank: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is one transaction with its number."""
    _migrate(blank, MIGRATIONS, monkeypatch)
    before = _dump(blank)
    with pytest.raises(psycopg.errors.DuplicateTable):
        _migrate(blank, [*MIGRATIONS, BROKEN], monkeypatch)
    assert _dump(blank) == before
    assert _migrate(blank, [*MIGRATIONS, SECOND], monkeypatch) == [f"{NEXT:04d} second"]


def test_many_that_migrate_at_once_do_it_once(blank: str) -> None:
    """Every host does when it starts."""
    stores = [_open(blank) for _ in range(4)]
    applied: list[list[str]] = []
    threads = [threading.Thread(target=lambda store=store: applied.append(store.migrate())) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for store in stores:
        store.close()
    assert sorted(map(len, applied)) == [0, 0, 0, len(MIGRATIONS)]


# -- rights -----------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["machine", "wheel"], scope="module")
def own(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server without the role; of every version there is, because rights to roles have changed with them."""
    binaries = postgres.first(postgres.machine() if request.param == "machine" else postgres.wheel())
    if binaries is None:
        pytest.skip(f"no server from the {request.param}")
    made = Server(binaries)
    yield made
    made.close()


@pytest.mark.parametrize(("rights", "works"), [
    ("SUPERUSER", True), ("CREATEROLE", True), ("NOCREATEROLE", False), ("granted", True), ("role alone", False),
])
def test_the_login_makes_the_role_or_says_what_to_do(own: Server, rights: str, works: bool) -> None:
    """As superuser, with the right to make roles, or with the role granted beforehand; otherwise the error says so."""
    login = "login_" + rights.lower().replace(" ", "_")
    with own.admin() as db:
        db.execute("DROP ROLE IF EXISTS goodsgate_app")
        db.execute(f"CREATE ROLE {login} LOGIN {rights if rights.isupper() else ''} PASSWORD '{postgres.PASSWORD}'")
        if rights in ("granted", "role alone"):
            db.execute("CREATE ROLE goodsgate_app NOLOGIN")
        if rights == "granted":
            db.execute(f"GRANT goodsgate_app TO {login}")
        db.execute(f"CREATE DATABASE {login} OWNER {login}")
    store = _open(own.address(login, role=login))
    try:
        if works:
            assert len(store.migrate()) == len(MIGRATIONS)
            assert store.merchants().rows == []
        else:
            with pytest.raises(StoreError, match="run-on-postgresql"):
                store.migrate()
    finally:
        store.close()
        own.drop(own.address(login))
        with own.admin() as db:
            db.execute(f"DROP ROLE {login}")
