"""Whether a file has the schema that its migrations create: its content, not only its number."""

import functools
from collections.abc import Sequence

import apsw

from goodsgate.store.shared.statement_files import Migration

CONTENT = "SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite^_%' ESCAPE '^'"
"""Without what SQLite adds itself: sequences, statistics, and indexes of constraints."""


def schema_difference(connection: apsw.Connection, migrations: Sequence[Migration], part: str) -> str | None:
    """Return how a schema differs from the one that the migrations of a part create; None if it does not."""
    expected = _expected("\n;\n".join(migration.parts.get(part, "") for migration in migrations))
    content = _content(connection)
    differences = [
        *(f"{kind} {name} is missing" for kind, name in sorted(expected.keys() - content.keys())),
        *(f"{kind} {name} is unknown" for kind, name in sorted(content.keys() - expected.keys())),
        *(f"{kind} {name} differs" for kind, name in sorted(expected.keys() & content.keys())
          if expected[kind, name] != content[kind, name]),
    ]
    return ", ".join(differences[:3]) + (f" and {len(differences) - 3} more" if len(differences) > 3 else "") or None


@functools.cache
def _expected(statements: str) -> dict[tuple[str, str], str]:
    connection = apsw.Connection(":memory:")
    try:
        connection.execute(statements)
        return _content(connection)
    finally:
        connection.close()


def _content(connection: apsw.Connection) -> dict[tuple[str, str], str]:
    """Return (type, name) → statement."""
    return {(str(kind), str(name)): str(sql) for kind, name, sql in connection.execute(CONTENT)}
