"""The commands in the pages for PostgreSQL run on a server with the settings that the pages recommend."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import postgres
from tests.cli.gate import clean_environment, within
from tests.docs.pages import TOP, Step, steps
from tests.docs.session import Session

PAGES = [TOP / "docs/how-to" / name for name in ("run-on-postgresql.md", "back-up.md")]
"""In this order: the backup contains what the first page created."""
SAFE = {"fsync": "on", "full_page_writes": "on"}
START_SECONDS_MAX = 60


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[postgres.Server]:
    """Start a server without the roles of Goodsgate."""
    binaries = postgres.server().binaries
    missing = [name for name in ("psql", "pg_dump", "pg_restore") if not (binaries / name).exists()]
    if missing:
        reason = f"this PostgreSQL has no {', '.join(missing)}"
        print(reason)
        pytest.skip(reason)
    for name, value in SAFE.items():
        monkeypatch.setitem(postgres.SETTINGS, name, value)
    started = postgres.Server(binaries)
    with started.admin() as db:
        db.execute(f"DROP ROLE {postgres.ROLE}")
        db.execute("DROP ROLE goodsgate_app")
    yield started
    started.close()


def test_the_commands_of_the_pages_for_postgresql_print_what_they_show(server: postgres.Server, tmp_path: Path) -> None:
    """Their host names are replaced by this host; background commands are stopped in the end."""
    port = postgres.free_port()
    hosts = {"db.example": "127.0.0.1", "api.example:8480": f"127.0.0.1:{port}"}
    path = [str(Path(sys.executable).parent), str(server.binaries), os.environ["PATH"]]
    environment = clean_environment() | {
        "PGPORT": str(server.port), "PGPASSWORD": postgres.PASSWORD, "GOODSGATE_PORT": str(port),
        "HOME": str(tmp_path), "LC_ALL": "C.UTF-8", "PATH": os.pathsep.join(path),
    }
    session = Session(tmp_path, environment)
    try:
        for page in PAGES:
            for step in steps(page, store="PostgreSQL"):
                _take(session, step, hosts)
    finally:
        session.close()


def _take(session: Session, step: Step, hosts: dict[str, str]) -> None:
    command = step.command
    for host, real in hosts.items():
        command = command.replace(host, real)
    if not step.stays:
        session.run(step._replace(command=command))
        return
    log = session.start(step._replace(command=command))
    if "serve" in command:
        assert within(START_SECONDS_MAX, lambda: "running at" in log.read_text()), log.read_text()
