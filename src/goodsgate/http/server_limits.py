"""The server's HTTP protocol with the bounds that it lacks: size of the headers, and time to send them."""

import asyncio
from collections.abc import Callable

from uvicorn.protocols.http import httptools_impl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from goodsgate.http.problems import problem, refuse

HEADERS_BYTES_MAX = 32 * 1024
"""Past what came with the first read from the socket (at most 256 KiB)."""
HEADERS_SECONDS_MAX = 20.0
"""From the first byte of a request, or from connecting, to the end of its headers."""
DRAIN_SECONDS = 1.0
BODY_BYTES_AHEAD = 1024**2
"""Of a body, read from the socket before somebody asks for it. The server has no setting for it; with its own 64 KiB it
stops and goes on with nearly every read, and a body of 100 MB takes a sixth longer."""

httptools_impl.HIGH_WATER_LIMIT = BODY_BYTES_AHEAD  # type: ignore[attr-defined] # imported there, and used


class BoundedHttp(HttpToolsProtocol):
    """Gives up connections whose headers are too large or too slow."""

    on_shutdown: Callable[[], None] = staticmethod(lambda: None)
    """Called once for each connection when the server stops."""
    _deadline: asyncio.TimerHandle | None = None
    _header_bytes = 0
    _in_headers = True
    _refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # uvicorn narrows it too
        """A connection that says nothing is not kept either."""
        super().connection_made(transport)
        self.access_log = False  # whoever listens to uvicorn's log: its lines hold query strings, and those passwords
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        """No timer outlives its connection."""
        self._disarm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Look at the bounds whenever headers are still coming."""
        if self._refused:
            return
        self._header_bytes += len(data)
        super().data_received(data)
        if not self._in_headers or self.transport.is_closing():
            return
        # Only headers that did not come in one go are worth a timer; all others cost two assignments.
        self._arm()
        if self._header_bytes > HEADERS_BYTES_MAX:
            self._give_up()

    def on_message_begin(self) -> None:
        """Count anew for each request of a connection."""
        self._in_headers = True
        self._header_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """From here on the body's own bounds hold."""
        self._in_headers = False
        if self._deadline is not None:
            self._disarm()
        super().on_headers_complete()

    def shutdown(self) -> None:
        """Stop waiting answers first; uvicorn waits for them."""
        self.on_shutdown()
        super().shutdown()

    def _arm(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(HEADERS_SECONDS_MAX, self.transport.close)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        """Refuse in the middle of the headers; there is no request yet that could be answered."""
        status, headers, body = problem(refuse("headers_too_large", limit_bytes=HEADERS_BYTES_MAX), "none")
        lines = [f"HTTP/1.1 {status} Request Header Fields Too Large"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        lines += [f"content-length: {len(body)}", "connection: close", "", ""]
        self.transport.write("\r\n".join(lines).encode() + body)
        # What still comes is read and dropped for a while: closing on unread data would take the answer away.
        self._refused = True
        self._disarm()
        self._deadline = self.loop.call_later(DRAIN_SECONDS, self.transport.close)


def bounded_http(on_shutdown: Callable[[], None]) -> type[BoundedHttp]:
    """The protocol class for one server."""
    return type("Guarded", (BoundedHttp,), {"on_shutdown": staticmethod(on_shutdown)})
