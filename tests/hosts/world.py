"""A network of the test's own: hosts that are network namespaces, with cables to a switch; all gone with the test.

A namespace lives as long as the process that holds it, and what runs in the world's folder is ended by a guard when the
test is gone, however it went; so nothing is left, not even a name. No packet leaves the world, and none comes in.
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
SECONDS_MAX = 10


def why_not() -> str | None:
    """Why this machine cannot have one; None if it can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    missing = [name for name in ("ip", "unshare", "nsenter") if shutil.which(name) is None]
    if missing:
        return f"no {' and '.join(missing)} on this machine"
    made = "ip link add name t0 type bridge && ip link add name t1 type veth peer name t2"
    tried = subprocess.run(["unshare", "--net", "sh", "-c", made], capture_output=True, text=True, check=False)
    return f"no network namespaces here: {tried.stderr.strip()}" if tried.returncode else None


def inside(process: int, work: Callable[[], T]) -> T:
    """Do it in a thread that stands in the namespace of this process; what it starts and connects to is there, too."""
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
    """This thread stands in the namespace of that process from now on."""
    libc = ctypes.CDLL(None, use_errno=True)
    with Path(f"/proc/{process}/ns/net").open("rb") as namespace:
        if libc.setns(namespace.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")


class World:
    """A switch and hosts named and numbered from 1 in their order, as 10.77.0.1, …; runs until `close`."""

    def __init__(self, *names: str) -> None:
        reason = why_not()
        if reason is not None:
            print(reason)
            pytest.skip(reason)
        self.folder = Path(tempfile.mkdtemp(prefix="goodsgate-world-")).resolve()
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

    def cut(self, name: str) -> None:
        """Pull its cable out of the switch: nobody is told."""
        self.switch.ip(f"link set dev {name} down")

    def mend(self, name: str) -> None:
        """Put it back."""
        self.switch.ip(f"link set dev {name} up")

    def close(self) -> None:
        """End everything in it."""
        assert self._guard.stdin is not None
        self._guard.stdin.close()
        for host in (self.switch, *self.hosts.values()):
            for process in (*host.started, host.process):
                process.wait()
        self._guard.wait()


class Host:
    """A namespace, and a folder that everything which runs on the host has as its working folder."""

    def __init__(self, world: Path, name: str, address: str) -> None:
        self.name = name
        self.address = address
        self.folder = world / name
        self.folder.mkdir()
        self.started: list[subprocess.Popen[bytes]] = []
        # In the world's folder, not the host's: whoever kills all that runs on the host leaves it its network.
        self.process = subprocess.Popen(["unshare", "--net", "sleep", "infinity"], cwd=world)
        until = time.monotonic() + SECONDS_MAX
        while os.readlink(f"/proc/{self.process.pid}/ns/net") == os.readlink("/proc/self/ns/net"):
            assert time.monotonic() < until
            time.sleep(0.001)

    def ip(self, what: str) -> None:
        """As `ip` would, there."""
        run = subprocess.run([*self._there(), "ip", *what.split()], capture_output=True, text=True, check=False)
        assert run.returncode == 0, f"ip {what}: {run.stderr}"

    def start(self, *command: str, environ: dict[str, str], log: str) -> "subprocess.Popen[bytes]":
        """Run something there; what it says goes to a file of this name in the host's folder."""
        with (self.folder / log).open("ab") as told:
            self.started.append(subprocess.Popen(
                [*self._there(), *command], env=environ, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=told,
                stderr=told, start_new_session=True,
            ))
        return self.started[-1]

    def kill(self) -> None:
        """As if its plug were pulled, but for the network: whom it spoke to learns that it is gone."""
        while guard.send(self.folder, signal.SIGKILL):
            time.sleep(0.005)
        while self.started:
            self.started.pop().wait()

    def _there(self) -> list[str]:
        return ["nsenter", "--net", f"--target={self.process.pid}"]
