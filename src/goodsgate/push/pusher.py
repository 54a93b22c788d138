"""Send records to a platform in chunks, each once, and collect what it says of them."""

import hashlib
import time
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from goodsgate.model import crash
from goodsgate.model.issue import Issue, issue
from goodsgate.push.contract import (
    AnswerLostError,
    ConfigurationError,
    Platform,
    PlatformIssue,
    PlatformUnreachableError,
    PushRequest,
    RefusedError,
    RequestOutcome,
    RequestReceipt,
    RequestRecordedError,
    SentRequest,
    SourceRecord,
    UnitError,
    WireUnit,
)
from goodsgate.push.state import Accepted, Begun, Ended, PushState, RequestState, from_ranges, to_ranges
from goodsgate.push.transport import Record
from goodsgate_client.retrying import Backoff

POLL_SECONDS_MIN = 0.2
POLL_SECONDS_MAX = 15.0
POLL_GROWTH = 1.6
"""Pauses between two questions about one request."""
CONTENT_STATUSES = frozenset({400, 409, 413, 422})
"""Refusals that are about the content of a request: a part of it may be accepted."""
REFUSALS_MAX = 40
"""Refused parts of a chunk after which its other units count as refused, too."""

Notify = Callable[[str], None]


class PushProgress(msgspec.Struct, kw_only=True):
    """How far a push has come, in records."""

    sent: int = 0
    """Accepted by the platform, now or in an earlier run."""
    ended: int = 0
    """Of which it has said what became of them."""
    requests: int = 0
    """Requests of this run that were accepted."""


class PushResult(msgspec.Struct, kw_only=True):
    """What became of the records that were pushed."""

    progress: PushProgress
    issues: dict[int, list[Issue]] = {}
    """Number of a record → what the platform, or its limits, say of it."""
    problems: list[str] = []
    """What the platform says of records that it does not name."""
    ids: list[str] = []
    """By which the platform knows the requests."""
    pending: int = 0
    """Records that were accepted, and of which the platform has not yet said what became of them."""


class _Chunk(msgspec.Struct, frozen=True):
    """Units that are sent together."""

    number: int
    units: list[WireUnit]

    def digest(self) -> str:
        """Return what tells that a chunk is the same as in an earlier run."""
        hashed = hashlib.sha256()
        for unit in self.units:
            hashed.update(b"%d %s\n" % (len(unit.body), unit.name.encode("utf-8", "surrogatepass")))
            hashed.update(unit.body)
        return hashed.hexdigest()[:32]


class Pusher:
    """Pushes the records of one file to one platform."""

    def __init__(self, platform: Platform, state: PushState, *, wait_seconds: float = 600.0,
                 notify: Notify = lambda _: None, on_progress: Callable[[PushProgress], None] = lambda _: None,
                 record: Record | None = None) -> None:
        """Take the platform and the state; `wait_seconds` is how long nothing may end before the waiting does.

        With 0 the push ends once everything is accepted. With `record`, writes are recorded and not sent.
        """
        self._platform = platform
        self._state = state
        self._wait_seconds = wait_seconds
        self._notify = notify
        self._on_progress = on_progress
        self._record = record
        self._open: list[SentRequest] = []
        self._kept: dict[tuple[int, int], tuple[list[WireUnit], list[int]]] = {}
        """Units, and their places, of open requests that may have to be sent in another way."""
        self._result = PushResult(progress=PushProgress())
        self._ended_at = time.monotonic()

    def run(self, records: Iterable[SourceRecord]) -> PushResult:
        """Send every record once, and wait for the results. Raises PushError; a later run goes on with the state."""
        self._platform.connect()
        for chunk in self._chunks(self._platform.units(records)):
            self._push(chunk)
            self._poll()
            while self._platform.OPEN_MAX is not None and len(self._open) > self._platform.OPEN_MAX:
                if not self._wait():
                    raise PlatformUnreachableError(
                        f"The platform has ended no request for {self._wait_seconds:,.0f} s; not everything is sent."
                    )
        while self._open and self._wait_seconds and self._wait():
            pass
        pending = {number for sent in self._open for number in sent.numbers}
        pending.update(number for sent in self._open for numbers in sent.groups.values() for number in numbers)
        self._result.pending = len(pending)
        return self._result

    def _chunks(self, units: Iterator[WireUnit]) -> Iterator[_Chunk]:
        """Yield what can be sent, as much at once as the platform takes, and note why other units cannot."""
        platform, number = self._platform, 0
        packed: list[WireUnit] = []
        size = 0
        for unit in units:
            if unit.issues:
                self._add_issues(PlatformIssue(record, each) for record in unit.numbers for each in unit.issues)
                continue
            if packed and (len(packed) >= platform.units_max() or size + len(unit.body) > platform.BYTES_MAX):
                yield _Chunk(number, packed)
                number, packed, size = number + 1, [], 0
            packed.append(unit)
            size += len(unit.body) + 1
        if packed:
            yield _Chunk(number, packed)

    # -- sending ------------------------------------------------------------------------------------------------------

    def _push(self, chunk: _Chunk) -> None:
        """Send the units of a chunk that no request was accepted with, and take up the requests that were."""
        digest = chunk.digest()
        left = dict.fromkeys(range(len(chunk.units)))
        unanswered: set[int] = set()
        for known in self._state.requests(chunk.number):
            if known.begun.digest != digest:
                raise ConfigurationError(
                    f"the records of request {chunk.number + 1} are not those of the state file {self._state.path}: "
                    "this version reads the file in another way. Remove the state to begin again."
                )
            places = from_ranges(known.begun.units)
            if known.receipt is None and known.ended is None:
                unanswered.update(places)
                continue
            for place in places:
                left.pop(place, None)
            if known.ended is not None:
                left |= dict.fromkeys(from_ranges(known.ended.again))
            self._take_up(chunk, known, places)
        doubtful = not unanswered.isdisjoint(left)
        if doubtful:
            self._notify(
                f"Request {chunk.number + 1} may have been received before the push was interrupted; it is sent again, "
                "in a form that has no second effect"
            )
        self._send(chunk, digest, sorted(left), doubtful=doubtful)

    def _take_up(self, chunk: _Chunk, known: RequestState, places: list[int]) -> None:
        """Count a request of an earlier run, and ask for its status if it has not ended."""
        numbers = [chunk.units[place].numbers for place in places]
        records = sum(map(len, numbers))
        if known.ended is not None:
            again = sum(len(chunk.units[place].numbers) for place in from_ranges(known.ended.again))
            self._result.progress.sent += records - again
            self._result.progress.ended += records - again
            self._add_issues(known.ended.issues)
            self._result.problems += [known.ended.problem] if known.ended.problem else []
        if known.receipt is not None:
            self._result.ids += known.receipt.ids
        if known.ended is None and known.receipt is not None:
            self._result.progress.sent += records
            units = [chunk.units[place] for place in places]
            self._add_open(chunk, known.begun.place, known.begun.operation, known.receipt, units, places, keeps=True)

    def _send(self, chunk: _Chunk, digest: str, places: list[int], *, doubtful: bool) -> None:
        """Send units until all are accepted or refused; plan those again whose answer was lost."""
        left, backoff, budget = places, Backoff(), [REFUSALS_MAX]
        while left:
            try:
                for request in self._platform.plan(chunk.units, left):
                    self._send_request(chunk, digest, request, budget, keeps=doubtful)
                    sent = {*request.places}
                    left = [place for place in left if place not in sent]
            except AnswerLostError as error:
                doubtful = True
                pause = backoff.next_pause(self._platform.transport.retry_seconds)
                if pause is None:
                    raise PlatformUnreachableError(str(error)) from error
                self._notify(f"{error}; looking whether the request was received")
                done = {
                    place for known in self._state.requests(chunk.number) if known.receipt or known.ended
                    for place in from_ranges(known.begun.units)
                }
                left = [place for place in left if place not in done]
                time.sleep(pause)

    def _send_request(self, chunk: _Chunk, digest: str, request: PushRequest, budget: list[int], *, keeps: bool,
                      ) -> None:
        """Send a request; if it is refused for its content, send its halves until the units at fault stand alone."""
        place = len(self._state.requests(chunk.number))
        self._state.add(Begun(
            chunk=chunk.number, digest=digest, place=place, operation=request.operation,
            units=to_ranges(request.places),
        ))
        crash.point("push-begun")
        try:
            receipt = self._platform.send(request) if self._record is None else self._record_request(request)
        except RefusedError as error:
            budget[0] -= 1
            is_single = len(request.units) == 1
            is_hopeless = not budget[0] and not self._result.progress.sent
            if error.status not in CONTENT_STATUSES or (is_hopeless and not is_single):
                self._state.add(Ended(chunk=chunk.number, place=place, again=to_ranges(request.places)))
                raise
            if not is_single and budget[0] > 0:
                self._state.add(Ended(chunk=chunk.number, place=place, again=to_ranges(request.places)))
                middle = len(request.units) // 2
                for part in (slice(0, middle), slice(middle, None)):
                    half = msgspec.structs.replace(request, units=request.units[part], places=request.places[part])
                    self._send_request(chunk, digest, half, budget, keeps=keeps)
                return
            receipt = RequestReceipt(outcome=RequestOutcome(errors=[
                UnitError(index=at, message=str(error)) for at in range(len(request.units))
            ]))
        crash.point("push-answered")
        self._state.add(Accepted(chunk=chunk.number, place=place, receipt=receipt))
        crash.point("push-accepted")
        progress = self._result.progress
        progress.requests += 1
        progress.sent += sum(len(unit.numbers) for unit in request.units)
        self._result.ids += receipt.ids
        self._add_open(chunk, place, request.operation, receipt, request.units, request.places, keeps=keeps)
        self._on_progress(progress)

    def _record_request(self, request: PushRequest) -> RequestReceipt:
        """Record a write instead of sending it; what the platform already knows of the units is returned."""
        self._platform.transport.record = self._record
        try:
            return self._platform.send(request)
        except RequestRecordedError:
            return RequestReceipt(outcome=RequestOutcome())
        finally:
            self._platform.transport.record = None

    def _add_open(self, chunk: _Chunk, place: int, operation: str, receipt: RequestReceipt, units: Sequence[WireUnit],
                  places: Sequence[int], *, keeps: bool) -> None:
        sent = SentRequest(
            chunk=chunk.number, place=place, operation=operation, receipt=receipt,
            numbers=array("q", [unit.numbers[0] for unit in units]),
            names=[unit.name for unit in units] if self._platform.NAMES_UNITS else [],
            groups={at: unit.numbers for at, unit in enumerate(units) if len(unit.numbers) > 1},
            due_at=time.monotonic() + POLL_SECONDS_MIN, pause_seconds=POLL_SECONDS_MIN,
        )
        if keeps and self._platform.TRIES_AGAIN:
            self._kept[chunk.number, place] = chunk.units, [*places]
        if receipt.outcome is not None:
            self._end(sent, receipt.outcome)
        else:
            self._open.append(sent)

    # -- results ------------------------------------------------------------------------------------------------------

    def _wait(self) -> bool:
        """Wait until an open request may have ended and ask; return whether to go on waiting."""
        deadline = self._ended_at + (self._wait_seconds or self._platform.transport.retry_seconds)
        now = time.monotonic()
        if now >= deadline:
            return False
        due_at = min(min(sent.due_at for sent in self._open), deadline)
        time.sleep(max(0.0, due_at - now))
        self._poll()
        return True

    def _poll(self) -> None:
        """Ask for the status of the open requests that are due."""
        for sent in [each for each in self._open if each.due_at <= time.monotonic()]:
            outcome = self._platform.status(sent)
            if outcome is None:
                sent.pause_seconds = min(POLL_SECONDS_MAX, sent.pause_seconds * POLL_GROWTH)
                sent.due_at = time.monotonic() + sent.pause_seconds
            else:
                self._open.remove(sent)
                self._end(sent, outcome)

    def _end(self, sent: SentRequest, outcome: RequestOutcome) -> None:
        """Note the result of a request; units that are to be sent in another way are sent at once."""
        kept = self._kept.pop((sent.chunk, sent.place), None)
        again = sorted(self._platform.try_again(sent, outcome)) if kept is not None and outcome.errors else []
        issues = [
            PlatformIssue(sent.number_of(error), to_issue(error)) for error in outcome.errors
            if error.index not in again and 0 <= error.index < len(sent.numbers)
        ]
        places = [kept[1][at] for at in again] if kept is not None else []
        self._state.add(Ended(
            chunk=sent.chunk, place=sent.place, issues=issues, problem=outcome.problem, again=to_ranges(places)
        ))
        crash.point("push-ended")
        self._ended_at = time.monotonic()
        progress = self._result.progress
        repeated = [len(sent.groups.get(at, (0,))) for at in again]
        progress.sent -= sum(repeated)
        progress.ended += len(sent.numbers) + sum(len(each) - 1 for each in sent.groups.values()) - sum(repeated)
        self._add_issues(issues)
        self._result.problems += [outcome.problem] if outcome.problem else []
        self._on_progress(progress)
        if kept is not None and places:
            chunk = _Chunk(sent.chunk, kept[0])
            self._send(chunk, chunk.digest(), places, doubtful=False)

    def _add_issues(self, issues: Iterable[PlatformIssue]) -> None:
        for each in issues:
            found = self._result.issues.setdefault(each.number, [])
            if each.issue not in found:
                found.append(each.issue)


def to_issue(error: UnitError) -> Issue:
    """Return the issue of a record that an error of a platform is."""
    code = "platform_warned" if error.is_warning else "platform_rejected"
    return issue(code, error.path, value=error.message.strip().removesuffix(".") or "no reason was given")

