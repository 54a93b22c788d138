"""Sources: addresses from which a merchant's feeds are fetched, and what is known of each."""

from datetime import datetime, timedelta
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from goodsgate.engine.credentials import SealedCredential
from goodsgate.engine.cron import check_cron, last_times, next_time
from goodsgate.engine.submission_options import SubmissionOptions
from goodsgate.model.batch import Kind
from goodsgate.model.job import Job, JobRun
from goodsgate.remote import Access, RemoteFile

SOURCE = "native/source"
"""Type of the resources that hold sources, and of their jobs."""
SECRETS = ("password", "private_key", "passphrase", "token")
"""Values of a credential."""
QUERY_MASK = "?…"
"""Stands for the query of an address, which may be a secret, wherever addresses are shown."""
FILES_PER_RUN = 100
"""Files that one run fetches at most; the next run begins at once if there are more."""

Name = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")]
Line = Annotated[str, Meta(max_length=500, pattern=r"^[^\x00-\x1f\x7f]*\Z")]
Entry = Annotated[str, Meta(min_length=1, max_length=200)]
SourceStatus = Literal["paused", "running", "overdue", "failing", "retrying", "waiting", "idle"]


class SourceChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a source is to be."""

    address: Annotated[str, Meta(min_length=1, max_length=2_000)]
    description: Line = ""
    cron: Entry | None = None
    """When to fetch; None: only when somebody asks."""
    timezone: Annotated[str, Meta(min_length=1, max_length=64)] = "UTC"
    expected_by: Entry | None = None
    """When a new file must have been fetched: ``04:00``, or a cron entry."""
    kind: Kind = Kind.PRODUCT
    collection: Name = "products"
    options: SubmissionOptions = SubmissionOptions()
    files: Literal["newest", "all"] = "newest"
    """Of a folder: the newest file, or each new one, the oldest first."""
    move_to: Line | None = None
    """Where a file is moved once it was submitted: a path within the folder; ``{name}`` stands for its name."""
    username: Line = ""
    credential: dict[Literal["password", "private_key", "passphrase", "token"],
                     Annotated[str, Meta(max_length=20_000)]] | None = None
    """None: the stored one stays, if the host is the same."""
    host_key: Line | None = None
    """Fingerprint of the SFTP host; None: what is pinned stays."""
    endpoint: Line = ""
    region: Line = ""


class FeedSource(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The body of a source's resource; its name is the resource's name. See `SourceChange`."""

    address: str
    description: str = ""
    cron: str | None = None
    timezone: str = "UTC"
    expected_by: str | None = None
    kind: Kind
    collection: str
    options: SubmissionOptions
    files: Literal["newest", "all"] = "newest"
    move_to: str | None = None
    username: str = ""
    credential: SealedCredential = SealedCredential()
    host_key: str = ""
    endpoint: str = ""
    region: str = ""
    created_at: datetime
    scheduled_from: datetime
    """Times of the schedule before this one do not count: it was saved, changed or resumed then."""
    paused_at: datetime | None = None

    @property
    def deadline(self) -> str | None:
        """The cron entry of `expected_by`."""
        if self.expected_by is None or ":" not in self.expected_by:
            return self.expected_by
        hour, _, minute = self.expected_by.partition(":")
        return f"{minute} {hour} * * *"

    @property
    def display_address(self) -> str:
        """The address without its query."""
        plain, mark, _ = self.address.partition("?")
        return f"{plain}{QUERY_MASK}" if mark and self.address.startswith(("https:", "http:")) else self.address

    def access(self, secrets: dict[str, str]) -> Access:
        """Return how to get in with the values of the credential."""
        return Access(
            username=self.username, host_key=self.host_key, endpoint=self.endpoint, region=self.region, **secrets
        )

    def check_times(self) -> None:
        """Raise ValueError for times that cannot be used."""
        if self.cron is not None:
            check_cron(self.cron, self.timezone)
        if self.deadline is not None:
            check_cron(self.deadline, self.timezone)

    def next_fetch(self, state: "SourceState") -> datetime | None:
        """Return when the schedule has the next run; it may be past."""
        if self.paused_at is not None:
            return None
        if state.retry_at is not None and state.retry_at >= self.scheduled_from:
            return state.retry_at
        if self.cron is None:
            return None
        return next_time(self.cron, max(self.scheduled_from, state.ran_at or self.scheduled_from), self.timezone)

    def missed_deadline(self, state: "SourceState", at: datetime) -> datetime | None:
        """Return the last deadline before a time, if no new file came between the one before it and now."""
        if self.deadline is None or self.paused_at is not None:
            return None
        last, before = last_times(self.deadline, at, self.timezone)
        if self.scheduled_from >= last or (state.new_at is not None and state.new_at > before):
            return None
        return last

    def due_at(self, state: "SourceState", at: datetime) -> datetime | None:
        """Return when the job is to be worked next: for a run, or to see whether a file is overdue."""
        times = [self.next_fetch(state)]
        if self.deadline is not None and self.paused_at is None:
            times.append(next_time(self.deadline, at, self.timezone))
        return min((time for time in times if time is not None), default=None)


class FileMark(msgspec.Struct, frozen=True, omit_defaults=True):
    """A file that was worked."""

    version: str
    """What its place said then; empty if it said nothing."""


class PendingBatch(msgspec.Struct, frozen=True):
    """A batch that is being received: what became of it is looked up if the process dies."""

    name: str
    version: str
    batch: str
    size: int | None


class SourceState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The state of a source's job."""

    files: dict[str, FileMark] = {}
    """Files that were worked and are still there."""
    digest: str = ""
    """Of the last file that became a batch."""
    run: int = 0
    """The run in progress; 0: none."""
    starts: int = 0
    """Processes that have worked on it."""
    again: bool = False
    """Whether it fetches what was worked before."""
    pending: PendingBatch | None = None
    moves: tuple[str, ...] = ()
    """Files that are to be moved."""
    ran_at: datetime | None = None
    """When the last run began."""
    retry_at: datetime | None = None
    failures: int = 0
    """Runs in a row that failed."""
    error: str = ""
    """Of the last run."""
    new_at: datetime | None = None
    """When a new file was fetched last."""
    batch: str = ""
    """The last batch."""
    missed: datetime | None = None
    """The deadline that was told as missed."""


class FetchedFile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A file that a run has looked into."""

    name: str
    size: int = 0
    """Bytes that were read."""
    batch: str | None = None
    """None: it had the content of the file before."""


class RunReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The body of a run."""

    state: Literal["running", "finished", "failed"] = "running"
    files: tuple[FetchedFile, ...] = ()
    error: str = ""
    retry_at: datetime | None = None
    requested: bool = False


class SourceView(msgspec.Struct, frozen=True, kw_only=True):
    """A source and how it fares."""

    merchant: str
    number: int
    name: str
    source: FeedSource
    job: Job
    state: SourceState

    def new_files(self, files: list[RemoteFile]) -> list[RemoteFile]:
        """Return those of the files of the address, given the newest first, that a run would fetch, in its order."""
        return new_files(self.source, self.state, files)

    def status(self, at: datetime) -> SourceStatus:
        """Return the state in a word, the most urgent first; one that is overdue or failing is red."""
        if self.source.paused_at is not None and self.job.lease_until is None:
            return "paused"
        if self.job.alert in ("overdue", "failing"):
            return "overdue" if self.job.alert == "overdue" else "failing"
        if self.job.lease_until is not None or (self.job.requested and self.job.due_at is not None):
            return "running"
        if self.source.missed_deadline(self.state, at - timedelta(minutes=1)) is not None:
            return "overdue"  # no worker has noticed
        if self.state.failures:
            return "retrying"
        return "waiting" if self.job.due_at is not None else "idle"


def new_files(source: FeedSource, state: SourceState, files: list[RemoteFile]) -> list[RemoteFile]:
    """Return those of the files, given the newest first, that a run would fetch, in its order."""
    if source.files == "newest":
        files = files[:1]
    return [
        file for file in reversed(files)
        if file.name not in state.files or not file.version or state.files[file.name].version != file.version
    ]


def decode_state(job: Job) -> SourceState:
    """Return the state of a source's job."""
    return msgspec.json.decode(job.state, type=SourceState)


def decode_report(run: JobRun) -> RunReport:
    """Return what a run has done."""
    return msgspec.json.decode(run.body, type=RunReport)
