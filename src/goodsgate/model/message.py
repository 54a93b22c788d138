"""Messages of the outbox, which notify other systems, and the state of their delivery."""

from datetime import UTC, datetime
from enum import StrEnum

import msgspec

BEHIND = datetime(9999, 1, 1, tzinfo=UTC)
"""`due_at` of a message that waits for the one before it in its queue."""
HELD = datetime(9998, 1, 1, tzinfo=UTC)
"""`due_at` of a message that waits until its queue is released, and those behind it with it."""


class DeliveryState(StrEnum):
    """The state of a message."""

    WAITING = "waiting"
    SENT = "sent"
    GIVEN_UP = "given_up"


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt to deliver a message."""

    at: datetime
    seconds: float
    """How long it took."""
    error: str = ""
    """Why the message did not arrive; empty if it did."""


class NewMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message to store in the transaction of the change that it reports."""

    topic: str
    """``protocol/word``; selects the courier that formats and delivers it."""
    subject: str
    """What the message is about: a batch's id, a shipment's name. One in order: whom it is for."""
    body: bytes = b"{}"
    """JSON that only the courier reads."""
    due_at: datetime | None = None
    """Earliest time of delivery; None: immediately."""
    in_order: bool = False
    """Whether it joins the queue of its topic and subject, whose messages are delivered one after the other."""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One message of the outbox."""

    merchant: str
    number: int
    """Counted from 1 for each merchant; never reused."""
    topic: str
    subject: str
    body: bytes
    created_at: datetime
    attempts: int
    """Attempts so far, including a running one; a replay begins again at 0."""
    due_at: datetime | None
    """Time of the next attempt; during an attempt, when others may try. None once it is sent or given up."""
    in_order: bool = False
    """Whether the messages of its topic and subject that were stored later wait for it."""
    sent_at: datetime | None = None
    given_up_at: datetime | None = None
    last_error: str = ""
    """Why the last attempt failed."""
    history: list[Attempt] = []
    """The attempts that have ended."""

    @property
    def delivery_state(self) -> DeliveryState:
        """The state of the message."""
        if self.sent_at is not None:
            return DeliveryState.SENT
        return DeliveryState.WAITING if self.given_up_at is None else DeliveryState.GIVEN_UP

    @property
    def next_attempt_at(self) -> datetime | None:
        """When the message is sent next; None if it is not waiting, or waits for others or for its queue."""
        return None if self.due_at in (BEHIND, HELD) else self.due_at


class QueueStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How the messages of one topic and subject fare."""

    waiting: int = 0
    retrying: int = 0
    """Those of them that have failed."""
    waiting_since: datetime | None = None
    """When the oldest one of those that wait was stored."""
    sent_at: datetime | None = None
    """When the last message arrived."""
    given_up_at: datetime | None = None
    """When the last message was given up."""
    last_error: str = ""
    """Why a waiting message has not arrived, or else why the last one was given up."""
