"""The outbox: messages are kept in the transaction of what they tell."""

from collections.abc import Iterable, Sequence
from typing import Any

from goodsgate.model.message import DeliveryState, Message, NewMessage
from goodsgate.store.moments import microseconds, moment, moment_or_none
from goodsgate.store.postgres.ask import Cursor, do, every, one
from goodsgate.store.postgres.merchants import Merchants

NUMBERED = "outbox"
"""What numbers of messages are counted as; resources are counted by names with a slash."""


class Messages(Merchants):
    """The part of the contract that hands messages out."""

    _turn = 0
    """Number of the merchant whose message was handed out last."""

    def claim_messages(self, *, lease_seconds: float, limit: int, without: Iterable[str] = ()) -> list[Message]:
        """One a merchant, of those behind the one served last, and then from the first again."""
        passed = [self.number(merchant) for merchant in without]
        taken: list[Message] = []
        with self.server.transaction(every=True) as db:
            now = self.now()
            asked = {"now": now, "without": passed, "after": self._turn, "limit": limit}
            whose = every(db, "due_merchants", asked)
            if len(whose) < limit:
                first = every(db, "due_merchants", {**asked, "after": 0})
                whose += [row for row in first[: limit - len(whose)] if row not in whose]
            for number, merchant in whose:
                until = now + int(lease_seconds * 1e6)
                row = one(db, "take_message", {"merchant": number, "now": now, "until": until})
                if row is not None:  # else another process has just taken the last
                    taken.append(_message(merchant, row))
                    self._turn = number
        return taken

    def mark_sent(self, message: Message) -> None:
        """Whoever says so."""
        named = self._letter(message)
        with self.server.transaction(named["merchant"]) as db:
            do(db, "message_sent", named)

    def postpone_message(self, message: Message, *, seconds: float, last_error: str) -> bool:
        """False if somebody else has carried it, or is at it."""
        named = self._letter(message)
        later = {"due_at": self.now() + int(seconds * 1e6), "trouble": last_error, "attempts": message.attempts}
        with self.server.transaction(named["merchant"]) as db:
            return bool(do(db, "defer_message", {**named, **later}))

    def give_up_message(self, message: Message, *, last_error: str) -> bool:
        """False if somebody else has carried it, or is at it."""
        named = self._letter(message)
        with self.server.transaction(named["merchant"]) as db:
            given = {"trouble": last_error, "attempts": message.attempts}
            return bool(do(db, "give_message_up", {**named, **given}))

    def messages(self, merchant: str, *, topic: str | None = None, delivery_state: DeliveryState | None = None,
                 after: int = 0,
                 limit: int = 100) -> list[Message]:
        """By number."""
        owner = self.number(merchant)
        asked = {"merchant": owner, "topic": topic, "told": delivery_state, "after": after, "limit": limit}
        with self.server.transaction(owner) as db:
            return [_message(merchant, row) for row in every(db, "messages", asked)]

    def replay(self, merchant: str, numbers: Sequence[int]) -> int:
        """How many there are of them."""
        owner = self.number(merchant)
        with self.server.transaction(owner) as db:
            return do(db, "replay_messages", {"merchant": owner, "now": self.now(), "numbers": [*numbers]})

    def _letter(self, message: Message) -> dict[str, Any]:
        return {"merchant": self.number(message.merchant), "number": message.number, "now": self.now()}


def put_messages(db: Cursor, merchant: int, now: int, messages: Sequence[NewMessage]) -> None:
    """Inside a transaction: they are there with whatever it changes, or not at all."""
    if messages:
        do(db, "add_messages", {
            "merchant": merchant, "now": now, "sort": NUMBERED, "count": len(messages),
            "topics": [made.topic for made in messages], "subjects": [made.subject for made in messages],
            "bodies": [made.body.decode() for made in messages],
            "dues": [now if made.due_at is None else microseconds(made.due_at) for made in messages],
        })


def _message(merchant: str, row: tuple[Any, ...]) -> Message:
    number, topic, subject, body, made_at, attempts, due_at, sent_at, given_up_at, trouble = row
    return Message(
        merchant=merchant, number=number, topic=topic, subject=subject, body=bytes(body), created_at=moment(made_at),
        attempts=attempts, due_at=moment_or_none(due_at), sent_at=moment_or_none(sent_at),
        given_up_at=moment_or_none(given_up_at), last_error=trouble,
    )
