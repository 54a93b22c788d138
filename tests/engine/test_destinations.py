"""Destinations: each run publishes a whole feed, or none, whatever happens on the way."""

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import orjson
import pytest

from goodsgate.engine.credentials import Credentials
from goodsgate.engine.destination_definitions import (
    DESTINATION,
    DestinationChange,
    DestinationReport,
    DestinationView,
    decode_destination_report,
)
from goodsgate.engine.destination_runs import DestinationJobs, DestinationRunSettings
from goodsgate.engine.destinations import Destinations
from goodsgate.engine.jobs import ClaimedJob
from goodsgate.engine.refusal import Refusal
from goodsgate.model import crash
from goodsgate.model.webhook import MAIL_EVENTS, WEBHOOK, Webhook, WebhookSecret
from goodsgate.remote import RemoteSettings
from goodsgate.store.objects import Objects
from tests import factories
from tests.shop import Shop


class Rig:
    """A folder to which feeds go and a worker of destinations."""

    def __init__(self, folder: Path, shop: Shop) -> None:
        self.folder = folder / "out"
        self.folder.mkdir()
        self.shop = shop
        self.objects = Objects(str(folder / "objects"))
        self.destinations = Destinations(
            shop.store, Credentials(shop.engine.secrets, frozenset(), {}), shop.engine.secrets,
            RemoteSettings(folders=(self.folder,)), open_objects=lambda: self.objects, destinations_max=3,
        )
        self.jobs = DestinationJobs(
            self.destinations, DestinationRunSettings(seconds_max=600, retry_seconds=(60.0, 300.0))
        )

    def add_webhook(self) -> None:
        """Add a webhook that is told of everything but items."""
        webhook = Webhook(events=MAIL_EVENTS, created_at=factories.NOW, secrets=(WebhookSecret(name="s"),))
        self.shop.store.add_resource(
            "acme", WEBHOOK, name="http://127.0.0.1/", body=msgspec.json.encode(webhook), labels=webhook.labels(),
            resources_max=9,
        )

    def events(self) -> list[tuple[str, str, int, str]]:
        """Return what the webhook is told of destinations: event, name, run and reason."""
        bodies = [msgspec.json.decode(message.body) for message in self.shop.store.messages("acme")]
        return [
            (body["event"], body["destination"], body["run"], body["reason"])
            for body in bodies if "destination" in body
        ]

    @property
    def view(self) -> DestinationView:
        """The destination `a`."""
        return self.destinations.destination("acme", "a")

    def add(self, to: str = "feed.ndjson", **change: object) -> DestinationView:
        """Save the destination `a`."""
        address = to if to == "served" or "://" in to else f"{self.folder.as_uri()}/{to}"
        return self.destinations.save("acme", "a", msgspec.convert({"to": address, **change}, DestinationChange))

    def run(self) -> DestinationReport:
        """Run the destination now and return the report of the run."""
        self.destinations.request_run("acme", "a")
        return self.work()

    def work(self) -> DestinationReport:
        """Work the job that is due, and return the report of the last run."""
        job = self.shop.store.claim_job([DESTINATION], lease_seconds=60)
        assert job is not None
        self.jobs.work(ClaimedJob(self.shop.store, job))
        return decode_destination_report(self.destinations.runs(self.view, limit=1)[0])

    def names(self) -> list[str]:
        """The files that were written."""
        return sorted(path.name for path in self.folder.iterdir())

    def served(self) -> list[bytes]:
        """The content of the files that the gate serves."""
        return [b"".join(self.objects.get(file.path) or [b"gone"]) for file in self.view.state.files]


@pytest.fixture
def rig(tmp_path: Path, shop: Shop) -> Rig:
    """A folder and a worker, and twenty products."""
    shop.run(factories.products(*range(1, 21)))
    return Rig(tmp_path, shop)


def test_a_run_writes_the_feed_under_its_name(rig: Rig) -> None:
    """And says what it has written; the next one is by the schedule."""
    rig.add("feed.csv", format="csv", cron="0 3 * * *", timezone="Europe/Berlin")
    assert (rig.view.status, rig.view.job.due_at is not None) == ("waiting", True)
    report = rig.run()
    assert (report.state, report.items, report.written, report.requested) == ("published", 20, 20, True)
    (file,) = report.files
    assert (file.name, file.items, file.bytes) == ("feed.csv", 20, (rig.folder / "feed.csv").stat().st_size)
    assert (rig.names(), rig.view.state.items, rig.view.status) == (["feed.csv"], 20, "waiting")
    due = rig.view.job.due_at
    assert due is not None
    assert datetime.now(UTC) < due < datetime.now(UTC) + timedelta(hours=25)


def test_a_feed_of_several_files_keeps_its_names(rig: Rig) -> None:
    """A file that is not needed any more has no items, so that nobody reads what it had."""
    rig.add("feed.csv.gz", format="csv", file_items_max=8, hold_if_shrinks=None)
    assert [file.name for file in rig.run().files] == ["feed.csv.gz", "feed-2.csv.gz", "feed-3.csv.gz"]
    rig.shop.run([{"id": f"SKU-{number:04d}", "_verb": "delete"} for number in range(5, 21)])
    assert [file.items for file in rig.run().files] == [4, 0, 0]
    assert rig.names() == ["feed-2.csv.gz", "feed-3.csv.gz", "feed.csv.gz"]


@pytest.mark.parametrize(("name", "profile", "format", "written"), [
    ("a.csv", None, None, "csv"), ("a.CSV", None, None, "csv"), ("a.tsv.gz", None, None, "tsv"),
    ("a.jsonl.zst", None, None, "ndjson"), ("a", None, None, "ndjson"), ("a.txt", None, None, "ndjson"),
    ("a.csv", None, "ndjson", "ndjson"), ("a.xml", "google", None, "google_rss"), ("a.tsv", "google", None, "tsv"),
    ("a", "shopify", None, "csv"), ("a.parquet", "openai", None, "parquet"),
])
def test_the_name_of_a_file_says_its_format(rig: Rig, name: str, profile: str | None, format: str | None,
                                            written: str) -> None:
    """Unless another one is asked for; a name that says nothing leaves the usual one."""
    values = {"seller_name": "Acme", "seller_url": "https://a.example"} if profile == "openai" else {}
    assert rig.add(name, profile=profile, format=format, values=values).destination.format == written
    for wrong, of in (("a.xml", None), ("a.ndjson", "shopify")):
        with pytest.raises(Refusal, match="The name of the file says"):
            rig.add(wrong, profile=of)


def test_a_feed_that_shrinks_is_held_until_somebody_decides(rig: Rig) -> None:
    """Approved, it is written as it is then; discarded, what was published stays."""
    rig.add_webhook()
    rig.add()
    rig.run()
    before = (rig.folder / "feed.ndjson").read_bytes()
    rig.shop.run([{"id": f"SKU-{number:04d}", "_verb": "delete"} for number in range(5, 21)])
    report = rig.run()
    assert (report.state, rig.view.status, rig.view.job.alert) == ("held", "held", "held")
    assert report.reason == "The feed would shrink from 20 to 4 items, by 80%; 20% is allowed."
    assert (rig.folder / "feed.ndjson").read_bytes() == before
    assert rig.events() == [("destination.held", "a", 2, report.reason)]
    rig.destinations.discard("acme", "a")
    assert (rig.view.held_run, rig.view.status) == (0, "idle")
    with pytest.raises(Refusal, match="No run"):
        rig.destinations.approve("acme", "a")
    assert rig.run().state == "held"
    rig.destinations.approve("acme", "a")
    assert rig.work().state == "published"
    assert (len((rig.folder / "feed.ndjson").read_bytes().splitlines()), rig.view.state.items) == (4, 4)
    assert (rig.view.status, rig.view.job.alert) == ("idle", "")


def test_a_served_feed_is_replaced_as_a_whole(rig: Rig) -> None:
    """Its address has a signature, and a reader of the feed before is not cut off."""
    rig.add("served", profile="google", format="csv", incomplete="keep")
    rig.run()
    first = rig.view.state.files[0].path
    signature = rig.destinations.signature(rig.view)
    for wrong in ("", signature[:-1] + "x", "0" * 64):
        assert rig.destinations.served("acme", rig.view.number, wrong) is None
    assert rig.destinations.served("acme", rig.view.number, signature) == rig.view
    rig.shop.run([factories.product(21)])
    rig.run()
    assert len(rig.served()[0].splitlines()) == 22
    assert rig.objects.has(first)
    rig.run()
    assert not rig.objects.has(first)
    paths = [*rig.view.state.obsolete, rig.view.state.files[0].path]
    rig.destinations.delete("acme", "a")
    assert not any(map(rig.objects.has, paths))


def test_a_feed_of_changes_goes_on_from_its_cursor(rig: Rig) -> None:
    """Each run has a file of its own; the first one has all items."""
    rig.add("changes-{run}-{time}.ndjson", mode="changes")
    assert (rig.run().written, rig.view.state.items) == (20, 20)
    rig.shop.run([{"id": "SKU-0001", "title": "New"}, {"id": "SKU-0002", "_verb": "delete"}])
    report = rig.run()
    assert (report.state, report.written, report.is_full) == ("published", 2, False)
    lines = [orjson.loads(line) for line in (rig.folder / report.files[0].name).read_bytes().splitlines()]
    assert [(line["id"], line.get("_verb")) for line in lines] == [("SKU-0001", None), ("SKU-0002", "delete")]
    assert rig.run().written == 0
    assert [name.split("-")[1] for name in rig.names()] == ["1", "2", "3"]


def test_a_run_that_fails_is_made_again(rig: Rig) -> None:
    """After pauses; then the destination is failing until a run succeeds, and webhooks are told."""
    rig.add_webhook()
    rig.add()
    rig.folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    rig.folder.rename(rig.folder.with_name("away"))
    for failures in (1, 2):
        assert rig.run().state == "failed"
        assert (rig.view.state.failures, rig.view.status) == (failures, "retrying")
        assert rig.view.state.retry_at is not None
    report = rig.run()
    assert (report.state, report.retry_at, rig.view.status) == ("failed", None, "failing")
    assert rig.events() == [("destination.failed", "a", 3, report.reason)]
    assert report.reason == rig.view.state.error
    rig.folder.with_name("away").rename(rig.folder)
    rig.folder.chmod(stat.S_IRWXU)
    assert (rig.run().state, rig.view.status) == ("published", "idle")


@pytest.mark.parametrize("point", ["destination-begun", "destination-written", "destination-published"])
@pytest.mark.parametrize("to", ["feed.csv", "served"])
def test_a_run_goes_on_after_its_process_died(rig: Rig, monkeypatch: pytest.MonkeyPatch, point: str, to: str) -> None:
    """The same run, with the same names; until then, everybody sees what was published before."""
    class Died(BaseException):
        """Stands for the end of the process."""

    def die(at: str) -> None:
        if at == point:
            raise Died

    def seen() -> list[Any]:
        return rig.served() if to == "served" else [(rig.folder / name).read_bytes() for name in rig.names()]

    rig.add(to, format="csv")
    rig.run()
    before = seen()
    rig.shop.run([factories.product(21)])
    rig.destinations.request_run("acme", "a")
    monkeypatch.setattr(crash, "point", die)
    job = rig.shop.store.claim_job([DESTINATION], lease_seconds=60)
    assert job is not None
    with pytest.raises(Died):
        rig.jobs.work(ClaimedJob(rig.shop.store, job))
    if point != "destination-published" or to == "served":
        assert seen() == before
    monkeypatch.undo()
    rig.shop.store.renew_job(job, lease_seconds=0)
    assert (rig.work().state, rig.view.job.last_run) == ("published", 2)
    assert [len(content.splitlines()) for content in seen()] == [22]


INVALID: list[tuple[dict[str, Any], str]] = [
    ({"to": "https://x.example/feed.csv"}, "sftp://"), ({"to": "file:///etc/feed.csv"}, "feed_folders"),
    ({"to": "*.csv"}, "pattern"), ({"to": "ftp://x"}, "address"), ({"profile": "none"}, "profile must be"),
    ({"profile": "google", "format": "ndjson"}, "format must be"), ({"profile": "meta", "kind": "stock"}, "product"),
    ({"profile": "openai", "values": {"colour": "x"}}, "no column"), ({"values": {"a": "b"}}, "google, meta"),
    ({"cron": "never"}, "times"), ({"mode": "changes"}, "{run}"), ({"to": "served", "mode": "changes"}, "{run}"),
    ({"profile": "shopify", "mode": "changes", "format": "csv"}, "full feed"),
    ({"format": "parquet", "compression": "gzip"}, "Parquet"),
    ({"credential": {"password": "env:HOME"}}, "feed_variables"),
]


@pytest.mark.parametrize(("change", "reason"), INVALID)
def test_a_destination_that_cannot_be_used_is_refused(rig: Rig, change: dict[str, Any], reason: str) -> None:
    """With what to do about it."""
    if change.get("format") == "parquet":
        pytest.importorskip("pyarrow")
    with pytest.raises(Refusal, match=reason):
        rig.add(**{"to": "feed.ndjson", **change})


def test_a_merchant_has_so_many_destinations(rig: Rig) -> None:
    """Replacing one is no further one, and keeps what was published."""
    rig.add()
    rig.run()
    assert rig.add(format="csv").state.items == 20
    for name in ("b", "c"):
        rig.destinations.save("acme", name, DestinationChange(to="served"))
    with pytest.raises(Refusal) as refused:
        rig.destinations.save("acme", "d", DestinationChange(to="served"))
    assert refused.value.code == "destinations_full"
    assert [view.name for view in rig.destinations.all("acme")] == ["a", "b", "c"]


def test_a_paused_destination_runs_only_if_asked(rig: Rig) -> None:
    """What its schedule named meanwhile is not made up for."""
    rig.add(cron="* * * * *")
    rig.destinations.pause("acme", "a")
    assert (rig.view.status, rig.view.job.due_at) == ("paused", None)
    assert rig.run().state == "published"
    due = rig.destinations.resume("acme", "a").job.due_at
    assert due is not None
    assert due > datetime.now(UTC)
