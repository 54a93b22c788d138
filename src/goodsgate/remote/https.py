"""Files over HTTPS, or HTTP where the operator allows it: read only.

Redirects are followed by hand, and each address is checked as the first one. Credentials go to the first host alone.
"""

import asyncio
import base64
import ssl
import time
from collections.abc import AsyncIterator, Coroutine, Generator, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any, Self, TypeVar
from urllib.parse import unquote, urljoin

import httpx

from goodsgate.remote.addresses import AddressError, RemoteAddress, parse_address
from goodsgate.remote.contract import PIECE_BYTES, Access, RemoteError, RemoteFile, RemoteSettings, changed
from goodsgate.remote.guard import checked_address

REDIRECTS_MAX = 5
COLLECTED_BYTES = PIECE_BYTES // 2
COLLECT_SECONDS = 1.0
"""Bytes are collected up to this number or time; a connection gives 64 KiB at once."""
REDIRECTS = frozenset({301, 302, 303, 307, 308})
RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses after which the same request may succeed later."""
T = TypeVar("T")


class HttpsServer:
    """One file of a server. Each step has a time limit, so that a server that stalls keeps no thread."""

    def __init__(self, address: RemoteAddress, access: Access, settings: RemoteSettings) -> None:
        self._address = address
        self._access = access
        self._settings = settings
        self._loop = asyncio.Runner()
        self._clients: list[httpx.AsyncClient] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            for client in self._clients:
                self._loop.run(client.aclose())
        finally:
            self._loop.close()

    def files(self) -> list[RemoteFile]:
        """Return the file, with what the server says of it before its content."""
        with _remote_errors():
            response = self._run(self._request("HEAD"))
            if response.status_code >= 400:  # some servers answer only GET
                response = self._run(self._request("GET"))
                self._run(response.aclose())
            _check_status(response)
            return [self._file(response)]

    def read(self, file: RemoteFile, *, offset: int = 0) -> Generator[bytes, None, None]:
        """Yield the bytes of the file."""
        headers = {"range": f"bytes={offset}-"} if offset else {}
        if offset and file.etag and not file.etag.startswith("W/"):
            headers["if-range"] = file.etag
        with _remote_errors():
            response = self._run(self._request("GET", headers))
            try:
                _check_status(response)
                if offset and response.status_code != 206:
                    raise changed(file)
                now = self._file(response)
                if file.version and now.version and (now.etag, now.modified_at) != (file.etag, file.modified_at):
                    raise changed(file)
                if response.headers.get("content-encoding", "identity") not in ("identity", ""):
                    raise RemoteError("The server compressed the file, though it was asked not to.", final=True)
                pieces, fault = response.aiter_raw(), None
                while fault is None:
                    piece, fault = self._run(_collect(pieces))
                    if piece:
                        yield piece
                    elif fault is None:
                        return
                raise fault
            finally:
                self._run(response.aclose())

    def write(self, name: str, pieces: Iterable[bytes]) -> None:  # noqa: ARG002 - refused whatever it is
        """Nothing is written over HTTP."""
        raise RemoteError("Files can only be read over HTTP.", final=True)

    def move(self, name: str, to: str) -> None:  # noqa: ARG002 - refused whatever it is
        """Nothing is moved over HTTP."""
        raise RemoteError("Files cannot be moved over HTTP.", final=True)

    def delete(self, name: str) -> None:  # noqa: ARG002 - refused whatever it is
        """Nothing is deleted over HTTP."""
        raise RemoteError("Files cannot be deleted over HTTP.", final=True)

    def _file(self, response: httpx.Response) -> RemoteFile:
        headers = response.headers
        try:
            modified_at = parsedate_to_datetime(headers["last-modified"]).astimezone(UTC)
        except (KeyError, ValueError):
            modified_at = None
        size = headers.get("content-length", "")
        name = unquote(self._address.name.strip("/")) or self._address.host
        return RemoteFile(
            name=name, etag=headers.get("etag", ""), modified_at=modified_at,
            size=int(size) if size.isdecimal() and response.status_code == 200 else None,
        )

    async def _request(self, method: str, headers: dict[str, str] | None = None) -> httpx.Response:
        """Send a request, follow redirects, and return the response before its body."""
        address = self._address
        for _ in range(REDIRECTS_MAX + 1):
            response = await self._send(method, address, headers or {})
            if response.status_code not in REDIRECTS:
                return response
            await response.aclose()
            try:
                address = parse_address(urljoin(address.text, response.headers.get("location", "")))
            except AddressError as fault:
                raise RemoteError("The server redirects to an address that cannot be used.", final=True) from fault
            if address.scheme not in ("https", "http"):
                raise RemoteError("The server redirects to an address that is not one of HTTPS.", final=True)
        raise RemoteError(f"The server redirects more than {REDIRECTS_MAX} times.", final=True)

    async def _send(self, method: str, address: RemoteAddress, headers: dict[str, str]) -> httpx.Response:
        if address.scheme == "http" and not self._settings.allow_http:
            raise RemoteError("HTTP without TLS is not allowed (setting feed_http).", final=True)
        ip_address = await asyncio.to_thread(checked_address, address.host, address.port, self._settings)
        given = httpx.URL(address.text)
        url = httpx.URL(scheme=address.scheme, host=ip_address, port=address.port, raw_path=given.raw_path)
        own = {"host": given.netloc.decode(), "accept-encoding": "identity", "user-agent": "goodsgate"}
        if (address.scheme, address.host, address.port) == (
            self._address.scheme, self._address.host, self._address.port
        ):
            own |= self._credentials()
        client = httpx.AsyncClient(
            timeout=httpx.Timeout(self._settings.idle_seconds, connect=self._settings.connect_seconds),
            follow_redirects=False, trust_env=False, verify=_certificates(),
        )
        self._clients.append(client)
        request = client.build_request(
            method, url, headers={**own, **headers}, extensions={"sni_hostname": address.host}
        )
        async with asyncio.timeout(self._settings.idle_seconds):
            return await client.send(request, stream=True)

    def _credentials(self) -> dict[str, str]:
        if self._access.token:
            return {"authorization": f"Bearer {self._access.token}"}
        if self._access.username or self._access.password:
            pair = f"{self._access.username}:{self._access.password}".encode()
            return {"authorization": f"Basic {base64.b64encode(pair).decode()}"}
        return {}

    def _run(self, step: Coroutine[Any, Any, T]) -> T:
        return self._loop.run(asyncio.wait_for(step, self._settings.idle_seconds + self._settings.connect_seconds))


async def _collect(pieces: AsyncIterator[bytes]) -> tuple[bytes, Exception | None]:
    """Return the next bytes, b"" at the end, and the error that came behind them: what has arrived is not lost."""
    collected = bytearray()
    began = time.monotonic()
    try:
        async for piece in pieces:
            collected += piece
            if len(collected) >= COLLECTED_BYTES or time.monotonic() - began > COLLECT_SECONDS:
                break
    except (httpx.HTTPError, httpx.StreamError, OSError) as fault:
        return bytes(collected), fault
    return bytes(collected), None


def _check_status(response: httpx.Response) -> None:
    if not 200 <= response.status_code < 300:
        status = response.status_code
        raise RemoteError(f"The server answered {status}.", final=status not in RETRIED and status != 404)


@cache
def _certificates() -> ssl.SSLContext:
    return httpx.create_ssl_context(trust_env=False)


@contextmanager
def _remote_errors() -> Iterator[None]:
    """Raise errors of the transport as RemoteError; their texts have no credential, but may have the address."""
    try:
        yield
    except TimeoutError as fault:
        raise RemoteError("The server did not answer in time.") from fault
    except httpx.TimeoutException as fault:
        raise RemoteError("The server did not answer in time.") from fault
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError) as fault:
        raise RemoteError(f"The connection to the server failed: {fault or type(fault).__name__}.") from fault
