"""HTTP client of a running gate: where it is, which key to use, retries, and refusals as one line."""

import functools
import json
import os
import sys
import time
import tomllib
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from goodsgate.cli.errors import CommandError, ExitCode, RefusedError, UnreachableError
from goodsgate.cli.transport import RetryTimer, create_http_client, final_error, is_transient, parse_refusal

if TYPE_CHECKING:
    import httpx

DEFAULT_URL = "http://127.0.0.1:8480"
FIRST_CONTACT_SECONDS = 3.0
"""Retry timeout until the gate has answered once: a wrong address should be reported soon."""
STREAM_SILENCE_SECONDS_MAX = 20.0
"""An event stream that sends nothing for longer, not even a heartbeat, is broken or buffered by a proxy."""
POLL_SECONDS_MIN = 0.5
POLL_SECONDS_MAX = 3.0
"""Pauses between two polls, where there is no event stream."""

Document = dict[str, Any]
T = TypeVar("T")
OnRetry = Callable[[str], None]
"""Called with the reason before each further attempt."""


def settings_file() -> Path:
    """Return the path of the user's settings file, which holds ``url``, ``key`` and ``ca``."""
    return Path(click.get_app_dir("goodsgate")) / "client.toml"


def with_client(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of the connection to a command and pass it a `GateClient` as `client`."""

    @click.option("--url", envvar="GOODSGATE_URL", help=f"Address of the gate. Default: {DEFAULT_URL}.")
    @click.option("--key", envvar="GOODSGATE_KEY", help="API key. Safer: $GOODSGATE_KEY or the settings file.")
    @click.option(
        "--ca", envvar="GOODSGATE_CA", metavar="FILE",
        help="CA certificates to trust (PEM). Default: $SSL_CERT_FILE, else those of the system.",
    )
    @click.option("--act-for", metavar="MERCHANT", help="Merchant to act for; needs an admin key.")
    @click.option(
        "--retry-timeout", type=click.FloatRange(min=0), default=60.0, show_default=True, metavar="SECONDS",
        help="How long lost connections and temporary failures are retried.",
    )
    @functools.wraps(command)
    def wrapped(
        *args: Any, url: str | None, key: str | None, ca: str | None, act_for: str | None, retry_timeout: float,
        **options: Any,
    ) -> Any:
        _check_variables()
        saved = _read_settings()
        client = GateClient(
            url or saved.get("url", DEFAULT_URL), key or saved.get("key"), act_for=act_for, retry_seconds=retry_timeout,
            ca=ca or saved.get("ca"),
        )
        try:
            return command(*args, client=client, **options)
        except KeyboardInterrupt:
            click.echo("Interrupted. The gate continues with everything it has accepted.", err=True)
            sys.exit(ExitCode.INTERRUPTED)
        finally:
            client.close()

    return wrapped


def _check_variables() -> None:
    from goodsgate.config import unknown_variables

    problems = unknown_variables(os.environ)
    if problems:
        raise CommandError("\n".join(problems))


def _read_settings() -> dict[str, str]:
    file = settings_file()
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise CommandError(f"{file}: {error}") from error


class _TemporaryRefusal(Exception):  # noqa: N818 - a step of a loop, not an error that anybody sees
    """A refusal after which a later attempt may succeed."""

    def __init__(self, refused: RefusedError, wait_seconds: float) -> None:
        super().__init__(refused.message)
        self.refused = refused
        self.wait_seconds = wait_seconds


class GateClient:
    """Client of a running gate with the key of one merchant.

    Requests are repeated until there is a final answer or `retry_seconds` have passed. Lost connections, timeouts, and
    statuses that a later attempt may not get are not final.
    """

    def __init__(self, url: str, key: str | None, *, act_for: str | None = None, retry_seconds: float,
                 ca: str | None = None) -> None:
        """Connect to nothing yet; `ca` names a file of CA certificates. Raises CommandError."""
        import httpx

        self.url = url.rstrip("/")
        self.retry_seconds = retry_seconds
        self._reached = False
        self._transport_errors = (httpx.TransportError, httpx.StreamError, httpx.DecodingError)
        self._connect_errors = (httpx.ConnectError, httpx.ConnectTimeout)
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        headers |= {"Goodsgate-Merchant": act_for} if act_for else {}
        self._http = create_http_client(self.url, headers, ca=ca)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def request(self, method: str, path: str, **options: Any) -> Document:
        """Send a request as `send` does and return the JSON document of the response."""
        response = self.send(method, path, **options)
        try:
            document: Document = response.json()
        except ValueError:
            raise CommandError(f"the server at {self.url} is not a Goodsgate server") from None
        return document

    def send(
        self, method: str, path: str, *, on_retry: OnRetry | None = None, is_repeatable: bool = True,
        body: Callable[[], Iterator[bytes]] | None = None, headers: dict[str, str] | None = None, **options: Any,
    ) -> "httpx.Response":
        """Send a request until there is a final answer; raises RefusedError and UnreachableError.

        `body` returns the content again for each attempt. Every POST carries an idempotency key. A request that would
        have a second effect nevertheless is not repeatable: it is sent again only if it had none.
        """
        headers = headers or {}
        if method == "POST":
            headers = {"Idempotency-Key": f'"{uuid.uuid4()}"', **headers}

        def attempt() -> "httpx.Response":
            response = self._http.request(
                method, path, content=body() if body else None, headers=headers, **options
            )
            return self._checked(response, is_repeatable=is_repeatable)

        return self._repeat(attempt, on_retry=on_retry, is_repeatable=is_repeatable)

    def download(self, path: str, consume: "Callable[[httpx.Response], T]", **options: Any) -> T:
        """Pass a response to `consume` while it arrives, again from its start if the connection is lost."""

        def attempt() -> T:
            with self._http.stream("GET", path, **options) as response:
                return consume(self._checked(response))

        return self._repeat(attempt)

    def follow(self, path: str, *, on_retry: OnRetry | None = None) -> Iterator[Document]:
        """Yield the document at `path` whenever it may have changed, for ever.

        Its event stream is read as long as it works. One that yields nothing is given up for polling: a proxy may
        buffer it, or the gate may have as many streams as it may have.
        """
        has_stream, polls = True, 0
        while True:
            if has_stream:
                has_stream = False
                try:
                    for document in self._events(f"{path}/events"):
                        has_stream, polls = True, 0
                        yield document
                except (_TemporaryRefusal, *self._transport_errors) as error:
                    self._end_if_final(error)
                    if on_retry:
                        on_retry(f"event stream: {str(error) or type(error).__name__}")
            yield self.request("GET", path, on_retry=on_retry)
            time.sleep(min(POLL_SECONDS_MAX, POLL_SECONDS_MIN * 1.5**polls))
            polls += 1

    def _events(self, path: str) -> Iterator[Document]:
        """Yield the documents of a stream of server-sent events until it ends."""
        import httpx

        timeout = httpx.Timeout(**{**self._http.timeout.as_dict(), "read": STREAM_SILENCE_SECONDS_MAX})
        with self._http.stream("GET", path, headers={"Accept": "text/event-stream"}, timeout=timeout) as response:
            self._checked(response)
            for line in response.iter_lines():
                if line.startswith("data:"):
                    yield json.loads(line.removeprefix("data:"))

    def _repeat(self, attempt: Callable[[], T], *, on_retry: OnRetry | None = None, is_repeatable: bool = True) -> T:
        """Call `attempt` until it returns or raises something final, or the time for retries is over."""
        timer = RetryTimer()
        while True:
            wait_seconds = 0.0
            try:
                return attempt()
            except _TemporaryRefusal as error:
                last_error: Exception = error
                wait_seconds = error.wait_seconds
            except self._transport_errors as error:
                # A connection that broke was one; only one that was never made may mean a wrong address.
                self._reached = self._reached or not isinstance(error, self._connect_errors)
                self._end_if_final(error)
                if not is_repeatable and not isinstance(error, self._connect_errors):
                    raise self._give_up(error) from error
                last_error = error
            if on_retry:
                on_retry(str(last_error) or type(last_error).__name__)
            seconds_max = self.retry_seconds if self._reached else min(FIRST_CONTACT_SECONDS, self.retry_seconds)
            if not timer.wait(seconds_max, seconds_min=wait_seconds):
                raise self._give_up(last_error) from last_error

    def _checked(self, response: "httpx.Response", *, is_repeatable: bool = True) -> "httpx.Response":
        """Return a successful response; raises RefusedError or _TemporaryRefusal."""
        self._reached = True
        if response.is_success:
            return response
        response.read()
        refused, wait_seconds = parse_refusal(response)
        if is_transient(response, refused, is_repeatable=is_repeatable):
            raise _TemporaryRefusal(refused, wait_seconds)
        raise refused

    def _end_if_final(self, error: Exception) -> None:
        final = final_error(error, self.url)
        if final is not None:
            raise final from error

    def _give_up(self, last_error: Exception) -> click.ClickException:
        if isinstance(last_error, _TemporaryRefusal):
            return last_error.refused
        return UnreachableError(f"no connection to {self.url}: {str(last_error) or type(last_error).__name__}")
