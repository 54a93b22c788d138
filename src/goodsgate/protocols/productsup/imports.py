"""Imports of sites: an import releases what was uploaded to the site's streams before a moment, and records the result.

A run is a resource, deleted after `RUN_DAYS`. It stores no batches: its batches are those of its streams that were
received before its moment, and not before the moment of the previous run.
"""

import uuid
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta

import msgspec

from goodsgate.engine.refusal import Refusal
from goodsgate.model.batch import Batch, Kind, State, now
from goodsgate.model.catalogue import Resource
from goodsgate.model.message import Message
from goodsgate.protocols.productsup.processing import processing_stage
from goodsgate.protocols.productsup.site_store import MAIN, SiteStore, StoredSite
from goodsgate.protocols.productsup.stream_store import StreamStore, collection_of
from goodsgate.protocols.productsup.unpublished import PROCESSES_MAX, RUN_DAYS
from goodsgate.protocols.productsup.upload_watcher import EXPECTED, read_stage
from goodsgate.store.contract import BatchFilter, Store

RESOURCE_TYPE = "productsup/run"
NO_SOURCE = "The site has no active data source."
EMPTY_SOURCE = "The data source is empty."
PAGE_BATCHES = 200


class RunState(msgspec.Struct, frozen=True, kw_only=True):
    """The body of a run's resource."""

    site: int
    started_at: datetime
    moment: datetime
    """The run imports what was received before it; by the store's clock."""
    streams: dict[int, datetime]
    """Stream → the run imports what was received from then on."""
    skipped: dict[int, datetime] = {}
    """Streams that are not imported, because they would have no products then → what their next import begins with."""
    refusal: str = ""
    """Why nothing was imported."""
    products: int | None = None
    """Rows of the site at the end of the import; None before."""
    failed: bool = False


class ImportProcess(msgspec.Struct, frozen=True, kw_only=True):
    """A run with its resource."""

    resource: Resource
    run: RunState

    @property
    def pid(self) -> str:
        """The id of the process."""
        return self.resource.name


class ImportProblem(msgspec.Struct, frozen=True, kw_only=True):
    """One problem of a run."""

    message: str
    severe: bool
    at: datetime
    data: dict[str, str | int] = {}


class SiteImports:
    """The import runs of every merchant's sites."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._sites = SiteStore(store)
        self._streams = StreamStore(store)

    def start(self, site: StoredSite) -> ImportProcess:
        """Import a site now; raise batch_open while one process runs and another waits."""
        merchant, number = site.resource.merchant, site.number
        earlier = self.history(merchant, number, limit=PROCESSES_MAX)
        if len(earlier) == PROCESSES_MAX and all(self.is_open(process) for process in earlier):
            raise Refusal("batch_open", "A process of the site runs and another one waits.")
        streams = [
            source.stream for source in site.state.active_sources() if self._streams.exists(merchant, source.stream)
        ]
        started_at = now()
        moment = self._moment_after_last_upload(merchant, streams) or started_at
        before = earlier[0].run if earlier else None
        since = {stream: self._since(stream, site, before, until=moment) for stream in streams}
        skipped = {stream: since.pop(stream) for stream in streams if self._would_be_empty(merchant, stream, moment)}
        refusal = "" if since else EMPTY_SOURCE if streams else NO_SOURCE
        run = RunState(
            site=number, started_at=started_at, moment=moment, refusal=refusal, failed=bool(refusal), streams=since,
            skipped=skipped, products=self._count_rows(site) if refusal else None,
        )
        pid = str(uuid.uuid4())
        resource = self._store.add_resource(
            merchant, RESOURCE_TYPE, name=pid, body=msgspec.json.encode(run), resources_max=1,
            labels=[(f"site/{number}", -int(started_at.timestamp() * 1e6)), (f"pid/{number}/{pid}", 0)],
            expires_at=started_at + timedelta(days=RUN_DAYS),
        )
        counts = self._counts(merchant)
        for stream in streams:
            # Where there are no products, none can be lost: uploads without any come to their end, with their errors.
            if stream in since or not counts.get(collection_of(stream)):
                self._store.release_rounds(merchant, Kind.PRODUCT, collection_of(stream), before=moment)
        return ImportProcess(resource=resource, run=run)

    def _moment_after_last_upload(self, merchant: str, streams: list[int]) -> datetime | None:
        """Return a moment just after the newest upload; the clock of the store may be another machine's."""
        pages = [
            self._store.batches(merchant, BatchFilter(collection=collection_of(stream)), limit=1)
            for stream in streams
        ]
        newest = [page.rows[0].received_at for page in pages if page.rows]
        return max(newest) + timedelta(microseconds=1) if newest else None

    def _since(self, stream: int, site: StoredSite, before: RunState | None, *, until: datetime) -> datetime:
        """Return the time from which a run imports uploads to a stream; the previous run had the older ones.

        The first run for a stream imports all uploads that wait, also those that are older than the site.
        """
        if before is not None and stream in before.skipped:
            return before.skipped[stream]
        if before is not None and stream in before.streams:
            return before.moment
        waiting = self._batches(site.resource.merchant, stream, until, state=State.QUEUED)
        return min([site.state.created_at, *(batch.received_at for batch in waiting)])

    def history(self, merchant: str, site: int, *, offset: int = 0, limit: int = 50) -> list[ImportProcess]:
        """Return the processes of a site, newest first."""
        resources = self._store.list_by_label(merchant, RESOURCE_TYPE, f"site/{site}", offset=offset, limit=limit)
        return [*map(_process, resources)]

    def get(self, merchant: str, site: int, pid: str) -> ImportProcess | None:
        """Return a process of a site; None if there is none with the id."""
        resources = self._store.list_by_label(merchant, RESOURCE_TYPE, f"pid/{site}/{pid}", limit=1)
        return _process(resources[0]) if resources else None

    def status(self, process: ImportProcess) -> str:
        """Return ``queued``, ``running``, ``success`` or ``failed``; store the result once the run has ended."""
        run, merchant = process.run, process.resource.merchant
        if run.products is None:
            # In the order in which batches move on: one that is not seen queued is seen working, or has ended.
            is_queued, is_working, is_held = (
                any(self._has_batch(merchant, stream, run, state=state) for stream in run.streams)
                for state in (State.QUEUED, State.WORKING, State.HELD)
            )
            if is_working or is_held or is_queued:
                return "running" if is_working or is_held else "queued"
            run = self._store_result(process)
        return "failed" if run.failed else "success"

    def is_open(self, process: ImportProcess) -> bool:
        """Return whether the process has not ended."""
        return self.status(process) in ("queued", "running")

    def problems(self, process: ImportProcess) -> Iterator[ImportProblem]:
        """Yield the problems of a run by stream, those of the newest upload first."""
        run, merchant = process.run, process.resource.merchant
        if run.refusal and not run.skipped:
            yield ImportProblem(message=run.refusal, severe=True, at=run.started_at)
        for stream in run.skipped:
            data: dict[str, str | int] = {"stream": stream}
            yield ImportProblem(message=EMPTY_SOURCE, severe=bool(run.refusal), at=run.started_at, data=data)
        for stream, since in run.streams.items():
            for batch in self._batches(merchant, stream, run.moment, since=since):
                yield from self._batch_problems(batch, stream)

    def _batch_problems(self, batch: Batch, stream: int) -> Iterator[ImportProblem]:
        upload_ids: dict[str, str | int] = {"stream": stream, "batch": str(uuid.UUID(batch.id))}
        at = batch.finished_at or batch.received_at
        upload, expected = read_stage(batch.protocol_data), read_stage(batch.protocol_data, EXPECTED)
        stage = processing_stage(self._store, batch, upload, expected) if upload else None
        if stage is None:
            return
        for error in stage.errors:
            data = {
                **upload_ids, "occurrences": error.occurrences, "line": error.example.lineNumber,
                "value": error.example.value,
            }
            yield ImportProblem(message=error.message, severe=stage.status == "failure", at=at, data=data)

    def _store_result(self, process: ImportProcess) -> RunState:
        """Store the result of a run that has ended; of several processes that do so, the first one wins."""
        run, merchant = process.run, process.resource.merchant
        failed = any(problem.severe for problem in self.problems(process))
        try:
            rows = self._count_rows(self._sites.get(merchant, run.site))
        except Refusal:
            rows = 0
        run = msgspec.structs.replace(run, failed=failed, products=rows)
        self._store.put_resource(msgspec.structs.replace(process.resource, body=msgspec.json.encode(run)))
        return run

    def count_products(self, process: ImportProcess) -> int:
        """Return the number of rows of the site at the end of the run, or now if it has not ended."""
        if process.run.products is not None:
            return process.run.products
        return self._count_rows(self._sites.get(process.resource.merchant, process.run.site))

    def _count_rows(self, site: StoredSite) -> int:
        counts = self._counts(site.resource.merchant)
        return sum(counts.get(collection_of(source.stream), 0) for source in site.state.active_sources(MAIN))

    def _counts(self, merchant: str) -> dict[str, int]:
        return {name: count for _, name, count in self._store.collections(merchant)}

    def _would_be_empty(self, merchant: str, stream: int, moment: datetime) -> bool:
        """Return whether a stream has no products after the import.

        The vendor refuses an empty source, so that no site loses all its products. The newest upload that waits and has
        an effect decides, or else the number of products.
        """
        for state in (State.QUEUED, State.WORKING, State.HELD):
            for batch in self._batches(merchant, stream, moment, state=state):
                upload = read_stage(batch.protocol_data)
                if batch.policy.mode == "full":
                    return True
                if batch.policy.update_creates and upload is not None and upload.successes:
                    return False
        return not self._counts(merchant).get(collection_of(stream))

    def _has_batch(self, merchant: str, stream: int, run: RunState, *, state: State) -> bool:
        filters = BatchFilter(collection=collection_of(stream), state=state, until=run.moment)
        return bool(self._store.batches(merchant, filters, limit=1).rows)

    def _batches(self, merchant: str, stream: int, until: datetime, *, since: datetime | None = None,
                 state: State | None = None) -> Iterator[Batch]:
        """Yield batches of a stream, newest first."""
        filters = BatchFilter(collection=collection_of(stream), state=state, since=since, until=until)
        after = None
        while True:
            page = self._store.batches(merchant, filters, after=after, limit=PAGE_BATCHES)
            yield from page.rows
            after = page.next
            if after is None:
                return


class ScheduledImporter:
    """Handles the messages that the outbox delivers when a scheduled import is due."""

    def __init__(self, store: Store) -> None:
        self._sites = SiteStore(store)
        self._imports = SiteImports(store)

    def send(self, message: Message) -> None:
        """Import the site and schedule its next import; do nothing if its schedule has changed."""
        number = int(message.subject)
        schedule_version = int(msgspec.json.decode(message.body)["schedule_version"])
        # The site may be gone, or earlier imports may not have ended; then the next import takes what was uploaded.
        with suppress(Refusal):
            site = self._sites.get(message.merchant, number)
            if site.state.schedule_version == schedule_version:
                self._imports.start(site)
        self._sites.schedule_next(message.merchant, number, schedule_version)


class UploadStartUpdater:
    """Handles the messages about streams whose sites have changed."""

    def __init__(self, store: Store, *, at_once: bool = False) -> None:
        self._sites = SiteStore(store, at_once=at_once)

    def send(self, message: Message) -> None:
        """Update whether uploads wait for an import, unless the process that changed the site has done so."""
        self._sites.update_starts(message.merchant, msgspec.json.decode(message.body, type=set[int]))


def _process(resource: Resource) -> ImportProcess:
    return ImportProcess(resource=resource, run=msgspec.json.decode(resource.body, type=RunState))
