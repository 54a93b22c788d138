"""The demands on the Productsup protocol.

200 MB go to a chunked stream, and are compared with the native bulk path on a gate of its own.
"""

import http.client
import json
import statistics
import time
from collections.abc import Iterator

from bench.figures import PRODUCTS, Figure, lines_of
from bench.gate import Gate

PIECE_BYTES = 256 * 1024
FEED = "application/x-ndjson"


def parts(short: bool) -> Iterator[Figure]:
    """Both paths with the same body, turn by turn."""
    count = PRODUCTS // 5 if short else 2 * PRODUCTS
    body = b"\n".join(lines_of(count))
    grown: list[float] = []
    answered: list[float] = []
    ratios: list[float] = []
    rates: list[float] = []
    for _ in range(1 if short else 3):
        with Gate() as gate:
            native, document = gate.load(body)
            assert document["counts"]["created"] == count, document
        with Gate() as gate:
            stream = _stream(gate)
            _upload(gate, stream, b'{"id":"warm"}\n' * 1_000)
            idle = gate.resident("api")
            gate.peaks.clear()
            began, last, acknowledged, batch = _upload(gate, stream, body)
            told = gate.finish(batch)
            ended = time.perf_counter()
            assert told["counts"]["created"] == count, told
            grown.append(gate.peaks["api"] - idle)
        answered.append(acknowledged - last)
        ratios.append(native / (ended - began))
        rates.append(count / (ended - began))
    detail = f"{len(body) / 1e6:,.0f} MB, {count:,} records"
    yield Figure("upload to a chunked stream: API memory grows by, MB", max(grown), 32.0, False, detail)
    yield Figure("upload to a chunked stream: last byte to 202, s", max(answered), 1.0, False, detail)
    rate = f"{statistics.median(rates):,.0f} records/s to processed"
    yield Figure("upload to a chunked stream, against the native path", statistics.median(ratios), 0.5, True, rate)


def _stream(gate: Gate) -> str:
    """Create a stream and return its id."""
    document = {"data": {"type": "stream", "attributes": {"name": "Bench", "type": "chunked"}}}
    made = gate.client.post("/streams", json=document)
    assert made.status_code == 201, made.text
    return str(made.json()["data"]["id"])


def _upload(gate: Gate, stream: str, body: bytes) -> tuple[float, float, float, str]:
    """When the first byte went, when the last, when the answer came; and the batch."""
    client = http.client.HTTPConnection(gate.url.removeprefix("http://"), timeout=600)
    client.putrequest("POST", f"/streams/{stream}/products")
    for name, value in (("Authorization", f"Bearer {gate.key}"), ("Content-Type", FEED), ("Content-Length", len(body))):
        client.putheader(name, value)
    began = time.perf_counter()
    client.endheaders()
    view = memoryview(body)
    for at in range(0, len(body), PIECE_BYTES):
        client.send(view[at : at + PIECE_BYTES])
    last = time.perf_counter()
    answer = client.getresponse()
    text = answer.read()
    acknowledged = time.perf_counter()
    client.close()
    assert answer.status == 202, text
    return began, last, acknowledged, json.loads(text)["data"]["id"].replace("-", "")
