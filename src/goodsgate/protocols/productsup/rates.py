"""Published rates: requests a second of a token to a path, and the four headers that report them.

Each API process counts for itself.
"""

import re
import threading
import time
from collections import Counter
from collections.abc import Callable

import msgspec
from starlette.responses import Response
from starlette.types import Scope

from goodsgate.http.endpoints import CALLER, ApiRequest, Handler
from goodsgate.http.problems import refuse
from goodsgate.protocols.productsup.unpublished import PLATFORM, READING

SCOPE_KEY = "productsup.rate"
"""Key of a request's scope under which its window is stored."""
PRODUCTS_PER_SECOND = 30
BATCHES_PER_SECOND = 100
OTHERS_PER_SECOND = 5
"""Published: the first two for each stream, the last for each other path."""
_STREAM_PATH = re.compile(r"/streams/[0-9]+/(products|batches)(?=/|$)")
BUCKETS_MAX = 100_000
"""Buckets of one second; beyond that all requests share one, which refuses them in effect."""


class RateWindow(msgspec.Struct, frozen=True):
    """The state of a bucket when a request was counted."""

    limit: int
    requests: int
    """Including this one."""
    ends_at: int
    """Unix time in whole seconds: a client reads it as a number."""

    @property
    def headers(self) -> dict[str, str]:
        """The rate headers; `observed` counts requests, although a documentation page describes it differently."""
        observed = min(self.requests, self.limit)
        return {
            "ratelimit-limit": str(self.limit), "ratelimit-observed": str(observed),
            "ratelimit-remaining": str(self.limit - observed), "ratelimit-reset": str(self.ends_at),
        }


class PublishedRates:
    """Counts requests by token and path, and refuses excess ones if the rates are enforced; safe for threads."""

    def __init__(self, *, enforced: bool, clock: Callable[[], float] = time.time) -> None:
        self._enforced = enforced
        self._clock = clock
        self._second = 0
        self._requests: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    def limit(self, handler: Handler) -> Handler:
        """Return the handler with its rate applied and the rate headers in its responses."""

        async def handle(request: ApiRequest) -> Response:
            window = self.window(request.http.scope)
            if self._enforced and window.requests > window.limit:
                raise refuse("too_many_requests")
            response = await handler(request)
            response.headers.update(window.headers)
            return response

        return handle

    def headers(self, scope: Scope) -> dict[str, str]:
        """Return the rate headers of an error; none for paths without a published rate."""
        return {} if scope["path"].startswith((PLATFORM, READING)) else self.window(scope).headers

    def window(self, scope: Scope) -> RateWindow:
        """Return the window of a request, which is counted on the first call only."""
        window = scope.get(SCOPE_KEY)
        if window is None:
            caller, client = scope.get(CALLER), scope.get("client")
            who = caller.key_id if caller is not None else f"from {client[0] if client else ''}"
            window = scope[SCOPE_KEY] = self.count(who, scope["path"])
        assert isinstance(window, RateWindow)
        return window

    def count(self, who: str, path: str) -> RateWindow:
        """Count one request."""
        match = _STREAM_PATH.match(path)
        limit = OTHERS_PER_SECOND
        if match is not None:
            path = match.group()
            limit = PRODUCTS_PER_SECOND if match[1] == "products" else BATCHES_PER_SECOND
        second = int(self._clock())
        with self._lock:
            if second != self._second:
                self._second, self._requests = second, Counter()
            bucket = (who, path) if len(self._requests) < BUCKETS_MAX else ("", "")
            self._requests[bucket] += 1
            return RateWindow(limit, self._requests[bucket], second + 1)
