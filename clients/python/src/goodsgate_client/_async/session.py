"""Requests to a gate that are repeated until there is a final answer."""

import json
import time
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, Self, TypeVar

import httpx

from goodsgate_client._async.blocking import sleep
from goodsgate_client.connection import CONNECT_ERRORS, TRANSPORT_ERRORS, create_async_http_client, final_error
from goodsgate_client.errors import GoodsgateError, ResponseError, UnreachableError, WaitTimeoutError
from goodsgate_client.models import Document
from goodsgate_client.retrying import Backoff, TemporaryRefusal, is_transient, parse_refusal
from goodsgate_client.sources import Source, SourceError

STREAM_SILENCE_SECONDS_MAX = 20.0
"""An event stream that sends nothing for longer, not even a heartbeat, is broken or buffered by a proxy."""
KEYED_METHODS = ("POST", "PATCH", "DELETE")
"""Methods whose requests carry an idempotency key; PUT has the same effect each time."""
POLL_SECONDS_MIN = 0.5
POLL_SECONDS_MAX = 3.0
"""Pauses between two polls, where there is no event stream."""

T = TypeVar("T")
OnRetry = Callable[[str], None]
"""Called with the reason before each further attempt."""


class AsyncSession:
    """Connections to one gate with one key.

    Requests are repeated until there is a final answer or `retry_seconds` have passed. Lost connections, timeouts, and
    statuses that a later attempt may not get are not final. Requests that have another effect each time carry an
    idempotency key, so that one that is repeated has its effect once.
    """

    def __init__(
        self, url: str, key: str | None = None, *, act_for: str | None = None, ca: str | None = None,
        retry_seconds: float = 60.0, first_contact_seconds: float | None = None, user_agent: str | None = None,
    ) -> None:
        """Connect to nothing yet. Raises ConfigurationError.

        `act_for` names the merchant to act for, with an admin key; `ca` a file of CA certificates (PEM). Proxies are
        those of HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY. `first_contact_seconds` limits the retries until the
        gate has answered once, so that a wrong address is reported soon.
        """
        from goodsgate_client import __version__

        self.url = url.rstrip("/")
        self._retry_seconds = retry_seconds
        self._first_contact_seconds = retry_seconds if first_contact_seconds is None else first_contact_seconds
        self._is_reached = False
        headers = {"User-Agent": user_agent or f"goodsgate-client/{__version__}"}
        headers |= {"Authorization": f"Bearer {key}"} if key else {}
        headers |= {"Goodsgate-Merchant": act_for} if act_for else {}
        self._http = create_async_http_client(self.url, headers, ca=ca)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def request(self, method: str, path: str, **options: Any) -> Document:
        """Send a request as `send` does and return the JSON document of the answer."""
        response = await self.send(method, path, **options)
        try:
            document: Document = response.json()
        except ValueError:
            raise ResponseError(f"the server at {self.url} is not a Goodsgate server") from None
        return document

    async def send(
        self, method: str, path: str, *, body: Source | None = None, headers: dict[str, str] | None = None,
        idempotency_key: str | None = None, is_repeatable: bool = True, on_retry: OnRetry | None = None, **options: Any,
    ) -> httpx.Response:
        """Send a request until there is a final answer. Raises RefusedError, UnreachableError.

        `options` are those of httpx: `params`, `json` and so on. A request that would have a second effect despite its
        idempotency key is not repeatable: it is sent again only if it had none.
        """
        sent = dict(headers or {})
        if method in KEYED_METHODS:
            sent["Idempotency-Key"] = f'"{idempotency_key or uuid.uuid4()}"'
        if body is not None:
            sent["Content-Type"] = "application/octet-stream"
            if body.bytes_total is not None:
                sent["Content-Length"] = str(body.bytes_total)

        async def attempt() -> httpx.Response:
            response = await self._http.request(
                method, path, content=body.apieces() if body else None, headers=sent, **options
            )
            return await self._checked(response, is_repeatable=is_repeatable)

        try:
            return await self._repeat(attempt, on_retry=on_retry, is_repeatable=is_repeatable)
        except SourceError as error:
            raise error.cause from None

    async def download(self, path: str, consume: Callable[[httpx.Response], Awaitable[T]], **options: Any) -> T:
        """Pass an answer to `consume` while it arrives, again from its start if the connection is lost."""

        async def attempt() -> T:
            async with self._http.stream("GET", path, **options) as response:
                return await consume(await self._checked(response))

        return await self._repeat(attempt)

    async def watch(
        self, path: str, *, timeout_seconds: float | None = None, on_retry: OnRetry | None = None
    ) -> AsyncGenerator[Document, None]:
        """Yield the document at `path` whenever it may have changed, for ever. Raises WaitTimeoutError.

        Its event stream is read as long as it works. One that yields nothing is given up for polling: a proxy may
        buffer it, or the gate may have as many streams as it may have. The time may be exceeded by a heartbeat.
        """
        end = time.monotonic() + (float("inf") if timeout_seconds is None else timeout_seconds)
        has_stream, polls = True, 0
        while True:
            if has_stream:
                has_stream = False
                try:
                    async with aclosing(self._events(f"{path}/events", end)) as documents:
                        async for document in documents:
                            has_stream, polls = True, 0
                            yield document
                except (TemporaryRefusal, *TRANSPORT_ERRORS) as error:
                    self._end_if_final(error)
                    if on_retry and time.monotonic() < end:
                        on_retry(f"event stream: {str(error) or type(error).__name__}")
            yield await self.request("GET", path, on_retry=on_retry)
            left = end - time.monotonic()
            if left <= 0:
                raise WaitTimeoutError(f"{path} has not reached its end within {timeout_seconds} s")
            await sleep(min(POLL_SECONDS_MAX, POLL_SECONDS_MIN * 1.5**polls, left))
            polls += 1

    async def _events(self, path: str, end: float) -> AsyncGenerator[Document, None]:
        """Yield the documents of a stream of server-sent events until it ends, or the time is up."""
        silence = min(STREAM_SILENCE_SECONDS_MAX, max(0.01, end - time.monotonic()))
        timeout = httpx.Timeout(**{**self._http.timeout.as_dict(), "read": silence})
        received = b""
        async with self._http.stream("GET", path, headers={"Accept": "text/event-stream"}, timeout=timeout) as response:
            await self._checked(response)
            async for piece in response.aiter_bytes():
                # Not by `aiter_lines`, which also splits at characters that stand within a document.
                *lines, received = (received + piece).split(b"\n")
                for line in lines:
                    if line.startswith(b"data:"):
                        yield json.loads(line.removeprefix(b"data:"))
                if time.monotonic() > end:
                    return

    async def _repeat(
        self, attempt: Callable[[], Awaitable[T]], *, on_retry: OnRetry | None = None, is_repeatable: bool = True
    ) -> T:
        """Call `attempt` until it returns or raises something final, or the time for retries is over."""
        backoff = Backoff()
        while True:
            wait_seconds = 0.0
            try:
                return await attempt()
            except TemporaryRefusal as error:
                last_error: Exception = error
                wait_seconds = error.refused.retry_after_seconds
            except TRANSPORT_ERRORS as error:
                # A connection that broke was one; only one that was never made may mean a wrong address.
                self._is_reached = self._is_reached or not isinstance(error, CONNECT_ERRORS)
                self._end_if_final(error)
                if not is_repeatable and not isinstance(error, CONNECT_ERRORS):
                    raise self._give_up(error) from error
                last_error = error
            if on_retry:
                on_retry(str(last_error) or type(last_error).__name__)
            seconds_max = self._retry_seconds
            if not self._is_reached:
                seconds_max = min(self._first_contact_seconds, seconds_max)
            pause = backoff.next_pause(seconds_max, seconds_min=wait_seconds)
            if pause is None:
                raise self._give_up(last_error) from last_error
            await sleep(pause)

    async def _checked(self, response: httpx.Response, *, is_repeatable: bool = True) -> httpx.Response:
        """Return a successful answer. Raises RefusedError, TemporaryRefusal."""
        self._is_reached = True
        if response.is_success:
            return response
        await response.aread()
        refused = parse_refusal(response)
        if is_transient(refused, is_repeatable=is_repeatable):
            raise TemporaryRefusal(refused)
        raise refused

    def _end_if_final(self, error: Exception) -> None:
        final = final_error(error, self.url)
        if final is not None:
            raise final from error

    def _give_up(self, last_error: Exception) -> GoodsgateError:
        if isinstance(last_error, TemporaryRefusal):
            return last_error.refused
        return UnreachableError(f"no connection to {self.url}: {str(last_error) or type(last_error).__name__}")
