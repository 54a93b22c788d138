"""Messages of the outbox, which notify other systems, and the state of their delivery."""

from datetime import datetime
from enum import StrEnum

import msgspec


class DeliveryState(StrEnum):
    """The state of a message."""

    WAITING = "waiting"
    SENT = "sent"
    GIVEN_UP = "given_up"


class NewMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message to store in the transaction of the change that it reports."""

    topic: str
    """``protocol/word``; selects the courier that formats and delivers it."""
    subject: str
    """What the message is about: a batch's id, a shipment's name."""
    body: bytes = b"{}"
    """JSON that only the courier reads."""
    due_at: datetime | None = None
    """Earliest time of delivery; None: immediately."""


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
    """Attempts so far, including a running one."""
    due_at: datetime | None
    """Time of the next attempt; during an attempt, when others may try. None once it is sent or given up."""
    sent_at: datetime | None = None
    given_up_at: datetime | None = None
    last_error: str = ""
    """Why the last attempt failed."""

    @property
    def delivery_state(self) -> DeliveryState:
        """The state of the message."""
        if self.sent_at is not None:
            return DeliveryState.SENT
        return DeliveryState.WAITING if self.given_up_at is None else DeliveryState.GIVEN_UP
