"""A gate that is served on a socket in this process; its worker runs on request."""

import itertools
import re
import socket
import threading
from collections.abc import Iterable

import httpx
import uvicorn

from goodsgate import app, auth
from goodsgate.http.spans import SpanTracer
from goodsgate.model.catalogue import Merchant, Scope
from tests import factories
from tests.shop import Shop

_numbers = itertools.count(1)


class HttpGate:
    """A shop served by uvicorn on a free port; `close` stops it as a signal would."""

    def __init__(self, shop: Shop, *, tracer: SpanTracer | None = None) -> None:
        self.shop = shop
        self.application = app.create_app(shop.store, shop.config)
        limits = app.connection_limits(shop.config)
        self._server = uvicorn.Server(app.server_config(self.application, limits, tracer=tracer))
        listening = socket.create_server(("127.0.0.1", 0))
        self.address = listening.getsockname()[:2]
        self.url = f"http://127.0.0.1:{self.address[1]}"
        self._thread = threading.Thread(target=self._server.run, args=([listening],), daemon=True)
        self._thread.start()
        self._clients: list[httpx.Client] = []

    def merchant(self) -> str:
        """Add a merchant for a test and return its id."""
        merchant = f"m{next(_numbers)}"
        assert self.shop.store.add_merchant(Merchant(id=merchant, name=merchant, created_at=factories.NOW))
        return merchant

    def secret(self, merchant: str, scopes: Iterable[str] = ("submit", "read"), *,
               settings: dict[str, str] | None = None) -> str:
        """Create a key of a merchant and return its secret."""
        key, secret = auth.new_key(merchant, map(Scope, scopes), settings=settings)
        self.shop.store.add_key(key)
        return secret

    def client(self, merchant: str | None = None, *scopes: str, secret: str | None = None) -> "Client":
        """Return a client with a key, of a new merchant if none is named."""
        merchant = merchant or self.merchant()
        client = Client(self, merchant, secret or self.secret(merchant, scopes or ("submit", "read")))
        self._clients.append(client)
        return client

    def anonymous(self) -> httpx.Client:
        """Return a client without a key."""
        client = httpx.Client(base_url=self.url, timeout=60, trust_env=False)
        self._clients.append(client)
        return client

    def metrics(self) -> str:
        """Return the metrics, as a monitoring system reads them."""
        headers = {"Authorization": f"Bearer {self.shop.config.metrics_token}"}
        answer = self.anonymous().get("/metrics", headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.text

    def keep(self, client: httpx.Client) -> None:
        """Close a client with the gate."""
        self._clients.append(client)

    def connect(self) -> socket.socket:
        """Open a TCP connection to the gate."""
        return socket.create_connection(self.address, timeout=60)

    def ask(self, request: bytes) -> bytes:
        """Send bytes on a new connection and return everything until the gate closes it."""
        with self.connect() as connection:
            connection.sendall(request)
            return read_all(connection)

    def close(self) -> None:
        """Stop serving after the current requests."""
        for client in self._clients:
            client.close()
        self._server.should_exit = True
        self._thread.join()


class Client(httpx.Client):
    """A client of one merchant, with a shortcut for submissions."""

    def __init__(self, served: HttpGate, merchant: str, secret: str) -> None:
        super().__init__(
            base_url=served.url, headers={"Authorization": f"Bearer {secret}"}, timeout=60, trust_env=False
        )
        self.merchant = merchant
        self.secret = secret
        self._shop = served.shop

    def submit(self, body: bytes, **query: str | int | float | None) -> dict[str, object]:
        """Submit, work, and return the ended batch; a parameter that is None is left out."""
        params = {name: value for name, value in {"format": "ndjson", **query}.items() if value is not None}
        answered = self.post("/v1/batches", content=body, params=params)
        assert answered.status_code == 202, answered.text
        self._shop.work()
        document: dict[str, object] = self.get(answered.headers["location"]).json()
        return document


def read_all(connection: socket.socket) -> bytes:
    """Read until the other side closes."""
    pieces = []
    while piece := connection.recv(65536):
        pieces.append(piece)
    return b"".join(pieces)


def read_response(connection: socket.socket) -> bytes:
    """Read the head of one response and, if it has a Content-Length, its body; a head may arrive without its body."""
    received = b""
    while b"\r\n\r\n" not in received and (piece := connection.recv(65536)):
        received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    length = re.search(rb"\r\ncontent-length: (\d+)", head.lower())
    missing = int(length[1]) - len(body) if length else 0
    while missing > 0 and (piece := connection.recv(missing)):
        received += piece
        missing -= len(piece)
    return received
