"""Two hosts with gates and one with PostgreSQL; hosts are disconnected and killed, the server crashes and pauses.

Everything is real: network namespaces, `goodsgate serve` with its worker, kill -9. At the end catalogue, counts,
results and issues equal those of an undisturbed gate that got the same submissions in the same order.
"""

import itertools
import os
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from goodsgate import auth
from goodsgate.model.batch import Kind, Strictness
from goodsgate.model.catalogue import Merchant, Scope
from goodsgate.store.contract import BatchFilter, Store
from tests import postgres, stores
from tests.crash.scene import ROOT
from tests.factories import NOW
from tests.hosts.traffic import Clients
from tests.hosts.virtual_network import Host, VirtualNetwork, inside
from tests.postgres import Server
from tests.shop import Shop

DISTURBANCES = int(os.environ.get("GOODSGATE_TEST_KILLS", "0"))
"""So many, at random; `make crash` sets it. Without it each once, and in order."""
MERCHANTS = ("acme", "bolt", "cord")
LEASE_SECONDS = 2.0
CLIENTS = 8
PORT = 8480
SECONDS_MAX = 180
SETTINGS = {
    "GOODSGATE_LEASE_SECONDS": LEASE_SECONDS, "GOODSGATE_PORT": PORT, "GOODSGATE_CHUNK_RECORDS_MAX": 50,
    "GOODSGATE_SMALL_PAYLOAD_BYTES": 20_000, "GOODSGATE_SWEEP_SECONDS": 0.5, "PYTHONUNBUFFERED": 1,
}


class Gate:
    """`goodsgate serve` on a host of its own."""

    def __init__(self, host: Host, clients: Host, store: str) -> None:
        self._host = host
        self._clients = clients
        kept = {name: value for name, value in os.environ.items() if not name.startswith("GOODSGATE_")}
        self._environ = {
            **kept, **{name: str(value) for name, value in SETTINGS.items()}, "GOODSGATE_STORE": store,
            "GOODSGATE_HOST": host.address, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")]),
        }
        self.url = f"http://{host.address}:{PORT}"
        self.start()

    def start(self) -> None:
        """Start it; again, where it finds no server."""
        until = time.monotonic() + SECONDS_MAX
        process = None
        while not inside(self._clients.process.pid, self._answers):
            assert time.monotonic() < until, (self._host.folder / "log").read_text()[-3_000:]
            if process is None or process.poll() is not None:
                process = self._host.start(sys.executable, "-m", "goodsgate", "serve", environ=self._environ, log="log")
            time.sleep(0.1)

    def restart(self) -> None:
        """kill -9 of all that runs there, and once more from the beginning."""
        self._host.kill()
        self.start()

    def said(self, text: str) -> int:
        """How often the log has it."""
        return (self._host.folder / "log").read_text().count(text)

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/healthz", timeout=1, trust_env=False).status_code == 200
        except httpx.TransportError:
            return False


class Scenery:
    """The network, the server, the gates, and the failures that can happen to them."""

    def __init__(self) -> None:
        self.network = VirtualNetwork("db", "one", "two", "clients")
        self.db, self.clients = self.network.hosts["db"], self.network.hosts["clients"]
        binaries = postgres.first(itertools.chain(postgres.machine(), postgres.wheel()))
        if binaries is None:
            self.network.close()
            pytest.skip("no PostgreSQL on this machine and no wheel")
        self.server = inside(self.db.process.pid, lambda: Server(binaries))
        with (self.server.data / "pg_hba.conf").open("a") as rules:
            rules.write("host all all 10.77.0.0/24 scram-sha-256\n")
        self.address = inside(self.db.process.pid, self._database)
        self.keys = inside(self.clients.process.pid, self._merchants)
        self.gates = [Gate(self.network.hosts[name], self.clients, self.address) for name in ("one", "two")]

    def _database(self) -> str:
        made = self.server.database()
        with self.server.admin() as db:
            db.execute("SELECT pg_reload_conf()")
        return made.replace("@127.0.0.1:", f"@{self.db.address}:")

    def _merchants(self) -> dict[str, str]:
        keys = {}
        store = self.store()
        for merchant in MERCHANTS:
            store.add_merchant(Merchant(id=merchant, name=merchant, created_at=NOW))
            key, keys[merchant] = auth.new_key(merchant, [Scope.SUBMIT, Scope.READ])
            store.add_key(key)
        store.close()
        return keys

    def store(self) -> Store:
        """To be opened and used inside."""
        return stores.open_at(self.address, small_payload_bytes=1_000, connections_max=2)

    def close(self) -> None:
        """Nothing is left."""
        self.server.close()
        self.network.close()

    # -- what happens -------------------------------------------------------------------------------------------------

    def cut(self, name: str, seconds: float) -> None:
        """A host is cut off, and comes back."""
        self.network.disconnect(name)
        time.sleep(seconds)
        self.network.reconnect(name)

    def kill(self, number: int) -> None:
        """Kill a host and start it again."""
        self.gates[number].restart()

    def fall(self) -> None:
        """The server is restarted as after a crash."""
        def again() -> None:
            self.server.stop("immediate")
            self.server.start()

        inside(self.db.process.pid, again)

    def pause(self, seconds: float) -> None:
        """Pause the server."""
        self.server.pause()
        time.sleep(seconds)
        self.server.resume()

    def disturb(self, chance: random.Random) -> str:
        """Something of all that, at random; what it was."""
        what = chance.choice(["cut", "cut db", "kill", "fall", "pause"])
        host = chance.randrange(2)
        match what:
            case "cut":
                self.cut(("one", "two")[host], chance.uniform(0.5, 8))
            case "cut db":
                self.cut("db", chance.uniform(0.5, 8))
            case "kill":
                self.kill(host)
            case "fall":
                self.fall()
            case _:
                self.pause(chance.uniform(0.5, 8))
        return what


@pytest.fixture
def scenery(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scenery]:
    """With a server that its neighbours can reach, and that does what it says it does."""
    for name, value in {"listen_addresses": "*", "fsync": "on", "full_page_writes": "on"}.items():
        monkeypatch.setitem(postgres.SETTINGS, name, value)
    made = Scenery()
    yield made
    made.close()


@pytest.mark.timeout(300 + DISTURBANCES * 30)
def test_batches_survive_hosts_that_stop_and_start(scenery: Scenery, tmp_path: Path) -> None:
    """No acknowledged batch is missing or doubled, and all have the same effect as without failures."""
    seed = random.randrange(10**6) if DISTURBANCES else 1
    print(f"seed {seed}")
    chance = random.Random(seed)
    clients = Clients(
        scenery.clients, [gate.url for gate in scenery.gates], scenery.keys, clients=CLIENTS, seed=seed,
        pause_seconds=0.5 if DISTURBANCES else 0.25,
    )
    try:
        time.sleep(1)
        if DISTURBANCES:
            for _ in range(DISTURBANCES):
                print(scenery.disturb(chance), end=" ", flush=True)
                time.sleep(chance.uniform(0, 3))
        else:
            scenery.cut("one", LEASE_SECONDS * 2)
            time.sleep(0.5)
            scenery.kill(1)
            scenery.fall()
            time.sleep(1)
            scenery.pause(3)
            time.sleep(0.5)
    finally:
        clients.stop(SECONDS_MAX)
    assert clients.faults == []
    lost = sum(gate.said("lease lost") for gate in scenery.gates)
    print(f"{len(clients.sent)} sent, {len(clients.acknowledged)} acknowledged; {clients.answers}; {lost} leases lost")
    inside(scenery.clients.process.pid, lambda: _compare(scenery, clients, tmp_path))


def _compare(scenery: Scenery, clients: Clients, folder: Path) -> None:
    store = scenery.store()
    began = time.monotonic()
    while store.statistics()["lanes"]:
        assert time.monotonic() - began < SECONDS_MAX, store.health_checks()
        time.sleep(0.05)
    print(f"drained after {time.monotonic() - began:.1f} s")
    with Shop(folder, *MERCHANTS, chunk_records_max=50) as peace:
        for merchant in MERCHANTS:
            for batch, label in _accepted(store, merchant, clients):
                sent = clients.sent[label]
                expected = peace.run(sent.body, merchant=merchant, kind=sent.kind, references=Strictness.OFF)
                assert _told(store, merchant, batch) == _told(peace.store, merchant, expected.id), label
            for kind in Kind:
                assert _items(store, merchant, kind) == _items(peace.store, merchant, kind)
    store.close()


def _accepted(store: Store, merchant: str, clients: Clients) -> list[tuple[str, str]]:
    """Return id and label of all batches of the merchant, in the order of acceptance.

    Every acknowledged submission is there once; one that was sent without a key and not answered may be there or not.
    """
    found: list[tuple[str, str]] = []
    after = None
    while True:
        page = store.batches(merchant, BatchFilter(), after=after, limit=500)
        found += [(batch.id, batch.label) for batch in page.rows]
        after = page.next
        if after is None:
            break
    ids = {label: batch for batch, label in found}
    assert len(ids) == len(found), "a submission is there twice"
    mine = {label: sent for label, sent in clients.sent.items() if sent.merchant == merchant}
    assert {label: ids.get(label) for label in mine if label in clients.acknowledged} == {
        label: batch for label, batch in clients.acknowledged.items() if label in mine
    }
    assert not [label for label, sent in mine.items() if sent.keyed and label not in clients.acknowledged]
    assert ids.keys() <= mine.keys()
    return found[::-1]


def _told(store: Store, merchant: str, batch: str) -> list[object]:
    """Return everything that is reported about a batch and does not depend on the time of processing."""
    found = store.batch(merchant, batch)
    assert found is not None
    return [
        found.state, found.counts, found.total, found.warned,
        [(row.number, row.key, row.result) for row in store.results(merchant, batch, limit=1_000)],
        [(f.number, f.source_row, f.result, f.issues) for f in store.findings(merchant, batch, limit=1_000)],
        sorted((g.code, g.field, g.count, sorted(g.top)) for g in store.issue_groups(merchant, batch)),
        [f.raw for f in store.rejected_records(merchant, batch)],
    ]


def _items(store: Store, merchant: str, kind: Kind) -> list[tuple[str, bytes, int | None]]:
    """All that the catalogue holds."""
    page = store.items(merchant, kind, "products", limit=10_000)
    assert page.next is None
    return [(item.key, item.document, item.version) for item in page.rows]
