"""The outbox: messages are kept in the intake file, in the transaction of what they tell."""

from collections.abc import Iterable, Sequence
from typing import Any

import apsw
import msgspec

from goodsgate.model.message import DeliveryState, Message, NewMessage
from goodsgate.store.moments import microseconds, moment, moment_or_none
from goodsgate.store.sqlite.ask import do, every, one, value
from goodsgate.store.sqlite.merchants import Merchants

NUMBERED = "outbox"
"""What numbers of messages are counted as; resources are counted by names with a slash."""


class Messages(Merchants):
    """The part of the contract that hands messages out."""

    _turn = 0
    """Number of the merchant whose message was handed out last."""

    def claim_messages(self, *, lease_seconds: float, limit: int, without: Iterable[str] = ()) -> list[Message]:
        """One a merchant, of those behind the one served last, and then from the first again."""
        now = self.now()
        passed = msgspec.json.encode([self.number(merchant) for merchant in without]).decode()
        asked = {"now": now, "without": passed, "after": self._turn, "limit": limit}
        with self.intake.reading() as db:
            if not every(db, "due_merchants", {**asked, "after": 0, "limit": 1}):
                return []
        taken: list[Message] = []
        with self.intake.writing() as db:
            whose = every(db, "due_merchants", asked)
            if len(whose) < limit:
                first = every(db, "due_merchants", {**asked, "after": 0})
                whose += [row for row in first[: limit - len(whose)] if row not in whose]
            for number, merchant in whose:
                until = now + int(lease_seconds * 1e6)
                row = one(db, "take_message", {"merchant": number, "now": now, "until": until})
                assert row is not None
                taken.append(_message(merchant, row))
                self._turn = number
        return taken

    def mark_sent(self, message: Message) -> None:
        """Whoever says so."""
        with self.intake.writing() as db:
            do(db, "message_sent", self._letter(message))

    def postpone_message(self, message: Message, *, seconds: float, last_error: str) -> bool:
        """False if somebody else has carried it, or is at it."""
        later = {"due_at": self.now() + int(seconds * 1e6), "trouble": last_error, "attempts": message.attempts}
        with self.intake.writing() as db:
            return bool(do(db, "defer_message", {**self._letter(message), **later}))

    def give_up_message(self, message: Message, *, last_error: str) -> bool:
        """False if somebody else has carried it, or is at it."""
        with self.intake.writing() as db:
            given = {"trouble": last_error, "attempts": message.attempts}
            return bool(do(db, "give_message_up", {**self._letter(message), **given}))

    def messages(self, merchant: str, *, topic: str | None = None, delivery_state: DeliveryState | None = None,
                 after: int = 0,
                 limit: int = 100) -> list[Message]:
        """By number."""
        asked = {"merchant": self.number(merchant), "topic": topic, "told": delivery_state, "after": after,
            "limit": limit}
        with self.intake.reading() as db:
            return [_message(merchant, row) for row in every(db, "messages", asked)]

    def replay(self, merchant: str, numbers: Sequence[int]) -> int:
        """How many there are of them."""
        asked = {"merchant": self.number(merchant), "now": self.now(), "numbers": msgspec.json.encode(numbers).decode()}
        with self.intake.writing() as db:
            return do(db, "replay_messages", asked)

    def _letter(self, message: Message) -> dict[str, object]:
        return {"merchant": self.number(message.merchant), "number": message.number, "now": self.now()}


def put_messages(db: apsw.Connection, merchant: int, now: int, messages: Sequence[NewMessage]) -> None:
    """Inside a transaction of the intake file: they are there with whatever it changes, or not at all."""
    for made in messages:
        number = value(db, "next_number", {"merchant": merchant, "sort": NUMBERED})
        do(db, "add_message", {
            "merchant": merchant, "number": number, "topic": made.topic, "subject": made.subject,
            "body": made.body.decode(), "now": now,
            "due_at": now if made.due_at is None else microseconds(made.due_at),
        })


def _message(merchant: str, row: tuple[Any, ...]) -> Message:
    number, topic, subject, body, made_at, attempts, due_at, sent_at, given_up_at, trouble = row
    return Message(
        merchant=merchant, number=number, topic=topic, subject=subject, body=body.encode(), created_at=moment(made_at),
        attempts=attempts, due_at=moment_or_none(due_at), sent_at=moment_or_none(sent_at),
        given_up_at=moment_or_none(given_up_at), last_error=trouble,
    )
