"""The job of a destination: write the feed to files of this machine, look whether it has shrunk, and publish it.

Nothing is published before all files are complete, and each gets its final name as a whole. A process that dies leaves
a run in progress, which the next one begins anew under the same number, with the same names.
"""

import logging
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from goodsgate.engine.credentials import CredentialError
from goodsgate.engine.destination_definitions import (
    DestinationReport,
    DestinationState,
    DestinationView,
    PublishedFile,
    decode_destination_report,
    decode_destination_state,
)
from goodsgate.engine.destinations import Destinations
from goodsgate.engine.feed_events import destination_messages
from goodsgate.engine.feed_files import FeedResult, FeedWriter, read_pieces
from goodsgate.engine.jobs import ClaimedJob
from goodsgate.model import crash
from goodsgate.model.batch import now
from goodsgate.model.counting import counted
from goodsgate.model.extras import ExtraMissingError
from goodsgate.model.job import JobRun, JobTime
from goodsgate.model.journal import parse_cursor
from goodsgate.model.message import NewMessage
from goodsgate.model.webhook import WebhookEvent
from goodsgate.remote import RemoteError, open_place

log = logging.getLogger(__name__)

STARTS_MAX = 5
"""Processes that may die at one run before it is given up."""
ITEMS_GUARDED = 10
"""A feed that had fewer items may lose any of them."""
MEDIA_TYPE = "application/octet-stream"


class DestinationRunSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of runs, and when a failed one is made again."""

    seconds_max: float
    retry_seconds: tuple[float, ...]


class DestinationJobs:
    """Works the jobs of destinations; safe for threads."""

    def __init__(self, destinations: Destinations, settings: DestinationRunSettings) -> None:
        self._destinations = destinations
        self._settings = settings

    def work(self, claimed: ClaimedJob) -> None:
        """Write the feed if it is time to, and plan what is next. Raises JobStoppedError, StoreError."""
        view = self._destinations.find(claimed.job.merchant, claimed.job.number)
        if view is None:
            return  # it was deleted, and its job with it
        state, alert = view.state, claimed.job.alert
        planned = view.destination.next_run(state)
        run: JobRun | None = None
        messages: Sequence[NewMessage] = ()
        if state.run or claimed.job.requested or (planned is not None and planned <= now()):
            state, run, alert, messages = DestinationRun(self._destinations, self._settings, claimed, view).work()
        fresh = self._destinations.find(view.merchant, view.number) or view
        claimed.save(
            state=msgspec.json.encode(state), alert=alert, run=run, messages=messages,
            end=JobTime(fresh.destination.next_run(state)),
        )


class DestinationRunEnd(NamedTuple):
    """How a run has ended, as it is to be saved."""

    state: DestinationState
    run: JobRun
    alert: str
    messages: Sequence[NewMessage]


class DestinationRun:
    """One run, from its begin, or once more from the begin after a process has died."""

    def __init__(self, destinations: Destinations, settings: DestinationRunSettings, claimed: ClaimedJob,
                 view: DestinationView) -> None:
        self._destinations = destinations
        self._settings = settings
        self._claimed = claimed
        self._view = view
        self._destination = view.destination
        self._state = decode_destination_state(claimed.job)
        self._ends_at = time.monotonic() + settings.seconds_max
        self._run, self._report = self._begin()

    def _begin(self) -> tuple[JobRun, DestinationReport]:
        """Return the run in progress, or a new one, and save that it has begun."""
        job, state = self._claimed.job, self._state
        if state.run:
            run = self._destinations.runs(self._view, before=state.run + 1, limit=1)[0]
            report = decode_destination_report(run)
        else:
            run = JobRun(number=job.last_run + 1, started_at=now())
            report = DestinationReport(requested=job.requested)
            run = msgspec.structs.replace(run, body=msgspec.json.encode(report))
        self._change(run=run.number, starts=state.starts + 1, ran_at=run.started_at, retry_at=None)
        self._claimed.save(state=msgspec.json.encode(self._state), alert=job.alert, run=run)
        crash.point("destination-begun")
        return run, report

    def work(self) -> DestinationRunEnd:
        """Write and publish the feed, and return how the run has ended."""
        error, is_final = "", True
        held = ""
        try:
            if self._state.starts > STARTS_MAX:
                raise RemoteError(f"{STARTS_MAX} processes have died at this run.", final=True)
            with tempfile.TemporaryDirectory(prefix="goodsgate-feed-") as folder:
                result = self._write(Path(folder))
                held = self._shrinkage(result)
                if not held:
                    self._publish(Path(folder), result)
        except RemoteError as fault:
            error, is_final = fault.reason, fault.final
        except (CredentialError, ExtraMissingError) as fault:
            error = str(fault)
        except OSError as fault:
            error, is_final = f"The machine of the worker cannot hold the feed: {fault.strerror or fault}.", False
        self._change(run=0, starts=0, error=error)
        if error:
            return self._failed(error, is_final=is_final)
        self._change(failures=0, retry_at=None, held_run=self._run.number if held else 0)
        return self._ended("held" if held else "published", reason=held, alert="held" if held else "",
                           event=WebhookEvent.DESTINATION_HELD if held else None)

    def _write(self, folder: Path) -> FeedResult:
        """Write the files of the feed to a folder, and note what they are."""
        destination, state = self._destination, self._state
        after = parse_cursor(state.cursor) if destination.mode == "changes" and state.cursor else None
        writer = FeedWriter(
            self._destinations.store, self._view.merchant, destination.request, folder, checkpoint=self._check
        )
        files_min = 1 if destination.mode == "changes" else max(1, len(state.files))
        result = writer.write(after=after, files_min=files_min)
        files = tuple(
            PublishedFile(
                name=destination.file_name(self._run, file.number), items=file.items, bytes=file.bytes,
                sha256=file.sha256, path=self._object_path(file.number) if destination.is_served else "",
            )
            for file in result.files
        )
        self._report = msgspec.structs.replace(
            self._report, files=files, items=result.items, written=result.written, incomplete=result.incomplete,
            issues=result.issues, left_out=result.left_out, is_full=result.is_full,
        )
        crash.point("destination-written")
        return result

    def _shrinkage(self, result: FeedResult) -> str:
        """Return why the feed is held; empty if it is not."""
        share, before = self._destination.hold_if_shrinks, self._state.items
        approved = self._state.held_run and self._state.held_run == self._destination.approved_run
        if share is None or approved or not result.is_full or before < ITEMS_GUARDED:
            return ""
        lost = before - result.written
        if lost <= share * before:
            return ""
        return (
            f"The feed would shrink from {before:,} to {counted(result.written, 'item')}, by {lost / before:.0%}; "
            f"{share:.0%} is allowed."
        )

    def _publish(self, folder: Path, result: FeedResult) -> None:
        """Give the files their final names. Raises RemoteError, StoreError."""
        files = self._report.files
        if self._destination.is_served:
            self._serve(folder)
        else:
            access = self._destination.access(self._destinations.secrets(self._view))
            with open_place(self._destination.address, access, self._destinations.settings) as place:
                for number, file in enumerate(files, 1):
                    place.write(file.name, self._pieces(folder / str(number)))
                    crash.point("destination-published")
        position = result.position
        self._change(
            published_at=now(), published_run=self._run.number, files=files,
            cursor=position.cursor if position is not None else "",
            items=result.written if result.is_full else self._state.items,
        )

    def _serve(self, folder: Path) -> None:
        """Store the files beside those that are served, which the end of the run replaces all at once."""
        objects = self._destinations.open_objects()
        for path in self._state.obsolete:
            objects.delete(path)
        for number, file in enumerate(self._report.files, 1):
            objects.put(file.path, self._pieces(folder / str(number)), media_type=MEDIA_TYPE)
            crash.point("destination-published")
        self._change(obsolete=tuple(file.path for file in self._state.files if file.path))

    def _object_path(self, number: int) -> str:
        view = self._view
        return f"feeds/{view.merchant}/{view.number}/{self._run.number}/{number}"

    def _pieces(self, path: Path) -> Iterator[bytes]:
        with path.open("rb") as file:
            for piece in read_pieces(file):
                self._check()
                yield piece

    def _check(self) -> None:
        """Raise if the run may not go on."""
        self._claimed.check()
        if time.monotonic() > self._ends_at:
            limit = f"{self._settings.seconds_max:,.0f}"
            raise RemoteError(f"The run took longer than {limit} s (setting feed_seconds_max).", final=True)

    def _failed(self, error: str, *, is_final: bool) -> DestinationRunEnd:
        failures, pauses = self._state.failures + 1, self._settings.retry_seconds
        retries = not is_final and failures <= len(pauses)
        retry_at = now() + timedelta(seconds=pauses[failures - 1]) if retries else None
        self._change(failures=failures if retries else 0, retry_at=retry_at)
        log.warning("a run of a destination failed", extra={
            "merchant": self._view.merchant, "destination": self._view.name, "run": self._run.number, "error": error,
        })
        alert = self._claimed.job.alert if retries else "failing"
        event = None if retries else WebhookEvent.DESTINATION_FAILED
        return self._ended("failed", reason=error, alert=alert, retry_at=retry_at, event=event)

    def _ended(self, outcome: Literal["published", "held", "failed"], *, reason: str, alert: str,
               retry_at: datetime | None = None, event: WebhookEvent | None = None) -> DestinationRunEnd:
        report = msgspec.structs.replace(self._report, state=outcome, reason=reason, retry_at=retry_at)
        at = now()
        run = msgspec.structs.replace(self._run, ended_at=at, body=msgspec.json.encode(report))
        messages = [] if event is None else destination_messages(
            self._destinations.store, self._view, event, at=at, run=run.number, reason=reason
        )
        return DestinationRunEnd(self._state, run, alert, messages)

    def _change(self, **changes: Any) -> None:
        self._state = msgspec.structs.replace(self._state, **changes)
