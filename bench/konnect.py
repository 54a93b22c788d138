"""The bars of the Konnect protocol: creates, prices, polls by the hundred, and a catalogue in requests of a hundred."""

import asyncio
import http.client
import json
import random
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import urlsplit

import httpx
import orjson

from bench.figures import PRODUCTS, Figure, late, lines_of
from bench.gate import Gate
from tests.protocols.konnect.client import product, size

CREATE_PRODUCTS = 100
CLIENTS = 8
POLLERS, POLLERS_PAUSE_SECONDS = 200, 0.5
"""Ten times as often as the vendor advises."""
SUBMITTERS, SUBMITTERS_PAUSE_SECONDS = 50, 2.0
MARK = b"HTTP/1.1 "
TYPE = {"Content-Type": "application/json"}


def parts(short: bool) -> Iterator[Figure]:
    """All of them, each on a gate of its own."""
    yield from _idle(20 if short else 100)
    yield from _polls(4.0 if short else 15.0)
    yield _many(4_000 if short else 20_000, PRODUCTS // (4 if short else 1), times=1 if short else 5)


def _seller(gate: Gate) -> httpx.Client:
    """Return a client with a token, over the starter set of reference data."""
    gate.run("reference", "starter")
    client = httpx.Client(base_url=gate.url, timeout=60, trust_env=False)
    given = {"username": "bench", "password": gate.key}
    client.headers["x-access-token"] = client.get("/aggregator/v1/token", params=given).json()["token"]
    return client


def _body(first: int) -> bytes:
    """Return a create request of products from this number on, each in three sizes."""
    shoes = [
        product(number, description="A light shoe. " * 30, sizes=[size(number, label) for label in ("41", "42", "43")])
        for number in range(first, first + CREATE_PRODUCTS)
    ]
    return orjson.dumps({"template": "footwear", "products": shoes})


def _idle(turns: int) -> Iterator[Figure]:
    """One create after the other, then prices, nobody else there."""
    acknowledged: list[float] = []
    completed: list[float] = []
    priced: list[float] = []
    with Gate() as gate, closing(_seller(gate)) as client:
        for turn in range(turns):
            body = _body(turn * CREATE_PRODUCTS)
            begin = time.perf_counter()
            answer = client.post("/v3/catalog/product", content=body, headers=TYPE)
            acknowledged.append(time.perf_counter() - begin)
            _complete(client, answer.json()["trace_id"])
            completed.append(time.perf_counter() - begin)
        for turn in range(turns):
            prices = [
                {"location_id": "BLR-01", "sku": f"TR-{number:03d}-41", "esp": turn + 1, "mrp": 500, "currency": "INR"}
                for number in range(500)
            ]
            begin = time.perf_counter()
            answer = client.put("/ims/v3/price", json=prices)
            priced.append(time.perf_counter() - begin)
            assert answer.status_code == 200, answer.text
    yield late("create of 100 products, acknowledged", acknowledged, 20.0)
    yield late("create of 100 products, COMPLETED", completed, 300.0)
    yield late("500 prices, answered", priced, 150.0)


def _complete(client: httpx.Client, trace: str) -> None:
    while True:
        told = client.get("/v3/catalog/status", params={"trace_id": trace}).json()
        if told["stage"] != "RUNNING":
            assert told["stage"] == "COMPLETED", told
            return
        time.sleep(0.005)


def _polls(seconds: float) -> Iterator[Figure]:
    """Clients in a process of their own poll, while others submit."""
    with Gate() as gate, closing(_seller(gate)) as client:
        bodies = [_body(number * CREATE_PRODUCTS) for number in range(SUBMITTERS)]
        token = client.headers["x-access-token"]
        traces = [
            client.post("/v3/catalog/product", content=body, headers=TYPE).json()
            for body in bodies
        ]
        given = {"url": gate.url, "token": token, "seconds": seconds, "traces": [trace["trace_id"] for trace in traces]}
        polling = subprocess.Popen(
            [sys.executable, "-m", "bench.konnect"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        stop = time.monotonic() + seconds
        sent: list[int] = []
        threads = [
            threading.Thread(target=_submit, args=(gate.url, token, body, stop, sent)) for body in bodies
        ]
        for thread in threads:
            thread.start()
        told = json.loads(polling.communicate(json.dumps(given))[0])
        for thread in threads:
            thread.join()
    assert told["failed"] == 0, told
    what = f"{POLLERS} clients poll every {POLLERS_PAUSE_SECONDS:g} s while {SUBMITTERS} submit every " \
           f"{SUBMITTERS_PAUSE_SECONDS:g} s"
    detail = f"p50 {told['p50']:.1f} ms, {told['polls']} polls, {len(sent) * CREATE_PRODUCTS} products, no error"
    yield Figure(f"{what}, poll p99, ms", told["p99"], 100.0, False, detail)


def _submit(url: str, token: str, body: bytes, stop: float, sent: list[int]) -> None:
    headers = {"x-access-token": token, **TYPE}
    with httpx.Client(base_url=url, timeout=60, trust_env=False, headers=headers) as client:
        time.sleep(random.random() * SUBMITTERS_PAUSE_SECONDS)
        while time.monotonic() < stop:
            answer = client.put("/v3/catalog/product", content=body)
            assert answer.status_code == 200, answer.text
            sent.append(answer.status_code)
            time.sleep(SUBMITTERS_PAUSE_SECONDS)


def _many(count: int, native: int, *, times: int) -> Figure:
    """Measure a catalogue through requests of a hundred against the native bulk path: the median of several gates."""
    rates = sorted((_rates(count, native) for _ in range(times)), key=lambda pair: pair[0] / pair[1])
    rate, bulk = rates[times // 2]
    what = f"{count:,} products in creates of 100 by {CLIENTS} clients, against the native bulk path"
    ratios = ", ".join(f"{one / other:.2f}" for one, other in rates)
    return Figure(what, rate / bulk, 0.3, True, f"{rate:,.0f} against {bulk:,.0f} products/s; {ratios}")


def _rates(count: int, native: int) -> tuple[float, float]:
    """Products a second through this protocol, and through the native bulk path of the same gate."""
    waiting = [_body(first) for first in range(0, count, CREATE_PRODUCTS)]
    with Gate() as gate, closing(_seller(gate)) as client:
        token = client.headers["x-access-token"]
        traces: list[str] = []

        def send() -> None:
            headers = {"x-access-token": token, **TYPE}
            mine = http.client.HTTPConnection(gate.url.removeprefix("http://"), timeout=60)
            while waiting:  # by the client with which the native feed is sent: it costs least of what is measured
                mine.request("POST", "/v3/catalog/product", body=waiting.pop(), headers=headers)
                traces.append(json.loads(mine.getresponse().read())["trace_id"])
            mine.close()

        bulk, body = gate.add_merchant("bulk"), b"\n".join(lines_of(native))  # held to no reference data
        _complete(client, client.post("/v3/catalog/product", content=_body(count), headers=TYPE).json()["trace_id"])
        gate.finish(gate.submit(body[: body.index(b"\n")], key=bulk), key=bulk)
        begin = time.perf_counter()
        threads = [threading.Thread(target=send) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for trace in traces[-CLIENTS:]:
            _complete(client, trace)
        rate = count / (time.perf_counter() - begin)
        begin = time.perf_counter()
        gate.finish(gate.submit(body, key=bulk), key=bulk)
        return rate, native / (time.perf_counter() - begin)


# -- the pollers' process ---------------------------------------------------------------------------------------------


class Poller(asyncio.Protocol):
    """One keep-alive connection that polls one trace, and notes how long each answer took to begin."""

    def __init__(self, request: bytes, taken: list[float], failed: list[bytes]) -> None:
        self._request = request
        self._taken = taken
        self._failed = failed
        self._asked: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for a moment of one's own."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        asyncio.get_running_loop().call_later(random.random() * POLLERS_PAUSE_SECONDS, self._ask)

    def _ask(self) -> None:
        if not self._transport.is_closing():
            self._asked = time.perf_counter()
            self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Read the head of an answer; its body does not count."""
        if self._asked is None or not data.startswith(MARK):
            return
        self._taken.append(time.perf_counter() - self._asked)
        self._asked = None
        if not data.startswith(MARK + b"200"):
            self._failed.append(data)
        asyncio.get_running_loop().call_later(POLLERS_PAUSE_SECONDS, self._ask)


async def _poll(url: str, token: str, traces: list[str], seconds: float) -> dict[str, float]:
    taken: list[float] = []
    failed: list[bytes] = []
    host, port = urlsplit(url).hostname, urlsplit(url).port
    loop = asyncio.get_running_loop()
    opened = []
    for number in range(POLLERS):
        request = f"GET /v3/catalog/status?trace_id={traces[number % len(traces)]} HTTP/1.1\r\nHost: bench\r\n" \
                  f"x-access-token: {token}\r\n\r\n"
        asked = request.encode()
        opened.append(await loop.create_connection(lambda sent=asked: Poller(sent, taken, failed), host, port))
    await asyncio.sleep(seconds)
    for transport, _ in opened:
        transport.close()
    taken.sort()
    return {
        "polls": len(taken), "failed": len(failed), "p50": statistics.median(taken) * 1000,
        "p99": taken[int(len(taken) * 0.99)] * 1000,
    }


if __name__ == "__main__":
    told = json.load(sys.stdin)
    print(json.dumps(asyncio.run(_poll(told["url"], told["token"], told["traces"], told["seconds"]))))
