"""Sources: each new file becomes one batch, whatever happens on the way."""

import gzip
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from goodsgate.app import create_dry_runner
from goodsgate.engine.refusal import Refusal
from goodsgate.engine.source_definitions import SOURCE, RunReport, SourceChange
from goodsgate.engine.source_trial import try_source
from goodsgate.model.webhook import WEBHOOK, Webhook, WebhookEvent, WebhookSecret
from goodsgate.remote import RemoteSettings
from tests.feeds import HEADER, OLD, Rig
from tests.shop import Shop


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """An empty folder beside a store."""
    folder = tmp_path / "feeds"
    folder.mkdir()
    with Shop(tmp_path, kind="sqlite") as shop:
        yield Rig(folder, shop)


def test_the_newest_file_becomes_a_batch_once(rig: Rig) -> None:
    """With the options of the source; a file that is not new is not read again."""
    rig.put("old.csv", age=7200)
    rig.put("new.csv", gzip.compress(HEADER + b"B,b,1,EUR\n"))
    rig.add(collection="eu", options={"mode": "full", "hold_if": {"rejected": "10%"}})
    report = rig.run()
    (batch,) = rig.batches()
    assert [(file.name, file.batch) for file in report.files] == [("new.csv", batch.id)]
    assert (batch.label, batch.collection, batch.policy.mode) == ("new.csv", "eu", "full")
    assert (batch.policy.hold_if, batch.protocol_data) == ({"rejected": "10%"}, {"source": "a", "run": "1"})
    assert rig.run() == RunReport(state="finished", requested=True)
    rig.put("new.csv", HEADER + b"C,c,1,EUR\n", age=60)
    assert [file.name for file in rig.run().files] == ["new.csv"]
    assert len(rig.batches()) == 2


def test_every_new_file_is_fetched_in_the_order_of_its_age(rig: Rig) -> None:
    """If the source asks for all: the effect of the last one counts."""
    for age, name in enumerate(("c.csv", "a.csv", "b.csv"), 1):
        rig.put(name, HEADER + f"{name},a,1,EUR\n".encode(), age=age * 600)
    rig.add(files="all")
    assert [file.name for file in rig.run().files] == ["b.csv", "a.csv", "c.csv"]
    assert rig.run().files == ()


def test_a_file_with_the_content_of_the_last_one_makes_no_batch(rig: Rig) -> None:
    """It was only touched."""
    rig.put("a.csv")
    rig.add("a.csv")
    rig.run()
    rig.put("a.csv", age=60)
    assert [(file.name, file.batch) for file in rig.run().files] == [("a.csv", None)]
    assert len(rig.batches()) == 1


def test_a_file_is_moved_once_it_was_submitted(rig: Rig) -> None:
    """Into a folder of that folder, or under another name."""
    for move_to, found in (("done/", "done/a.csv"), ("{name}.done", "a.csv.done")):
        rig.put("a.csv", HEADER + f"{move_to},a,1,EUR\n".encode())
        rig.add(move_to=move_to)
        assert rig.run().state == "finished"
        assert (rig.folder / found).exists()
        assert not (rig.folder / "a.csv").exists()
    assert len(rig.batches()) == 2


def test_a_failed_run_is_made_again_and_told_when_that_is_over(rig: Rig) -> None:
    """After the last pause the source is failing until a run succeeds."""
    webhook = Webhook(events=(*WebhookEvent,), created_at=OLD, secrets=(WebhookSecret(name="s"),))
    rig.shop.store.add_resource(
        "acme", WEBHOOK, name="http://127.0.0.1/", body=msgspec.json.encode(webhook), labels=webhook.labels(),
        resources_max=9,
    )
    rig.add("missing.csv")
    states = []
    for _ in range(3):
        report = rig.run()
        states.append((report.state, report.retry_at is not None, rig.sources.source("acme", "a").status(OLD)))
    assert states == [("failed", True, "retrying"), ("failed", True, "retrying"), ("failed", False, "failing")]
    assert "missing.csv" in report.error
    (message,) = rig.shop.store.messages("acme")
    event = msgspec.json.decode(message.body)
    assert (event["event"], event["source"], event["run"]) == ("source.failed", "a", 3)
    assert rig.shop.store.job_alerts() == {(SOURCE, "failing"): 1}
    rig.put("missing.csv")
    rig.run()
    assert rig.sources.source("acme", "a").status(OLD) == "idle"


@pytest.mark.parametrize(("body", "reason"), [
    (b"", "payload_empty"), (b"%PDF-1.7\n", "format_unknown"),
])
def test_a_file_that_cannot_be_a_feed_fails_the_run_at_once(rig: Rig, body: bytes, reason: str) -> None:
    """Another try would not help, and nothing of it remains."""
    rig.put("a.csv", body)
    rig.add()
    report = rig.run()
    assert (report.state, report.retry_at) == ("failed", None)
    assert reason in report.error
    assert rig.batches() == []


def test_a_file_that_is_overdue_is_told_once(rig: Rig) -> None:
    """For each deadline that no new file has met."""
    rig.add(cron="0 3 * * *", expected_by="04:00")
    resource = rig.shop.store.resources("acme", SOURCE)[0]
    body = msgspec.json.decode(resource.body)
    body["scheduled_from"] = (datetime.now(UTC) - timedelta(days=3)).isoformat()
    rig.shop.store.put_resource(msgspec.structs.replace(resource, body=msgspec.json.encode(body)))
    assert rig.run().state == "finished"
    assert rig.sources.source("acme", "a").status(datetime.now(UTC)) == "overdue"
    assert rig.shop.store.job_alerts() == {(SOURCE, "overdue"): 1}
    rig.put("a.csv")
    rig.run()
    assert rig.sources.source("acme", "a").status(datetime.now(UTC)) == "waiting"


def test_a_schedule_is_kept(rig: Rig) -> None:
    """The job is due at the next time; paused, it is due when somebody asks."""
    rig.add(cron="0 3 * * *", timezone="Europe/Berlin")
    assert not rig.work()
    due_at = rig.sources.source("acme", "a").job.due_at
    assert due_at is not None
    assert datetime.now(UTC) < due_at <= datetime.now(UTC) + timedelta(days=1)
    paused = rig.sources.pause("acme", "a")
    assert (paused.job.due_at, paused.status(OLD)) == (None, "paused")
    assert rig.run().state == "finished"
    assert rig.sources.source("acme", "a").job.due_at is None
    assert rig.sources.resume("acme", "a").job.due_at == due_at


@pytest.mark.parametrize("change", [
    {"address": "ftp://h/a"}, {"address": "file:///etc/passwd"}, {"address": "https://other.example/a"},
    {"address": "https://u:p@127.0.0.1/a"}, {"address": "http://127.0.0.1/a"}, {"cron": "x"}, {"expected_by": "25:00"},
    {"timezone": "Mars", "cron": "0 3 * * *"}, {"move_to": "../done/"}, {"credential": {"password": "env:HOME"}},
    {"address": "https://127.0.0.1/a", "move_to": "done/"},
    {"address": "s3://bucket/a", "endpoint": "https://127.0.0.2"},
])
def test_a_source_that_cannot_be_used_is_refused(rig: Rig, change: dict[str, object]) -> None:
    """With a sentence, and without what may be a secret."""
    with pytest.raises(Refusal) as refused:
        rig.add(**{"address": "*.csv", **change})
    assert refused.value.code == "source_invalid"
    assert ":p@" not in refused.value.detail


def test_a_credential_stays_with_the_host_that_it_was_entrusted_to(rig: Rig) -> None:
    """Nobody learns it by sending it elsewhere."""
    rig.settings = RemoteSettings(hosts=frozenset({"*"}))
    rig.sources.settings = rig.settings
    rig.add("sftp://u@a.example/in/", credential={"password": "secret"}, host_key="SHA256:x")
    rig.add("sftp://u@a.example/out/")
    view = rig.sources.source("acme", "a")
    assert (rig.sources.secrets(view), view.source.host_key) == ({"password": "secret"}, "SHA256:x")
    with pytest.raises(Refusal, match="give the credential again"):
        rig.add("sftp://u@b.example/in/")
    rig.add("sftp://u@b.example/in/", credential={})
    view = rig.sources.source("acme", "a")
    assert (rig.sources.secrets(view), view.source.host_key) == ({}, "")


def test_a_test_shows_what_would_be_fetched(rig: Rig) -> None:
    """And how its beginning is read; nothing is stored."""
    rig.put("old.csv", age=7200)
    rig.put("new.csv")
    rig.add()
    view = rig.sources.source("acme", "a")
    runner = create_dry_runner(rig.shop.store, rig.shop.config)
    trial = try_source(rig.sources, runner, rig.shop.engine.settings.read_limits, view)
    assert [(each.file.name, each.is_new) for each in trial.files] == [("new.csv", True), ("old.csv", False)]
    assert trial.inspection is not None
    assert (trial.inspected, trial.inspection.sample.records, trial.error) == ("new.csv", 1, "")
    assert rig.batches() == []


def test_a_merchant_has_so_many_sources(rig: Rig) -> None:
    """The names of those that were deleted are free."""
    for name in "abc":
        rig.sources.save("acme", name, SourceChange(address=f"{rig.folder.as_uri()}/"))
    with pytest.raises(Refusal) as refused:
        rig.sources.save("acme", "d", SourceChange(address=f"{rig.folder.as_uri()}/"))
    assert refused.value.code == "sources_full"
    rig.sources.delete("acme", "b")
    rig.sources.save("acme", "b", SourceChange(address=f"{rig.folder.as_uri()}/"))
    assert [view.name for view in rig.sources.all("acme")] == ["a", "b", "c"]
    with pytest.raises(Refusal):
        rig.sources.source("acme", "x")
