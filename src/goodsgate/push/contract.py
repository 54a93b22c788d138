"""The values of a push, and what a platform implements."""

from abc import ABC, abstractmethod
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from goodsgate.model.batch import Kind
from goodsgate.model.counting import counted
from goodsgate.model.issue import Issue

if TYPE_CHECKING:
    from goodsgate.push.transport import Transport

JsonObject = dict[str, Any]


class PushError(Exception):
    """A push that cannot go on; the message says what is wrong and what to do."""


class ConfigurationError(PushError):
    """A setting, a credential or a state file that cannot be used."""


class RefusedError(PushError):
    """The platform refused a request as a whole; nothing of it was accepted."""

    def __init__(self, message: str, *, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class PlatformUnreachableError(PushError):
    """The platform could not be reached, or failed for too long."""


class AnswerLostError(PushError):
    """A request that must not be repeated as it is, and whose answer was lost: it may have been accepted."""


class RequestRecordedError(PushError):
    """A write of a dry run, which was recorded and not sent."""


class SourceRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A record that the local check has accepted."""

    number: int
    """Number of the record in its file, from 1."""
    sku: str
    location: str | None = None
    is_deletion: bool = False
    members: JsonObject = {}
    """Canonical values under the gate's own names, and members that nobody knows as they were received."""


class WireUnit(msgspec.Struct, frozen=True, kw_only=True):
    """What a platform takes as one entry of a request: mostly one record."""

    name: str
    """By which the platform names it in its errors."""
    numbers: tuple[int, ...]
    """The records that it was made of, the first one first."""
    body: bytes = b""
    """JSON."""
    group: str = ""
    """Only units of one group go into one request."""
    is_deletion: bool = False
    issues: tuple[Issue, ...] = ()
    """Why it cannot be sent; it is not, if there are any."""


class PlatformIssue(msgspec.Struct, frozen=True, array_like=True):
    """What is wrong with a record, as the platform or its limits say."""

    number: int
    issue: Issue


class UnitError(msgspec.Struct, frozen=True, kw_only=True):
    """An error of the platform about one entry of a request."""

    index: int
    """Place of the unit in its request, from 0."""
    message: str
    path: str = ""
    """JSON Pointer to the gate's own field, or to a member of the record."""
    part: int = 0
    """Which of the records of the unit it is about."""
    is_warning: bool = False


class RequestOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a request."""

    errors: Sequence[UnitError] = ()
    problem: str = ""
    """What the platform says about entries that it does not name: the push is then not clean."""


class RequestReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """What a platform has answered to a request that it accepted."""

    ids: list[str] = []
    """By which its status is asked for."""
    outcome: RequestOutcome | None = None
    """Set if the answer is final."""


class PushRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One request with entries."""

    operation: str
    units: Sequence[WireUnit]
    places: Sequence[int]
    """Places of the units in their chunk."""
    may_repeat: bool = True
    """Whether the request has the same effect if it is received twice."""


class SentRequest(msgspec.Struct, kw_only=True):
    """A request that was accepted and has not ended."""

    chunk: int
    place: int
    """Which of the requests of the chunk it is."""
    operation: str
    receipt: RequestReceipt
    numbers: "array[int]"
    """First record of each unit."""
    names: list[str]
    """Names of the units; empty if the platform names them by their place."""
    groups: dict[int, tuple[int, ...]] = {}
    """Place of a unit → its records, of units of several."""
    pause_seconds: float = 0.0
    """Before its status is asked for again."""
    due_at: float = 0.0

    def number_of(self, error: UnitError) -> int:
        """Return the record that an error is about."""
        numbers = self.groups.get(error.index)
        return numbers[min(error.part, len(numbers) - 1)] if numbers else self.numbers[error.index]


class PlatformConnection(msgspec.Struct, frozen=True, kw_only=True):
    """With what a platform is called."""

    transport: "Transport"
    credentials: Mapping[str, str]
    settings: Mapping[str, str]
    """Options of the push, by the names in `Platform.SETTINGS`."""
    kind: Kind
    push_id: str = ""
    """The same for all requests of a push, also after it was interrupted."""


def unnamed_rejections(count: int) -> str:
    """Return the problem of so many records that a platform has rejected and does not name."""
    return f"{counted(count, 'more record was', 'more records were')} rejected, which the platform does not name"


class Platform(ABC):
    """A platform: how records become its requests, and its answers issues of records.

    A request is given as JSON and answered by `Transport`, which repeats it where that is safe. Limits are those that
    the vendor has published; `docs/how-to/push-to-a-platform.md` names them.
    """

    KINDS: ClassVar[tuple[Kind, ...]] = (Kind.PRODUCT,)
    SETTINGS: ClassVar[Mapping[str, str]]
    """Name → description of the options that `--set` takes."""
    OPTIONAL_CREDENTIALS: ClassVar[tuple[str, ...]] = ()
    """Credentials besides those that every client needs."""
    REQUEST_SECONDS_MIN: ClassVar[float] = 0.0
    """Shortest time between two requests, from the published rate."""
    UNITS_MAX: ClassVar[int]
    BYTES_MAX: ClassVar[int]
    OPEN_MAX: ClassVar[int | None] = 4
    """Requests that may be open before the next one is sent; None if they end only when somebody else acts."""
    TRIES_AGAIN: ClassVar[bool] = False
    """Whether `try_again` may return units, which are then kept until their request has ended."""
    NAMES_UNITS: ClassVar[bool] = True
    """Whether errors name units, and not their places."""

    def __init__(self, connection: PlatformConnection) -> None:
        """Take what the platform needs. Raises ConfigurationError."""
        self.transport = connection.transport
        self.credentials = connection.credentials
        self.settings = connection.settings
        self.kind = connection.kind
        self.push_id = connection.push_id

    def setting(self, name: str) -> str:
        """Return a setting. Raises ConfigurationError if it is missing."""
        value = self.settings.get(name, "")
        if not value:
            raise ConfigurationError(f"--set {name}=… is missing: {self.SETTINGS[name]}.")
        return value

    def units_max(self) -> int:
        """Return how many units a request may have."""
        return self.UNITS_MAX

    def connect(self) -> None:
        """Log in, or read what the records need. Raises PushError."""
        return

    @abstractmethod
    def units(self, records: Iterable[SourceRecord]) -> Iterator[WireUnit]:
        """Yield what is sent, in the order of the records."""

    def plan(self, units: Sequence[WireUnit], places: Sequence[int]) -> Iterator[PushRequest]:
        """Yield the requests for those units of a chunk that stand at the places. Raises PushError."""
        for is_deletion in (False, True):
            chosen = [at for at in places if units[at].is_deletion is is_deletion]
            if chosen:
                operation = "delete" if is_deletion else "upsert"
                yield PushRequest(operation=operation, units=[units[at] for at in chosen], places=chosen)

    @abstractmethod
    def send(self, request: PushRequest) -> RequestReceipt:
        """Send a request.

        Raises RefusedError if it was not accepted, AnswerLostError if that is not known, PlatformUnreachableError.
        """

    @abstractmethod
    def status(self, sent: SentRequest) -> RequestOutcome | None:
        """Return what became of a request; None if it has not ended. Raises RefusedError, PlatformUnreachableError."""

    def try_again(self, sent: SentRequest, outcome: RequestOutcome) -> Sequence[int]:
        """Return the places, in the request, of failed units that are to be sent once more in another way."""
        del sent, outcome
        return ()


def places_by_name(names: Sequence[str]) -> dict[str, list[int]]:
    """Return the places of each name."""
    places: dict[str, list[int]] = {}
    for at, name in enumerate(names):
        places.setdefault(name, []).append(at)
    return places
