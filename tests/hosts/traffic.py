"""Clients that submit to several gates at once and retry submissions that have an idempotency key."""

import random
import threading
import time
from collections.abc import Sequence

import httpx
import msgspec

from goodsgate.model.batch import Kind
from tests.factories import product
from tests.hosts.virtual_network import Host, enter
from tests.shop import ndjson

TIMEOUT_SECONDS = 2.0


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """A submission."""

    merchant: str
    kind: Kind
    label: str
    body: bytes
    keyed: bool
    """Whether it has an idempotency key and is sent until it is acknowledged."""


class Clients:
    """Clients that submit, each in a thread of its own, until `stop`."""

    def __init__(self, host: Host, gates: Sequence[str], keys: dict[str, str], *, clients: int, seed: int,
                 pause_seconds: float) -> None:
        """Create clients on a host, with the addresses of the gates and the keys of the merchants.

        A client pauses for at most `pause_seconds` between two submissions.
        """
        self._host = host
        self._gates = gates
        self._keys = keys
        self._pause_seconds = pause_seconds
        self._stop = threading.Event()
        self.sent: dict[str, Sent] = {}
        """Submissions by label."""
        self.acknowledged: dict[str, str] = {}
        """Ids of batches by label."""
        self.faults: list[str] = []
        self.answers: dict[str, int] = {}
        """Number of responses by status or error."""
        self._threads = [
            threading.Thread(target=self._run, args=(n, random.Random(seed * 1_000 + n))) for n in range(clients)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self, seconds: float) -> None:
        """Stop after the current submissions; wait for at most `seconds` for each client."""
        self._stop.set()
        for thread in self._threads:
            thread.join(seconds)
        assert not any(thread.is_alive() for thread in self._threads), "a client never came to an end"

    def _run(self, number: int, chance: random.Random) -> None:
        enter(self._host.process.pid)
        with httpx.Client(timeout=TIMEOUT_SECONDS, trust_env=False) as client:
            turn = 0
            while not self._stop.is_set():
                turn += 1
                sent = _random_submission(f"{number}-{turn}", chance, sorted(self._keys))
                self.sent[sent.label] = sent
                self._send(client, sent, chance)
                time.sleep(chance.uniform(0, self._pause_seconds))

    def _send(self, client: httpx.Client, sent: Sent, chance: random.Random) -> None:
        headers = {"Authorization": f"Bearer {self._keys[sent.merchant]}"}
        if sent.keyed:
            headers["Idempotency-Key"] = f'"{sent.label}"'
        # Which products are there when a price comes depends on the time.
        query = {"format": "ndjson", "kind": sent.kind.value, "label": sent.label, "references": "off"}
        while True:
            gate = chance.choice(self._gates)
            try:
                answer = client.post(f"{gate}/v1/batches", params=query, content=sent.body, headers=headers)
            except httpx.TransportError as fault:
                self._count(type(fault).__name__)
            else:
                self._count(str(answer.status_code))
                if answer.status_code == 202:
                    self.acknowledged[sent.label] = answer.json()["id"]
                    return
                if answer.status_code not in (409, 503) or "retry-after" not in answer.headers:
                    self.faults.append(f"{answer.status_code} {answer.text}")
                    return
            if not sent.keyed:
                return
            time.sleep(chance.uniform(0.05, 0.3))

    def _count(self, answer: str) -> None:
        self.answers[answer] = self.answers.get(answer, 0) + 1


def _random_submission(label: str, chance: random.Random, merchants: Sequence[str]) -> Sent:
    """Return a submission, usually small, with some invalid records and keys that other submissions have as well."""
    kind = chance.choice([Kind.PRODUCT, Kind.PRODUCT, Kind.PRICE, Kind.STOCK])
    size = chance.choice([1, 5, 20, 20, 60, 300])
    keys = [chance.randrange(400) for _ in range(size)]
    if kind is Kind.PRODUCT:
        long = " and so on" * (100 if size == 300 else 1)
        records: list[dict[str, object]] = [
            product(key, title=None if chance.random() < 0.05 else f"{label} says {key}{long}") for key in keys
        ]
    elif kind is Kind.PRICE:
        records = [{"id": f"SKU-{key:04d}", "price": chance.choice(["9.99 EUR", "12.50 EUR", "dear"])} for key in keys]
    else:
        records = [{"id": f"SKU-{key:04d}", "quantity": chance.choice([0, 1, 7, -3])} for key in keys]
    if chance.random() < 0.3:
        for record in records:
            record["version_number"] = chance.randrange(1, 50)
    body = ndjson(records)
    if chance.random() < 0.1:
        body += b"{broken\n"
    return Sent(
        merchant=chance.choice(merchants), kind=kind, label=label, body=body, keyed=chance.random() < 0.8
    )
