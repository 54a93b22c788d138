"""What is to be told to somebody else, and how far that has come."""

from datetime import datetime
from enum import StrEnum

import msgspec


class DeliveryState(StrEnum):
    """Where a message is."""

    WAITING = "waiting"
    SENT = "sent"
    GIVEN_UP = "given_up"


class NewMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message about to be kept, in the transaction of what it tells."""

    topic: str
    """``protocol/word``: who words and carries it."""
    subject: str
    """What it is about: a batch's id, a shipment's name."""
    body: bytes = b"{}"
    """JSON that only the courier reads."""
    due_at: datetime | None = None
    """Not to be carried before; None: at once."""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One message of the outbox."""

    merchant: str
    number: int
    """Counted by merchant from 1; never given twice."""
    topic: str
    subject: str
    body: bytes
    created_at: datetime
    attempts: int
    """Begun, with the one that is under way."""
    due_at: datetime | None
    """When it is carried next; while it is carried, when somebody else may. None once it is sent or given up."""
    sent_at: datetime | None = None
    given_up_at: datetime | None = None
    last_error: str = ""
    """Why the last attempt failed."""

    @property
    def delivery_state(self) -> DeliveryState:
        """Where it is."""
        if self.sent_at is not None:
            return DeliveryState.SENT
        return DeliveryState.WAITING if self.given_up_at is None else DeliveryState.GIVEN_UP
