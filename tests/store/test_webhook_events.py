"""The end of a round and the webhooks that are told of it, in one transaction."""

from datetime import datetime

import msgspec
import pytest

from goodsgate.model.batch import Counts, Kind, RoundKind, State, Withheld
from goodsgate.model.catalogue import Resource
from goodsgate.model.message import Message
from goodsgate.model.webhook import ITEMS_CHANGED_LABEL, WEBHOOK, BatchEvent, Webhook, WebhookEvent, WebhookSecret
from tests.factories import NOW
from tests.store.scene import Record, Scene, chunk_commit, rejected_record

FINISHED, WITHHELD = WebhookEvent.BATCH_FINISHED, WebhookEvent.BATCH_WITHHELD


def _webhook(scene: Scene, *events: WebhookEvent, merchant: str = "acme", kinds: tuple[Kind, ...] = (),
             collections: tuple[str, ...] = ()) -> Resource:
    webhook = Webhook(
        events=events or tuple(WebhookEvent), kinds=kinds, collections=collections, created_at=NOW,
        secrets=(WebhookSecret(name="a"),),
    )
    number = len(scene.store.resources(merchant, WEBHOOK)) + 1
    return scene.store.add_resource(
        merchant, WEBHOOK, name=f"https://{number}.example/", body=msgspec.json.encode(webhook),
        labels=webhook.labels(), resources_max=100,
    )


def _event(message: Message) -> BatchEvent:
    return msgspec.json.decode(message.body, type=BatchEvent)


def _told(scene: Scene, merchant: str = "acme") -> list[tuple[str, str]]:
    """Return webhook and event of each message."""
    return [(message.subject, _event(message).event) for message in scene.store.messages(merchant, topic=WEBHOOK)]


@pytest.mark.parametrize(("ends", "event"), [
    (State.FINISHED, "batch.finished"), (State.CANCELLED, "batch.cancelled"), (State.BROKEN, "batch.broken"),
])
def test_the_end_of_a_batch_is_told_to_webhooks(scene: Scene, ends: State, event: str) -> None:
    """With how the batch was then; to those that ask for the event, in order; to no other merchant's."""
    _webhook(scene)
    _webhook(scene, WebhookEvent.BATCH_HELD)
    _webhook(scene, merchant="bolt")
    batch = scene.seal(notify="tested/ended")
    scene.run([Record("A"), rejected_record("B")], ends=ends)
    assert _told(scene) == [("1", event)]
    assert _told(scene, "bolt") == []
    (message,) = scene.store.messages("acme", topic=WEBHOOK)
    told = _event(message)
    assert message.in_order
    assert (told.batch, told.round, told.kind, told.collection) == (batch, 0, "product", "products")
    assert (told.state, told.counts, told.total) == (ends, Counts(created=1, rejected=1), 2)
    assert told.outcome == ("partial" if ends is State.FINISHED else ends)
    assert isinstance(told.ended_at, datetime)
    assert len(scene.store.messages("acme", topic="tested/ended")) == 1
    scene.again(batch, RoundKind.FIX)
    scene.run([], ends=State.FINISHED)
    assert _event(scene.store.messages("acme", topic=WEBHOOK)[-1]).round == 1


def test_withheld_deletions_are_an_event_of_their_own(scene: Scene) -> None:
    """After the end of the batch, in the same queue."""
    _webhook(scene)
    _webhook(scene, WITHHELD)
    scene.seal()
    claim = scene.claimed()
    withheld = Withheld(items=10, deletions=9)
    commit = msgspec.structs.replace(chunk_commit(claim.rounds[0], Record("A"), ends=State.FINISHED), withheld=withheld)
    scene.store.commit(claim, [commit])
    assert _told(scene) == [("1", FINISHED), ("1", WITHHELD), ("2", WITHHELD)]
    assert [_event(message).withheld for message in scene.store.messages("acme")] == [withheld] * 3
    assert [message.subject for message in scene.store.claim_messages(lease_seconds=60, limit=1)] == ["1"]
    assert [message.subject for message in scene.store.claim_messages(lease_seconds=60, limit=1)] == ["2"]
    assert scene.store.claim_messages(lease_seconds=60, limit=1) == []


def test_a_webhook_may_ask_for_kinds_and_collections(scene: Scene) -> None:
    """Each filter alone, and both together."""
    _webhook(scene, FINISHED, kinds=(Kind.STOCK, Kind.PRICE))
    _webhook(scene, FINISHED, collections=("outlet", "products"))
    _webhook(scene, FINISHED, kinds=(Kind.STOCK,), collections=("outlet",))
    asked = {}
    for kind, collection in ((Kind.PRODUCT, "outlet"), (Kind.STOCK, "outlet"), (Kind.PRICE, "products"),
                             (Kind.PRODUCT, "other")):
        scene.seal(kind=kind, collection=collection)
        before = len(_told(scene))
        scene.run([Record("A")])
        asked[kind, collection] = sorted(number for number, _ in _told(scene)[before:])
    assert asked == {
        (Kind.PRODUCT, "outlet"): ["2"], (Kind.STOCK, "outlet"): ["1", "2", "3"], (Kind.PRICE, "products"): ["1", "2"],
        (Kind.PRODUCT, "other"): [],
    }


def test_webhooks_that_are_told_of_changes_are_found_over_all_merchants(scene: Scene) -> None:
    """With the last number of each merchant's journal; changes are counted by kind and collection."""
    for merchant in ("acme", "bolt"):
        _webhook(scene, WebhookEvent.ITEMS_CHANGED, merchant=merchant, kinds=(Kind.STOCK,))
    deleted = _webhook(scene)
    assert scene.store.put_resource(msgspec.structs.replace(deleted, expires_at=scene.clock()), labels=()) is not None
    assert sorted(scene.store.labelled(WEBHOOK, ITEMS_CHANGED_LABEL)) == [("acme", 1), ("bolt", 1)]
    assert scene.store.labelled("other/type", ITEMS_CHANGED_LABEL) == []
    assert scene.store.journal_numbers(["acme", "bolt", "nobody"]) == {}
    for kind, collection in ((Kind.PRODUCT, "products"), (Kind.PRODUCT, "outlet"), (Kind.STOCK, "outlet")):
        scene.seal(kind=kind, collection=collection)
        scene.run([Record("A"), Record("B")])
    assert scene.store.journal_numbers(["acme", "bolt", "nobody"]) == {"acme": 6}
    assert scene.store.count_changes("acme", after=0, until=4) == [
        (Kind.PRODUCT, "outlet", 2), (Kind.PRODUCT, "products", 2)
    ]
    assert scene.store.count_changes("acme", after=4, until=6) == [(Kind.STOCK, "outlet", 2)]
    assert scene.store.count_changes("acme", after=6, until=6) == []
    assert scene.store.count_changes("bolt", after=0, until=9) == []


def test_batches_that_end_together_are_told_one_after_the_other(scene: Scene) -> None:
    """A committed chunk that is repeated tells nothing; a deleted webhook gets nothing."""
    _webhook(scene)
    deleted = _webhook(scene)
    assert scene.store.put_resource(msgspec.structs.replace(deleted, expires_at=scene.clock()), labels=()) is not None
    sealed = [scene.seal(body=b"x") for _ in range(5)]
    claim = scene.claimed(works=64)
    commits = [chunk_commit(work, Record(work.batch), ends=State.FINISHED) for work in claim.rounds]
    for _ in range(2):
        scene.store.commit(claim, commits)
    assert [_event(message).batch for message in scene.store.messages("acme")] == sealed
    told = []
    while messages := scene.store.claim_messages(lease_seconds=60, limit=1):
        told.append(_event(messages[0]).batch)
        scene.store.mark_sent(messages[0])
    assert told == sealed
