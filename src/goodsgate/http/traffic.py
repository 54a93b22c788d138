"""The latest requests and responses of an API process, for those who write a client; kept in memory, secrets masked.

A gate records nothing unless its setting `traffic_bytes_max` gives it memory for that.
"""

import asyncio
import re
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterable
from datetime import datetime

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from goodsgate.model.batch import now

EXCHANGES_MAX = 1_000
BODY_BYTES_MAX = 64 * 1024
"""Beginning of a body that is kept."""
POLL_SECONDS = 0.5
"""A waiting reader looks this often whether the gate stops."""
OVERHEAD_BYTES = 1_000
"""What an exchange takes besides its texts."""
OWN_PATHS = ("/v1/traffic", "/v1/trouble", "/console", "/docs", "/healthz", "/readyz", "/metrics")
"""Requests that are not recorded: of operators, not of clients."""
MASK = "***"

_NAME = r"[\w.-]*(?:password|passwd|secret|token|signature|api[_-]?key)[\w.-]*"
_SECRETS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\b(gg_[0-9a-z]{1,32}_|gt_)[\w-]+"), rf"\1{MASK}"),
    (re.compile(rf'("{_NAME}"\s*:\s*")(?:[^"\\]|\\.)*', re.I), rf"\1{MASK}"),
    (re.compile(rf"(<({_NAME})>)[^<]*", re.I), rf"\1{MASK}"),
    (re.compile(rf"((?:^|[?&;\s,]){_NAME}=)[^&\s\"',;<]+", re.I), rf"\1{MASK}"),
)
"""Secrets of the gate wherever they are; members, elements and parameters by their name, also if they are cut off."""
_SECRET_HEADERS = re.compile(rf"cookie|set-cookie|x-auth-token|x-access-token|x-api-key|{_NAME}", re.I)
_AUTHORIZATION = re.compile(r"(\w+\s+)?(.*)", re.S)


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """A request and its response."""

    id: int
    """Grows with the end of the exchanges."""
    at: datetime
    """When the request arrived."""
    milliseconds: float
    client: str
    """Address of the client."""
    method: str
    target: str
    """Path and query."""
    request_headers: list[tuple[str, str]]
    request_body: str
    request_bytes: int
    status: int
    """0: nothing was sent."""
    is_complete: bool
    """Whether the whole response was sent."""
    response_headers: list[tuple[str, str]]
    response_body: str
    response_bytes: int

    @property
    def size_bytes(self) -> int:
        """About the memory that it takes."""
        headers = sum(len(name) + len(value) for name, value in (*self.request_headers, *self.response_headers))
        return OVERHEAD_BYTES + len(self.target) + len(self.request_body) + len(self.response_body) + headers


class TrafficLog:
    """The latest exchanges, bounded by number and bytes; for one event loop."""

    def __init__(self, *, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self._exchanges: deque[Exchange] = deque()
        self._added = asyncio.Event()
        self.last = 0
        """Id of the latest exchange."""

    def add(self, exchange: Exchange) -> None:
        """Add an exchange, and forget the oldest ones that no longer fit."""
        self.last = exchange.id
        self._exchanges.append(exchange)
        self._bytes += exchange.size_bytes
        while self._exchanges and (len(self._exchanges) > EXCHANGES_MAX or self._bytes > self._bytes_max):
            self._bytes -= self._exchanges.popleft().size_bytes
        self._added.set()
        self._added = asyncio.Event()

    def read(self, *, after: int, limit: int) -> list[Exchange]:
        """Return the first exchanges after an id."""
        return [each for each in self._exchanges if each.id > after][:limit]

    def latest(self, limit: int) -> list[Exchange]:
        """Return the latest exchanges, newest first."""
        return [*self._exchanges][: -limit - 1 : -1]

    async def wait(self, *, after: int, seconds: float, is_stopping: Callable[[], bool]) -> None:
        """Return once there is an exchange after an id, the time is over, or the gate stops."""
        ends_at = time.monotonic() + seconds
        while self.last <= after and not is_stopping() and (left := ends_at - time.monotonic()) > 0:
            try:
                await asyncio.wait_for(self._added.wait(), min(POLL_SECONDS, left))
            except TimeoutError:
                continue


class _Body:
    """The beginning of a body, and the number of its bytes."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._kept = 0
        self.bytes = 0

    def add(self, part: bytes) -> None:
        self.bytes += len(part)
        if self._kept < BODY_BYTES_MAX:
            self._parts.append(part[: BODY_BYTES_MAX - self._kept])
            self._kept += len(self._parts[-1])

    def text(self, headers: Iterable[tuple[str, str]]) -> str:
        """Return the beginning as text with secrets masked; a note for what is no text."""
        content = b"".join(self._parts)
        coding = next((value for name, value in headers if name == "content-encoding"), "identity")
        if coding in ("gzip", "x-gzip", "deflate"):
            try:
                content = zlib.decompressobj(47).decompress(content, BODY_BYTES_MAX)
            except zlib.error:
                return f"({self.bytes} bytes that are not {coding})"
        elif coding != "identity":
            return f"({self.bytes} bytes of {coding})"
        is_cut = self.bytes > self._kept
        try:
            text = (content if not is_cut else content[: content.rfind(b"\n") + 1] or content[:-4]).decode()
        except UnicodeDecodeError:
            return f"({self.bytes} bytes that are not UTF-8 text)"
        return mask_secrets(text) + (f"\n… ({self.bytes} bytes)" if is_cut else "")


class TrafficRecorder:
    """ASGI application that records the exchanges of another one."""

    def __init__(self, application: ASGIApp, log: TrafficLog) -> None:
        self._application = application
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request as the application does."""
        if scope["type"] != "http" or scope["path"].startswith(OWN_PATHS):
            await self._application(scope, receive, send)
            return
        at, began = now(), time.perf_counter()
        request, response = _Body(), _Body()
        status, is_complete = 0, False
        headers: list[tuple[bytes, bytes]] = []

        async def receive_recorded() -> Message:
            message = await receive()
            request.add(message.get("body", b""))
            return message

        async def send_recorded(message: Message) -> None:
            nonlocal status, is_complete, headers
            await send(message)
            if message["type"] == "http.response.start":
                status, headers = message["status"], [*message.get("headers", ())]
            else:
                response.add(message.get("body", b""))
                is_complete = not message.get("more_body", False)

        try:
            await self._application(scope, receive_recorded, send_recorded)
        finally:
            client = scope.get("client")
            path = scope["raw_path"].decode("latin-1")
            query = scope["query_string"].decode("latin-1")
            request_headers, response_headers = _decode(scope["headers"]), _decode(headers)
            self._log.add(Exchange(
                id=self._log.last + 1, at=at, milliseconds=round((time.perf_counter() - began) * 1000, 1),
                client=client[0] if client else "", method=scope["method"],
                target=mask_secrets(path + (f"?{query}" if query else "")),
                request_headers=_masked(request_headers), request_body=request.text(request_headers),
                request_bytes=request.bytes, status=status, is_complete=is_complete,
                response_headers=_masked(response_headers), response_body=response.text(response_headers),
                response_bytes=response.bytes,
            ))


def mask_secrets(text: str) -> str:
    """Return a text without the secrets in it."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


def _decode(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    return [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in headers]


def _masked(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, _masked_header(name, value)) for name, value in headers]


def _masked_header(name: str, value: str) -> str:
    if name in ("authorization", "proxy-authorization"):
        if value.startswith("AWS4-"):
            return mask_secrets(value)  # only its signature is secret
        scheme = _AUTHORIZATION.match(value)
        return f"{scheme[1] or ''}{MASK}" if scheme is not None else MASK
    return MASK if _SECRET_HEADERS.fullmatch(name) and value else mask_secrets(value)
