"""Uvicorn's HTTP protocol with two more limits: the size of the headers, and the time to send them."""

import asyncio
from collections.abc import Callable

from uvicorn.protocols.http import httptools_impl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from goodsgate.http.problems import problem, refuse

HEADERS_BYTES_MAX = 32 * 1024
"""Maximum size of headers that do not arrive with the first read from the socket (at most 256 KiB)."""
HEADERS_SECONDS_MAX = 20.0
"""Maximum time from the first byte of a request, or from connecting, to the end of its headers."""
DRAIN_SECONDS = 1.0
BODY_BYTES_AHEAD = 1024**2
"""Bytes of a body that are read from the socket ahead of the application.

Uvicorn has no setting for it. With its default of 64 KiB it pauses and resumes with nearly every read, and a body of
100 MB takes a sixth longer.
"""

httptools_impl.HIGH_WATER_LIMIT = BODY_BYTES_AHEAD  # type: ignore[attr-defined] # the module imports and uses the name


class BoundedHttp(HttpToolsProtocol):
    """HTTP protocol that closes connections whose headers are too large or too slow."""

    on_shutdown: Callable[[], None] = staticmethod(lambda: None)
    """Callback for each connection when the server stops."""
    _deadline: asyncio.TimerHandle | None = None
    _header_bytes = 0
    _in_headers = True
    _refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # uvicorn narrows it too
        """Start the timer: a connection that sends nothing is closed as well."""
        super().connection_made(transport)
        self.access_log = False  # uvicorn logs query strings, which may contain passwords
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Check the limits while headers are arriving."""
        if self._refused:
            return
        self._header_bytes += len(data)
        super().data_received(data)
        if not self._in_headers or self.transport.is_closing():
            return
        # Headers that arrive with one read need no timer; for them the check costs two assignments.
        self._start_timer()
        if self._header_bytes > HEADERS_BYTES_MAX:
            self._refuse()

    def on_message_begin(self) -> None:
        """Restart the count for each request of a connection."""
        self._in_headers = True
        self._header_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Stop the timer; the body has limits of its own."""
        self._in_headers = False
        if self._deadline is not None:
            self._stop_timer()
        super().on_headers_complete()

    def shutdown(self) -> None:
        """Answer waiting requests first, because uvicorn waits for them."""
        self.on_shutdown()
        super().shutdown()

    def _start_timer(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(HEADERS_SECONDS_MAX, self.transport.close)

    def _stop_timer(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _refuse(self) -> None:
        """Send a refusal directly to the socket: uvicorn has no request yet that could be answered."""
        status, headers, body = problem(refuse("headers_too_large", limit_bytes=HEADERS_BYTES_MAX), "none")
        lines = [f"HTTP/1.1 {status} Request Header Fields Too Large"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        lines += [f"content-length: {len(body)}", "connection: close", "", ""]
        self.transport.write("\r\n".join(lines).encode() + body)
        # Read and drop data for a while: closing with unread data would reset the connection and lose the response.
        self._refused = True
        self._stop_timer()
        self._deadline = self.loop.call_later(DRAIN_SECONDS, self.transport.close)


def bounded_http(on_shutdown: Callable[[], None]) -> type[BoundedHttp]:
    """Return the protocol class for one server."""
    return type("BoundedHttpWithShutdown", (BoundedHttp,), {"on_shutdown": staticmethod(on_shutdown)})
