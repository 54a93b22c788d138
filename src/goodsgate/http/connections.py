"""Connections of clients: uvicorn's HTTP protocol with bounds on their number, on headers and trailers, and on time.

A connection is always in one of these states, and each has a time limit:

| state | limit |
|---|---|
| the headers of a request are awaited or arriving | ``headers_seconds`` from connecting or from the first byte |
| a request is being answered | the handler's: ``RequestBody`` bounds the body, ``wait_seconds_max`` a long poll |
| the client takes nothing of the response | ``write_seconds`` |
| the response was sent and the body is still arriving | ``headers_seconds`` |
| nothing is asked | ``keep_alive_seconds`` |
| the connection is being closed | ``write_seconds`` |

One timer looks at all connections, so that a request costs no timer of its own.
"""

import asyncio
import contextlib
import ipaddress
import logging
import math
import secrets
import socket
from collections import Counter as Counts
from collections.abc import Callable
from http import HTTPStatus

import httptools
import msgspec
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http import httptools_impl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from goodsgate.engine.refusal import Refusal
from goodsgate.http.problems import problem, refuse
from goodsgate.observe import Metrics

DRAIN_SECONDS = 1.0
"""Time for which a refused client may still send: closing at once would reset the connection and lose the response."""
DRAINING_MAX = 64
"""Refused connections that are open at once; those beyond are closed without a response."""
PIPELINED_MAX = 64
"""Requests that one connection may send ahead of their responses."""
STOP_SECONDS = 3.0
"""Time after `stop_seconds` in which refused uploads receive their refusal."""
CHECK_SECONDS_MAX = 1.0
LOG_SECONDS = 10.0
"""Refused connections are logged at most this often."""
BODY_BYTES_AHEAD = 1024**2
"""Bytes of a body that are read from the socket ahead of the application.

Uvicorn has no setting for it. With its default of 64 KiB it pauses and resumes with nearly every read, and a body of
100 MB takes a sixth longer.
"""
HTTP2_REFUSAL = (
    b"\0\0\0\4\0\0\0\0\0"  # an empty SETTINGS frame, then GOAWAY with the code HTTP_1_1_REQUIRED (RFC 9113, 7)
    b"\0\0\x08\x07\0\0\0\0\0" + b"\0\0\0\0" + b"\0\0\0\x0d"
)

httptools_impl.HIGH_WATER_LIMIT = BODY_BYTES_AHEAD  # type: ignore[attr-defined] # the module imports and uses the name

log = logging.getLogger("goodsgate.http")


class ConnectionLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of the connections to one API process; see the settings of the same names."""

    http_connections_max: int
    http_connections_per_address_max: int
    headers_bytes_max: int
    """Bytes of a request's line and headers, and of its trailers."""
    headers_seconds: float
    keep_alive_seconds: float
    write_seconds: float
    stop_seconds: float


def fit_descriptors(limits: ConnectionLimits, available: float) -> ConnectionLimits:
    """Return the limits with both numbers of connections lowered in proportion, so that the descriptors suffice."""
    share = min(1.0, available / limits.http_connections_max)
    return msgspec.structs.replace(
        limits, http_connections_max=max(1, int(limits.http_connections_max * share)),
        http_connections_per_address_max=max(1, int(limits.http_connections_per_address_max * share)),
    )


class OpenConnections:
    """The connections of one server: counted in all and by address, and closed when their time is up."""

    def __init__(self, limits: ConnectionLimits, metrics: Metrics, *, buffer_bytes: Callable[[], int],
                 is_proxy: Callable[[str], bool] | None = None) -> None:
        """Create an empty set; `buffer_bytes` returns how many bytes of a body may wait for its handler.

        Connections from an address that `is_proxy` accepts are those of many clients, and only counted in all.
        """
        self._is_proxy = is_proxy
        self.limits = limits
        self.buffer_bytes = buffer_bytes
        self._metrics = metrics
        self._counted: dict[BoundedHttp, str] = {}
        """Connection → address for which it is counted."""
        self._by_address: Counts[str] = Counts()
        self._draining: set[BoundedHttp] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._refused = 0
        self._logged_at = -math.inf
        times = (limits.headers_seconds, limits.keep_alive_seconds, limits.write_seconds, 4 * CHECK_SECONDS_MAX)
        self._check_seconds = min(times) / 4

    def add(self, connection: "BoundedHttp", address: str) -> bool:
        """Count a connection and return True, or return False if it is one too many."""
        if self._timer is None:
            self._timer = connection.loop.call_later(self._check_seconds, self._check, connection.loop)
        limits = self.limits
        is_full = len(self._counted) >= limits.http_connections_max
        has_too_many = self._by_address[address] >= limits.http_connections_per_address_max
        if is_full or (has_too_many and not (self._is_proxy is not None and self._is_proxy(address))):
            self._refused += 1
            self._log_refused(connection.loop.time(), "the gate" if is_full else address)
            return False
        self._counted[connection] = address
        self._by_address[address] += 1
        self._metrics.connections.set(len(self._counted))
        return True

    def drain(self, connection: "BoundedHttp") -> bool:
        """Note that a refused connection waits for its client; return False if too many do."""
        if len(self._draining) >= DRAINING_MAX:
            return False
        self._draining.add(connection)
        return True

    def remove(self, connection: "BoundedHttp") -> None:
        """Forget a connection that is closed."""
        self._draining.discard(connection)
        address = self._counted.pop(connection, None)
        if address is not None:
            self._by_address[address] -= 1
            if not self._by_address[address]:
                del self._by_address[address]
            self._metrics.connections.set(len(self._counted))

    def record_close(self, reason: str) -> None:
        """Count a connection that the gate closes."""
        self._metrics.closed_connections.labels(reason).inc()

    def _check(self, loop: asyncio.AbstractEventLoop) -> None:
        """Close the connections whose time is up."""
        now = loop.time()
        for connection in [*self._counted, *self._draining]:
            connection.check(now)
        self._timer = None
        if self._counted or self._draining:
            self._timer = loop.call_later(self._check_seconds, self._check, loop)

    def _log_refused(self, now: float, holder: str) -> None:
        if now < self._logged_at + LOG_SECONDS:
            return
        self._logged_at = now
        log.warning(
            "refused %d connections: %s has as many as allowed", self._refused, holder,
            extra={"open": len(self._counted), "http_connections_max": self.limits.http_connections_max,
                   "http_connections_per_address_max": self.limits.http_connections_per_address_max},
        )
        self._refused = 0


class BoundedHttp(HttpToolsProtocol):
    """One connection: uvicorn's HTTP protocol within the limits, which ignores `Upgrade`."""

    open_connections: OpenConnections
    on_shutdown: Callable[[], None] = staticmethod(lambda: None)
    """Callback for each connection when the server stops."""
    _deadline = math.inf
    """Time of the loop at which the connection has to be in another state; infinite while a request is answered."""
    _write_deadline = math.inf
    _close_deadline = math.inf
    _stop_deadline = math.inf
    _late = "headers"
    """Why the connection is closed at its deadline."""
    _in_headers = False
    _in_body = False
    _received_bytes = 0
    """Bytes since the last headers or the last piece of a body were complete."""
    _refused = False
    _running: RequestResponseCycle | None = None
    """The request that is being answered; those behind it wait in the pipeline."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # uvicorn narrows it too
        """Count the connection, or refuse it."""
        super().connection_made(transport)
        self.access_log = False  # uvicorn logs query strings, which may contain passwords
        limits = self._limits = self.open_connections.limits
        self._deadline = self.loop.time() + limits.headers_seconds
        _bound_silence(transport, limits.write_seconds)
        if not self.open_connections.add(self, client_network(self.client)):
            self._refuse(refuse("connections_full"), "full")

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection, and tell the handler; uvicorn tells that of the newest request alone."""
        self.open_connections.remove(self)
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            self._running.message_event.set()
        super().connection_lost(exc)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def data_received(self, data: bytes) -> None:
        """Parse what has arrived. A request to upgrade is served as if it did not ask for it (RFC 9110, 7.8)."""
        if self._refused:
            return
        self._unset_keepalive_if_required()
        self._received_bytes += len(data)
        while data:
            try:
                self.parser.feed_data(data)
                break
            except httptools.HttpParserUpgrade as upgrade:
                data = self._head_without_upgrade() + data[upgrade.args[0]:]
            except httptools.HttpParserError as error:
                self._refuse_malformed(error)
                return
        if self._received_bytes > self._limits.headers_bytes_max:
            self._refuse(self._too_large(), "headers_too_large")

    def on_message_begin(self) -> None:
        """Start the time for the headers, unless an earlier request is still being answered."""
        self._in_headers = True
        if not self._is_answering():
            self._wait(self._limits.headers_seconds, "headers")
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; trailers are dropped, because the request has been passed on without them."""
        if self._in_headers:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Start the request. Raises Refusal, which the parser passes on to `data_received`."""
        limit = self._limits.headers_bytes_max
        if self._received_bytes > limit:  # with what came before and after them in the same read
            size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            if size > limit:
                raise self._too_large()
        if self.parser.get_method() == b"CONNECT":
            raise refuse("request_malformed", "The gate is no proxy; CONNECT is not supported.")
        if self.parser.should_upgrade():
            return  # the request is parsed again without its Upgrade header
        if len(self.pipeline) >= PIPELINED_MAX:
            raise refuse("request_malformed", "Too many requests were sent ahead of their responses.")
        self._in_headers, self._in_body = False, True
        self._received_bytes = 0
        self._deadline = math.inf
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Pass on a piece of the body."""
        self._received_bytes = 0
        super().on_body(body)
        if len(self.cycle.body) > self.open_connections.buffer_bytes():
            self.flow.pause_reading()

    def on_message_complete(self) -> None:
        """Note that the body is complete."""
        if self.parser.should_upgrade():
            return
        self._in_body = False
        super().on_message_complete()
        if not self._is_answering():
            self._wait(self._limits.keep_alive_seconds, "idle")

    def on_response_complete(self) -> None:
        """Start the time for the next request, or for the rest of this one."""
        super().on_response_complete()
        if self._is_answering():
            return
        if self._in_body:
            self._wait(self._limits.headers_seconds, "body_after_response")
        elif self._in_headers:
            self._wait(self._limits.headers_seconds, "headers")
        else:
            self._wait(self._limits.keep_alive_seconds, "idle")

    def pause_writing(self) -> None:
        """Start the time for a client that does not take the response."""
        self._write_deadline = self.loop.time() + self._limits.write_seconds
        super().pause_writing()

    def resume_writing(self) -> None:
        """Stop the time: the client has taken most of what was written."""
        self._write_deadline = math.inf
        super().resume_writing()

    def shutdown(self) -> None:
        """Answer waiting requests first, because uvicorn waits for them."""
        self.on_shutdown()
        self._stop_deadline = self.loop.time() + self._limits.stop_seconds + STOP_SECONDS
        super().shutdown()

    def check(self, now: float) -> None:
        """Close the connection if its time is up; drop what a client does not take even then."""
        if self.transport.is_closing():
            if self._close_deadline == math.inf:
                self._close_deadline = now + self._limits.write_seconds
            elif now >= self._close_deadline:
                self._drop("write")
        elif now >= self._write_deadline:
            self._drop("write")
        elif now >= self._stop_deadline and self._is_answering() and (
                self.flow.write_paused or self.cycle.response_started):
            self._drop("stopping")
        elif now >= self._deadline:
            if not self._refused:
                self.open_connections.record_close(self._late)
            self.transport.close()

    def _drop(self, reason: str) -> None:
        self._close_deadline = math.inf
        self.open_connections.record_close(reason)
        self.transport.abort()

    def _wait(self, seconds: float, reason: str) -> None:
        self._deadline, self._late = self.loop.time() + seconds, reason

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _too_large(self) -> Refusal:
        return refuse("headers_too_large", limit_bytes=self._limits.headers_bytes_max)

    def _head_without_upgrade(self) -> bytes:
        """Return the head that was just parsed without its Upgrade header, and start a new parser for it.

        The parser treats everything after the head as another protocol; clients send their body all the same.
        """
        lines = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())]
        lines += [b"%s: %s" % header for header in self.headers if header[0] != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
        return b"\r\n".join([*lines, b"", b""])

    def _refuse_malformed(self, error: httptools.HttpParserError) -> None:
        if isinstance(error.__context__, Refusal):  # raised by a callback
            self._refuse(error.__context__, error.__context__.code)
        elif self.parser.get_method() == b"PRI":
            self._end(HTTP2_REFUSAL, "http2")
        else:
            self._refuse(refuse("request_malformed"), "request_malformed")

    def _refuse(self, refusal: Refusal, reason: str) -> None:
        """Send a refusal directly to the socket: no request exists yet, or what follows its head is at fault."""
        cycle = self.cycle
        if self.pipeline:
            self.open_connections.record_close(reason)
            self.transport.close()
        elif cycle is not None and not cycle.response_complete and not cycle.more_body:
            self._refused = True  # a complete request is being answered; the fault is in what follows it
            cycle.keep_alive = False
        elif cycle is not None and not cycle.response_complete and cycle.response_started:
            self.open_connections.record_close(reason)
            self.transport.close()
        else:
            self._end(_response(refusal), reason)

    def _end(self, response: bytes, reason: str) -> None:
        """Send the last bytes of the connection, and drop for a while what the client still sends."""
        self._refused = True
        self.open_connections.record_close(reason)
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True  # the handler need not answer any more
            self.cycle.message_event.set()
        if not self.open_connections.drain(self):
            self.transport.close()
            return
        self._deadline = self.loop.time() + DRAIN_SECONDS
        self.transport.write(response)
        if self.transport.can_write_eof():
            self.transport.write_eof()


def client_network(client: tuple[str, int] | None) -> str:
    """Return the address of a client; one with IPv6 has 64 bits for itself, so its network counts."""
    if client is None:
        return "unknown"
    host = client[0].partition("%")[0]
    if ":" not in host:
        return host
    address = ipaddress.IPv6Address(host)
    return str(address.ipv4_mapped or ipaddress.IPv6Network((address, 64), strict=False))


def bounded_http(open_connections: OpenConnections, on_shutdown: Callable[[], None]) -> type[BoundedHttp]:
    """Return the protocol class for one server."""
    members = {"open_connections": open_connections, "on_shutdown": staticmethod(on_shutdown)}
    return type("BoundedHttpOfServer", (BoundedHttp,), members)


def _response(refusal: Refusal) -> bytes:
    """Return a whole response with a problem document; the request id is a new one, as there is no request."""
    request_id = secrets.token_hex(8)
    status, headers, body = problem(refusal, request_id)
    headers |= {
        "content-length": str(len(body)), "cache-control": "no-store", "x-request-id": request_id,
        "connection": "close",
    }
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *(f"{name}: {headers[name]}" for name in headers)]
    return "\r\n".join([*lines, "", ""]).encode() + body


def _bound_silence(transport: asyncio.Transport, seconds: float) -> None:
    """Let the system end the connection to a client that vanished, where it has such an option."""
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    if option is not None:
        with contextlib.suppress(OSError):
            transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, option, int(seconds * 1000))
