"""Checks of the tables: their partitions, and whether vacuum keeps up."""

from collections.abc import Iterator
from contextlib import closing
from itertools import groupby

from goodsgate.model.counting import counted
from goodsgate.store.contract import HealthCheck, bad, ok, warn
from goodsgate.store.postgres.database import PostgresDatabase
from goodsgate.store.postgres.isolation import UNFINISHED, read_partitions

BYTES_MIN = 16 * 1024**2
"""Smaller tables are not reported: a page or two of dead rows is much of them, and harms nobody."""
DEAD_SHARE_MAX = 0.3
"""Autovacuum begins at a fifth of the rows, by default."""
INDEX_SHARE_MAX = 2.0
"""Indexes relative to rows. Those of small rows, such as places of findings, take about as much as the rows."""
HOT_SHARE_MIN = 0.5
UPDATES_MIN = 100_000

PARTITIONED = """
SELECT relname FROM pg_class
WHERE relnamespace = 'goodsgate'::regnamespace AND relkind = 'p' AND NOT starts_with(relname, 'isolation_')
"""
TABLES = """
SELECT coalesce(parent.relname, c.relname), sum(pg_table_size(c.oid))::bigint, sum(pg_indexes_size(c.oid))::bigint,
    sum(s.n_live_tup)::bigint, sum(s.n_dead_tup)::bigint, to_char(max(s.last_autovacuum) AT TIME ZONE 'UTC',
    'YYYY-MM-DD HH24:MI'), sum(s.n_tup_upd)::bigint, sum(s.n_tup_hot_upd)::bigint
FROM pg_class c JOIN pg_stat_user_tables s ON s.relid = c.oid
LEFT JOIN pg_inherits h ON h.inhrelid = c.oid LEFT JOIN pg_class parent ON parent.oid = h.inhparent
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r'
GROUP BY 1 HAVING sum(pg_total_relation_size(c.oid)) >= %s ORDER BY sum(pg_total_relation_size(c.oid)) DESC
"""
KEPT_FREE = ("batch", "round", "lane", "item_version")
"""Tables whose pages have room for new versions of rows (fillfactor), so that updates need no new index entry."""


def check_partitions(database: PostgresDatabase) -> Iterator[HealthCheck]:
    """Check that every merchant's number has a partition in each table, and that no split is unfinished."""
    with closing(database.server.connect()) as connection:
        partitions = read_partitions(connection.cursor())
        unfinished = connection.execute(UNFINISHED).fetchone()
        tables = {table for table, in connection.execute(PARTITIONED).fetchall()}
    gaps, numbers = sorted(tables - {partition.table for partition in partitions}), set()
    for table, group in groupby(partitions, lambda partition: partition.table):
        members = sorted(group, key=lambda partition: -1 if partition.first is None else partition.first)
        begins = [None, *(partition.end for partition in members)]
        if [*(partition.first for partition in members), None] != begins:
            gaps.append(table)
        numbers.add(len(members))
    if gaps:
        detail = f"{', '.join(gaps)}: a range of merchants has no partition"
        yield bad("partitions", detail, "attach what was detached, or restore a backup")
    elif unfinished != (0,):
        remedy = "if no `goodsgate store isolate MERCHANT` is running, run it again"
        yield warn("partitions", "a merchant is being isolated, or that was interrupted", remedy)
    else:
        yield ok("partitions", f"{', '.join(map(str, sorted(numbers)))} of each large table")


def check_tables(database: PostgresDatabase) -> Iterator[HealthCheck]:
    """Report size, dead rows, last autovacuum and HOT updates of tables that are large, and warn of late vacuums."""
    with database.server.session("BEGIN READ ONLY; SET LOCAL search_path = goodsgate") as db:
        tables = db.cursor.execute(TABLES, (BYTES_MIN,)).fetchall()
    for table, row_bytes, index_bytes, live, dead, vacuumed, updates, hot in tables:
        dead_share, index_share = dead / max(live + dead, 1), index_bytes / max(row_bytes, 1)
        detail = (
            f"{(row_bytes + index_bytes) / 1e6:,.0f} MB, indexes {index_bytes / (row_bytes + index_bytes):.0%} of it,"
            f" {dead_share:.0%} of the rows dead, last autovacuum {vacuumed or 'never'}"
        ).replace("%", " %")
        if updates:
            detail += f", {counted(updates, 'update')}, {hot / updates:.0%}".replace("%", " %") + " without index (HOT)"
        name = f"table {table}"
        if dead_share > DEAD_SHARE_MAX:
            remedy = (
                f"run `VACUUM (ANALYZE) goodsgate.{table}`; if it happens again, lower autovacuum_vacuum_scale_factor"
                " or raise autovacuum_vacuum_cost_limit, and look for transactions that do not end in pg_stat_activity"
            )
            yield warn(name, detail, remedy)
        elif index_share > INDEX_SHARE_MAX:
            yield warn(name, detail, f"run `REINDEX TABLE CONCURRENTLY goodsgate.{table}` when the load is low")
        elif table in KEPT_FREE and updates >= UPDATES_MIN and hot / updates < HOT_SHARE_MIN:
            remedy = "look for transactions that do not end in pg_stat_activity: pages keep the rows that they may see"
            yield warn(name, detail, remedy)
        else:
            yield ok(name, detail)
