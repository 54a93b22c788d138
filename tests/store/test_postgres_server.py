"""The PostgreSQL that the tests run on: from the machine or a wheel, stopped and paused, and gone with its tests."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from tests import guard, postgres
from tests.postgres import Server

SOURCES: dict[str, Callable[[], Iterator[Path]]] = {"machine": postgres.machine, "wheel": postgres.wheel}

FORGETFUL = """
import os, signal, sys
from tests.postgres import Server
server = Server(__import__("pathlib").Path(sys.argv[1]))
print(server.folder, flush=True)
os.kill(os.getpid(), getattr(signal, sys.argv[2]))
"""


def _binaries(source: str) -> Path:
    found = postgres.first(SOURCES[source]())
    if found is None:
        pytest.skip(f"no server from the {source}")
    return found


@pytest.fixture(params=SOURCES)
def own(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server that nobody else uses."""
    made = Server(_binaries(request.param))
    yield made
    made.close()
    assert not made.folder.exists()


def _one(address: str, asked: str) -> object:
    with psycopg.connect(address, connect_timeout=2) as db:
        row = db.execute(asked.encode()).fetchone()
    return row and row[0]


def test_a_database_is_fresh_and_the_gates_own(own: Server) -> None:
    """With the schema in it, for a login that is no superuser; and goes with whoever is connected."""
    one, other = own.database(), own.database()
    applied = "SELECT max(number) FROM goodsgate.migration"
    assert _one(one, applied) == _one(other, applied)
    assert _one(one, "SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user") is False
    with psycopg.connect(one) as left:
        own.drop(one)
        with pytest.raises(psycopg.OperationalError):
            left.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(one)
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(other.replace("p%40ss", "wrong"))


def test_it_is_stopped_and_started_again(own: Server) -> None:
    """On the same port, whatever the mode; what was committed is there."""
    address = own.blank()
    with psycopg.connect(address) as db:
        db.execute("CREATE TABLE kept (n int)")
    for mode in ("smart", "fast", "immediate"):
        with psycopg.connect(address) as db:
            db.execute("INSERT INTO kept VALUES (1)")
        own.stop(mode)
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(address)
        own.start()
    assert _one(address, "SELECT count(*) FROM kept") == 3


def test_it_is_paused(own: Server) -> None:
    """Nobody answers, then everybody does; connections stay."""
    address = own.blank()
    with psycopg.connect(address) as db:
        own.pause()
        with pytest.raises(psycopg.errors.ConnectionTimeout):
            psycopg.connect(address, connect_timeout=2)
        own.resume()
        assert db.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.parametrize("ended_by", [signal.SIGKILL, signal.SIGINT])
def test_nothing_is_left_of_a_server_whose_tests_are_gone(ended_by: signal.Signals) -> None:
    """Killed or interrupted: no process, no folder."""
    binaries = postgres.first(postgres.machine()) or _binaries("wheel")
    died = subprocess.run(
        [sys.executable, "-c", FORGETFUL, str(binaries), ended_by.name], cwd=guard.TOP, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": f"{guard.TOP / 'src'}{os.pathsep}{guard.TOP}"}, check=False, timeout=60,
    )
    folder = Path(died.stdout.strip())
    assert folder.name.startswith("goodsgate-postgres-"), died.stderr
    until = time.monotonic() + 60
    while folder.exists() and time.monotonic() < until:
        time.sleep(0.05)
    assert not folder.exists()
    assert guard.processes_in(folder) == []
