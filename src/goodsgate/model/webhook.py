"""Webhooks of merchants: which events they get, and what a message to one of them holds."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from enum import StrEnum
from typing import Literal

import msgspec

from goodsgate.model.batch import Counts, Kind, State, Withheld
from goodsgate.model.journal import JOURNAL_START, JournalPosition

WEBHOOK = "native/webhook"
"""Type of the resources that hold webhooks, and topic of the messages to them; the subject is the webhook's number."""


class WebhookEvent(StrEnum):
    """What a webhook can be told."""

    BATCH_FINISHED = "batch.finished"
    BATCH_HELD = "batch.held"
    BATCH_WITHHELD = "batch.withheld"
    BATCH_BROKEN = "batch.broken"
    BATCH_CANCELLED = "batch.cancelled"
    ITEMS_CHANGED = "items.changed"
    SOURCE_FAILED = "source.failed"
    SOURCE_OVERDUE = "source.overdue"
    DESTINATION_FAILED = "destination.failed"
    DESTINATION_HELD = "destination.held"


MAIL_EVENTS = (
    WebhookEvent.BATCH_FINISHED, WebhookEvent.BATCH_HELD, WebhookEvent.BATCH_BROKEN, WebhookEvent.SOURCE_FAILED,
    WebhookEvent.SOURCE_OVERDUE, WebhookEvent.DESTINATION_FAILED, WebhookEvent.DESTINATION_HELD,
)
"""What an address for mail is told unless other events are chosen: a batch whose deletions are withheld has finished,
too, and one mail is enough."""

END_EVENTS: dict[str, WebhookEvent] = {
    State.FINISHED: WebhookEvent.BATCH_FINISHED, "held": WebhookEvent.BATCH_HELD,
    State.BROKEN: WebhookEvent.BATCH_BROKEN, State.CANCELLED: WebhookEvent.BATCH_CANCELLED,
}
"""State in which a round ends → event."""


When = Literal["always", "problems"]
"""Whether a webhook is told of every batch, or only of those with problems."""
FIRST_ROUND, PROBLEMS = "!first", "!problems"
"""Behind an event in a label: only of submissions, not of later rounds; only if not everything is accepted."""
MARKS = ("", FIRST_ROUND, PROBLEMS, FIRST_ROUND + PROBLEMS)

ITEMS_CHANGED_LABEL = f"{WebhookEvent.ITEMS_CHANGED}//"
"""Label of all webhooks that are told of changed items."""


class WebhookSecret(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A secret that signs; it is derived from a master secret and this name, and not stored."""

    name: str
    expires_at: datetime | None = None
    """When it stops to sign, if it was replaced."""


class Webhook(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The body of a webhook's resource; its URL is the resource's name."""

    events: tuple[WebhookEvent, ...]
    kinds: tuple[Kind, ...] = ()
    """Empty: every kind."""
    collections: tuple[str, ...] = ()
    """Empty: every collection."""
    description: str = ""
    when: When = "always"
    only_first_round: bool = False
    """Whether it is told of a batch only when its submission ends, not of fixes: mail is."""
    created_at: datetime
    secrets: tuple[WebhookSecret, ...]
    """The newest first."""
    paused_at: datetime | None = None
    pause_reason: str = ""
    """Why it was paused, if nobody did it."""
    changes_until: JournalPosition = JOURNAL_START
    """Behind the last change that an `items.changed` has told."""
    tested_at: datetime | None = None
    """When the last test delivery arrived."""

    def labels(self) -> list[tuple[str, int]]:
        """Return the labels by which the end of a batch finds the webhook."""
        mark = (FIRST_ROUND if self.only_first_round else "") + (PROBLEMS if self.when == "problems" else "")
        labels = [
            (_label(event + mark, kind, collection), 0)
            for event in self.events if event is not WebhookEvent.ITEMS_CHANGED
            for kind in self.kinds or ("",) for collection in self.collections or ("",)
        ]
        return [*labels, (ITEMS_CHANGED_LABEL, 0)] if WebhookEvent.ITEMS_CHANGED in self.events else labels

    def accepts(self, kind: Kind, collection: str) -> bool:
        """Return whether the webhook is told of items of a kind and a collection."""
        return (not self.kinds or kind in self.kinds) and (not self.collections or collection in self.collections)


class MessageHead(msgspec.Struct, frozen=True, kw_only=True):
    """What the bodies of all messages to webhooks begin with."""

    event: WebhookEvent


class BatchEvent(msgspec.Struct, frozen=True, kw_only=True):
    """The body of a message about a batch: how it was when the round ended."""

    event: WebhookEvent
    batch: str
    round: int
    """0 for the submission, then 1, 2, …"""
    kind: str
    collection: str
    state: str
    outcome: str
    counts: Counts
    total: int
    warned: int
    file_errors: int
    withheld: Withheld | None = None
    ended_at: datetime
    traceparent: str = ""
    """Trace context of the request that has caused the round; empty if it has none."""


class SourceEvent(msgspec.Struct, frozen=True, kw_only=True):
    """The body of a message about a source."""

    event: WebhookEvent
    source: str
    kind: str
    collection: str
    at: datetime
    run: int | None = None
    """The run that failed."""
    error: str | None = None
    expected_at: datetime | None = None
    """The deadline that was missed."""
    new_at: datetime | None = None
    """When a new file was fetched last."""


class DestinationEvent(msgspec.Struct, frozen=True, kw_only=True):
    """The body of a message about a destination."""

    event: WebhookEvent
    destination: str
    kind: str
    collection: str
    at: datetime
    run: int
    reason: str
    """The error, or why the feed is held."""


SOURCE_EVENTS = frozenset({WebhookEvent.SOURCE_FAILED, WebhookEvent.SOURCE_OVERDUE})
DESTINATION_EVENTS = frozenset({WebhookEvent.DESTINATION_FAILED, WebhookEvent.DESTINATION_HELD})


def end_events(state: str, *, is_withheld: bool) -> list[WebhookEvent]:
    """Return the events of a round that ends in a state; `is_withheld` says whether deletions await confirmation."""
    events = [END_EVENTS[state]]
    return [*events, WebhookEvent.BATCH_WITHHELD] if is_withheld and state == State.FINISHED else events


def round_marks(*, is_first: bool, has_problems: bool) -> list[str]:
    """Return the marks of the webhooks that are told of the end of a round."""
    return [mark for mark in MARKS if (is_first or FIRST_ROUND not in mark) and (has_problems or PROBLEMS not in mark)]


def subscription_labels(events: Iterable[WebhookEvent], kind: str, collection: str, *, marks: Iterable[str] = MARKS,
                        ) -> Iterator[tuple[str, WebhookEvent]]:
    """Yield each label of the webhooks that get one of the events of a kind and a collection, and the event."""
    marked = [*marks]
    for event in events:
        for each_kind in (kind, ""):
            for each_collection in (collection, ""):
                for mark in marked:
                    yield _label(event + mark, each_kind, each_collection), event


def _label(event: str, kind: str, collection: str) -> str:
    return f"{event}/{kind}/{collection}"
