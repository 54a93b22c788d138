"""The commands of the page about recovery to a point in time run on a server that archives its log."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import postgres
from tests.cli.gate import clean_environment, within
from tests.docs.pages import TOP, steps
from tests.docs.session import Session

PAGE = TOP / "docs/how-to/recover-to-a-point-in-time.md"
ROLES = (
    "CREATE ROLE goodsgate LOGIN PASSWORD 'a-long-secret' IN ROLE goodsgate_app",
    "CREATE DATABASE goodsgate OWNER goodsgate ENCODING 'UTF8' TEMPLATE template0",
)
SUDO = """#!/bin/sh
shift 2
cd "{folder}" && exec {command} "$@"
"""
"""Runs a command as the account of the server, which is not `postgres` everywhere."""
SECONDS_MAX = 60


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[postgres.Server]:
    """Start a server with the settings that need a restart, and with role and database of the gate."""
    binaries = postgres.server().binaries
    if missing := [name for name in ("psql", "pg_basebackup", "pg_ctl") if not (binaries / name).exists()]:
        print(f"this PostgreSQL has no {missing}")
        pytest.skip(f"this PostgreSQL has no {missing}")
    monkeypatch.setattr(postgres, "SETTINGS", {
        name: value for name, value in postgres.SETTINGS.items() if name != "max_connections"
    } | {"wal_level": "replica", "archive_mode": "on", "max_wal_senders": "10"})
    started = postgres.Server(binaries)
    with started.admin() as db:
        for statement in ROLES:
            db.execute(statement)
    yield started
    started.close()


def test_a_store_is_restored_as_it_was_before_a_bad_feed(server: postgres.Server, tmp_path: Path) -> None:
    """With the catalogue of that time, and a cursor from after it is refused."""
    backup, programs = server.folder / "backup", tmp_path / "programs"
    for folder in (backup, backup / "wal", programs):
        folder.mkdir()
    account = ""
    if server.account:
        user, group = server.account
        account = f"setpriv --reuid={user} --regid={group} --clear-groups --"
        for folder in (backup, backup / "wal"):
            os.chown(folder, *server.account)
    sudo = programs / "sudo"
    sudo.write_text(SUDO.format(folder=backup, command=account))
    sudo.chmod(0o755)
    ports = postgres.free_port(), postgres.free_port(), postgres.free_port()
    replaced = {
        "db.example": "127.0.0.1", "/backup": str(backup), "5433": str(ports[0]), "8481": str(ports[2]),
    }
    path = [str(programs), str(Path(sys.executable).parent), str(server.binaries), os.environ["PATH"]]
    environment = clean_environment() | {
        "PGPORT": str(server.port), "PGPASSWORD": postgres.PASSWORD, "HOME": str(tmp_path), "LC_ALL": "C.UTF-8",
        "PATH": os.pathsep.join(path),
        "GOODSGATE_STORE": f"postgresql://goodsgate:a-long-secret@127.0.0.1:{server.port}/goodsgate",
        "GOODSGATE_PORT": str(ports[1]), "GOODSGATE_URL": f"http://127.0.0.1:{ports[1]}",
    }
    session = Session(tmp_path, environment)
    try:
        for step in steps(PAGE, store="PostgreSQL"):
            command = step.command
            for name, real in replaced.items():
                command = command.replace(name, real)
            if not step.stays:
                session.run(step._replace(command=command))
                continue
            log = session.start(step._replace(command=command))
            assert within(SECONDS_MAX, lambda log=log: "running at" in log.read_text()), log  # type: ignore[misc]
    finally:
        session.close()
        stop = ["-u", "postgres", server.binaries / "pg_ctl", "-D", backup / "recovered", "-m", "immediate", "stop"]
        subprocess.run([sudo, *stop], capture_output=True, check=False)
