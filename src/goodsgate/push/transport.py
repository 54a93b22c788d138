"""One request to a platform: sent, and repeated where that is safe."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import msgspec

from goodsgate.model.json_text import UNREADABLE_JSON, Number, read_json
from goodsgate.push.contract import (
    AnswerLostError,
    ConfigurationError,
    PlatformUnreachableError,
    RefusedError,
    RequestRecordedError,
)
from goodsgate_client.connection import CONNECT_ERRORS, TRANSPORT_ERRORS, create_http_client, final_error
from goodsgate_client.errors import ConfigurationError as ClientConfigurationError
from goodsgate_client.errors import UnreachableError as ClientUnreachableError
from goodsgate_client.retrying import FINAL_STATUSES, Backoff, retry_after_seconds

FIRST_CONTACT_SECONDS = 3.0
"""Retry timeout until the platform has answered once: a wrong address should be reported soon."""
NOT_PROCESSED = frozenset({425, 429, 570})
"""Statuses of requests that had no effect; 570 is that of a busy instance of Mircate's platform."""
TRANSIENT = frozenset({408})
"""Statuses below 500 after which a later attempt may succeed."""
TEXT_CHARACTERS_MAX = 300

Notify = Callable[[str], None]
Record = Callable[[str, str, bytes], None]
"""Takes method, path and body of a request that is not sent."""


def _encode_number(value: object) -> msgspec.Raw:
    if isinstance(value, Number):
        return msgspec.Raw(value.text.encode())
    raise TypeError(f"cannot write a {type(value).__name__}")


encode_json = msgspec.json.Encoder(enc_hook=_encode_number, decimal_format="number").encode
"""JSON whose numbers are exact."""


class PlatformAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of a platform that is not a refusal."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the decoded body. Raises RefusedError if it is no JSON: another server has answered."""
        try:
            return read_json(self.body)
        except UNREADABLE_JSON as error:
            raise RefusedError(
                "the answer is not that of the platform (no JSON). Is --base-url right?", status=self.status
            ) from error

    def document(self) -> dict[str, Any]:
        """Return the body as an object. Raises RefusedError."""
        document = self.json()
        if not isinstance(document, dict):
            raise RefusedError("the answer is not that of the platform. Is --base-url right?", status=self.status)
        return document


class Transport:
    """Sends requests to one platform, no faster than its published rate."""

    def __init__(self, base_url: str, *, ca: str | None = None, retry_seconds: float = 300.0,
                 notify: Notify = lambda _: None, user_agent: str = "goodsgate") -> None:
        """Connect to nothing yet. Raises ConfigurationError if the URL or the certificates cannot be used.

        `retry_seconds` is how long a request is tried again; `notify` is told why.
        """
        self.base_url = base_url.rstrip("/")
        try:
            self._http = create_http_client(self.base_url, {"User-Agent": user_agent}, ca=ca)
        except ClientConfigurationError as error:
            raise ConfigurationError(str(error)) from error
        self.headers: dict[str, str] = {}
        """Of every request that is authorized."""
        self.sign: Callable[[httpx.Request], None] | None = None
        """Signs a request, right before it is sent."""
        self.log_in: Callable[[], None] | None = None
        """Called once for a request that is answered 401, which is then repeated."""
        self.record: Record | None = None
        """Set while requests are recorded and not sent."""
        self.request_seconds_min = 0.0
        self.retry_seconds = retry_seconds
        self.notify = notify
        self._has_answered = False
        self._sent_at = 0.0

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def request(self, method: str, path: str, *, json: object = None, content: bytes | None = None,
                headers: Mapping[str, str] | None = None, params: Mapping[str, str] | None = None,
                may_repeat: bool = True, authorized: bool = True, accepts: frozenset[int] = frozenset(),
                ) -> PlatformAnswer:
        """Send a request and return its answer: any 2xx, or a status that is in `accepts`.

        `may_repeat` says that the request has the same effect if it is received twice. A request that had none is
        always repeated. Raises RefusedError, AnswerLostError (only without `may_repeat`), PlatformUnreachableError, and
        RequestRecordedError if it was recorded.
        """
        if json is not None:
            content = encode_json(json)
        if self.record is not None:
            self.record(method, path, content or b"")
            raise RequestRecordedError(path)
        name, backoff, has_logged_in = f"{method} {path.partition('?')[0]}", Backoff(), False
        while True:
            seconds_min = 0.0
            try:
                response = self._send(method, path, content, headers or {}, params, authorized=authorized)
            except TRANSPORT_ERRORS as error:
                final = final_error(error, self.base_url)
                if final is not None:
                    raise PlatformUnreachableError(_client_text(final)) from error
                problem = f"no answer from {self.base_url} ({str(error) or type(error).__name__})"
                if not may_repeat and not isinstance(error, CONNECT_ERRORS):
                    raise AnswerLostError(f"{name}: {problem}") from error
            else:
                status = response.status_code
                self._has_answered = True
                if response.is_success or status in accepts:
                    return PlatformAnswer(status=status, headers=response.headers, body=response.content)
                problem = f"{name}: {describe_refusal(response)}"
                if status == 401 and authorized and self.log_in is not None and not has_logged_in:
                    has_logged_in = True
                    self.log_in()
                    continue
                if not _is_transient(status):
                    raise RefusedError(problem, status=status)
                if not may_repeat and status not in NOT_PROCESSED:
                    raise AnswerLostError(problem)
                seconds_min = _asked_pause(response)
            seconds = self.retry_seconds if self._has_answered else min(FIRST_CONTACT_SECONDS, self.retry_seconds)
            pause = backoff.next_pause(seconds, seconds_min=seconds_min)
            if pause is None:
                asked = f" It asks to wait {seconds_min:,.0f} s." if seconds_min else ""
                raise PlatformUnreachableError(f"{problem}.{asked}")
            if pause >= 1:
                self.notify(f"{problem}; trying again in {pause:.0f} s")
            time.sleep(pause)

    def _send(self, method: str, path: str, content: bytes | None, headers: Mapping[str, str],
              params: Mapping[str, str] | None, *, authorized: bool) -> httpx.Response:
        wait = self._sent_at + self.request_seconds_min - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        self._sent_at = time.monotonic()
        url = path if "://" in path else f"{self.base_url}{path}"
        own = self.headers if authorized else {}
        typed = {"Content-Type": "application/json"} if content is not None else {}
        request = self._http.build_request(
            method, url, content=content, params=params, headers={**typed, **own, **headers}
        )
        if authorized and self.sign is not None:
            self.sign(request)
        return self._http.send(request)


def _is_transient(status: int) -> bool:
    return status in NOT_PROCESSED or status in TRANSIENT or (status >= 500 and status not in FINAL_STATUSES)


def _asked_pause(response: httpx.Response) -> float:
    """Return how long the platform asks to wait: Retry-After, or the end of the window of a rate as Unix time."""
    asked = retry_after_seconds(response)
    reset = response.headers.get("ratelimit-reset", "")
    if not asked and response.status_code == 429 and reset.isdecimal():
        asked = max(0.0, int(reset[:12]) - time.time())
    return asked


def describe_refusal(response: httpx.Response) -> str:
    """Return status and text of a refusal, in whichever form the platform words it."""
    if response.is_redirect:
        return f"the address redirects to {response.headers.get('Location', '')}; use that of the platform itself"
    return f"{response.status_code} {refusal_text(response.content) or response.reason_phrase}".strip()


def refusal_text(body: bytes) -> str:
    """Return what the body of a refusal says; empty if it is not JSON."""
    try:
        document = read_json(body)
    except UNREADABLE_JSON:
        return ""
    texts: list[str] = []
    _collect_texts(document, texts)
    return "; ".join(dict.fromkeys(texts))[:TEXT_CHARACTERS_MAX]


_TEXT_MEMBERS = ("message", "Message", "errorMsg", "title", "detail", "reason")


def _collect_texts(value: object, texts: list[str], *, depth: int = 0) -> None:
    if depth > 4:
        return
    if isinstance(value, list):
        for each in value[:5]:
            _collect_texts(each, texts, depth=depth + 1)
    elif isinstance(value, dict):
        texts += [str(value[name]) for name in _TEXT_MEMBERS if isinstance(value.get(name), str) and value[name]]
        if isinstance(value.get("instancePath"), str) and value["instancePath"]:
            texts.append(value["instancePath"])
        for name in ("errors", "error", "issues", "data"):
            _collect_texts(value.get(name), texts, depth=depth + 1)
        errors = value.get("errors")
        if isinstance(errors, dict):
            texts += [f"{name}: {text}" for name, text in errors.items() if isinstance(text, str)]


def _client_text(error: ClientUnreachableError) -> str:
    return error.message.replace("`ca`", "--ca")
