"""How the server reads a page of batches: by the index of what is asked for, whether it has statistics or not."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from goodsgate.model.batch import BatchView, Kind, State
from goodsgate.store.contract import BatchFilter
from goodsgate.store.postgres import PostgresStore
from goodsgate.store.postgres.statements import SQL
from goodsgate.store.shared.batch_rows import SEQ_MAX, filter_values
from tests import stores
from tests.store.scene import Record, Scene

BATCHES = 5_000
"""Copies of a clean one; one of them is broken, one partial, and one is open."""
ROWS_MAX = 60
"""Rows that may be read for a page that shows hardly any."""
COPIES = """
DO $$
DECLARE
    batch_columns text;
    round_columns text;
BEGIN
    SELECT string_agg(column_name, ', ') INTO batch_columns FROM information_schema.columns
    WHERE table_name = 'batch' AND column_name NOT IN ('seq', 'id', 'ended', 'rejected');
    SELECT string_agg(column_name, ', ') INTO round_columns FROM information_schema.columns
    WHERE table_name = 'round' AND column_name NOT IN ('id', 'batch');
    EXECUTE format('INSERT INTO batch (id, ended, rejected, %1$s) SELECT gen_random_uuid(), '
        'CASE g WHEN 7 THEN ''broken'' ELSE ended END, CASE g WHEN 9 THEN 1 ELSE 0 END, %1$s '
        'FROM batch, generate_series(1, 5000) g WHERE finished_at IS NOT NULL', batch_columns);
    EXECUTE format('INSERT INTO round (batch, %1$s) SELECT b.seq, %1$s FROM (SELECT seq FROM batch) b, '
        '(SELECT * FROM round WHERE NOT open LIMIT 1) r WHERE b.seq NOT IN (SELECT batch FROM round)',
        round_columns);
END $$
"""


@pytest.fixture(scope="module", params=["without statistics", "with statistics"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresStore]:
    """A merchant with many batches: an open one first, and then clean ones."""
    folder: Path = tmp_path_factory.mktemp("plans")
    with Scene(folder, "postgres") as scene:
        with stores.raw(folder) as db:
            db.execute("ALTER TABLE batch SET (autovacuum_enabled = off)")
        scene.seal(kind=Kind.STOCK)
        scene.store.cancel("acme", scene.seal(kind=Kind.PRICE))
        for _ in range(2):
            claim = scene.claimed()
            if claim.rounds[0].kind is Kind.PRICE:
                break
        scene.seal()
        scene.run([Record("A")])
        with stores.raw(folder) as db:
            db.execute(COPIES)
            if request.param == "with statistics":
                db.execute("ANALYZE batch, round")
        yield scene.store.store  # type: ignore[attr-defined]


def _rows(plan: dict[str, Any]) -> int:
    """Return the rows of batches and rounds that a plan has read, also in vain."""
    read = sum(int(count) for name, count in plan.items() if name.startswith("Rows Removed by"))
    read = (read + int(plan["Actual Rows"])) * int(plan["Actual Loops"]) if "Relation Name" in plan else 0
    return read + sum(_rows(below) for below in plan.get("Plans", []))


def _nodes(plan: dict[str, Any]) -> list[str]:
    return [str(plan["Node Type"]), *(name for below in plan.get("Plans", []) for name in _nodes(below))]


def _plan(store: PostgresStore, filters: BatchFilter) -> dict[str, Any]:
    number = store.database.number("acme")
    values = {**filter_values(filters, 10), "merchant": number, "after": SEQ_MAX}
    with store.database.server.reading(number) as db:
        row = db.cursor.execute(b"EXPLAIN (ANALYZE, FORMAT JSON) " + SQL["batches"], values).fetchone()
    assert row is not None
    found: dict[str, Any] = (row[0] if isinstance(row[0], list) else json.loads(row[0]))[0]["Plan"]
    return found


@pytest.mark.parametrize("filters", [
    BatchFilter(), BatchFilter(state=State.FINISHED), BatchFilter(view=BatchView.CLEAN),
    BatchFilter(view=BatchView.FAILED), BatchFilter(outcome="partial"), BatchFilter(outcome="rejected"),
    BatchFilter(state=State.BROKEN), BatchFilter(state=State.CANCELLED), BatchFilter(state=State.QUEUED),
    BatchFilter(state=State.HELD), BatchFilter(view=BatchView.OPEN), BatchFilter(view=BatchView.HELD),
])
def test_a_page_reads_what_it_shows(place: PostgresStore, filters: BatchFilter) -> None:
    """However rare it is, and however far back."""
    assert _rows(_plan(place, filters)) <= ROWS_MAX


@pytest.mark.parametrize("filters", [
    BatchFilter(view=BatchView.OPEN), BatchFilter(view=BatchView.HELD), BatchFilter(state=State.QUEUED),
])
def test_open_batches_are_found_by_their_rounds(place: PostgresStore, filters: BatchFilter) -> None:
    """However far back. Without statistics a server thinks that so few batches can as well be read all."""
    number = place.database.number("acme")
    with place.database.server.reading(number) as db:
        row = db.cursor.execute("SELECT reltuples FROM pg_class WHERE relname = 'batch'").fetchone()
    assert row is not None
    assert _rows(_plan(place, filters)) <= (ROWS_MAX if row[0] > 0 else 2 * BATCHES)


@pytest.mark.parametrize("filters", [BatchFilter(text="needle"), BatchFilter(kind=Kind.STOCK)])
def test_words_and_kinds_are_looked_for_in_the_index(place: PostgresStore, filters: BatchFilter) -> None:
    """Which has them; rows are read of what matches."""
    assert "Index Only Scan" in _nodes(_plan(place, filters))
