"""How long an event takes from the commit to its receiver, on a gate that is idle otherwise."""

import json
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from bench.figures import Figure
from bench.gate import Gate

EVENTS = ("batch.finished", "items.changed")
PAUSE_SECONDS = 0.13
"""Between two submissions: not a multiple of the interval at which the outbox polls."""


class Receiver:
    """Takes events, and notes how old each is when it arrives."""

    def __init__(self) -> None:
        self.ages: dict[str, list[float]] = {event: [] for event in EVENTS}
        ages = self.ages

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                event = json.loads(self.rfile.read(int(self.headers["content-length"])))
                ages[event["type"]].append(time.time() - datetime.fromisoformat(event["timestamp"]).timestamp())
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Log nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop the server."""
        self._server.shutdown()


def parts(short: bool) -> Iterator[Figure]:
    """Submit single products, one after the other, and measure until their events arrive."""
    count, receiver = 30 if short else 300, Receiver()
    with Gate(webhook_hosts="127.0.0.1", webhook_private="allow") as gate:
        for event in EVENTS:
            body = {"url": f"{receiver.url}{event}", "events": [event]}
            gate.client.post("/v1/webhooks", json=body).raise_for_status()
        for number in range(count):
            gate.finish(gate.submit(b'{"id":"A%d","title":"Tent","price":"7.90 EUR"}\n' % number))
            time.sleep(PAUSE_SECONDS)
        until = time.monotonic() + 60
        while len(receiver.ages[EVENTS[0]]) < count and time.monotonic() < until:
            time.sleep(0.05)
    receiver.close()
    for event, ages in receiver.ages.items():
        ages.sort()
        p50, p99 = ages[len(ages) // 2], ages[int(len(ages) * 0.99)]
        detail = f"p50 {p50 * 1e3:.0f} ms, {len(ages)} events"
        yield Figure(f"`{event}`: from commit to arrival, p99, s", p99, 1.0, False, detail)
