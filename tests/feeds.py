"""A folder of feeds, and a worker that fetches from sources on request."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from goodsgate.engine.credentials import Credentials
from goodsgate.engine.jobs import ClaimedJob
from goodsgate.engine.source_definitions import SOURCE, RunReport, SourceChange, decode_report
from goodsgate.engine.source_runs import SourceJobs, SourceRunSettings
from goodsgate.engine.sources import Sources
from goodsgate.model.batch import Batch
from goodsgate.remote import RemoteSettings
from goodsgate.store.contract import BatchFilter
from tests.shop import Shop

HEADER = b"sku,title,price,currency\n"
OLD = datetime.now(UTC) - timedelta(hours=1)


class Rig:
    """A folder of feeds and a worker of sources."""

    def __init__(self, folder: Path, shop: Shop, *, allow_http: bool = False) -> None:
        self.folder = folder
        self.shop = shop
        self.settings = RemoteSettings(
            folders=(folder,), hosts=frozenset({"127.0.0.1"}), allow_private=True, allow_http=allow_http
        )
        credentials = Credentials(shop.engine.secrets, frozenset(), {})
        self.sources = Sources(shop.store, credentials, self.settings, sources_max=3)
        self.bound(seconds_max=600, bytes_per_second_max=0)

    def bound(self, *, seconds_max: float, bytes_per_second_max: int) -> None:
        """Bound the runs that follow."""
        self.jobs = SourceJobs(self.shop.engine, self.sources, SourceRunSettings(
            seconds_max=seconds_max, bytes_per_second_max=bytes_per_second_max, retry_seconds=(60.0, 300.0)
        ))

    def put(self, name: str, body: bytes = HEADER + b"A,a,1,EUR\n", *, age: int = 3600) -> Path:
        """Write a file that nobody has touched for some time."""
        path = self.folder / name
        path.write_bytes(body)
        at = datetime.now(UTC).timestamp() - age
        os.utime(path, (at, at))
        return path

    def add(self, address: str = "*.csv", **change: object) -> None:
        """Save the source `a`."""
        text = address if "://" in address else f"{self.folder.as_uri()}/{address}"
        self.sources.save("acme", "a", msgspec.convert({"address": text, **change}, SourceChange))

    def run(self, name: str = "a") -> RunReport:
        """Run a source now and return the report of the run."""
        self.sources.request_run("acme", name)
        assert self.work()
        return self.report(name)

    def work(self, *, lease_seconds: float = 60) -> bool:
        """Work a job that is due."""
        job = self.shop.store.claim_job([SOURCE], lease_seconds=lease_seconds)
        if job is not None:
            self.jobs.work(ClaimedJob(self.shop.store, job))
        return job is not None

    def report(self, name: str = "a") -> RunReport:
        """The last run."""
        (run,) = self.sources.runs(self.sources.source("acme", name), limit=1)
        return decode_report(run)

    def batches(self) -> list[Batch]:
        """The oldest first."""
        return self.shop.store.batches("acme", BatchFilter()).rows[::-1]
