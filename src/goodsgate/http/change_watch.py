"""Requests that wait for a change: each is woken by what it waits for, and all of them look into the store at once.

Where the store notifies of changes, a notification wakes those who wait for what it names. It may be lost, so every few
seconds one look compares the revisions of all that is waited for. Where it does not notify, the same look follows each
change of its change token.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Iterator
from enum import StrEnum
from time import monotonic
from typing import Any, TypeVar

from goodsgate.model.batch import Revision
from goodsgate.store.contract import Changes, ChangeStore, Revisions, StoreError

T = TypeVar("T")

LOOK_SECONDS = 2.0
"""How often revisions are compared although nothing is known to have changed: a lost notification delays by this."""
TICK_SECONDS = 0.005
"""Interval at which the change token is read, if the store does not notify."""
IDLE_TICK_SECONDS = 0.02
"""The same after IDLE_SECONDS without a change and without a new request that waits."""
IDLE_SECONDS = 2.0
LOOK_SHARE = 10
"""After a look, the next one waits for this multiple of the time that it took, so that many waiters do not take all."""
LOOK_PAUSE_SECONDS_MAX = 1.0
RETRY_SECONDS = 1.0
"""Pause while the store is unavailable."""
LINGER_SECONDS = 5.0
"""A subject is watched for this long after its last request: a client that was answered asks again."""

log = logging.getLogger("goodsgate.http")


class Topic(StrEnum):
    """A kind of subject."""

    BATCH = "batch"
    JOURNAL = "journal"
    MERCHANT = "merchant"
    """Whatever concerns a merchant; of an empty name, any merchant. Lost notifications are not made up for."""


SubjectKey = tuple[Topic, str, str]
"""Topic, merchant, and the id of a batch."""


class Subject:
    """Something that requests wait for. Its generation is another one after each change."""

    __slots__ = ("generation", "is_queued", "key", "last_seen", "revision", "unused_since", "users", "waiters")

    def __init__(self, key: SubjectKey) -> None:
        self.key = key
        self.generation = 0
        self.revision: Revision | None = None
        """What the requests have seen; None before."""
        self.last_seen: tuple[int, object] | None = None
        """Generation of the last request that has read it, and what that has read."""
        self.is_queued = False
        """Whether it is a batch that moves up when others of its lane are claimed."""
        self.users = 0
        self.unused_since = 0.0
        self.waiters: set[asyncio.Future[None]] = set()


class ChangeWatch:
    """What the requests of this process wait for."""

    def __init__(self, store: ChangeStore, run: Callable[[Callable[[], Revisions]], Coroutine[Any, Any, Revisions]],
                 ) -> None:
        """Watch nothing yet; `run` runs blocking work in a thread."""
        self._store = store
        self._run = run
        self._subjects: dict[SubjectKey, Subject] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._look_now = asyncio.Event()
        self._lanes: dict[str, int] = {}
        """Lanes as of the last look at them, by merchant."""
        self._token: object = None
        """The change token as of the last look."""
        self._due_at = 0.0
        """When the next look at everything is due."""
        self._owes_look = False
        self._owes_lanes = False
        self._active_at = 0.0
        """When something last changed, or a request began to wait."""
        self.closed = False

    # -- for requests -------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def hold(self, topic: Topic, merchant: str, batch: str = "") -> Iterator[Subject]:
        """Watch a subject while the block runs."""
        key = topic, merchant, batch
        subject = self._subjects.get(key)
        if subject is None:
            subject = self._subjects[key] = Subject(key)
        subject.users += 1
        self._active_at = monotonic()
        self._start()
        try:
            yield subject
        finally:
            subject.users -= 1
            subject.unused_since = monotonic()

    def drop(self, subject: Subject) -> None:
        """Watch a subject no longer than its requests: it does not change any more."""
        if subject.users <= 1:
            self._subjects.pop(subject.key, None)

    def record(self, subject: Subject, revision: Revision, *, is_queued: bool = False) -> None:
        """Note what a request has just seen; requests that have seen something else are woken."""
        subject.is_queued = is_queued
        if subject.revision is not None and subject.revision != revision:
            self._wake(subject)
        subject.revision = revision

    async def wait(self, subject: Subject, generation: int, seconds: float) -> bool:
        """Wait until the subject has another generation, for at most `seconds`; return whether it has."""
        if self.closed or subject.generation != generation:
            return subject.generation != generation
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()
        timer = loop.call_later(seconds, _end, waiter)
        subject.waiters.add(waiter)
        try:
            await waiter
        finally:
            timer.cancel()
            subject.waiters.discard(waiter)
        return subject.generation != generation

    def close(self) -> None:
        """End all waits permanently."""
        self.closed = True
        self._look_now.set()
        for subject in self._subjects.values():
            _wake_all(subject)

    # -- watching -----------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        if self._task is not None and not self._task.done():
            return
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._store.listen_for_changes(self._hear_in_thread)
        self._task = self._loop.create_task(self._watch())

    async def _watch(self) -> None:
        while self._subjects and not self.closed:
            try:
                if self._store.is_notified():
                    self._token = None
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._look_now.wait(), LOOK_SECONDS)
                    if self.closed:
                        return
                    is_due = True
                else:
                    is_due = monotonic() >= self._due_at
                    if not self._has_changed() and not self._owes_look and not (is_due and self._owes_lanes):
                        if is_due:
                            self._forget()
                        await asyncio.sleep(self._tick())
                        continue
                self._look_now.clear()
                await asyncio.sleep(await self._look(is_due=is_due))
            except StoreError as fault:
                log.debug("changes are not seen", extra={"fault": repr(fault)})
                await self._rest()
            except Exception:
                log.exception("changes are not seen, trying again")
                await self._rest()

    def _has_changed(self) -> bool:
        """Return whether the change token is another one than at the last look."""
        token = self._store.change_token()
        if token == self._token:
            return False
        self._token = token
        self._active_at = monotonic()
        self._wake_merchants()
        return True

    def _tick(self) -> float:
        return TICK_SECONDS if monotonic() - self._active_at < IDLE_SECONDS else IDLE_TICK_SECONDS

    async def _rest(self) -> None:
        """Let the requests see for themselves that the store is unavailable."""
        self._token = None
        for subject in self._subjects.values():
            self._wake(subject)
        await asyncio.sleep(RETRY_SECONDS)

    async def _look(self, *, is_due: bool) -> float:
        """Compare the revisions of all subjects, wake those who have seen another one, and return the pause to make."""
        began = monotonic()
        if is_due:
            self._forget()
        compared = [
            subject for subject in self._subjects.values() if subject.key[0] is not Topic.MERCHANT and subject.revision
        ]
        # One that nobody has seen yet is just being read, and may be read too early.
        self._owes_look = any(
            subject.users and subject.key[0] is not Topic.MERCHANT and not subject.revision
            for subject in self._subjects.values()
        )
        queued = [subject for subject in compared if subject.is_queued]
        self._owes_lanes = bool(queued) and not is_due
        if compared:
            await self._compare(compared, queued if is_due else [])
        return min(LOOK_PAUSE_SECONDS_MAX, max(TICK_SECONDS, LOOK_SHARE * (monotonic() - began)))

    async def _compare(self, subjects: list[Subject], queued: list[Subject]) -> None:
        batches = [subject.key[1:] for subject in subjects if subject.key[0] is Topic.BATCH]
        journals = [subject.key[1] for subject in subjects if subject.key[0] is Topic.JOURNAL]
        lanes = sorted({subject.key[1] for subject in queued})
        seen = [(subject, subject.revision) for subject in subjects]
        found = await self._run(lambda: self._store.revisions(batches, lanes=lanes, journals=journals))
        for subject, revision in seen:
            topic, merchant, batch = subject.key
            is_journal = topic is Topic.JOURNAL
            current = (found.journals.get(merchant, 0),) if is_journal else found.batches.get(batch)
            if current != revision and revision == subject.revision:
                self._wake(subject)
        for subject in queued:
            merchant = subject.key[1]
            if self._lanes.get(merchant, found.lanes.get(merchant)) != found.lanes.get(merchant):
                self._wake(subject)
        if queued:
            self._lanes = found.lanes

    def _forget(self) -> None:
        """Forget the subjects that nobody has waited for lately."""
        self._due_at = monotonic() + LOOK_SECONDS
        before = monotonic() - LINGER_SECONDS
        for key, subject in [*self._subjects.items()]:
            if not subject.users and subject.unused_since < before:
                del self._subjects[key]

    def _hear_in_thread(self, changes: Changes | None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            assert self._loop is not None
            self._loop.call_soon_threadsafe(self._hear, changes)

    def _hear(self, changes: Changes | None) -> None:
        if changes is None:
            self._wake_merchants()
            self._look_now.set()
            return
        keys: list[SubjectKey] = [(Topic.MERCHANT, merchant, "") for merchant in changes.merchants]
        keys.append((Topic.MERCHANT, "", ""))
        keys += ((Topic.JOURNAL, merchant, "") for merchant in changes.journals)
        keys += ((Topic.BATCH, merchant, batch) for merchant in changes.merchants for batch in changes.batches)
        for key in keys:
            if key in self._subjects:
                self._wake(self._subjects[key])

    def _wake_merchants(self) -> None:
        for key, subject in self._subjects.items():
            if key[0] is Topic.MERCHANT:
                self._wake(subject)

    @staticmethod
    def _wake(subject: Subject) -> None:
        subject.generation += 1
        _wake_all(subject)


def _wake_all(subject: Subject) -> None:
    for waiter in subject.waiters:
        _end(waiter)


def _end(waiter: "asyncio.Future[None]") -> None:
    if not waiter.done():
        waiter.set_result(None)
