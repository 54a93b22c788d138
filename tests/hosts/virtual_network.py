"""A virtual network for a test: hosts are network namespaces that are connected by a switch.

A namespace exists as long as its process. A guard ends every process in the folder of the network when the test process
ends, whatever the reason, so that nothing remains. No packet leaves the network or enters it.
"""

import ctypes
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from tests import guard

T = TypeVar("T")
CLONE_NEWNET = 0x40000000
BRIDGE = "switch"
SECONDS_MAX = 60


def why_not() -> str | None:
    """Return why this machine cannot have a virtual network; None if it can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    missing = [name for name in ("ip", "unshare", "nsenter") if shutil.which(name) is None]
    if missing:
        return f"no {' and '.join(missing)} on this machine"
    probe = "ip link add name t0 type bridge && ip link add name t1 type veth peer name t2"
    result = subprocess.run(["unshare", "--net", "sh", "-c", probe], capture_output=True, text=True, check=False)
    return f"no network namespaces here: {result.stderr.strip()}" if result.returncode else None


def inside(process: int, work: Callable[[], T]) -> T:
    """Call `work` in a thread inside the namespace of a process, and return its result."""
    done: list[T] = []
    faults: list[BaseException] = []

    def run() -> None:
        try:
            enter(process)
            done.append(work())
        except BaseException as fault:
            faults.append(fault)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if faults:
        raise faults[0]
    return done[0]


def enter(process: int) -> None:
    """Move the current thread into the namespace of a process."""
    libc = ctypes.CDLL(None, use_errno=True)
    with Path(f"/proc/{process}/ns/net").open("rb") as namespace:
        if libc.setns(namespace.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")


class VirtualNetwork:
    """A switch and hosts with the addresses 10.77.0.1, 10.77.0.2 and so on; exists until `close`."""

    def __init__(self, *names: str) -> None:
        reason = why_not()
        if reason is not None:
            print(reason)
            pytest.skip(reason)
        self.folder = Path(tempfile.mkdtemp(prefix="goodsgate-network-")).resolve()
        self._guard = guard.start(self.folder)
        self.switch = Host(self.folder, BRIDGE, "")
        self.switch.ip(f"link add name {BRIDGE} type bridge")
        self.switch.ip(f"link set dev {BRIDGE} up")
        self.hosts = {name: Host(self.folder, name, f"10.77.0.{n}") for n, name in enumerate(names, 1)}
        for name, host in self.hosts.items():
            self.switch.ip(f"link add name {name} type veth peer name eth0 netns {host.process.pid}")
            self.switch.ip(f"link set dev {name} master {BRIDGE} up")
            host.ip("link set dev lo up")
            host.ip(f"addr add {host.address}/24 dev eth0")
            host.ip("link set dev eth0 up")

    def disconnect(self, name: str) -> None:
        """Disconnect a host from the switch without closing its connections."""
        self.switch.ip(f"link set dev {name} down")

    def reconnect(self, name: str) -> None:
        """Connect the host to the switch again."""
        self.switch.ip(f"link set dev {name} up")

    def close(self) -> None:
        """End all processes of the network."""
        assert self._guard.stdin is not None
        self._guard.stdin.close()
        for host in (self.switch, *self.hosts.values()):
            for process in (*host.started, host.process):
                process.wait()
        self._guard.wait()


class Host:
    """A host: a namespace, and the working directory of its processes."""

    def __init__(self, network: Path, name: str, address: str) -> None:
        self.name = name
        self.address = address
        self.folder = network / name
        self.folder.mkdir()
        self.started: list[subprocess.Popen[bytes]] = []
        # Runs in the folder of the network, so that killing the processes of the host does not end its namespace.
        self.process = subprocess.Popen(["unshare", "--net", "sleep", "infinity"], cwd=network)
        until = time.monotonic() + SECONDS_MAX
        while os.readlink(f"/proc/{self.process.pid}/ns/net") == os.readlink("/proc/self/ns/net"):
            assert time.monotonic() < until
            time.sleep(0.001)

    def ip(self, what: str) -> None:
        """Run an `ip` command on the host."""
        run = subprocess.run([*self._there(), "ip", *what.split()], capture_output=True, text=True, check=False)
        assert run.returncode == 0, f"ip {what}: {run.stderr}"

    def start(self, *command: str, environ: dict[str, str], log: str) -> "subprocess.Popen[bytes]":
        """Start a process on the host; its output goes to a log file in the host's folder."""
        with (self.folder / log).open("ab") as output:
            self.started.append(subprocess.Popen(
                [*self._there(), *command], env=environ, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=output,
                stderr=output, start_new_session=True,
            ))
        return self.started[-1]

    def kill(self) -> None:
        """Kill all processes of the host; their connections are closed by the kernel."""
        while guard.send(self.folder, signal.SIGKILL):
            time.sleep(0.005)
        while self.started:
            self.started.pop().wait()

    def _there(self) -> list[str]:
        return ["nsenter", "--net", f"--target={self.process.pid}"]
