"""The protocol of the contract for messages to other systems."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Protocol

from goodsgate.model.message import Attempt, DeliveryState, Message, QueueStatus
from goodsgate.store.contract.values import Idempotency


class OutboxStore(Protocol):
    """Messages to other systems, stored in the transaction of what they report.

    Messages in order (`NewMessage.in_order`) of one merchant, topic and subject form a queue. Only its first message
    can be claimed; the next one follows once the first was sent, given up, or has left the queue.
    """

    def claim_messages(self, *, lease_seconds: float, limit: int, without: Iterable[str] = ()) -> list[Message]:
        """Claim messages that are due, at most one per merchant, until the lease ends.

        Merchants take turns, except those in `without`. Each claim counts as an attempt.
        """

    def listen_for_messages(self, listener: Callable[[], None]) -> None:
        """Call `listener` after each commit of this process that stored messages; those of others are polled for."""

    def mark_sent(self, message: Message, *, attempt: Attempt | None = None) -> None:
        """Record that a message has arrived; no effect if that is known."""

    def postpone_message(self, message: Message, *, seconds: float, last_error: str, attempt: Attempt | None = None,
                         leave_queue: bool = False) -> bool:
        """Make a message due again after `seconds`; return False if it was sent or claimed again.

        With `leave_queue`, it is no longer in order, so that those behind it go on.
        """

    def give_up_message(self, message: Message, *, last_error: str, attempt: Attempt | None = None,
                        before: datetime | None = None) -> bool:
        """Stop trying to deliver a message; return False if it was sent or claimed again.

        With `before`, the same for all messages behind it in its queue that were stored until then.
        """

    def hold_message(self, message: Message) -> bool:
        """Keep a message, and those behind it in its queue, until `release_messages`; the attempt does not count.

        Returns False if it was sent or claimed again.
        """

    def release_messages(self, merchant: str, topic: str, subject: str) -> int:
        """Make messages due that are held or have failed, and return their number."""

    def messages(self, merchant: str, *, topic: str | None = None, delivery_state: DeliveryState | None = None,
                 after: int = 0, limit: int = 100) -> list[Message]:
        """Return messages by number, optionally of one topic or in one delivery state."""

    def newest_messages(self, merchant: str, topic: str, subject: str, *, delivery_state: DeliveryState | None = None,
                        before: int | None = None, limit: int = 100) -> list[Message]:
        """Return the messages of a topic and subject, the newest first; with `before`, those with lower numbers."""

    def queue_status(self, merchant: str, topic: str, subject: str) -> QueueStatus:
        """Return how the messages of a topic and subject fare."""

    def replay(self, merchant: str, numbers: Sequence[int], *, idempotency: Idempotency[int] | None = None) -> int:
        """Make messages due again as if they were new, sent or not; return how many of them exist.

        One that was in order is delivered out of order, unless it is still waiting. Raises KeyInUseError as `add_batch`
        does.
        """
