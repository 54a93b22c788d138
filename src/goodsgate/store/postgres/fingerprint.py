"""Whether a database has the schema that its migrations create: its content, not only its number.

With a migration, its fingerprint and the content of the schema after it are stored. The fingerprint shows that another
version of the migration was applied; the content, that somebody has changed the schema since.
"""

import hashlib

from goodsgate.store.postgres.statements import Cursor
from goodsgate.store.shared.statement_files import Migration

CONTENT = """
SELECT coalesce(string_agg(line, E'\\n' ORDER BY line COLLATE "C"), '') FROM (
    SELECT concat_ws(' ', 'table', c.relname, c.relkind, c.relrowsecurity) AS line
    FROM pg_class c WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p', 'v')
    UNION ALL
    SELECT concat_ws(' ', 'column', c.relname || '.' || a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull)
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p', 'v') AND NOT c.relispartition
      AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT concat_ws(' ', 'index', c.relname, i.indisunique, i.indisvalid)
    FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid WHERE c.relnamespace = current_schema()::regnamespace
    UNION ALL
    SELECT concat_ws(' ', 'constraint', conname, contype) FROM pg_constraint
    WHERE connamespace = current_schema()::regnamespace AND contype IN ('c', 'f', 'p', 'u')
    UNION ALL
    SELECT concat_ws(' ', 'policy', c.relname || '.' || p.polname)
    FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid WHERE c.relnamespace = current_schema()::regnamespace
    UNION ALL
    SELECT concat_ws(' ', 'function', proname, md5(prosrc)) FROM pg_proc
    WHERE pronamespace = current_schema()::regnamespace
    UNION ALL
    SELECT concat_ws(' ', 'trigger', t.tgname) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
    WHERE c.relnamespace = current_schema()::regnamespace AND NOT t.tgisinternal
) AS content
"""
"""One line for each part of the schema, without definitions that PostgreSQL's versions write differently."""
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
