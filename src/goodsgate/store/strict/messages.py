"""What is told to others, watched."""

# ruff: noqa: D102 – the contract says what each method does.
from collections.abc import Iterable, Sequence

from goodsgate.model.message import DeliveryState, Message
from goodsgate.store.demands import check_aware, check_order, must
from goodsgate.store.strict.merchants import Merchants


class Messages(Merchants):
    """From a claim to what became of it."""

    def claim_messages(self, *, lease_seconds: float, limit: int, without: Iterable[str] = ()) -> list[Message]:
        must(lease_seconds > 0 and limit > 0, "for how long, how many", lease_seconds, limit)
        passed = {*without}
        taken = self.store.claim_messages(lease_seconds=lease_seconds, limit=limit, without=passed)
        whose = [message.merchant for message in taken]
        must(len(whose) == len({*whose}) <= limit and passed.isdisjoint(whose), "one a merchant, of the others", taken)
        for message in taken:
            _check(message)
            must(message.attempts > 0 and message.delivery_state is DeliveryState.WAITING, "it waits and is attempted",
                message)
        return taken

    def mark_sent(self, message: Message) -> None:
        self.store.mark_sent(message)

    def postpone_message(self, message: Message, *, seconds: float, last_error: str) -> bool:
        must(seconds >= 0 and bool(last_error), "for how long, and why", seconds, last_error)
        return self.store.postpone_message(message, seconds=seconds, last_error=last_error)

    def give_up_message(self, message: Message, *, last_error: str) -> bool:
        must(bool(last_error), "why", last_error)
        return self.store.give_up_message(message, last_error=last_error)

    def messages(self, merchant: str, *, topic: str | None = None, delivery_state: DeliveryState | None = None,
                 after: int = 0,
                 limit: int = 100) -> list[Message]:
        found = self.store.messages(merchant, topic=topic, delivery_state=delivery_state, after=after, limit=limit)
        must(len(found) <= limit, "not more than asked for", len(found))
        check_order([message.number for message in found], after)
        for message in found:
            _check(message)
            must(message.merchant == merchant and topic in (None, message.topic), "as filtered", message)
            must(delivery_state in (None, message.delivery_state), "as filtered", message)
        return found

    def replay(self, merchant: str, numbers: Sequence[int]) -> int:
        count = self.store.replay(merchant, numbers)
        must(0 <= count <= len({*numbers}), "some of these", count, numbers)
        return count


def _check(message: Message) -> None:
    must(message.number > 0 <= message.attempts and bool(message.topic and message.body), "a message", message)
    must((message.due_at is None) == (message.delivery_state is not DeliveryState.WAITING), "due while it waits",
        message)
    for moment in (message.created_at, message.due_at, message.sent_at, message.given_up_at):
        check_aware(moment)
