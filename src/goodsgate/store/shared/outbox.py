"""The outbox: messages are stored in the transaction of what they report."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec
import orjson

from goodsgate.model.message import BEHIND, HELD, Attempt, DeliveryState, Message, NewMessage, QueueStatus
from goodsgate.store.contract import Idempotency
from goodsgate.store.shared.database import ALL_MERCHANTS, Database, Row, Statements, Transactions
from goodsgate.store.shared.idempotency import answer_key
from goodsgate.store.shared.timestamps import microseconds, timestamp, timestamp_or_none

NUMBER_TYPE = "outbox"
"""The type under which messages are numbered; those of resources contain a slash."""
NUMBER_MAX = 2**63 - 1
BEHIND_AT, HELD_AT = microseconds(BEHIND), microseconds(HELD)
decode_history = msgspec.json.Decoder(list[Attempt]).decode


class SqlOutbox:
    """Implements OutboxStore."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._intake = database.intake
        self._last_served = 0
        """Number of the merchant whose message was claimed last."""

    def claim_messages(self, *, lease_seconds: float, limit: int, without: Iterable[str] = ()) -> list[Message]:
        """Claim one message per merchant, from the merchant behind the one served last on."""
        now = self._database.now()
        numbers = [self._database.number(merchant) for merchant in without]
        excluded = orjson.dumps([number for number in numbers if number is not None]).decode()
        values = {"now": now, "without": excluded, "after": 0, "limit": 1}
        if not self._intake.query("due_merchants", values, ALL_MERCHANTS):
            return []
        claimed: list[Message] = []
        with self._intake.writing(ALL_MERCHANTS) as db:
            values = {"now": now, "without": excluded, "after": self._last_served, "limit": limit}
            merchants = db.rows("due_merchants", values)
            if len(merchants) < limit:
                first = db.rows("due_merchants", {**values, "after": 0})
                merchants += [row for row in first[: limit - len(merchants)] if row not in merchants]
            for number, merchant in merchants:
                lease = {"merchant": number, "now": now, "until": now + int(lease_seconds * 1e6)}
                row = db.first("claim_message", lease)
                if row is not None:  # else another process has just claimed the last one
                    claimed.append(_message(merchant, row))
                    self._last_served = number
        return claimed

    def listen_for_messages(self, listener: Callable[[], None]) -> None:
        """Call `listener` after each commit that stored messages."""
        self._database.message_signal.listen(listener)

    def mark_sent(self, message: Message, *, attempt: Attempt | None = None) -> None:
        """Record that a message has arrived."""
        self._change("mark_message_sent", message, attempt=attempt)

    def postpone_message(self, message: Message, *, seconds: float, last_error: str, attempt: Attempt | None = None,
                         leave_queue: bool = False) -> bool:
        """Make a message due again; return False if it was sent or claimed again."""
        due_at = self._database.now() + int(seconds * 1e6)
        return self._change(
            "postpone_message", message, attempt=attempt, due_at=due_at, last_error=last_error, leave_queue=leave_queue
        )

    def give_up_message(self, message: Message, *, last_error: str, attempt: Attempt | None = None,
                        before: datetime | None = None) -> bool:
        """Stop trying to deliver a message; return False if it was sent or claimed again."""
        return self._change("give_up_message", message, attempt=attempt, before=before, last_error=last_error)

    def hold_message(self, message: Message) -> bool:
        """Keep a message until its queue is released; return False if it was sent or claimed again."""
        return self._change("hold_message", message)

    def release_messages(self, merchant: str, topic: str, subject: str) -> int:
        """Make messages due that are held or have failed."""
        number = self._database.number(merchant)
        values = {"merchant": number, "topic": topic, "subject": subject, "now": self._database.now()}
        with self._intake.writing(number) as db:
            return db.change("release_messages", {**values, "held": HELD_AT, "behind": BEHIND_AT})

    def messages(self, merchant: str, *, topic: str | None = None, delivery_state: DeliveryState | None = None,
                 after: int = 0, limit: int = 100) -> list[Message]:
        """Return messages by number."""
        number = self._database.number(merchant)
        values = {"merchant": number, "topic": topic, "state": delivery_state, "after": after, "limit": limit}
        return [_message(merchant, row) for row in self._intake.query("messages", values, number)]

    def newest_messages(self, merchant: str, topic: str, subject: str, *, delivery_state: DeliveryState | None = None,
                        before: int | None = None, limit: int = 100) -> list[Message]:
        """Return the messages of a topic and subject, the newest first."""
        number = self._database.number(merchant)
        values = {
            "merchant": number, "topic": topic, "subject": subject, "state": delivery_state,
            "before": NUMBER_MAX if before is None else before, "limit": limit,
        }
        return [_message(merchant, row) for row in self._intake.query("newest_messages", values, number)]

    def queue_status(self, merchant: str, topic: str, subject: str) -> QueueStatus:
        """Return how the messages of a topic and subject fare."""
        number = self._database.number(merchant)
        named = {"merchant": number, "topic": topic, "subject": subject}
        with self._intake.reading(number) as db:
            waiting, retrying, since, sent_at, given_up_at = db.rows("queue_status", named)[0]
            error = db.value("queue_error", named)
        return QueueStatus(
            waiting=waiting, retrying=retrying, waiting_since=timestamp_or_none(since),
            sent_at=timestamp_or_none(sent_at), given_up_at=timestamp_or_none(given_up_at),
            last_error=error,
        )

    def replay(self, merchant: str, numbers: Sequence[int], *, idempotency: Idempotency[int] | None = None) -> int:
        """Make messages due again as if they were new; return how many of them exist."""
        number = self._database.number(merchant)
        values = {"merchant": number, "now": self._database.now(), "numbers": orjson.dumps([*numbers]).decode()}
        with self._intake.writing(number) as db:
            count = db.change("replay_messages", values)
            if idempotency is not None and number is not None:
                answer_key(db, number, idempotency, count, now=self._database.now())
        return count

    def _change(self, statement: str, message: Message, *, attempt: Attempt | None = None,
                before: datetime | None = None, **changes: Any) -> bool:
        """Change a message that was claimed, and let the next one of its queue follow; return whether it had effect."""
        merchant = self._database.number(message.merchant)
        queue = {"merchant": merchant, "topic": message.topic, "subject": message.subject}
        values = {
            "merchant": merchant, "number": message.number, "attempts": message.attempts, "now": self._database.now(),
            "attempt": msgspec.json.encode(attempt if attempt is not None else []).decode(), "held": HELD_AT, **changes,
        }
        with self._intake.writing(merchant) as db:
            if message.in_order:  # whoever adds a message to the queue waits, so that one of both sees the other
                db.first("last_number", {"merchant": merchant, "type": NUMBER_TYPE})
            changed = bool(db.change(statement, values))
            if before is not None and changed:
                db.change("give_up_queue", {**queue, **values, "before": microseconds(before)})
            if message.in_order and changed:
                db.change("advance_queue", {**queue, "now": values["now"], "behind": BEHIND_AT})
        return changed


def add_messages(db: Statements, merchant: int, now: int, messages: Sequence[NewMessage]) -> None:
    """Add messages inside a transaction."""
    if not messages:
        return
    last = db.value("next_number", {"merchant": merchant, "type": NUMBER_TYPE, "count": len(messages)})
    rows, queues = [], set[tuple[str, str]]()
    for number, message in enumerate(messages, last + 1 - len(messages)):
        due_at = now if message.due_at is None else microseconds(message.due_at)
        if message.in_order:
            queue = message.topic, message.subject
            due_at = BEHIND_AT if queue in queues else due_at
            queues.add(queue)
        rows.append((number, message.topic, message.subject, message.body.decode(), due_at, message.in_order))
    added = msgspec.json.encode(rows).decode()
    db.change("add_messages", {"merchant": merchant, "now": now, "behind": BEHIND_AT, "messages": added})


def sweep_queues(intake: Transactions, *, now: int, before: int) -> None:
    """Give up messages in order that were stored before a time, and let those behind them follow."""
    with intake.writing(ALL_MERCHANTS) as db:
        db.change("give_up_old_messages", {"now": now, "before": before})
        db.change("advance_queues", {"now": now, "behind": BEHIND_AT})


def _message(merchant: str, row: Row) -> Message:
    (number, topic, subject, body, created_at, attempts, due_at, in_order, sent_at, given_up_at, last_error,
     history) = row
    return Message(
        merchant=merchant, number=number, topic=topic, subject=subject, body=body, created_at=timestamp(created_at),
        attempts=attempts, due_at=timestamp_or_none(due_at), in_order=bool(in_order),
        sent_at=timestamp_or_none(sent_at), given_up_at=timestamp_or_none(given_up_at), last_error=last_error,
        history=decode_history(history),
    )
