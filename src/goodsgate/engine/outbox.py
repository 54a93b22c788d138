"""The outbox: messages to other systems are delivered beside the work of a worker, at least once each.

A message is claimed for a limited time and marked as sent once it has arrived. If the process dies in between, another
one delivers the message again. A message that does not arrive is retried after pauses and given up in the end.

Messages in order form a queue for each receiver. If the receiver is unavailable, they all wait, and the first one is
retried. A receiver that answers, but refuses the message, may accept the next one: the message leaves the queue.

Merchants take turns, with one message of each at a time. Merchants whose last message failed share half of the
threads, and a delivery that takes more than a second leaves its thread's place to others, so that unreachable and slow
addresses do not delay the messages of other merchants.
"""

import logging
import random
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from time import monotonic
from typing import Protocol

import msgspec

from goodsgate.engine.outage import StoreOutage
from goodsgate.model.background import BackgroundThread, run_once
from goodsgate.model.batch import new_id, now
from goodsgate.model.message import Attempt, Message
from goodsgate.store.contract import Store, StoreError

log = logging.getLogger(__name__)

LEASE_FACTOR = 2
"""A message is claimed for this multiple of the delivery timeout, and one second, to have time to mark it as sent."""
SLOW_SECONDS = 1.0
"""A delivery that takes longer is slow: it no longer counts as one of the threads, up to as many more threads."""
IDLE_SECONDS = 0.25
"""Pause between two claims if there are no messages or no free threads."""
JITTER = 0.1
"""Share by which a pause is extended at random, so that messages that failed together are not retried together."""
QUEUE_PAUSE_SECONDS_MAX = 3_600.0
"""A receiver that is unavailable is tried at least this often: one attempt for all its messages."""
FAILING_MERCHANTS_MAX = 10_000
"""Number of merchants with a failed message that are remembered; beyond it all are forgotten."""
ERROR_CHARACTERS_MAX = 500


class DeliverySettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the delivery of messages."""

    threads: int
    timeout_seconds: float
    """Time limit of one delivery, from the first byte that is sent to the last one that is received."""
    stop_seconds: float
    """Time that deliveries in progress have to end when the outbox stops; later they are made again."""
    retry_seconds: tuple[float, ...]
    """Pauses before the attempts after the first one."""


class DeliveryError(Exception):
    """A message that did not arrive; `final` if another attempt cannot succeed."""

    def __init__(self, reason: str, *, final: bool = False, unavailable: bool = False) -> None:
        """`unavailable`: the receiver gets no message at the moment, whatever it holds."""
        super().__init__(reason)
        self.reason = reason
        self.final = final
        self.unavailable = unavailable


class DeliveryPausedError(Exception):
    """The receiver gets no messages until its queue is released."""


class MessageSender(Protocol):
    """Sends the messages of some topics; called by several threads at once."""

    def send(self, message: Message) -> None:
        """Return once the message has arrived, within the delivery timeout in all.

        Raises DeliveryError, and DeliveryPausedError for a message that has to be held.

        The message may have arrived before; merchant and number identify it.
        """


class MessageSource(Protocol):
    """Stores messages about what it finds in the store; called again and again, in every process."""

    def store_messages(self) -> None:
        """Look for something new. Raises StoreError."""


class Outbox:
    """Passes messages to their senders in threads of its own; any number of processes may do so at once."""

    def __init__(self, store: Store, senders: Mapping[str, MessageSender], settings: DeliverySettings, *,
                 sources: Sequence[MessageSource] = ()) -> None:
        """Create an outbox with senders by topic; it does nothing before `start`, or if there are no senders."""
        self._store = store
        self._senders = senders
        self._settings = settings
        self._sources = sources
        self._sources_due_at = 0.0
        """When to ask the sources again, on the monotonic clock."""
        self._lease_seconds = LEASE_FACTOR * settings.timeout_seconds + 1
        self._stop = threading.Event()
        self._thread_free = threading.Event()
        """Set when a thread has finished with a message."""
        self._lock = threading.Condition()
        """Notified when a thread has finished, too."""
        self._sending: dict[str, float] = {}
        """Merchants with a message that is being sent, and since when, on the monotonic clock."""
        self._abandoned = False
        """Whether the outbox has stopped without waiting for the deliveries in progress any longer."""
        self._failing: set[str] = set()
        """Merchants whose last message failed."""
        self._thread = BackgroundThread("outbox", self._run, self._stop)

    def start(self) -> None:
        """Start to claim messages."""
        if self._senders:
            self._store.listen_for_messages(self._thread_free.set)
            self._thread.start()

    def stop(self) -> None:
        """Claim no more messages, and wait for those that are being sent as long as the settings say.

        The threads of later ones end with the process. Their leases expire, and the messages are sent again.
        """
        self._stop.set()
        self._thread_free.set()
        self._thread.join()
        with self._lock:
            self._lock.wait_for(lambda: not self._sending, self._settings.stop_seconds)
            self._abandoned = True
            if self._sending:
                log.warning("deliveries are cut off by the stop and made again", extra={"messages": len(self._sending)})

    def _run(self) -> None:
        outage = StoreOutage("the outbox")
        while not self._stop.is_set():
            self._thread_free.clear()
            try:
                self._ask_sources()
                has_claimed = self._claim_and_send()
            except StoreError as fault:
                outage.wait(fault, self._stop)
                continue
            outage.end()
            if not has_claimed:
                self._thread_free.wait(IDLE_SECONDS)

    def _ask_sources(self) -> None:
        if monotonic() < self._sources_due_at:
            return
        for source in self._sources:
            source.store_messages()
        self._sources_due_at = monotonic() + IDLE_SECONDS

    def _claim_and_send(self) -> bool:
        """Claim a message for each free thread, and return whether there was any."""
        slow_before = monotonic() - SLOW_SECONDS
        with self._lock:
            sending = {*self._sending}
            slow = {merchant for merchant, since in self._sending.items() if since < slow_before}
            failing = self._failing | slow
        free = self._settings.threads - len(sending) + min(len(slow), self._settings.threads)
        failing_share = min(free, max(1, self._settings.threads // 2) - len(sending & failing))
        messages = self._claim(free, without=sending | failing)
        if failing and failing_share > 0 and len(messages) < free:
            excluded = sending.union(message.merchant for message in messages)
            messages += self._claim(min(failing_share, free - len(messages)), without=excluded)
        with self._lock:
            self._sending.update((message.merchant, monotonic()) for message in messages)
        for message in messages:
            # Not of a pool, whose threads the interpreter joins at its end.
            run_once("delivery", partial(self._send, message))
        return bool(messages)

    def _claim(self, limit: int, *, without: set[str]) -> list[Message]:
        if limit <= 0:
            return []
        return self._store.claim_messages(lease_seconds=self._lease_seconds, limit=limit, without=without)

    def _send(self, message: Message) -> None:
        try:
            has_arrived = self._attempt(message)
        except StoreError as fault:  # the lease expires, and the message is sent again
            log.warning("the state of a message could not be stored", extra={**_fields(message), "fault": repr(fault)})
            has_arrived = True
        except Exception:  # nobody else would notice
            log.exception("the delivery of a message failed", extra=_fields(message))
            has_arrived = False
        with self._lock:
            self._sending.pop(message.merchant, None)
            self._lock.notify_all()
            if has_arrived:
                self._failing.discard(message.merchant)
            elif len(self._failing) < FAILING_MERCHANTS_MAX:
                self._failing.add(message.merchant)
            else:
                self._failing = {message.merchant}
        self._thread_free.set()

    def _attempt(self, message: Message) -> bool:
        """Send a message, store its new state, and return whether it has arrived."""
        began_at, began = now(), monotonic()

        def attempt(error: str = "") -> Attempt:
            return Attempt(at=began_at, seconds=round(monotonic() - began, 3), error=error)

        try:
            sender = self._senders.get(message.topic)
            if sender is None:
                raise DeliveryError(f"no sender for the topic {message.topic}")
            sender.send(message)
        except DeliveryPausedError:
            self._store.hold_message(message)
            return True
        except DeliveryError as fault:
            self._store_failure(message, fault, attempt)
            return False
        except Exception:
            fault_id = new_id()
            log.exception("a message sender failed", extra={**_fields(message), "fault": fault_id})
            self._store_failure(message, DeliveryError(f"internal fault {fault_id}"), attempt)
            return False
        if not self._abandoned:
            self._store.mark_sent(message, attempt=attempt())
        return True

    def _store_failure(self, message: Message, fault: DeliveryError, attempt: Callable[[str], Attempt]) -> None:
        """Postpone a message or give it up.

        One that waits for an unavailable receiver is given up once it is older than all pauses together, and with it
        the messages behind it that are.
        """
        if self._abandoned:
            return
        error = " ".join(fault.reason.split())[:ERROR_CHARACTERS_MAX] or "no reason given"
        fields = {**_fields(message), "attempts": message.attempts, "last_error": error}
        pauses = self._settings.retry_seconds
        is_waiting = message.in_order and fault.unavailable
        before = now() - timedelta(seconds=sum(pauses)) if is_waiting else None
        is_last = message.attempts > len(pauses) and (before is None or message.created_at <= before)
        if fault.final or is_last:
            if self._store.give_up_message(message, last_error=error, attempt=attempt(error), before=before):
                log.warning("a message is given up", extra=fields)
            return
        pause = pauses[min(message.attempts, len(pauses)) - 1]
        pause = min(pause, QUEUE_PAUSE_SECONDS_MAX) if is_waiting else pause
        seconds = pause * random.uniform(1, 1 + JITTER)  # noqa: S311 - not a secret
        if self._store.postpone_message(
            message, seconds=seconds, last_error=error, attempt=attempt(error),
            leave_queue=message.in_order and not is_waiting,
        ):
            log.info("a message did not arrive", extra=fields)


def _fields(message: Message) -> dict[str, object]:
    return {"merchant": message.merchant, "message_number": message.number, "topic": message.topic}
