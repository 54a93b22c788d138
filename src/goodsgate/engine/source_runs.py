"""The job of a source: fetch what is new, and tell when it fails or is overdue.

Whatever is done is saved before and after: which batch is about to be received, that it was, which files are still to
be moved. So a process that dies at any point leaves a state from which the next one goes on, and each file is worked
once: a batch that was about to be received is looked up by its id.
"""

import logging
from collections.abc import Sequence
from contextlib import ExitStack, closing
from datetime import datetime, timedelta
from typing import Any

import msgspec

from goodsgate.engine.api import Engine
from goodsgate.engine.credentials import CredentialError
from goodsgate.engine.feed_events import source_messages
from goodsgate.engine.jobs import ClaimedJob
from goodsgate.engine.refusal import Refusal
from goodsgate.engine.source_definitions import (
    FILES_PER_RUN,
    FetchedFile,
    FileMark,
    PendingBatch,
    RunReport,
    SourceState,
    SourceView,
    decode_report,
    decode_state,
    new_files,
)
from goodsgate.engine.source_fetch import Deadline, read_file, submit_file
from goodsgate.engine.sources import Sources, move_target
from goodsgate.model import crash
from goodsgate.model.batch import new_id, now
from goodsgate.model.extras import ExtraMissingError
from goodsgate.model.job import JobRun, JobTime
from goodsgate.model.message import NewMessage
from goodsgate.model.webhook import WebhookEvent
from goodsgate.remote import RemoteError, RemoteFile, RemotePlace, open_place, parse_address

log = logging.getLogger(__name__)

STARTS_MAX = 5
"""Processes that may die at one run before it is given up."""
SETTLE = timedelta(seconds=5)
"""A file without an entity tag is read when it did not change for so long."""
KEY_ATTEMPTS = 20
KEY_PAUSE_SECONDS = 0.5
RETRIED = frozenset({"queue_full", "store_full", "store_busy", "key_in_use"})
"""Refusals after which the same submission may be accepted later."""


class SourceRunSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of runs, and when a failed one is made again."""

    seconds_max: float
    bytes_per_second_max: int
    """0: none."""
    retry_seconds: tuple[float, ...]


class SourceJobs:
    """Works the jobs of sources; safe for threads."""

    def __init__(self, engine: Engine, sources: Sources, settings: SourceRunSettings) -> None:
        self._engine = engine
        self._sources = sources
        self._settings = settings

    def work(self, claimed: ClaimedJob) -> None:
        """Fetch if it is time to, look whether a file is overdue, and plan what is next. Raises JobStoppedError."""
        view = self._sources.find(claimed.job.merchant, claimed.job.number)
        if view is None:
            return  # it was deleted, and its job with it
        state, at = decode_state(claimed.job), now()
        planned = view.source.next_fetch(state)
        messages: Sequence[NewMessage] = ()
        run: JobRun | None = None
        alert = claimed.job.alert if claimed.job.alert != "overdue" else ""
        if state.run or claimed.job.requested or (planned is not None and planned <= at):
            state, run, alert, messages = SourceRun(self._engine, self._sources, self._settings, claimed, view).work()
        fresh = self._sources.find(view.merchant, view.number) or view
        at = now()
        missed = fresh.source.missed_deadline(state, at)
        if missed is not None:
            alert = "overdue"
            if state.missed != missed:
                state = msgspec.structs.replace(state, missed=missed)
                messages = [*messages, *source_messages(
                    self._sources.store, fresh, WebhookEvent.SOURCE_OVERDUE, at=at, expected_at=missed
                )]
        claimed.save(
            state=msgspec.json.encode(state), alert=alert, run=run, messages=messages,
            end=JobTime(fresh.source.due_at(state, at)),
        )


class SourceRun:
    """One run, from its begin or from where another process has left it."""

    def __init__(self, engine: Engine, sources: Sources, settings: SourceRunSettings, claimed: ClaimedJob,
                 view: SourceView) -> None:
        self._engine = engine
        self._sources = sources
        self._settings = settings
        self._claimed = claimed
        self._view = view
        self._state = decode_state(claimed.job)
        self._deadline = Deadline(claimed, settings.seconds_max, settings.bytes_per_second_max)
        self._address = parse_address(view.source.address)
        self._run, self._report = self._begin()

    def _begin(self) -> tuple[JobRun, RunReport]:
        """Return the run in progress, or a new one, and save that it has begun."""
        job, state = self._claimed.job, self._state
        if state.run:
            runs = self._sources.runs(self._view, before=state.run + 1, limit=1)
            run, report = runs[0], decode_report(runs[0])
        else:
            run = JobRun(number=job.last_run + 1, started_at=now())
            report = RunReport(requested=job.requested)
        self._change(run=run.number, starts=state.starts + 1, ran_at=run.started_at, retry_at=None)
        self._save(run, report)
        crash.point("source-begun")
        return run, report

    def work(self) -> tuple[SourceState, JobRun, str, Sequence[NewMessage]]:
        """Fetch, and return state and run as they are to be saved, the alert, and messages."""
        error, is_final, has_more = "", True, False
        try:
            if self._state.starts > STARTS_MAX:
                raise RemoteError(f"{STARTS_MAX} processes have died at this run.", final=True)
            has_more = self._fetch()
        except RemoteError as fault:
            error, is_final = fault.reason, fault.final
        except Refusal as refusal:
            error, is_final = f"{refusal.code}: {refusal.detail}", refusal.code not in RETRIED
        except (CredentialError, ExtraMissingError) as fault:
            error = str(fault)
        at = now()
        self._change(run=0, starts=0, pending=None, error=error)
        if not error:
            self._change(failures=0, retry_at=at if has_more else None)
            return self._ended("finished", at, ""), self._run, "", ()
        failures = self._state.failures + 1
        pauses = self._settings.retry_seconds
        retry_at = None if is_final or failures > len(pauses) else at + timedelta(seconds=pauses[failures - 1])
        self._change(failures=failures, retry_at=retry_at)
        log.warning("a run of a source failed", extra={
            "merchant": self._view.merchant, "source": self._view.name, "run": self._run.number, "error": error,
        })
        if retry_at is not None:
            alert = self._claimed.job.alert if self._claimed.job.alert == "failing" else ""
            return self._ended("failed", at, error), self._run, alert, ()
        self._change(failures=0)  # the next run of the schedule has all its tries
        messages = source_messages(
            self._sources.store, self._view, WebhookEvent.SOURCE_FAILED, at=at, run=self._run.number, error=error
        )
        return self._ended("failed", at, error), self._run, "failing", messages

    def _ended(self, state: Any, at: datetime, error: str) -> SourceState:
        self._report = msgspec.structs.replace(
            self._report, state=state, error=error, retry_at=self._state.retry_at if error else None
        )
        self._run = msgspec.structs.replace(self._run, ended_at=at, body=msgspec.json.encode(self._report))
        return self._state

    def _fetch(self) -> bool:
        """Fetch what is new; return whether there is more."""
        self._settle_pending()
        with ExitStack() as stack:
            place = stack.enter_context(self._connect())
            self._move_files(place)
            files = self._stable_files(place)
            self._change(files={
                file.name: self._state.files[file.name] for file in files if file.name in self._state.files
            })
            new = self._new_files(files)
            for file in new[:FILES_PER_RUN]:
                self._fetch_file(place, file)
                self._move_files(place)
        return len(new) > FILES_PER_RUN

    def _new_files(self, files: list[RemoteFile]) -> list[RemoteFile]:
        return new_files(self._view.source, self._state, files)

    def _stable_files(self, place: RemotePlace) -> list[RemoteFile]:
        """Return the files once none of those that are to be fetched is being written."""
        files = place.files()
        young = [
            now() - file.modified_at for file in self._new_files(files)
            if not file.etag and file.modified_at is not None and timedelta(0) <= now() - file.modified_at < SETTLE
        ]
        if not young:
            return files
        self._claimed.wait((SETTLE - min(young)).total_seconds())
        return place.files()

    def _fetch_file(self, place: RemotePlace, file: RemoteFile) -> None:
        id = new_id()
        self._change(pending=PendingBatch(file.name, file.version, id, file.size))
        self._save(self._run, self._report)
        crash.point("source-pending")
        for attempt in range(KEY_ATTEMPTS):
            try:
                with closing(read_file(place, self._connect, file, self._deadline)) as pieces:
                    result = submit_file(
                        self._engine, self._view, file, pieces, id=id, run=self._run.number,
                        known_digest=self._state.digest,
                    )
                break
            except Refusal as refusal:
                if refusal.code != "key_in_use" or attempt + 1 == KEY_ATTEMPTS:
                    raise
            self._claimed.wait(KEY_PAUSE_SECONDS)  # until the key of a process that has died is free
        self._note(file.name, file.version, result.batch, size=result.size, digest=result.digest)

    def _settle_pending(self) -> None:
        """Find out whether the batch that a process was about to make exists."""
        pending = self._state.pending
        if pending is None:
            return
        if self._sources.store.batch(self._view.merchant, pending.batch) is None:
            self._change(pending=None)
            return
        self._note(pending.name, pending.version, pending.batch, size=pending.size or 0, digest="")

    def _note(self, name: str, version: str, batch: str | None, *, size: int, digest: str) -> None:
        """Save that a file was worked."""
        moves = self._state.moves if self._view.source.move_to is None else (*self._state.moves, name)
        self._change(
            files={**self._state.files, name: FileMark(version)}, digest=digest, pending=None, moves=moves,
            new_at=now() if batch or version else self._state.new_at, batch=batch or self._state.batch,
        )
        self._report = msgspec.structs.replace(
            self._report, files=(*self._report.files, FetchedFile(name=name, size=size, batch=batch))
        )
        self._save(self._run, self._report)
        crash.point("source-saved")

    def _move_files(self, place: RemotePlace) -> None:
        """Move the files that were worked; one that is gone was moved before."""
        target = self._view.source.move_to
        for name in self._state.moves:
            if target is not None:
                self._move_file(place, name, move_target(target, name))
                crash.point("source-moved")
            self._change(moves=tuple(other for other in self._state.moves if other != name))
            self._save(self._run, self._report)

    @staticmethod
    def _move_file(place: RemotePlace, name: str, target: str) -> None:
        try:
            place.move(name, target)
        except RemoteError as fault:
            if fault.final or name in {file.name for file in place.files()}:
                reason = f"The file {name} was submitted, but not moved. {fault.reason}"
                raise RemoteError(reason, final=fault.final) from fault

    def _connect(self) -> RemotePlace:
        return open_place(
            self._address, self._view.source.access(self._sources.secrets(self._view)), self._sources.settings
        )

    def _change(self, **changes: Any) -> None:
        self._state = msgspec.structs.replace(self._state, **changes)

    def _save(self, run: JobRun, report: RunReport) -> None:
        self._run = msgspec.structs.replace(run, body=msgspec.json.encode(report))
        self._claimed.save(state=msgspec.json.encode(self._state), alert=self._claimed.job.alert, run=self._run)
