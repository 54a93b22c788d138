"""Settings of a server, database or role that change what statements mean: the store sets what it relies on."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from goodsgate.store.postgres.server import LOCK_SECONDS_MAX
from goodsgate.store.postgres.session_settings import OF_SESSIONS, REQUIRED
from tests import guard, stores
from tests.postgres import ROLE_SETTINGS_VARIABLE, server
from tests.shop import Shop

HOSTILE = {
    "standard_conforming_strings": "off", "backslash_quote": "on", "escape_string_warning": "off", "array_nulls": "off",
    "row_security": "off", "transform_null_equals": "on", "lock_timeout": "1ms", "synchronous_commit": "off",
    "DateStyle": "SQL, DMY", "TimeZone": "Pacific/Apia", "IntervalStyle": "sql_standard", "bytea_output": "escape",
    "extra_float_digits": "-15", "client_encoding": "LATIN1", "default_transaction_isolation": "serializable",
    "search_path": "pg_temp", "statement_timeout": "100ms", "quote_all_identifiers": "on", "xmlbinary": "hex",
    "enable_indexscan": "off", "lc_numeric": "C", "idle_in_transaction_session_timeout": "1ms",
}
SUITE = ("test_commits.py", "test_reports.py", "test_resources.py", "test_isolation.py")
"""The tests of the store that exchange every type of value."""
RAW = [
    b'{"id":"a\\\\","price":"\\\\x41 \\\' \\" \xc3\xa4 \\u2028 %s :x"}',
    b'{"id":"b","title":"\\\\\\\\","price":"x\\\'; --"}',
]


@pytest.fixture
def hostile(tmp_path: Path) -> Iterator[Path]:
    """The folder of a store whose database has every hostile setting, and sorts by the rules of a language."""
    address = server().blank()
    stores.set_address(tmp_path, address)
    name = urlsplit(address).path[1:]
    with server().admin() as db:
        for setting, value in HOSTILE.items():
            db.execute(f"ALTER DATABASE {name} SET {setting} = {value if ',' in value else repr(value)}")  # type: ignore[arg-type]
    yield tmp_path
    stores.drop(tmp_path)


def test_rejected_records_are_kept_byte_for_byte(hostile: Path) -> None:
    """Backslashes and quotation marks above all; they come back in reports and in fixes."""
    with Shop(hostile) as shop:
        batch = shop.run(b"\n".join(RAW))
        kept = shop.store.rejected_records("acme", batch.id)
        assert [finding.raw for finding in kept] == RAW
        shop.run([{"id": "Ä", "title": "b\\n"}, {"id": "a", "title": "'"}, {"id": "B", "title": "ß"}])
        assert list(shop.items()) == ["a", "B", "Ä"]


def test_doctor_names_what_differs(hostile: Path) -> None:
    """With the value that the server has."""
    with Shop(hostile) as shop:
        check = {check.name: check for check in shop.store.health_checks()}["session settings"]
    assert check.is_ok
    assert check.remedy
    named = {part.split(" = ")[0] for part in check.detail.partition(": ")[2].split(", ")}
    assert named == REQUIRED.keys() - {"transaction_timeout"} | {*OF_SESSIONS, "synchronous_commit"}


def test_the_sessions_of_a_store_have_what_it_relies_on(hostile: Path) -> None:
    """In every transaction, whatever its kind; and what is not durable at once says so."""
    expected = {**REQUIRED, "lock_timeout": f"{LOCK_SECONDS_MAX:.0f}s"}  # a transaction's own bound
    with Shop(hostile) as shop:
        postgres = shop.store.store.database.server  # type: ignore[attr-defined]
        for lazy in (False, True):
            with postgres.transaction(lazy=lazy) as db:
                for name, value in expected.items():
                    row = db.cursor.execute("SELECT current_setting(%s, true)", (name,)).fetchone()
                    assert row[0] in (value, None), name
                row = db.cursor.execute("SELECT current_setting('synchronous_commit')").fetchone()
                assert row == ("off" if lazy else "on",)


@pytest.mark.slow
@pytest.mark.parametrize("file", SUITE)
def test_the_suite_passes_under_hostile_settings(file: str) -> None:
    """With a server of its own, whose role for the gate has all of them."""
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-k", "postgres", f"tests/store/{file}"],
        env={**os.environ, ROLE_SETTINGS_VARIABLE: json.dumps(HOSTILE)}, cwd=guard.TOP, check=False,
        capture_output=True, text=True, timeout=500,
    )
    assert ended.returncode == 0, ended.stdout
