"""Destinations: places to which feeds of a merchant's catalogue are written, and what is known of each."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from goodsgate.engine.credentials import SealedCredential
from goodsgate.engine.cron import check_cron, next_time
from goodsgate.engine.feed_files import FeedIssueGroup, FeedRequest, feed_suffix
from goodsgate.engine.feed_table import FeedTable
from goodsgate.engine.source_definitions import Entry, Line, Name
from goodsgate.formats.compressed_writer import Compression
from goodsgate.model.batch import Kind
from goodsgate.model.job import Job, JobRun
from goodsgate.remote import Access, RemoteAddress, parse_address
from goodsgate.targets import load_target, target_names

DESTINATION = "native/destination"
"""Type of the resources that hold destinations, and of their jobs."""
SERVED = "served"
"""Address of a feed that the gate serves itself."""
RUN_PLACE, TIME_PLACE = "{run}", "{time}"
"""In the name of a file: number and begin of the run."""
TIME_FORMAT = "%Y%m%dT%H%M%SZ"
SHRINK_SHARE = 0.2

Column = Annotated[str, Meta(min_length=1, max_length=200)]
DestinationStatus = Literal["paused", "running", "held", "failing", "retrying", "waiting", "idle"]


class DestinationChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a destination is to be."""

    to: Annotated[str, Meta(min_length=1, max_length=2_000)]
    """``served``, or the address of a file or folder."""
    description: Line = ""
    profile: Annotated[str, Meta(pattern=r"\A[a-z0-9_]{1,64}\Z")] | None = None
    format: Literal["ndjson", "csv", "tsv", "parquet", "google_rss"] | None = None
    """None: what the target prefers, CSV with another profile, else NDJSON."""
    compression: Compression | None = None
    """None: what the name of the file says."""
    kind: Kind = Kind.PRODUCT
    collection: Name = "products"
    groups: Annotated[tuple[Column, ...], Meta(max_length=1_000)] = ()
    in_stock: bool = False
    fields: Annotated[tuple[Column, ...], Meta(max_length=200)] = ()
    """Columns that are written; none: all."""
    values: dict[Column, Annotated[str, Meta(min_length=1, max_length=2_000)]] = {}
    """Column of a target → value of items that have none."""
    incomplete: Literal["leave_out", "keep"] = "leave_out"
    mode: Literal["full", "changes"] = "full"
    file_items_max: Annotated[int, Meta(ge=1, le=100_000_000)] | None = None
    cron: Entry | None = None
    timezone: Annotated[str, Meta(min_length=1, max_length=64)] = "UTC"
    hold_if_shrinks: Annotated[float, Meta(ge=0, le=1)] | None = SHRINK_SHARE
    """Share of its items that a feed may lose from one run to the next; None: all of them."""
    username: Line = ""
    credential: dict[Literal["password", "private_key", "passphrase", "token"],
                     Annotated[str, Meta(max_length=20_000)]] | None = None
    """None: the stored one stays, if the host is the same."""
    host_key: Line | None = None
    endpoint: Line = ""
    region: Line = ""


class Destination(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The body of a destination's resource; its name is the resource's name. See `DestinationChange`."""

    to: str
    description: str = ""
    profile: str | None = None
    format: str
    compression: Compression = "none"
    kind: Kind = Kind.PRODUCT
    collection: str = "products"
    groups: tuple[str, ...] = ()
    in_stock: bool = False
    fields: tuple[str, ...] = ()
    values: dict[str, str] = {}
    incomplete: Literal["leave_out", "keep"] = "leave_out"
    mode: Literal["full", "changes"] = "full"
    file_items_max: int | None = None
    cron: str | None = None
    timezone: str = "UTC"
    hold_if_shrinks: float | None = SHRINK_SHARE
    username: str = ""
    credential: SealedCredential = SealedCredential()
    host_key: str = ""
    endpoint: str = ""
    region: str = ""
    salt: str
    """Random, from which the signature of a served address is derived."""
    created_at: datetime
    scheduled_from: datetime
    """Times of the schedule before this one do not count: it was saved, changed or resumed then."""
    paused_at: datetime | None = None
    approved_run: int = 0
    """The held run whose feed may be as small as it was."""
    discarded_run: int = 0
    """The held run that nobody wants."""

    @property
    def is_served(self) -> bool:
        """Whether the gate serves the feed itself."""
        return self.to == SERVED

    @property
    def address(self) -> RemoteAddress:
        """Where the files go, unless the feed is served."""
        return parse_address(self.to)

    @property
    def request(self) -> FeedRequest:
        """What the feed holds."""
        return FeedRequest(
            kind=self.kind, collection=self.collection, profile=self.profile, format=self.format,
            compression=self.compression, groups=self.groups, in_stock=self.in_stock, only=self.fields,
            options=self.values, keeps_incomplete=self.incomplete == "keep", file_items_max=self.file_items_max,
        )

    def table(self) -> FeedTable | None:
        """Return the columns of the target; None if the feed has none."""
        if self.profile not in target_names():
            return None
        return FeedTable(load_target(self.profile), options=self.values, only=self.fields or None)

    def access(self, secrets: dict[str, str]) -> Access:
        """Return how to get in with the values of the credential."""
        return Access(
            username=self.username, host_key=self.host_key, endpoint=self.endpoint, region=self.region, **secrets
        )

    def check_times(self) -> None:
        """Raise ValueError for times that cannot be used."""
        if self.cron is not None:
            check_cron(self.cron, self.timezone)

    def next_run(self, state: "DestinationState") -> datetime | None:
        """Return when the schedule has the next run; it may be past."""
        if self.paused_at is not None:
            return None
        if state.retry_at is not None and state.retry_at >= self.scheduled_from:
            return state.retry_at
        if self.cron is None:
            return None
        return next_time(self.cron, max(self.scheduled_from, state.ran_at or self.scheduled_from), self.timezone)

    def file_name(self, run: JobRun, number: int) -> str:
        """Return the name of a file of a run: that of the first one is the name of the feed."""
        name = "" if self.is_served else self.address.name
        if not name:
            name = f"{self.collection}-{self.profile or self.kind}{feed_suffix(self.format, self.compression)}"
        name = name.replace(RUN_PLACE, str(run.number)).replace(TIME_PLACE, run.started_at.strftime(TIME_FORMAT))
        stem, dot, suffix = name.partition(".")
        return name if number == 1 else f"{stem}-{number}{dot}{suffix}"


class PublishedFile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A file of a run."""

    name: str
    items: int
    bytes: int
    sha256: str
    path: str = ""
    """Of the object that a served feed has it in."""


class DestinationState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The state of a destination's job."""

    run: int = 0
    """The run in progress; 0: none."""
    starts: int = 0
    """Processes that have worked on it."""
    ran_at: datetime | None = None
    """When the last run began."""
    retry_at: datetime | None = None
    failures: int = 0
    """Runs in a row that failed."""
    error: str = ""
    """Of the last run."""
    held_run: int = 0
    """The last run, if it was held; 0: it was not."""
    published_at: datetime | None = None
    published_run: int = 0
    items: int = 0
    """Items of the last full feed that was published."""
    files: tuple[PublishedFile, ...] = ()
    """Of the last feed that was published."""
    cursor: str = ""
    """Behind the changes that were published."""
    obsolete: tuple[str, ...] = ()
    """Objects of the feed before, which a reader may still have open; the next run deletes them."""


class DestinationReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The body of a run."""

    state: Literal["running", "published", "held", "failed"] = "running"
    files: tuple[PublishedFile, ...] = ()
    items: int = 0
    """Items that were wanted."""
    written: int = 0
    incomplete: int = 0
    issues: list[FeedIssueGroup] = []
    left_out: list[str] = []
    is_full: bool = True
    reason: str = ""
    """Why it is held, or has failed."""
    retry_at: datetime | None = None
    requested: bool = False


class DestinationView(msgspec.Struct, frozen=True, kw_only=True):
    """A destination and how it fares."""

    merchant: str
    number: int
    name: str
    destination: Destination
    job: Job
    state: DestinationState

    @property
    def held_run(self) -> int:
        """The run that waits for a decision; 0: none."""
        held = self.state.held_run
        return 0 if held in (self.destination.approved_run, self.destination.discarded_run) else held

    @property
    def status(self) -> DestinationStatus:
        """The state in a word; one that is held or failing is red."""
        if self.job.lease_until is not None or (self.job.requested and self.job.due_at is not None):
            return "running"
        if self.held_run:
            return "held"
        if self.job.alert == "failing":
            return "failing"
        if self.destination.paused_at is not None:
            return "paused"
        if self.state.failures:
            return "retrying"
        return "waiting" if self.job.due_at is not None else "idle"


def decode_destination_state(job: Job) -> DestinationState:
    """Return the state of a destination's job."""
    return msgspec.json.decode(job.state, type=DestinationState)


def decode_destination_report(run: JobRun) -> DestinationReport:
    """Return what a run has done."""
    return msgspec.json.decode(run.body, type=DestinationReport)


def changed_fields(change: DestinationChange) -> dict[str, Any]:
    """Return what a destination takes from a change as it is."""
    others = ("to", "format", "compression", "credential", "host_key")
    return {name: getattr(change, name) for name in DestinationChange.__struct_fields__ if name not in others}
