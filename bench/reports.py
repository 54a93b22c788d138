"""Latency of small requests of one merchant while another downloads large XLSX reports: `python -m bench reports`."""

import http.client
import itertools
import json
import threading
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

from bench.figures import Figure, late
from bench.gate import Gate

REPORTS = 8
RECORDS = 60_000
"""Of each report."""
LATENCY_MS_MAX = 100.0


def parts(short: bool) -> Iterator[Figure]:
    """Download reports of 60,000 rejected records, all at once, and send small requests meanwhile."""
    records = RECORDS // 10 if short else RECORDS
    gate = Gate()
    try:
        other = gate.add_merchant("other")
        lines = (b'{"id":"K%d","price":"%d"}' % (number, number) for number in range(records))
        batch = gate.client.post(
            "/v1/batches", params={"format": "ndjson"}, content=b"\n".join(lines)
        ).json()["id"]
        while (state := gate.client.get(f"/v1/batches/{batch}", params={"wait": 60}).json()["state"]) != "finished":
            assert state in ("queued", "working"), state
        alone = late("", [*itertools.islice(_small_requests(gate.url, other), 300)], 0)
        began, ends = time.perf_counter(), []

        def download() -> None:
            client = _connect(gate.url)
            client.request("GET", f"/v1/batches/{batch}/report?format=xlsx", headers=_headers(gate.key))
            response = client.getresponse()
            while response.read(65536):
                pass
            assert response.status == 200, response.status
            ends.append(time.perf_counter() - began)

        downloads = [threading.Thread(target=download) for _ in range(REPORTS)]
        for each in downloads:
            each.start()
        requests = _small_requests(gate.url, other)
        seconds = [*itertools.takewhile(lambda _: any(each.is_alive() for each in downloads), requests)]
        detail = (
            f"{REPORTS} reports of {records:,} records in {max(ends):.1f} s; p99 without them {alone.measured:.1f} ms"
        )
        figure = late("small requests while XLSX reports are written", seconds, LATENCY_MS_MAX)
        yield Figure(figure.what, figure.measured, figure.demand, figure.least, f"{figure.detail}; {detail}")
    finally:
        gate.close()


def _small_requests(url: str, key: str) -> Iterator[float]:
    """Send one small request after the other, and yield the seconds that each takes."""
    client = _connect(url)
    for number in itertools.count():
        method, path, body = [
            ("GET", "/v1/batches?limit=5", None), ("GET", f"/v1/collections/products/items/K{number}", None),
            ("POST", "/v1/batches?format=ndjson", json.dumps({"id": f"K{number}", "title": "T"})),
        ][number % 3]
        began = time.perf_counter()
        client.request(method, path, body=body, headers=_headers(key))
        response = client.getresponse()
        response.read()
        yield time.perf_counter() - began
        assert response.status in (200, 202, 404), response.status


def _connect(url: str) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(urlsplit(url).netloc, timeout=600)


def _headers(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}
