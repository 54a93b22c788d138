"""Published rates: requests of a token to a path in a second, and the four headers that tell of them.

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
from goodsgate.protocols.productsup.guesses import PLATFORM, READING

RATE = "productsup.rate"
"""Where a scope holds what was counted for it."""
PRODUCTS_PER_SECOND = 30
BATCHES_PER_SECOND = 100
OTHERS_PER_SECOND = 5
"""Published, the first two for each stream, the last for each other path."""
_OF_STREAM = re.compile(r"/streams/[0-9]+/(products|batches)(?=/|$)")
BUCKETS_MAX = 100_000
"""Of one second; past this all share one, which is as good as refused."""


class Rate(msgspec.Struct, frozen=True):
    """A bucket as a request found it."""

    limit: int
    seen: int
    """This one included."""
    ends_at: int
    """Unix time in whole seconds: a client reads it as a number."""

    @property
    def headers(self) -> dict[str, str]:
        """`observed` is what was seen, whatever a page of the documentation calls it."""
        observed = min(self.seen, self.limit)
        return {
            "ratelimit-limit": str(self.limit), "ratelimit-observed": str(observed),
            "ratelimit-remaining": str(self.limit - observed), "ratelimit-reset": str(self.ends_at),
        }


class Rates:
    """Counts requests by token and path; refuses if it is to."""

    def __init__(self, *, refusing: bool, clock: Callable[[], float] = time.time) -> None:
        self._refusing = refusing
        self._clock = clock
        self._second = 0
        self._seen: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    def held(self, handler: Handler) -> Handler:
        """The handler, asked only as often as may be, its answers with the headers."""

        async def answered(request: ApiRequest) -> Response:
            rate = self.of(request.http.scope)
            if self._refusing and rate.seen > rate.limit:
                raise refuse("too_many_requests")
            response = await handler(request)
            response.headers.update(rate.headers)
            return response

        return answered

    def headers(self, scope: Scope) -> dict[str, str]:
        """Those of an error; none where no rate is published."""
        return {} if scope["path"].startswith((PLATFORM, READING)) else self.of(scope).headers

    def of(self, scope: Scope) -> Rate:
        """What was counted for a request; it is counted once."""
        rate = scope.get(RATE)
        if rate is None:
            caller, client = scope.get(CALLER), scope.get("client")
            who = caller.key_id if caller is not None else f"from {client[0] if client else ''}"
            rate = scope[RATE] = self.count(who, scope["path"])
        assert isinstance(rate, Rate)
        return rate

    def count(self, who: str, path: str) -> Rate:
        """One more request; for any number of threads."""
        found = _OF_STREAM.match(path)
        limit = OTHERS_PER_SECOND
        if found is not None:
            path = found.group()
            limit = PRODUCTS_PER_SECOND if found[1] == "products" else BATCHES_PER_SECOND
        second = int(self._clock())
        with self._lock:
            if second != self._second:
                self._second, self._seen = second, Counter()
            bucket = (who, path) if len(self._seen) < BUCKETS_MAX else ("", "")
            self._seen[bucket] += 1
            return Rate(limit, self._seen[bucket], second + 1)
