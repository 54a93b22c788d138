"""Settings of a session that the store relies on, whatever the server, the database or the role has set.

They are read once for each connection, and what differs is set again in each transaction: so nothing is paid where
nothing differs, and a pool in transaction mode may stand between. Settings that are not listed do not matter: times are
numbers, floats and bytes are read in each of their forms, and sorted columns have a collation of their own.
"""

from typing import Any

from psycopg import Connection

REQUIRED = {
    # Arrays with a NULL would contain the word.
    "array_nulls": "on",
    # Tables would be refused instead of showing the rows of one merchant.
    "row_security": "on",
    # A merchant that is unknown would be any merchant.
    "transform_null_equals": "off",
    # Statements have a time limit of their own, and so has the wait for the lock of a lane.
    "lock_timeout": "0",
    "transaction_timeout": "0",
}
"""Setting → the value that the store relies on."""
DURABLE = "synchronous_commit"
"""If it is off, a commit is acknowledged before it is on disk. Every other value is the operator's choice."""
OF_SESSIONS = {"standard_conforming_strings": "on", "statement_timeout": "0"}
"""Settings that are set for the session: their values count from before a text of several statements runs.

PgBouncer follows the first one from session to session.
"""
_NAMES = (*REQUIRED, DURABLE, *OF_SESSIONS)
_READ = f"SELECT {', '.join(f'current_setting({name!r}, true)' for name in _NAMES)}"


def read_differences(connection: "Connection[tuple[Any, ...]]") -> dict[str, str]:
    """Return the settings that differ from what the store relies on, with their values; set those of the session."""
    row = connection.execute(_READ.encode()).fetchone()
    assert row is not None
    given = {name: value for name, value in zip(_NAMES, row, strict=True) if value is not None}  # an older server
    differences = {name: value for name, value in given.items() if value != required_value(name, value)}
    for name in differences.keys() & OF_SESSIONS.keys():
        connection.execute(f"SET {name} = {OF_SESSIONS[name]}".encode())
    return differences


def required_value(name: str, value: str) -> str:
    """Return the value that the store relies on."""
    if name == DURABLE:
        return "on" if value == "off" else value
    return {**REQUIRED, **OF_SESSIONS}[name]


def set_again(differences: dict[str, str]) -> str:
    """Return the statements that set in a transaction what differs; empty if nothing does."""
    return "; ".join(
        f"SET LOCAL {name} = {required_value(name, value)}" for name, value in differences.items()
        if name not in OF_SESSIONS
    )
