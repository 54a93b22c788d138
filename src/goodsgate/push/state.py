"""The file from which a push goes on after it was killed: what was sent, and what the platform has said of it.

It has a line of JSON for each step, synced before the step that follows. A request is *begun* before it is sent,
*accepted* when the platform has answered, and *ended* when its result is known. A request that was begun and not
accepted may have been received: whether it can be sent again is for its platform to say.
"""

import fcntl
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO

import msgspec

from goodsgate.push.contract import ConfigurationError, PlatformIssue, RequestReceipt

VERSION = 1

Ranges = list[tuple[int, int]]


class PushIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """What a push is; only the same push goes on with a state."""

    platform: str
    base_url: str
    file: str
    """SHA-256 of the file."""
    options: str
    """Digest of the options that decide what is sent."""
    version: int = VERSION


class Begun(msgspec.Struct, frozen=True, kw_only=True, tag="begun"):
    """A request is about to be sent."""

    chunk: int
    digest: str
    """Of all units of the chunk."""
    place: int
    operation: str
    units: Ranges
    """Places of its units in the chunk, each range without its end."""


class Accepted(msgspec.Struct, frozen=True, kw_only=True, tag="accepted"):
    """The platform has accepted a request."""

    chunk: int
    place: int
    receipt: RequestReceipt


class Ended(msgspec.Struct, frozen=True, kw_only=True, tag="ended"):
    """The result of a request is known."""

    chunk: int
    place: int
    issues: list[PlatformIssue] = []
    problem: str = ""
    again: Ranges = []
    """Places in the chunk of units that are to be sent once more."""


Step = Begun | Accepted | Ended


class RequestState(msgspec.Struct, kw_only=True):
    """How far one request of a chunk has come."""

    begun: Begun
    receipt: RequestReceipt | None = None
    ended: Ended | None = None


class PushState:
    """The state of one push, in memory and in its file; without a path it is only in memory."""

    def __init__(self, path: Path | None, identity: PushIdentity) -> None:
        """Open the file, or create it. Raises ConfigurationError if it cannot be used or is of another push."""
        self.path = path
        self.is_resumed = False
        self._identity = identity
        self._chunks: dict[int, list[RequestState]] = {}
        self._file: IO[bytes] | None = None
        if path is not None:
            self._file = self._open(path)

    def close(self, *, remove: bool = False) -> None:
        """Close the file, if it is open; remove it if the push has ended, or if the platform has accepted nothing."""
        if self._file is not None and self.path is not None:
            if remove or not self._has_sent():
                self.path.unlink(missing_ok=True)
            self._file.close()
            self._file = None

    def requests(self, chunk: int) -> list[RequestState]:
        """Return the requests of a chunk, in the order in which they were begun."""
        return self._chunks.get(chunk, [])

    def add(self, step: Step) -> None:
        """Take a step, and return when it is durable."""
        self._apply(step)
        if self._file is not None:
            self._write(msgspec.json.encode(step))

    def _has_sent(self) -> bool:
        """Return whether a request was accepted, or may have been."""
        return any(
            request.receipt is not None or request.ended is None
            for requests in self._chunks.values() for request in requests
        )

    def _apply(self, step: Step) -> None:
        requests = self._chunks.setdefault(step.chunk, [])
        match step:
            case Begun():
                requests.append(RequestState(begun=step))
            case Accepted():
                requests[step.place].receipt = step.receipt
            case Ended():
                requests[step.place].ended = step

    def _open(self, path: Path) -> IO[bytes]:
        try:
            file = path.open("a+b")
        except OSError as error:
            raise ConfigurationError(
                f"the state file {path} cannot be written: {error.strerror}. Name another one with --state."
            ) from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.close()
            raise ConfigurationError(f"another push is using the state file {path}.") from error
        self._file = file
        try:
            self._read(file, path)
        except BaseException:
            file.close()
            raise
        return file

    def _read(self, file: IO[bytes], path: Path) -> None:
        file.seek(0)
        lines = file.read().split(b"\n")
        torn = lines.pop()  # a line that a kill has cut off
        if torn:
            file.truncate(sum(len(line) + 1 for line in lines))
        if not lines:
            self._write(msgspec.json.encode(self._identity))
            return
        try:
            found = msgspec.json.decode(lines[0], type=PushIdentity)
            steps = [msgspec.json.decode(line, type=Step) for line in lines[1:]]
        except msgspec.DecodeError as error:
            raise ConfigurationError(f"{path} is no state of a push. Name another file with --state.") from error
        names = {"platform": "platform", "base_url": "address", "file": "content of the file", "options": "options"}
        different = [text for name, text in names.items() if getattr(found, name) != getattr(self._identity, name)]
        if different or found.version != VERSION:
            raise ConfigurationError(
                f"{path} is the state of another push ({', '.join(different) or 'of another version'} differ). Finish "
                f"that one, or remove the file to begin again; what it has sent stays sent."
            )
        for step in steps:
            self._apply(step)
        self.is_resumed = bool(steps)

    def _write(self, line: bytes) -> None:
        assert self._file is not None
        self._file.write(line + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())


def to_ranges(places: Iterable[int]) -> Ranges:
    """Return ascending numbers as ranges without their ends."""
    ranges: Ranges = []
    for place in places:
        if ranges and ranges[-1][1] == place:
            ranges[-1] = (ranges[-1][0], place + 1)
        else:
            ranges.append((place, place + 1))
    return ranges


def from_ranges(ranges: Sequence[tuple[int, int]]) -> list[int]:
    """Return the numbers of ranges."""
    return [place for start, end in ranges for place in range(start, end)]
