"""Whether a database has the schema that its migrations create: its content, not only its number.

With a migration, its fingerprint and the content of the schema after it are stored. The fingerprint shows that another
version of the migration was applied; the content, that somebody has changed the schema since.
"""

import hashlib

from goodsgate.store.postgres.statements import Cursor
from goodsgate.store.shared.statement_files import Migration

CONTENT = """
WITH own AS (
    SELECT * FROM pg_class
    WHERE relnamespace = current_schema()::regnamespace AND NOT relispartition
      AND NOT starts_with(relname, 'isolation_')
)
SELECT coalesce(string_agg(line, E'\\n' ORDER BY line COLLATE "C"), '') FROM (
    SELECT concat_ws(' ', 'table', c.relname, c.relkind, c.relrowsecurity) AS line
    FROM own c WHERE c.relkind IN ('r', 'p', 'v')
    UNION ALL
    SELECT concat_ws(' ', 'column', c.relname || '.' || a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull)
    FROM own c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relkind IN ('r', 'p', 'v') AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT concat_ws(' ', 'index', c.relname, i.indisunique, i.indisvalid)
    FROM own c JOIN pg_index i ON i.indexrelid = c.oid JOIN own t ON t.oid = i.indrelid
    UNION ALL
    SELECT concat_ws(' ', 'constraint', p.conname, p.contype) FROM pg_constraint p JOIN own c ON c.oid = p.conrelid
    WHERE p.contype IN ('c', 'f', 'p', 'u')
    UNION ALL
    SELECT concat_ws(' ', 'policy', c.relname || '.' || p.polname) FROM pg_policy p JOIN own c ON c.oid = p.polrelid
    UNION ALL
    SELECT concat_ws(' ', 'function', proname, md5(prosrc)) FROM pg_proc
    WHERE pronamespace = current_schema()::regnamespace AND NOT starts_with(proname, 'isolation_')
    UNION ALL
    SELECT concat_ws(' ', 'trigger', t.tgname) FROM pg_trigger t JOIN own c ON c.oid = t.tgrelid
    WHERE NOT t.tgisinternal
) AS content
"""
"""One line for each part of the schema, without definitions that PostgreSQL's versions write differently.

Partitions and what `isolation` creates for a time are left out: operators may split partitions.
"""
STORED = (
    "SELECT to_jsonb(m) ->> 'fingerprint', to_jsonb(m) ->> 'content' FROM migration m"
    " ORDER BY number DESC LIMIT 1"
)
"""As JSON, so that a table without these columns gives nulls."""


def fingerprint(migration: Migration) -> str:
    """Return the fingerprint of a migration."""
    return hashlib.sha256(migration.parts["database"].encode()).hexdigest()


def read_content(cursor: Cursor) -> str:
    """Return the content of the current schema."""
    row = cursor.execute(CONTENT).fetchone()
    return str(row[0]) if row is not None else ""


def migration_difference(cursor: Cursor, last: Migration) -> str | None:
    """Return a sentence if another version of the last migration was applied; None if it was this one."""
    row = cursor.execute(STORED).fetchone()
    if row is not None and row[0] == fingerprint(last):
        return None
    return f"schema {last.number} was created by another version of migration {last.number:04d} {last.title}"


def schema_difference(cursor: Cursor) -> str | None:
    """Return how the schema differs from what it was after the last migration; None if it does not."""
    row = cursor.execute(STORED).fetchone()
    stored = set(str(row[1]).splitlines()) if row is not None and row[1] else set()
    content = set(read_content(cursor).splitlines())
    differences = [
        *(f"missing: {line}" for line in sorted(stored - content)),
        *(f"unknown: {line}" for line in sorted(content - stored)),
    ]
    return ", ".join(differences[:3]) + (f" and {len(differences) - 3} more" if len(differences) > 3 else "") or None
