"""The threads that work for requests: each kind of work has its own, so that none waits for another.

Requests that read may wait for a lock of the store, and reports take processor time for minutes. Submissions and
health checks are answered meanwhile. Files that are read whole for an answer have threads of their own, too.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from enum import StrEnum
from typing import TypeVar

from goodsgate.http.services import HttpLimits

T = TypeVar("T")


class Work(StrEnum):
    """A kind of work."""

    READS = "reads"
    WRITES = "writes"
    HEALTH = "health"
    REPORTS = "reports"
    FILES = "files"
    """Reading a whole file for its answer: reference data, a preview, a validation."""


WORK: ContextVar[Work] = ContextVar("goodsgate.work", default=Work.READS)
"""The kind of work that the current request does."""
HEALTH_THREADS = 2
FILE_THREADS = 2
"""Each may wait for a parser, which takes memory and processor time."""
SWITCH_SECONDS = 0.0005
"""A thread that waits for the interpreter gets it after this time: the event loop must not wait long for a report."""
SLICE_BYTES = 256 * 1024
SLICE_SECONDS = 0.05
"""A thread works for one response until it has this much of it, or for this long; then it is another's turn."""


class RequestThreads:
    """The thread pools of one API process."""

    def __init__(self, limits: HttpLimits) -> None:
        self._pools = {
            work: ThreadPoolExecutor(size, thread_name_prefix=work.value) for work, size in _sizes(limits).items()
        }

    async def run(self, work: Callable[[], T], kind: Work | None = None) -> T:
        """Run blocking work in a thread for its kind, by default that of the request, and return its result."""
        run = copy_context().run  # of the request: its origin, for what is stored and logged
        return await asyncio.get_running_loop().run_in_executor(self._pools[kind or WORK.get()], run, work)

    async def stream(self, pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
        """Return the pieces of a blocking iterator, none empty, read slice by slice in the threads for reports.

        The first pieces are read at once, so that their errors are raised before the response starts.
        """
        slices = self._slices(pieces)
        first = await anext(slices, b"")
        return _with_first(first, slices)

    async def _slices(self, pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
        has_ended = False
        while not has_ended:
            joined, has_ended = await self.run(lambda: _next_slice(pieces), Work.REPORTS)
            if joined:
                yield joined

    def close(self) -> None:
        """Cancel queued work and wait for running work."""
        for pool in self._pools.values():
            pool.shutdown(wait=True, cancel_futures=True)


def threads_of(limits: HttpLimits) -> int:
    """Return the number of threads of all kinds."""
    return sum(_sizes(limits).values())


def _sizes(limits: HttpLimits) -> dict[Work, int]:
    return {
        Work.READS: limits.threads, Work.WRITES: limits.threads, Work.HEALTH: HEALTH_THREADS,
        Work.REPORTS: limits.report_threads, Work.FILES: FILE_THREADS,
    }


async def _with_first(first: bytes, others: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    if first:
        yield first
        del first
    async for each in others:
        yield each


def _next_slice(pieces: Iterator[bytes]) -> tuple[bytes, bool]:
    """Return the next pieces, perhaps none, and whether they were the last."""
    joined: list[bytes] = []
    size, ends_at = 0, time.monotonic() + SLICE_SECONDS
    for piece in pieces:
        joined.append(piece)
        size += len(piece)
        if size >= SLICE_BYTES or time.monotonic() > ends_at:
            return b"".join(joined), False
    return b"".join(joined), True
