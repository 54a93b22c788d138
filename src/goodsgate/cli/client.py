"""Talking to a running gate: where it is, who we are, refusals as one line, lost connections tried again."""

import functools
import json
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
from goodsgate.cli.exits import Exit, Refused, Unreachable, Unusable

if TYPE_CHECKING:
    import httpx

DEFAULT_URL = "http://127.0.0.1:8480"
FIRST_CONTACT_SECONDS = 3.0
"""How long a gate that was never reached is tried; a wrong address should be told soon."""
PAUSE_SECONDS_MIN = 0.2
PAUSE_SECONDS_MAX = 5.0
ANSWER_SECONDS_MAX = 300.0
"""Longest silence before a lost connection is assumed; sealing a large upload takes its time."""
TRY_AGAIN = {"key_in_use", "store_busy", "queue_full"}
"""Refusals that go by themselves."""

Document = dict[str, Any]


def settings_file() -> Path:
    """The user's own file with ``url`` and ``key``."""
    return Path(click.get_app_dir("goodsgate")) / "client.toml"


def with_gate(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command --url, --key and --patience and hand it the gate they name as `gate`."""

    @click.option("--url", envvar="GOODSGATE_URL", help=f"Address of the gate. Default: {DEFAULT_URL}.")
    @click.option("--key", envvar="GOODSGATE_KEY", help="Your key. Better: $GOODSGATE_KEY or the settings file.")
    @click.option("--act-for", metavar="MERCHANT", help="With an admin key: the merchant to act for.")
    @click.option(
        "--patience", type=click.FloatRange(min=0), default=60.0, show_default=True, metavar="SECONDS",
        help="How long a lost connection is tried again.",
    )
    @functools.wraps(command)
    def wrapped(
        *args: Any, url: str | None, key: str | None, act_for: str | None, patience: float, **options: Any,
    ) -> Any:
        own = _read_settings()
        gate = Gate(
            url or own.get("url", DEFAULT_URL), key or own.get("key"), act_for=act_for, patience_seconds=patience
        )
        try:
            return command(*args, gate=gate, **options)
        except KeyboardInterrupt:
            click.echo("Interrupted; what the gate has accepted goes on.", err=True)
            sys.exit(Exit.INTERRUPTED)
        finally:
            gate.close()

    return wrapped


def _read_settings() -> dict[str, str]:
    file = settings_file()
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as fault:
        raise Unusable(f"{file}: {fault}") from fault


class Patience:
    """Counts down the time for which a lost connection is tried again, with growing pauses."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Something moved: start counting anew."""
        self._since = time.monotonic()
        self._tries = 0

    def pause(self, seconds_max: float, *, seconds_min: float = 0.0) -> bool:
        """Sleep before the next attempt; False if that would end more than `seconds_max` after the last success."""
        pause = min(PAUSE_SECONDS_MAX, PAUSE_SECONDS_MIN * 2.0**self._tries)
        pause = max(seconds_min, pause * random.uniform(0.7, 1.0))  # noqa: S311 - spreads retries, guards nothing
        self._tries += 1
        if time.monotonic() + pause > self._since + seconds_max:
            return False
        time.sleep(pause)
        return True


class Gate:
    """A running gate as one merchant's key sees it."""

    def __init__(self, url: str, key: str | None, *, act_for: str | None, patience_seconds: float) -> None:
        import httpx

        self.url = url.rstrip("/")
        self.patience_seconds = patience_seconds
        self._reached = False
        self._faults = (httpx.TransportError, httpx.StreamError)
        self._unconnected = (httpx.ConnectError, httpx.ConnectTimeout)
        headers = {"User-Agent": f"goodsgate/{__version__}"}
        headers |= {"Authorization": f"Bearer {key}"} if key else {}
        headers |= {"Goodsgate-Merchant": act_for} if act_for else {}
        try:
            self._http = httpx.Client(
                base_url=self.url, headers=headers, trust_env=False,
                timeout=httpx.Timeout(ANSWER_SECONDS_MAX, connect=5.0, write=60.0),
            )
            if not self._http.base_url.is_absolute_url:
                raise Unusable(f"{url!r} is not an address like {DEFAULT_URL}")
        except httpx.InvalidURL as fault:
            raise Unusable(f"{url!r} is not an address: {fault}") from fault

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def ask(self, method: str, path: str, **sent: Any) -> Document:
        """Send a request as `send` does and give back the JSON document that answers it."""
        response = self.send(method, path, **sent)
        try:
            document: Document = response.json()
        except ValueError:
            raise Unusable(f"what answers at {self.url} is not a gate") from None
        return document

    def send(
        self, method: str, path: str, *, on_loss: Callable[[str], None] | None = None,
        body: Callable[[], Iterator[bytes]] | None = None, **sent: Any,
    ) -> "httpx.Response":
        """Send a request, again if the connection is lost; raises Refused and Unreachable.

        `body` makes the content anew for each attempt. A request that changes something must carry an idempotency
        key, or do the same if it arrives twice.
        """
        patience = Patience()
        while True:
            try:
                response = self._http.request(method, path, content=body() if body else None, **sent)
                self._reached = True
                if response.is_success:
                    return response
                refused, wait = refusal(response)
                if refused.code not in TRY_AGAIN and response.status_code != 503:
                    raise refused
                lost: Exception = refused
            except self._faults as fault:
                self._note(fault)
                lost, wait = fault, 0.0
            if on_loss:
                on_loss(str(lost) or type(lost).__name__)
            if not patience.pause(self._patience_seconds(), seconds_min=wait):
                raise self._given_up(lost) from lost

    @contextmanager
    def stream(self, path: str, **sent: Any) -> "Iterator[httpx.Response]":
        """Open an answer that is read while it arrives; raises Refused and Unreachable."""
        try:
            with self._http.stream("GET", path, **sent) as response:
                self._reached = True
                if not response.is_success:
                    response.read()
                    raise refusal(response)[0]
                yield response
        except self._faults as fault:
            self._note(fault)
            raise self._given_up(fault) from fault

    def events(self, path: str, *, on_loss: Callable[[str], None] | None = None) -> Iterator[Document]:
        """Documents of a stream of server-sent events, which is opened again whenever it breaks off."""
        patience = Patience()
        while True:
            lost: click.ClickException | None = None
            try:
                with self.stream(path, headers={"Accept": "text/event-stream"}) as response:
                    for line in response.iter_lines():
                        if line.startswith("data:"):
                            patience.renew()
                            yield json.loads(line.removeprefix("data:"))
            except Unreachable as fault:
                lost = fault
            if on_loss and lost:
                on_loss(lost.message)
            if not patience.pause(self._patience_seconds()):
                raise lost or Unreachable(f"{self.url} keeps closing the event stream")

    def _note(self, fault: Exception) -> None:
        """A connection that broke was one; only a connection that never came about may be a wrong address."""
        self._reached = self._reached or not isinstance(fault, self._unconnected)

    def _patience_seconds(self) -> float:
        return self.patience_seconds if self._reached else min(FIRST_CONTACT_SECONDS, self.patience_seconds)

    def _given_up(self, lost: Exception) -> click.ClickException:
        if isinstance(lost, Refused):
            return lost
        return Unreachable(f"no connection to {self.url}: {lost or type(lost).__name__}")


def refusal(response: "httpx.Response") -> tuple[Refused, float]:
    """The problem document of an answer as one line, and the seconds after which to try again."""
    try:
        problem = response.json()
        code = str(problem.get("code") or problem.get("type", "").rpartition("/")[2])
        text = str(problem.get("detail") or problem.get("title") or "")
    except (ValueError, AttributeError):
        code, text = "", ""
    if response.status_code == 401:
        text = f"{text or 'The key is missing or not valid.'} Give --key, or set GOODSGATE_KEY."
    wait = response.headers.get("Retry-After", "")
    name = code or f"status {response.status_code}"
    return Refused(name, f"{text or response.reason_phrase} ({name})"), float(wait) if wait.isdigit() else 0.0

