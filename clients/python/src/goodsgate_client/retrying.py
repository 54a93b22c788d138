"""When a request is repeated: which refusals are temporary, and how long the pauses are."""

import email.utils
import random
import time
from datetime import UTC, datetime
from typing import Any

import httpx

from goodsgate_client.errors import RefusedError, error_of_status

PAUSE_SECONDS_MIN = 0.2
PAUSE_SECONDS_MAX = 5.0
TRANSIENT_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses after which a later attempt may succeed, whoever answered: the gate or a proxy in front of it."""
FINAL_STATUSES = frozenset({501, 505})
"""Statuses of failures that last, even if a proxy answered."""
TRANSIENT_CODES = frozenset({"key_in_use"})
"""Refusals with other statuses that a later attempt may not get."""
UNPROCESSED_STATUSES = frozenset({425, 429, 503})
"""Statuses of requests that had no effect."""


class TemporaryRefusal(Exception):  # noqa: N818 - a step of a loop, not an error that anybody sees
    """A refusal after which a later attempt may succeed."""

    def __init__(self, refused: RefusedError) -> None:
        super().__init__(refused.message)
        self.refused = refused


class Backoff:
    """Pauses that grow and vary, and end a fixed time after the first attempt."""

    def __init__(self) -> None:
        self._since = time.monotonic()
        self._attempts = 0

    def next_pause(self, seconds_max: float, *, seconds_min: float = 0.0) -> float | None:
        """Return the seconds before the next attempt; None if it would be later than `seconds_max` after the first.

        `seconds_min` is what the server asked for; it is extended, so that not all clients return at once.
        """
        pause = min(PAUSE_SECONDS_MAX, PAUSE_SECONDS_MIN * 2.0**self._attempts)
        pause *= random.uniform(0.7, 1.0)  # noqa: S311 - spreads retries, guards nothing
        pause = max(pause, seconds_min * random.uniform(1.0, 1.1))  # noqa: S311 - as above
        self._attempts += 1
        return pause if time.monotonic() + pause <= self._since + seconds_max else None


def parse_refusal(response: httpx.Response) -> RefusedError:
    """Return the exception of an answer that is not a success, whose body was read."""
    members: dict[str, Any] = {}
    try:
        problem = response.json()
        code = str(problem.get("code") or problem.get("type", "").rpartition("/")[2])
        text = str(problem.get("detail") or problem.get("title") or "")
        members = problem
    except (ValueError, AttributeError):
        code, text = "", ""
    if response.status_code == 401:
        text = text or "The key is missing or not valid."
    if response.is_redirect:
        text = f"The address redirects to {response.headers['Location']}. Use the address of the gate itself."
    name = code or f"status {response.status_code}"
    return error_of_status(response.status_code)(
        f"{text or response.reason_phrase} ({name})", status=response.status_code, code=name, members=members,
        retry_after_seconds=retry_after_seconds(response),
    )


def is_transient(refused: RefusedError, *, is_repeatable: bool) -> bool:
    """Return whether a later attempt may succeed after this refusal."""
    if not is_repeatable:
        return refused.status in UNPROCESSED_STATUSES
    if refused.status in TRANSIENT_STATUSES or refused.code in TRANSIENT_CODES:
        return True
    is_of_proxy = refused.status >= 500 and "code" not in refused.members
    return is_of_proxy and refused.status not in FINAL_STATUSES


def retry_after_seconds(response: httpx.Response) -> float:
    """Return the seconds of Retry-After, which may also be a date; 0 without one."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return float(text[:9])
    try:
        at = email.utils.parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError):
        return 0.0
    return max(0.0, (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
