"""HTTP client of a running gate: where it is, which key to use, retries, and refusals as one line."""

import functools
import json
import os
import random
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from goodsgate import __version__
from goodsgate.cli.errors import CommandError, ExitCode, RefusedError, UnreachableError

if TYPE_CHECKING:
    import httpx

DEFAULT_URL = "http://127.0.0.1:8480"
FIRST_CONTACT_SECONDS = 3.0
"""Retry timeout until the gate has answered once: a wrong address should be reported soon."""
PAUSE_SECONDS_MIN = 0.2
PAUSE_SECONDS_MAX = 5.0
RESPONSE_SECONDS_MAX = 300.0
"""Longest silence before the connection counts as lost; committing a large upload takes a while."""
TRANSIENT_CODES = {"key_in_use", "store_busy", "queue_full"}
"""Refusals that a later attempt may not get."""

Document = dict[str, Any]


def settings_file() -> Path:
    """Return the path of the user's settings file, which holds ``url`` and ``key``."""
    return Path(click.get_app_dir("goodsgate")) / "client.toml"


def with_client(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --url, --key, --act-for and --retry-timeout to a command and pass it a `GateClient` as `client`."""

    @click.option("--url", envvar="GOODSGATE_URL", help=f"Address of the gate. Default: {DEFAULT_URL}.")
    @click.option("--key", envvar="GOODSGATE_KEY", help="API key. Safer: $GOODSGATE_KEY or the settings file.")
    @click.option("--act-for", metavar="MERCHANT", help="Merchant to act for; needs an admin key.")
    @click.option(
        "--retry-timeout", type=click.FloatRange(min=0), default=60.0, show_default=True, metavar="SECONDS",
        help="Retry timeout for lost connections.",
    )
    @functools.wraps(command)
    def wrapped(
        *args: Any, url: str | None, key: str | None, act_for: str | None, retry_timeout: float, **options: Any,
    ) -> Any:
        _check_variables()
        saved = _read_settings()
        client = GateClient(
            url or saved.get("url", DEFAULT_URL), key or saved.get("key"), act_for=act_for, retry_seconds=retry_timeout
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


class RetryTimer:
    """Exponential backoff that gives up a fixed time after the last success."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start over after a success."""
        self._since = time.monotonic()
        self._attempts = 0

    def wait(self, seconds_max: float, *, seconds_min: float = 0.0) -> bool:
        """Sleep before the next attempt; return False if that would exceed `seconds_max` since the last success."""
        pause = min(PAUSE_SECONDS_MAX, PAUSE_SECONDS_MIN * 2.0**self._attempts)
        pause = max(seconds_min, pause * random.uniform(0.7, 1.0))  # noqa: S311 - spreads retries, guards nothing
        self._attempts += 1
        if time.monotonic() + pause > self._since + seconds_max:
            return False
        time.sleep(pause)
        return True


class GateClient:
    """Client of a running gate with the key of one merchant."""

    def __init__(self, url: str, key: str | None, *, act_for: str | None, retry_seconds: float) -> None:
        import httpx

        self.url = url.rstrip("/")
        self.retry_seconds = retry_seconds
        self._reached = False
        self._transport_errors = (httpx.TransportError, httpx.StreamError)
        self._connect_errors = (httpx.ConnectError, httpx.ConnectTimeout)
        headers = {"User-Agent": f"goodsgate/{__version__}"}
        headers |= {"Authorization": f"Bearer {key}"} if key else {}
        headers |= {"Goodsgate-Merchant": act_for} if act_for else {}
        try:
            self._http = httpx.Client(
                base_url=self.url, headers=headers, trust_env=False,
                timeout=httpx.Timeout(RESPONSE_SECONDS_MAX, connect=5.0, write=60.0),
            )
            if not self._http.base_url.is_absolute_url:
                raise CommandError(f"{url!r} is not a URL like {DEFAULT_URL}")
        except httpx.InvalidURL as error:
            raise CommandError(f"{url!r} is not a valid URL: {error}") from error

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
        self, method: str, path: str, *, on_retry: Callable[[str], None] | None = None,
        body: Callable[[], Iterator[bytes]] | None = None, **options: Any,
    ) -> "httpx.Response":
        """Send a request, again if the connection is lost; raises RefusedError and UnreachableError.

        `body` returns the content again for each attempt. A request that changes something must carry an idempotency
        key or have the same effect when it arrives twice.
        """
        timer = RetryTimer()
        while True:
            try:
                response = self._http.request(method, path, content=body() if body else None, **options)
                self._reached = True
                if response.is_success:
                    return response
                refused, wait = parse_refusal(response)
                if refused.code not in TRANSIENT_CODES and response.status_code != 503:
                    raise refused
                last_error: Exception = refused
            except self._transport_errors as error:
                self._note_contact(error)
                last_error, wait = error, 0.0
            if on_retry:
                on_retry(str(last_error) or type(last_error).__name__)
            if not timer.wait(self._retry_seconds(), seconds_min=wait):
                raise self._final_error(last_error) from last_error

    @contextmanager
    def stream(self, path: str, **options: Any) -> "Iterator[httpx.Response]":
        """Open a response that is read while it arrives; raises RefusedError and UnreachableError."""
        try:
            with self._http.stream("GET", path, **options) as response:
                self._reached = True
                if not response.is_success:
                    response.read()
                    raise parse_refusal(response)[0]
                yield response
        except self._transport_errors as error:
            self._note_contact(error)
            raise self._final_error(error) from error

    def events(self, path: str, *, on_retry: Callable[[str], None] | None = None) -> Iterator[Document]:
        """Yield the documents of a stream of server-sent events; reconnect whenever it breaks off."""
        timer = RetryTimer()
        while True:
            last_error: click.ClickException | None = None
            try:
                with self.stream(path, headers={"Accept": "text/event-stream"}) as response:
                    for line in response.iter_lines():
                        if line.startswith("data:"):
                            timer.reset()
                            yield json.loads(line.removeprefix("data:"))
            except UnreachableError as error:
                last_error = error
            if on_retry and last_error:
                on_retry(last_error.message)
            if not timer.wait(self._retry_seconds()):
                raise last_error or UnreachableError(f"{self.url} keeps closing the event stream")

    def _note_contact(self, error: Exception) -> None:
        """Count a connection that broke as contact; only one that was never made may mean a wrong address."""
        self._reached = self._reached or not isinstance(error, self._connect_errors)

    def _retry_seconds(self) -> float:
        return self.retry_seconds if self._reached else min(FIRST_CONTACT_SECONDS, self.retry_seconds)

    def _final_error(self, last_error: Exception) -> click.ClickException:
        if isinstance(last_error, RefusedError):
            return last_error
        return UnreachableError(f"no connection to {self.url}: {last_error or type(last_error).__name__}")


def parse_refusal(response: "httpx.Response") -> tuple[RefusedError, float]:
    """Return the problem document of a response as one line, and the seconds to wait before a retry."""
    try:
        problem = response.json()
        code = str(problem.get("code") or problem.get("type", "").rpartition("/")[2])
        text = str(problem.get("detail") or problem.get("title") or "")
    except (ValueError, AttributeError):
        code, text = "", ""
    if response.status_code == 401:
        text = f"{text or 'The key is missing or not valid.'} Use --key or set GOODSGATE_KEY."
    wait = response.headers.get("Retry-After", "")
    name = code or f"status {response.status_code}"
    return RefusedError(name, f"{text or response.reason_phrase} ({name})"), float(wait) if wait.isdigit() else 0.0
