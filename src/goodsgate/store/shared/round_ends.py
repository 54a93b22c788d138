"""The messages that the end of a round causes, stored in its transaction."""

from collections.abc import Sequence

import msgspec

from goodsgate.model.batch import Counts, Policy, State, Withheld
from goodsgate.model.message import NewMessage
from goodsgate.model.webhook import (
    WEBHOOK,
    BatchEvent,
    WebhookEvent,
    end_events,
    round_marks,
    subscription_labels,
)
from goodsgate.store.shared.database import Statements
from goodsgate.store.shared.outbox import add_messages
from goodsgate.store.shared.progress import COUNT_NAMES, Progress
from goodsgate.store.shared.timestamps import timestamp

encode = msgspec.json.Encoder().encode
decode_withheld = msgspec.json.Decoder(Withheld).decode


class RoundEnd(msgspec.Struct, frozen=True, kw_only=True):
    """A round that ends."""

    batch: str
    round: int
    kind: str
    collection: str
    policy: Policy
    progress: Progress
    traceparent: str = ""
    """That of the request that has caused the round."""

    @property
    def state(self) -> str:
        """The state that the batch has now; without an end there is a later round, which a backup does not know."""
        return self.progress.ended or State.FINISHED


def add_end_messages(db: Statements, merchant: int, ends: Sequence[RoundEnd], *, now: int, has_webhooks: bool) -> bool:
    """Add the messages that the policies and the webhooks of the merchant ask for; return whether there are any.

    Webhooks are not told of dry runs, which are of no interest to a shop.
    """
    messages = [
        NewMessage(topic=end.policy.notify, subject=end.batch, body=encode({"round": end.round, "state": end.state}))
        for end in ends if end.policy.notify is not None and not end.progress.is_held
    ]
    if has_webhooks:
        messages += _webhook_messages(db, merchant, [end for end in ends if not end.policy.dry_run])
    add_messages(db, merchant, now, messages)
    return bool(messages)


def has_webhooks(db: Statements, merchant: int) -> bool:
    """Return whether the merchant has a webhook."""
    return db.first("has_labels", {"merchant": merchant, "type": WEBHOOK}) is not None


def _webhook_messages(db: Statements, merchant: int, ends: Sequence[RoundEnd]) -> list[NewMessage]:
    labels = [
        [*subscription_labels(_events(end), end.kind, end.collection, marks=_marks(end))] for end in ends
    ]
    distinct = sorted({label for each in labels for label, _ in each})
    subscribers: dict[str, list[int]] = {}
    asked = {"merchant": merchant, "type": WEBHOOK, "labels": encode(distinct).decode()}
    for label, number in db.rows("subscribers", asked):
        subscribers.setdefault(label, []).append(number)
    return [
        NewMessage(topic=WEBHOOK, subject=str(number), body=_event_body(end, event), in_order=True)
        for end, own in zip(ends, labels, strict=True) for label, event in own for number in subscribers.get(label, ())
    ]


def _events(end: RoundEnd) -> list[WebhookEvent]:
    return end_events(end.state, is_withheld=end.progress.withheld is not None)


def _marks(end: RoundEnd) -> list[str]:
    """Return which webhooks are told: some only of submissions, some only of problems."""
    progress = end.progress
    is_clean = end.state == State.FINISHED and progress.outcome == "clean" and progress.withheld is None
    return round_marks(is_first=end.round == 0, has_problems=not is_clean)


def _event_body(end: RoundEnd, event: WebhookEvent) -> bytes:
    progress = end.progress
    return encode(BatchEvent(
        event=event, batch=end.batch, round=end.round, kind=end.kind, collection=end.collection, state=end.state,
        outcome=progress.outcome, counts=Counts(**{name: getattr(progress, name) for name in COUNT_NAMES}),
        total=progress.total, warned=progress.warned, file_errors=progress.file_errors,
        withheld=decode_withheld(progress.withheld) if progress.withheld is not None else None,
        ended_at=timestamp(progress.ended_at or progress.first_at), traceparent=end.traceparent,
    ))
