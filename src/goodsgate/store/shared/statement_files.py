"""Reads statements by name, and migrations by number, from SQL files.

A file of statements contains ``-- name: items`` lines, each followed by one statement. A migration is named
``0001-initial.sql`` and contains ``-- part: intake`` lines, each followed by the statements of one database file
(a store with one database has one part).
"""

import re
from pathlib import Path

import msgspec

_MIGRATION = re.compile(r"(?P<number>\d{4})-(?P<title>[a-z0-9-]+)\.sql")


class Migration(msgspec.Struct, frozen=True):
    """One step of a schema, forward only."""

    number: int
    title: str
    parts: dict[str, str]
    """Database → statements."""


def statements(path: Path) -> dict[str, str]:
    """Return name → statement with its comments. Raises ValueError if a name appears twice."""
    return _sections(path, "name")


def migrations(folder: Path) -> list[Migration]:
    """Return the migrations in order. Raises ValueError unless they are numbered from 1 without a gap."""
    found = []
    for path in sorted(folder.glob("*.sql")):
        named = _MIGRATION.fullmatch(path.name)
        if named is None:
            raise ValueError(f"{path.name}: not a migration's name")
        found.append(Migration(int(named["number"]), named["title"], _sections(path, "part")))
    if [migration.number for migration in found] != list(range(1, len(found) + 1)):
        raise ValueError(f"{folder}: migrations are numbered from 1 without a gap")
    return found


def _sections(path: Path, mark: str) -> dict[str, str]:
    """Return name → text behind each ``-- mark: name`` line."""
    _, *pieces = re.split(rf"^-- {mark}: (\S+)$", path.read_text("utf-8"), flags=re.MULTILINE)
    names, bodies = pieces[::2], pieces[1::2]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(f"{path.name}: more than once: {', '.join(sorted(twice))}")
    return {name: body.strip() for name, body in zip(names, bodies, strict=True)}
