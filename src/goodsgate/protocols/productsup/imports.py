"""Imports of sites: what was uploaded to their streams before a moment is let into its lane, and how it went is told.

A run is a resource, forgotten after `RUN_DAYS`. It holds no batches: its own are those of its streams that were
received before its moment and not before that of the run before it.
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
from goodsgate.protocols.productsup.guesses import PROCESSES_MAX, RUN_DAYS
from goodsgate.protocols.productsup.inbox import Streams, collection_of
from goodsgate.protocols.productsup.intake import FORESEEN, stage_of
from goodsgate.protocols.productsup.processing import processing_of
from goodsgate.protocols.productsup.sites import MAIN, Placed, Sites
from goodsgate.protocols.productsup.verdict import Told
from goodsgate.store.contract import BatchFilter, Store

SORT = "productsup/run"
NO_SOURCE = "The site has no active data source."
EMPTY_SOURCE = "The data source is empty."
LOST = "The upload could not be imported."
PAGE_BATCHES = 200


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What of an import is in the body of its resource."""

    site: int
    at: datetime
    """When it was started."""
    moment: datetime
    """What was received before it is imported; on the clock of the store."""
    streams: dict[int, datetime]
    """And what was received since then is this run's."""
    refused: str = ""
    """Why nothing was imported."""
    products: int | None = None
    """Rows of the site as the import ended; None until then."""
    failed: bool = False


class Process(msgspec.Struct, frozen=True, kw_only=True):
    """A run with the resource that it is."""

    resource: Resource
    run: Run

    @property
    def pid(self) -> str:
        """Its id."""
        return self.resource.name


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that went wrong in a run."""

    message: str
    severe: bool
    at: datetime
    data: dict[str, str | int] = {}


class Imports:
    """Runs of every merchant's sites."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._sites = Sites(store)
        self._streams = Streams(store)

    def start(self, placed: Placed) -> Process:
        """Import a site now; raises batch_open while one runs and another waits."""
        merchant, number = placed.resource.merchant, placed.number
        before = self.history(merchant, number, limit=PROCESSES_MAX)
        if len(before) == PROCESSES_MAX and all(self.status(one) in ("queued", "running") for one in before):
            raise Refusal("batch_open", "A process of the site runs and another one waits.")
        streams = [one.stream for one in placed.site.active() if self._held(merchant, one.stream)]
        at = now()
        moment = self._moment(merchant, streams) or at
        refused = self._refused(merchant, streams, moment)
        run = Run(
            site=number, at=at, moment=moment, refused=refused, failed=bool(refused),
            streams={stream: _since(stream, placed, before[0].run if before else None) for stream in streams},
            products=self._rows(placed) if refused else None,
        )
        pid = str(uuid.uuid4())
        made = self._store.add_resource(
            merchant, SORT, name=pid, body=msgspec.json.encode(run), resources_max=1,
            labels=[(f"site/{number}", -int(at.timestamp() * 1e6)), (f"pid/{number}/{pid}", 0)],
            expires_at=at + timedelta(days=RUN_DAYS),
        )
        for stream in streams if not refused else ():
            self._store.release_rounds(merchant, Kind.PRODUCT, collection_of(stream), before=moment)
        return Process(resource=made, run=run)

    def _moment(self, merchant: str, streams: list[int]) -> datetime | None:
        """Behind the newest upload; the clock of a store may be another machine's."""
        pages = [self._store.batches(merchant, BatchFilter(collection=collection_of(one)), limit=1) for one in streams]
        newest = [page.rows[0].received_at for page in pages if page.rows]
        return max(newest) + timedelta(microseconds=1) if newest else None

    def history(self, merchant: str, site: int, *, offset: int = 0, limit: int = 50) -> list[Process]:
        """Newest first."""
        found = self._store.list_by_label(merchant, SORT, f"site/{site}", offset=offset, limit=limit)
        return [*map(_process, found)]

    def one(self, merchant: str, site: int, pid: str) -> Process | None:
        """None if the site has no such run."""
        found = self._store.list_by_label(merchant, SORT, f"pid/{site}/{pid}", limit=1)
        return _process(found[0]) if found else None

    def status(self, process: Process) -> str:
        """``queued``, ``running``, ``success`` or ``failed``; what has ended is kept."""
        run, merchant = process.run, process.resource.merchant
        if run.products is None:
            for state, word in ((State.WORKING, "running"), (State.QUEUED, "queued")):
                if any(self._some(merchant, stream, run, state=state) for stream in run.streams):
                    return word
            run = self._ended(process)
        return "failed" if run.failed else "success"

    def problems(self, process: Process) -> Iterator[Problem]:
        """What went wrong, by stream and then newest upload first."""
        run, merchant = process.run, process.resource.merchant
        if run.refused:
            yield Problem(message=run.refused, severe=True, at=run.at)
            return
        for stream, since in run.streams.items():
            for batch in self._batches(merchant, stream, run.moment, since=since):
                yield from self._of(batch, stream)

    def _of(self, batch: Batch, stream: int) -> Iterator[Problem]:
        named: dict[str, str | int] = {"stream": stream, "batch": str(uuid.UUID(batch.id))}
        at = batch.finished_at or batch.received_at
        if batch.state in (State.BROKEN, State.CANCELLED):
            yield Problem(message=LOST, severe=True, at=at, data=named)
            return
        upload = stage_of(batch.protocol_data)
        stage = processing_of(self._store, batch, upload, stage_of(batch.protocol_data, FORESEEN)) if upload else None
        told: list[Told] = stage.told if stage is not None else []
        for one in told:
            data = {**named, "occurrences": one.occurrences, "line": one.example.lineNumber, "value": one.example.value}
            yield Problem(message=one.message, severe=stage is not None and stage.status == "failure", at=at, data=data)

    def _ended(self, process: Process) -> Run:
        """Keep how it went; who comes second finds it kept."""
        run, merchant = process.run, process.resource.merchant
        failed = any(problem.severe for problem in self.problems(process))
        try:
            rows = self._rows(self._sites.one(merchant, run.site))
        except Refusal:
            rows = 0
        run = msgspec.structs.replace(run, failed=failed, products=rows)
        self._store.put_resource(msgspec.structs.replace(process.resource, body=msgspec.json.encode(run)))
        return run

    def products(self, process: Process) -> int:
        """Rows of the site as it ended, or until now."""
        if process.run.products is not None:
            return process.run.products
        return self._rows(self._sites.one(process.resource.merchant, process.run.site))

    def _rows(self, placed: Placed) -> int:
        counts = self._counts(placed.resource.merchant)
        return sum(counts.get(collection_of(one.stream), 0) for one in placed.site.active(MAIN))

    def _counts(self, merchant: str) -> dict[str, int]:
        return {name: count for _, name, count in self._store.collections(merchant)}

    def _held(self, merchant: str, stream: int) -> bool:
        try:
            self._streams.one(merchant, stream)
        except Refusal:
            return False
        return True

    def _refused(self, merchant: str, streams: list[int], moment: datetime) -> str:
        """Why there is nothing to import; published is that an empty source is refused, so that no site is emptied."""
        if not streams:
            return NO_SOURCE
        counts = self._counts(merchant)
        return EMPTY_SOURCE if any(self._empties(merchant, one, moment, counts) for one in streams) else ""

    def _empties(self, merchant: str, stream: int, moment: datetime, counts: dict[str, int]) -> bool:
        """Whether a stream would hold nothing: the last upload that counts, or what it holds, says so."""
        for state in (State.QUEUED, State.WORKING):
            for batch in self._batches(merchant, stream, moment, state=state):
                upload = stage_of(batch.protocol_data)
                if batch.policy.mode == "full":
                    return True
                if batch.policy.update_creates and upload is not None and upload.successes:
                    return False
        return not counts.get(collection_of(stream))

    def _some(self, merchant: str, stream: int, run: Run, *, state: State) -> bool:
        filters = BatchFilter(collection=collection_of(stream), state=state, until=run.moment)
        return bool(self._store.batches(merchant, filters, limit=1).rows)

    def _batches(self, merchant: str, stream: int, until: datetime, *, since: datetime | None = None,
                 state: State | None = None) -> Iterator[Batch]:
        """Newest first."""
        filters = BatchFilter(collection=collection_of(stream), state=state, since=since, until=until)
        after = None
        while True:
            page = self._store.batches(merchant, filters, after=after, limit=PAGE_BATCHES)
            yield from page.rows
            after = page.next
            if after is None:
                return


class Clock:
    """The courier of sites that import by the clock: the outbox brings them back when it is time."""

    def __init__(self, store: Store) -> None:
        self._sites = Sites(store)
        self._imports = Imports(store)

    def carry(self, message: Message) -> None:
        """Import the site, and keep when it is due next; nothing where its schedule is another by now."""
        number, epoch = int(message.subject), int(msgspec.json.decode(message.body)["epoch"])
        with suppress(Refusal):  # it is gone, or still at work on what came before: then what came since waits
            placed = self._sites.one(message.merchant, number)
            if placed.site.epoch == epoch:
                self._imports.start(placed)
        self._sites.again(message.merchant, number, epoch)


class Settler:
    """The courier of streams whose sites have changed."""

    def __init__(self, store: Store) -> None:
        self._sites = Sites(store)

    def carry(self, message: Message) -> None:
        """Settle how their uploads start, which is mostly done."""
        self._sites.settle_starts(message.merchant, msgspec.json.decode(message.body, type=set[int]))


def _since(stream: int, placed: Placed, before: Run | None) -> datetime:
    """From when on uploads to a stream are a run's: the run before has had, or refused, what is older."""
    if before is None or stream not in before.streams:
        return placed.site.made_at
    return before.streams[stream] if before.refused else before.moment


def _process(resource: Resource) -> Process:
    return Process(resource=resource, run=msgspec.json.decode(resource.body, type=Run))
