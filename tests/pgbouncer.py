"""PgBouncer in front of a test's PostgreSQL, in transaction mode: each transaction may run in another session."""

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.postgres import PASSWORD, ROLE, WAIT_SECONDS, Server, free_port


def program() -> Path:
    """Return the path of PgBouncer; skip the test if the machine has none."""
    found = shutil.which("pgbouncer", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"]))
    if found is None:
        print("no pgbouncer on this machine")
        pytest.skip("no pgbouncer on this machine")
    return Path(found)


class PgBouncer:
    """A PgBouncer with few server sessions for any number of clients; runs until `close`."""

    def __init__(self, server: Server, *, sessions: int) -> None:
        self._server = server
        self.port = free_port()
        folder = server.folder / f"pgbouncer-{self.port}"  # below the server's, so that its guard ends it, too
        folder.mkdir()
        settings = folder / "pgbouncer.ini"
        users = folder / "users.txt"
        settings.write_text(
            f"[databases]\n* = host=127.0.0.1 port={server.port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
            f"listen_port = {self.port}\nunix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {users}\n"
            f"pool_mode = transaction\ndefault_pool_size = {sessions}\nmax_client_conn = 100\n"
        )
        users.write_text(f'"{ROLE}" "{PASSWORD}"\n')
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [program(), settings], cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, **server.as_account(),
            )
        self._wait()

    def address(self, of: str) -> str:
        """Return the address of a database through PgBouncer."""
        return self._server.address(of.rpartition("/")[2], port=self.port)

    def close(self) -> None:
        """Stop it at once."""
        self._process.terminate()
        self._process.wait(WAIT_SECONDS)

    def _wait(self) -> None:
        until = time.monotonic() + WAIT_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                assert self._process.poll() is None, self.log.read_text()
                assert time.monotonic() < until, "pgbouncer does not answer"
                time.sleep(0.02)
            else:
                return
