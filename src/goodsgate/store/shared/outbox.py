"""The outbox: messages are stored in the transaction of what they report."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import orjson

from goodsgate.model.message import DeliveryState, Message, NewMessage
from goodsgate.store.shared.database import ALL_MERCHANTS, Database, Row, Statements
from goodsgate.store.shared.timestamps import microseconds, timestamp, timestamp_or_none

NUMBER_TYPE = "outbox"
"""The type under which messages are numbered; those of resources contain a slash."""


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

    def mark_sent(self, message: Message) -> None:
        """Record that a message has arrived."""
        self._change("mark_message_sent", message)

    def postpone_message(self, message: Message, *, seconds: float, last_error: str) -> bool:
        """Make a message due again; return False if it was sent or claimed again."""
        due_at = self._database.now() + int(seconds * 1e6)
        return self._change("postpone_message", message, due_at=due_at, last_error=last_error)

    def give_up_message(self, message: Message, *, last_error: str) -> bool:
        """Stop trying to deliver a message; return False if it was sent or claimed again."""
        return self._change("give_up_message", message, last_error=last_error)

    def messages(self, merchant: str, *, topic: str | None = None, delivery_state: DeliveryState | None = None,
                 after: int = 0, limit: int = 100) -> list[Message]:
        """Return messages by number."""
        number = self._database.number(merchant)
        values = {"merchant": number, "topic": topic, "state": delivery_state, "after": after, "limit": limit}
        return [_message(merchant, row) for row in self._intake.query("messages", values, number)]

    def replay(self, merchant: str, numbers: Sequence[int]) -> int:
        """Make messages due again as if they were new; return how many of them exist."""
        number = self._database.number(merchant)
        values = {"merchant": number, "now": self._database.now(), "numbers": orjson.dumps([*numbers]).decode()}
        with self._intake.writing(number) as db:
            return db.change("replay_messages", values)

    def _change(self, statement: str, message: Message, **changes: Any) -> bool:
        merchant = self._database.number(message.merchant)
        values = {
            "merchant": merchant, "number": message.number, "attempts": message.attempts, "now": self._database.now(),
            **changes,
        }
        with self._intake.writing(merchant) as db:
            return bool(db.change(statement, values))


def add_messages(db: Statements, merchant: int, now: int, messages: Sequence[NewMessage]) -> None:
    """Add messages inside a transaction."""
    if not messages:
        return
    last = db.value("next_number", {"merchant": merchant, "type": NUMBER_TYPE, "count": len(messages)})
    rows = [
        (
            number, message.topic, message.subject, message.body.decode(),
            now if message.due_at is None else microseconds(message.due_at),
        )
        for number, message in enumerate(messages, last + 1 - len(messages))
    ]
    db.change("add_messages", {"merchant": merchant, "now": now, "messages": msgspec.json.encode(rows).decode()})


def _message(merchant: str, row: Row) -> Message:
    number, topic, subject, body, created_at, attempts, due_at, sent_at, given_up_at, last_error = row
    return Message(
        merchant=merchant, number=number, topic=topic, subject=subject, body=body, created_at=timestamp(created_at),
        attempts=attempts, due_at=timestamp_or_none(due_at), sent_at=timestamp_or_none(sent_at),
        given_up_at=timestamp_or_none(given_up_at), last_error=last_error,
    )
