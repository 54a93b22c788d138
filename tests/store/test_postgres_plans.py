"""How the server goes about what a commit asks of it: by the index, whether it has statistics or not.

Just after a first load it has none. A plan that then compares every row with every key takes minutes at thirty thousand
records; it passes every other test.
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from goodsgate.model.batch import State
from goodsgate.model.catalogue import Merchant
from goodsgate.store.postgres import PostgresStore
from goodsgate.store.postgres.statements import SQL, Cursor
from goodsgate.store.strict import StrictStore
from tests import stores
from tests.factories import NOW
from tests.store import child
from tests.store.scene import Record, chunk_commit, rejected_record

HELD = 32_000
ASKED = 16_000
WASTED_MAX = 3 * HELD
"""Rows that may be looked at in vain: a pass over the shelf or two, not one for each key."""
REJECTED = 10
"""One in so many records."""
BY_KEY = ("current_items", "current_documents", "live_keys", "unknown_skus", "stored_items")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A database that was filled by one commit and has never been looked through for statistics."""
    folder = tmp_path_factory.mktemp("plans")
    made = stores.create_address(folder, "postgres")
    with stores.raw(folder) as db:
        for (part,) in db.execute("SELECT relname FROM pg_class WHERE relname ~ '^item_[0-9]+$'").fetchall():
            db.execute(f"ALTER TABLE {part} SET (autovacuum_enabled = off)")
    store = StrictStore(_open(made))
    store.migrate()
    store.add_merchant(Merchant(id="acme", name="Acme", created_at=NOW))
    child.submit(store, HELD)
    claim = store.claim("w", lease_seconds=60, rounds_max=1, bytes_max=100)
    assert claim is not None
    records = [
        rejected_record(f"K{number}") if number % REJECTED == 0 else Record(f"K{number}") for number in range(HELD)
    ]
    store.commit(claim, [chunk_commit(claim.rounds[0], *records, ends=State.FINISHED)])
    store.close()
    yield made, folder
    stores.drop(folder)


def _open(address: str) -> PostgresStore:
    return PostgresStore(address, connections_max=3, small_payload_bytes=1_000)


@pytest.fixture(params=["without statistics", "with statistics"])
def db(request: pytest.FixtureRequest, address: tuple[str, Path]) -> Iterator[Cursor]:
    """A transaction as a commit has it, which leaves nothing."""
    made, folder = address
    if request.param == "with statistics":
        with stores.raw(folder) as raw:
            raw.execute("ANALYZE item")
    store = _open(made)
    with suppress(_RollbackError), store.database.server.transaction(store.database.number("acme")) as db:
        yield db.cursor
        raise _RollbackError
    store.close()


class _RollbackError(Exception):
    """Ends a transaction without a trace."""


def _wasted(db: Cursor, name: str, given: dict[str, Any]) -> int:
    """Rows that a statement compared in vain."""
    row = db.execute(b"EXPLAIN (ANALYZE, FORMAT JSON) " + SQL[name], given).fetchone()
    assert row is not None
    answer = row[0] if isinstance(row[0], list) else json.loads(row[0])
    return _removed(answer[0]["Plan"])


def _removed(plan: dict[str, Any]) -> int:
    removed = sum(int(count) for name, count in plan.items() if name.startswith("Rows Removed by"))
    if "= ANY" in plan.get("Filter", ""):  # which goes through the keys for each row
        removed = (removed + int(plan["Actual Rows"])) * ASKED
    return removed * int(plan["Actual Loops"]) + sum(_removed(below) for below in plan.get("Plans", []))


def _named(db: Cursor) -> dict[str, Any]:
    row = db.execute("SELECT merchant, id FROM collection").fetchone()
    assert row is not None
    keys = [f"K{number}" for number in range(0, HELD, HELD // ASKED)]
    return {"merchant": row[0], "collection": row[1], "keys": json.dumps(keys)}


@pytest.mark.parametrize("name", BY_KEY)
def test_keys_are_looked_up_by_the_index(db: Cursor, name: str) -> None:
    """Thousands in one statement."""
    assert _wasted(db, name, _named(db)) <= WASTED_MAX


@pytest.mark.parametrize("name", ["count_items_between", "current_items_between"])
def test_a_range_of_keys_is_read_by_the_index(db: Cursor, name: str) -> None:
    """Without a look at what is before and behind."""
    counts = name == "count_items_between"
    named = {**_named(db), "least": "k2zz", "most": "k2zzz", "limit": 3}
    assert _wasted(db, name, named) == 0
    assert db.execute(SQL[name], named).fetchall() == ([(0,)] if counts else [])
    named = {**named, "least": "k31991", "most": "k31994"}
    assert _wasted(db, name, named) == 0
    found = [row[0] for row in db.execute(SQL[name], named).fetchall()]
    assert found == ([3] if counts else ["K31991", "K31992", "K31993", "K31994"])


@pytest.mark.parametrize("plans", ["auto", "force_generic_plan"])
@pytest.mark.parametrize("share", ["same", "other", "new"])
def test_neighbours_are_compared_all_at_once(db: Cursor, share: str, plans: str) -> None:
    """Not each with every other, whatever comes of it."""
    db.execute(f"SET LOCAL plan_cache_mode = {plans}")
    rows = db.execute("SELECT key, hash FROM item WHERE folded BETWEEN 'k1' AND 'k2' ORDER BY folded").fetchall()
    keys = [key + "n" if share == "new" else key for key, _ in rows]
    named = {
        **_named(db), "keys": json.dumps(keys), "least": "k1", "most": "k2", "batch": "0" * 32,
        "hashes": b"".join(b"x" * 16 if share == "other" else hash for _, hash in rows),
    }
    assert len(keys) > HELD // 4
    assert _wasted(db, "changed_items_between", named) <= len(keys)
    answer = db.execute(SQL["changed_items_between"], named).fetchall()
    assert len(answer) == {"same": 0, "other": 1, "new": 2}[share] * len(keys)


def test_changed_rows_are_found_by_the_index(db: Cursor) -> None:
    """However many come by the temporary table."""
    named = _named(db)
    db.execute(SQL["create_staged_items"])
    db.execute(
        "INSERT INTO pg_temp.staged (merchant, collection, key, hash, version, batch, written_at, document)"
        " SELECT merchant, collection, key, hash, version, batch, written_at, document FROM item ORDER BY key LIMIT %s",
        (ASKED,),
    )
    assert _wasted(db, "write_items", named) <= WASTED_MAX


def test_findings_of_a_key_are_found_by_the_index(db: Cursor) -> None:
    """Among all that was ever found of the merchant's records."""
    merchant = _named(db)["merchant"]
    assert _wasted(db, "findings_by_key", {"merchant": merchant, "key": "K320", "limit": 10}) <= 10
