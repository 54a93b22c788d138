"""Carries messages of the outbox to whom they are for, beside the work, at least once each.

A message is claimed for a time and marked once it has arrived; whoever dies between the two leaves it to the next. What
does not arrive comes again, later each time, and is given up in the end. Merchants come in turn, one message of each at
a time; those whose last message did not arrive share half of the threads, so that addresses that are dead hold up
nobody whose address is not.
"""

import logging
import random
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from goodsgate.config import Config
from goodsgate.model.batch import new_id
from goodsgate.model.message import Message
from goodsgate.store.contract import Store, StoreError

log = logging.getLogger(__name__)

LEASES = 2
"""A message is claimed for so many times what a courier may take: time to say that it has arrived, and a second."""
LOOK_SECONDS = 0.25
"""Between two looks for messages, where there are none or no thread is free."""
REFUSED_SECONDS = 1.0
"""After the store refused."""
JITTER = 0.1
"""Share by which a pause is longer at random, so that what failed together does not come back together."""
TROUBLED_MAX = 10_000
"""Merchants that are remembered as troubled; beyond them all are forgotten."""
TROUBLE_CHARACTERS_MAX = 500


class Undelivered(Exception):
    """The message did not arrive, and why; `final` if it never will."""

    def __init__(self, reason: str, *, final: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.final = final


class Courier(Protocol):
    """Words and carries the messages of some topics; used by several threads at once."""

    def carry(self, message: Message) -> None:
        """Returns once it has arrived, after `delivery_seconds` at most; raises Undelivered.

        It may have arrived before: merchant and number say which one it is.
        """


class Outbox:
    """Hands messages to couriers, from threads of its own; any number of processes may do so at once."""

    def __init__(self, store: Store, couriers: Mapping[str, Courier], config: Config) -> None:
        """`couriers` by topic. Nothing happens before `start`, nor ever if there are none."""
        self._store = store
        self._couriers = couriers
        self._threads = config.delivery_threads
        self._lease_seconds = LEASES * config.delivery_seconds + 1
        self._pauses = [float(seconds) for seconds in config.delivery_retry_seconds.split(",")]
        self._pool = ThreadPoolExecutor(config.delivery_threads, "courier")
        self._stop = threading.Event()
        self._free = threading.Event()
        """Set when a message was dealt with."""
        self._lock = threading.Lock()
        self._carried: set[str] = set()
        """Merchants one of whose messages is on its way."""
        self._troubled: set[str] = set()
        self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)

    def start(self) -> None:
        """Begin to look for messages."""
        if self._couriers:
            self._thread.start()

    def stop(self) -> None:
        """Take no more; wait for those on their way."""
        self._stop.set()
        self._free.set()
        if self._thread.is_alive():
            self._thread.join()
        self._pool.shutdown()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._free.clear()
            try:
                taken = self._take()
            except StoreError as fault:
                log.warning("the outbox cannot be read, trying again", extra={"fault": repr(fault)})
                self._stop.wait(REFUSED_SECONDS)
                continue
            if not taken:
                self._free.wait(LOOK_SECONDS)

    def _take(self) -> bool:
        """Claim what there are threads for, first of merchants without trouble; whether there was anything."""
        with self._lock:
            carried, troubled = {*self._carried}, {*self._troubled}
        free = self._threads - len(carried)
        share = min(free, max(1, self._threads // 2) - len(carried & troubled))
        taken = self._claim(free, without=carried | troubled)
        if troubled and share > 0 and len(taken) < free:
            passed = carried.union(message.merchant for message in taken)
            taken += self._claim(min(share, free - len(taken)), without=passed)
        with self._lock:
            self._carried.update(message.merchant for message in taken)
        for message in taken:
            self._pool.submit(self._carry, message)
        return bool(taken)

    def _claim(self, limit: int, *, without: set[str]) -> list[Message]:
        if limit <= 0:
            return []
        return self._store.claim_messages(lease_seconds=self._lease_seconds, limit=limit, without=without)

    def _carry(self, message: Message) -> None:
        try:
            arrived = self._carried_over(message)
        except StoreError as fault:  # its lease ends, and it is carried again
            log.warning("what became of a message could not be kept", extra={**_named(message), "fault": repr(fault)})
            arrived = True
        with self._lock:
            self._carried.discard(message.merchant)
            if arrived:
                self._troubled.discard(message.merchant)
            elif len(self._troubled) < TROUBLED_MAX:
                self._troubled.add(message.merchant)
            else:
                self._troubled = {message.merchant}
        self._free.set()

    def _carried_over(self, message: Message) -> bool:
        """Whether it has arrived; kept in the store either way."""
        try:
            courier = self._couriers.get(message.topic)
            if courier is None:
                raise Undelivered(f"nobody carries {message.topic}")
            courier.carry(message)
        except Undelivered as fault:
            self._failed(message, fault.reason, final=fault.final)
            return False
        except Exception:
            told = new_id()
            log.exception("fault of a courier", extra={**_named(message), "fault": told})
            self._failed(message, f"internal fault {told}", final=False)
            return False
        self._store.mark_sent(message)
        return True

    def _failed(self, message: Message, reason: str, *, final: bool) -> None:
        trouble = " ".join(reason.split())[:TROUBLE_CHARACTERS_MAX] or "no reason was given"
        told = {**_named(message), "attempts": message.attempts, "trouble": trouble}
        if final or message.attempts > len(self._pauses):
            if self._store.give_up_message(message, last_error=trouble):
                log.warning("a message is given up", extra=told)
            return
        longer = random.uniform(1, 1 + JITTER)  # noqa: S311 - nobody gains by knowing it
        pause = self._pauses[message.attempts - 1] * longer
        if self._store.postpone_message(message, seconds=pause, last_error=trouble):
            log.info("a message did not arrive", extra=told)


def _named(message: Message) -> dict[str, object]:
    return {"merchant": message.merchant, "message_number": message.number, "topic": message.topic}
