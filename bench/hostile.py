"""Hostile clients, files and requests for the campaign of `bench.attack`.

A client is a function that takes a `Target` and returns once the gate has closed its connection, or raises
StillOpenError. A file is a function that returns a `HostileFile`. To add one, write it and list it in CLIENTS or FILES.
"""

import contextlib
import functools
import random
import socket
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import orjson

from goodsgate.http.endpoints import load_openapi
from goodsgate.protocols import PROTOCOLS
from tests.formats import hostile_workbooks as workbooks

LIMIT_SECONDS = 3
"""Every time limit of the gate under attack."""
MARGIN_SECONDS = 12
"""What a connection may live beyond its limit: the gate looks at connections only so often, and the machine is busy."""
ANSWER_SECONDS = 5.0
HOSTILE_ADDRESS = "127.0.0.3"
FUZZ_ADDRESS = "127.0.0.4"
CROWD_ADDRESS = "127.0.0.5"
CROWD_CONNECTIONS = 300
"""Of one client; four clients together are more than one address may have."""


class StillOpenError(Exception):
    """A connection that outlived its limit."""


class Target(msgspec.Struct, frozen=True):
    """The gate under attack and a key of the merchant who attacks."""

    port: int
    key: str
    batch: str
    """A batch of the merchant that waits, for event streams."""

    def connect(self, address: str = HOSTILE_ADDRESS) -> socket.socket:
        """Open a connection from an address of the loopback network."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=ANSWER_SECONDS, source_address=(address, 0))


class HostileFile(msgspec.Struct, frozen=True):
    """The body of a submission and how it is declared."""

    body: bytes
    format: str
    content_encoding: str = "identity"


# -- clients ---------------------------------------------------------------------------------------------------------

GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNKED = b"GET /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


def _until_closed(connection: socket.socket, piece: bytes, *, reads: bool = True, pause_seconds: float = 0.05) -> None:
    """Send a piece again and again until the gate closes the connection."""
    until = time.monotonic() + LIMIT_SECONDS + MARGIN_SECONDS
    connection.settimeout(pause_seconds)
    while time.monotonic() < until:
        with contextlib.suppress(TimeoutError):
            if piece:
                connection.sendall(piece)
            if not reads:
                time.sleep(pause_seconds)
            elif not connection.recv(65536):
                return
    raise StillOpenError


def _client(first: bytes, piece: bytes = b"", **how: Any) -> Callable[[Target], None]:
    def run(target: Target) -> None:
        with contextlib.suppress(ConnectionError), target.connect() as connection:
            connection.sendall(first)
            _until_closed(connection, piece, **how)

    return run


def _with_key(method: str, path: str, headers: str = "", piece: bytes = b"") -> Callable[[Target], None]:
    def run(target: Target) -> None:
        head = f"{method} {path.format(batch=target.batch)} HTTP/1.1\r\nHost: x\r\nX-API-Key: {target.key}\r\n"
        _client(f"{head}{headers}\r\n".encode(), piece)(target)

    return run


def crowd(target: Target) -> None:
    """Open many connections at once and say nothing."""
    with contextlib.suppress(ConnectionError), contextlib.ExitStack() as opened:
        connections = [opened.enter_context(target.connect(CROWD_ADDRESS)) for _ in range(CROWD_CONNECTIONS)]
        for connection in connections:
            with contextlib.suppress(ConnectionError):
                _until_closed(connection, b"")


CLIENTS: dict[str, Callable[[Target], None]] = {
    "crowd": crowd,
    "silent": _client(b""),
    "empty lines": _client(b"", b"\r\n"),
    "slow headers": _client(GET[:-2], b"X: y\r\n"),
    "endless headers": _client(GET[:-2], b"X: %s\r\n" % (b"x" * 8000), pause_seconds=0.001),
    "endless trailers": _client(
        CHUNKED.replace(b"GET /healthz", b"POST /console/sign-in") + b"0\r\n", b"X: %s\r\n" % (b"x" * 60_000),
        pause_seconds=0.001),
    "body after the response": _client(CHUNKED, b"1\r\nx\r\n"),
    "trailers after the response": _client(CHUNKED + b"0\r\n", b"X: y\r\n"),
    "idle": _client(GET),
    "never reads": _client(b"GET /v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 60, b"\r\n", reads=False),
    "pipelines": _client(GET * 5000),
    "h2c": _client(GET[:-2] + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n"),
    "HTTP/2": _client(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"),
    "held upload": _with_key("POST", "/v1/batches?format=ndjson", "Transfer-Encoding: chunked\r\n"),
    "slow upload": _with_key("POST", "/v1/batches?format=ndjson", "Transfer-Encoding: chunked\r\n", b"1\r\nx\r\n"),
    "long poll": _with_key("GET", "/v1/batches/{batch}?wait=2", piece=b""),
}


# -- files -----------------------------------------------------------------------------------------------------------


@functools.cache
def blank_lines() -> HostileFile:
    """Return 1 GB of blank lines in a few MB of gzip, with one record."""
    packer = zlib.compressobj(6, wbits=31)
    blank = b"\n" * 1024**2
    body = b"".join(packer.compress(blank) for _ in range(1024))
    body += packer.compress(b'{"id": "A-1", "title": "Mug"}\n') + packer.flush()
    return HostileFile(body, "ndjson", "gzip")


def updates_of_one_item() -> HostileFile:
    """Return very many updates of one item."""
    lines = (orjson.dumps({"id": "A-1", "title": f"Mug {number}", "x": "y" * 2000}) for number in range(3000))
    return HostileFile(b"\n".join(lines), "ndjson")


def one_long_line() -> HostileFile:
    """Return a line without an end."""
    return HostileFile(b'{"id": "' + b"x" * 20 * 1024**2, "ndjson")


def deep_nesting() -> HostileFile:
    """Return records nested too deeply."""
    return HostileFile(b'{"id": "A-1", "x": %s%s}\n' % (b"[" * 100_000, b"]" * 100_000) * 10, "ndjson")


def wide_table() -> HostileFile:
    """Return a table of very many columns."""
    return HostileFile(b",".join(b"c%d" % number for number in range(200_000)) + b"\nx\n", "csv")


def quotes() -> HostileFile:
    """Return a table with a quotation mark that is never closed."""
    return HostileFile(b'id,title\nA-1,"' + b"x\n" * 4 * 1024**2, "csv")


def _workbook(make: Callable[[], bytes]) -> Callable[[], HostileFile]:
    return functools.cache(lambda: HostileFile(make(), "xlsx"))


FILES: dict[str, Callable[[], HostileFile]] = {
    "blank lines": blank_lines, "updates of one item": updates_of_one_item, "one long line": one_long_line,
    "deep nesting": deep_nesting, "wide table": wide_table, "open quotation mark": quotes,
    **{f"workbook: {make.__name__}": _workbook(make) for make in (
        workbooks.long_string, workbooks.far_cell, workbooks.far_cell_over_a_boundary, workbooks.far_cell_by_entities,
        workbooks.entities, workbooks.zip_bomb, workbooks.shared_bomb, workbooks.merged_cells, workbooks.deep,
        workbooks.wide_row, workbooks.many_sheets,
    )},
}


# -- requests --------------------------------------------------------------------------------------------------------

TEXTS = (
    "", "x", "0", "-1", "1e999", "9" * 5000, "null", "true", "a/b", "..", "%00", "%ff", "%C3%28", "'\"<>&", "é😀",
    "\u202e", "A" * 3000, "[1]", "{}", "products", "2026-01-01T00:00:00Z", "9999-99-99", "ndjson", "csv", "json", "*",
    ",", ":",
)
SEEDS: tuple[Any, ...] = (
    {}, [], None, 1, "x", {"id": "A-1", "title": "Mug"}, [{"sku": "A-1", "price": "1 EUR"}], {"products": [{}]},
    {"template": "footwear", "products": [{"slug": "a"}]}, [{"location_id": 1, "sku": "A", "quantity": 1}],
    {"deletions": 1}, {"scopes": ["read"]}, {"batchId": "x"}, {"id": 1}, {"settings": {"x": "y"}}, {"a": ["id"]},
    {"productId": "x", "attributeCode": "y", "image": "AA==", "extension": "png"}, {"items": [{"key": "x"}]},
)
LONG_NUMBER = b'{"id":' + b"9" * 5000
BROKEN_BYTES = (b"", b"\0", b"\xff", b"\r\n", b"\n", b" ", b"{", b'"', b"%", b"\xc3", b"\x7f", b"\\", b":")


class Fuzzer:
    """Requests to random operations of all protocols, some of them broken in their bytes."""

    def __init__(self, key: str, seed: int) -> None:
        self._random = random.Random(seed)
        self._key = key
        self._operations = _operations()

    def __iter__(self) -> Iterator[bytes]:
        """Return requests without end."""
        while True:
            yield self._request()

    def _request(self) -> bytes:
        choose, number = self._random.choice, self._random.random
        method, path, names = choose(self._operations)
        while "{" in path:
            head, _, rest = path.partition("{")
            path = head + _quoted(choose(TEXTS)) + rest.partition("}")[2]
        query = [f"{name}={_quoted(choose(TEXTS))}" for name in names if number() < 0.3]
        if number() < 0.05:
            query.append(f"{_quoted(choose(TEXTS))}={_quoted(choose(TEXTS))}")
        body = self._body() if method != "GET" or number() < 0.05 else b""
        media_type = choose(("application/json", "application/x-ndjson", "text/csv", "", choose(TEXTS)))
        headers = {
            "Host": choose(("x", "x", "x", "", "[::1]:1")), "X-API-Key": self._key,
            "Authorization": choose((f"Bearer {self._key}", f"Bearer {self._key}", "Basic x", "AWS4-HMAC-SHA256 x=y")),
            "Content-Type": media_type, "Content-Length": str(len(body)), "Connection": "close",
        }
        if number() < 0.3:
            names = ["Idempotency-Key", "If-None-Match", "Accept-Encoding", "Goodsgate-Merchant", "Expect", "Range",
                     "X-Request-Id", "Content-Encoding", "X-Auth-Token", "X-Access-Token", "Cookie", "Last-Event-ID"]
            headers[choose(names)] = choose(("gzip", "100-continue", *TEXTS))
        method = method if number() < 0.95 else choose(("HEAD", "PUT", "OPTIONS", "TRACE"))
        lines = [f"{method} {path}{'?' if query else ''}{'&'.join(query)} HTTP/1.1"]
        lines += [f"{name}: {text}" for name, text in headers.items()]
        request = "\r\n".join([*lines, "", ""]).encode("utf-8", "replace") + body
        return self._broken(request) if number() < 0.15 else request

    def _body(self) -> bytes:
        choose, number = self._random.choice, self._random.random
        body = orjson.dumps(choose(SEEDS))
        if number() < 0.3:
            body = self._broken(body)
        if number() < 0.1:
            body = choose((b"[" * 5000, b"\xff\xfe" * 50, b"\x1f\x8b\x08\0", b"PK\x03\x04" + b"\0" * 60, LONG_NUMBER))
        return body * choose((1, 1, 1, 30))

    def _broken(self, data: bytes) -> bytes:
        changed = bytearray(data)
        for _ in range(self._random.randint(1, 4)):
            at = self._random.randrange(len(changed) + 1)
            changed[at:at + self._random.randint(0, 3)] = self._random.choice(BROKEN_BYTES)
        return bytes(changed)


@functools.cache
def _operations() -> list[tuple[str, str, list[str]]]:
    """Return method, path template and names of query parameters of all operations."""
    return [
        (method.upper(), path, [each["name"] for each in _parameters(document, node) if each.get("in") == "query"])
        for document in (load_openapi(f"goodsgate.protocols.{name}").document for name in PROTOCOLS)
        for path, methods in document["paths"].items() for method, node in methods.items()
        if method in ("get", "put", "post", "patch", "delete")
    ]


def _parameters(document: dict[str, Any], node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for each in node.get("parameters", ()):
        reference = each.get("$ref", "")
        yield document["components"]["parameters"][reference.rpartition("/")[2]] if reference else each


def _quoted(text: str) -> str:
    """Return a text for a path or a query: bytes that HTTP forbids are quoted, the rest stays as nasty as it is."""
    return "".join(c if c.isascii() and c.isprintable() and c not in ' #?"<>&' else "".join(
        f"%{byte:02X}" for byte in c.encode()) for c in text)
