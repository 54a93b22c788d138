"""What crash tests play: the same batches on two stores, one of them disturbed."""

import json
from pathlib import Path

import msgspec

from goodsgate.config import Config
from goodsgate.model.batch import Duplicates, Strictness, Verb
from goodsgate.model.catalogue import ReferenceEntry
from goodsgate.model.journal import JOURNAL_START
from goodsgate.model.webhook import WEBHOOK, Webhook, WebhookEvent, WebhookSecret
from tests import stores
from tests.factories import NOW, product, products
from tests.shop import Shop

ROOT = Path(__file__).parent.parent.parent
TOPIC = "tested/ended"
CHUNK_RECORDS = {"chunk_records_max": 40, "lease_seconds": 1.0, "delivery_seconds": 0.5}


def settings_of(folder: Path) -> Config:
    """The settings both processes use."""
    return Config(store=stores.address(folder), **CHUNK_RECORDS)  # type: ignore[arg-type]


def stage(folder: Path, kind: str) -> tuple[Shop, list[str]]:
    """A store with batches of every sort queued, none worked."""
    shop = Shop(folder, "acme", kind=kind, **CHUNK_RECORDS)
    shop.reference("brand", ReferenceEntry(code="Acme"))
    add_webhook(shop, "https://shop.example/", WebhookEvent.BATCH_FINISHED)
    dirty = [
        product(n, title=None) if n % 7 == 0 else product(n, brand="Acme" if n % 2 else "Nova") for n in range(200)
    ]
    sent = [
        shop.send(dirty, notify=TOPIC),
        shop.send([product(n, title="Second") for n in range(100, 250)], references=Strictness.OFF, notify=TOPIC),
        shop.send(
            [product(n % 50, title=f"Third {n}") for n in range(90)], dry_run=True, duplicates=Duplicates.LAST,
            notify=TOPIC,
        ),
        *[shop.send(products(n, n + 1), notify=TOPIC) for n in range(300, 320)],
        shop.send([{"id": f"SKU-{n:04d}"} for n in range(30)], verb=Verb.DELETE),
        shop.send([*products(*range(190)), {"id": "x" * 300}], mode="full", delete_share_max=1.0, notify=TOPIC),
    ]
    sent.append(shop.send(b"{}", reverts=sent[-1], notify=TOPIC))
    return shop, sent


def add_webhook(shop: Shop, url: str, *events: WebhookEvent) -> None:
    """Add a webhook of the merchant acme."""
    webhook = Webhook(events=events, created_at=NOW, secrets=(WebhookSecret(name="a"),))
    shop.store.add_resource(
        "acme", WEBHOOK, name=url, body=msgspec.json.encode(webhook), labels=webhook.labels(), resources_max=9
    )


def changes_by_key(shop: Shop, sent: list[str]) -> dict[str, list[object]]:
    """Return the changes of each item in the journal: the batch, the record, and the documents before and after."""
    changes: dict[str, list[object]] = {}
    position, numbers = JOURNAL_START, []
    while True:
        page = shop.store.changes("acme", after=position)
        for change in page.changes:
            numbers.append(change.number)
            documents = [each.document if each is not None else None for each in (change.before, change.after)]
            batch = sent.index(change.batch) if change.batch in sent else None
            changes.setdefault(change.key, []).append((batch, change.record, change.operation, documents))
        position = page.position
        if page.is_last:
            assert numbers == [*range(1, len(numbers) + 1)]
            return changes


def state_after(shop: Shop, sent: list[str]) -> list[object]:
    """Return everything that must be the same after a crash.

    That is the catalogue, the journal, counts, results, issues, groups, diffs, and one message for each batch whose end
    is reported, for the webhook one for each batch, in their order.
    """
    return [
        shop.items(),
        sorted(sent.index(message.subject) for message in shop.store.messages("acme", topic=TOPIC, limit=1_000)),
        [sent.index(json.loads(message.body)["batch"]) for message in shop.store.messages("acme", topic=WEBHOOK)],
        [
            (
                batch.state, batch.counts, batch.total, batch.warned, batch.withheld,
                [(row.number, row.key, row.result) for row in shop.results(one)],
                [(f.number, f.source_row, f.result, f.issues) for f in shop.findings(one)],
                sorted((g.code, g.field, g.count, sorted(g.top)) for g in shop.store.issue_groups("acme", one)),
                [f.raw for f in shop.store.rejected_records("acme", one)],
                [(change.key, change.before, change.after) for change in shop.store.diff("acme", one)],
            )
            for one, batch in ((one, shop.engine.batch("acme", one)) for one in sent)
        ],
        changes_by_key(shop, sent),
    ]
