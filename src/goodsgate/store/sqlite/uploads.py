"""Bodies on their way in: small ones in memory, larger ones in files of their own.

A file is locked by the process that fills it. What no round names and nobody locks belonged to a process that is
dead, and may go; so may what a process holds locked without a byte for an hour.
"""

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from goodsgate.store.contract import StoreError, StoreFullError
from goodsgate.store.sqlite.file import is_full

IDLE_SECONDS = 3_600.0
"""Longer than any server waits for a body that stands still."""
PIECE_BYTES = 1024 * 1024


class Upload:
    """One body: in `content` while it is small, then in a locked file."""

    def __init__(self) -> None:
        self.bytes = 0
        self.content = bytearray()
        self.descriptor: int | None = None


class Pieces(Iterator[bytes]):
    """What is in an open file; closes it at the end, or when nobody wants it any more, read or not."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    def __next__(self) -> bytes:
        piece = os.read(self._descriptor, PIECE_BYTES) if self._descriptor is not None else b""
        if not piece:
            self.close()
            raise StopIteration
        return piece

    def close(self) -> None:
        """Harmless a second time."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def __del__(self) -> None:
        self.close()


class Uploads:
    """The folder of payloads."""

    def __init__(self, folder: Path, *, small_bytes: int) -> None:
        folder.mkdir(mode=0o750, exist_ok=True)
        self._folder = folder
        self._small_bytes = small_bytes
        self._open: dict[tuple[str, str], Upload] = {}

    def receive(self, merchant: str, name: str, piece: bytes) -> None:
        """Append; raises StoreFullError."""
        upload = self._open.setdefault((merchant, name), Upload())
        upload.bytes += len(piece)
        if upload.descriptor is None:
            upload.content += piece
            if upload.bytes <= self._small_bytes:
                return
            piece = bytes(upload.content)
            upload.content.clear()
        try:
            if upload.descriptor is None:
                upload.descriptor = self._make(name)
            _write(upload.descriptor, piece)
        except OSError as fault:
            self.discard(merchant, name)
            raise _worded(fault) from fault

    def discard(self, merchant: str, name: str) -> None:
        """Forget it; harmless if there is none."""
        upload = self._open.pop((merchant, name), None)
        if upload is not None and upload.descriptor is not None:
            with suppress(FileNotFoundError):
                os.unlink(self._folder / name)
            os.close(upload.descriptor)

    def synced(self, merchant: str, name: str) -> tuple[int, bytes | None]:
        """Length, and content if it is small; larger ones are durable on return. Raises StoreError, StoreFullError."""
        upload = self._open.get((merchant, name))
        if upload is None:
            raise StoreError("there is no such upload")
        if upload.descriptor is None:
            return upload.bytes, bytes(upload.content)
        if not _is_at(upload.descriptor, self._folder / name):
            raise StoreError("the upload stood still too long and was removed")
        try:
            os.fsync(upload.descriptor)
            sync_folder(self._folder)
        except OSError as fault:
            raise _worded(fault) from fault
        return upload.bytes, None

    def keep(self, merchant: str, name: str) -> None:
        """A round now names it."""
        upload = self._open.pop((merchant, name), None)
        if upload is not None and upload.descriptor is not None:
            os.close(upload.descriptor)

    def read(self, name: str) -> Iterator[bytes] | None:
        """Pieces of a kept file; None if it is gone. Once begun, removing it does no harm."""
        try:
            descriptor = os.open(self._folder / name, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        return Pieces(descriptor)

    def copy(self, name: str, to: Path) -> bool:
        """Into a file of its own, synced; False if it is gone."""
        try:
            source = (self._folder / name).open("rb")
        except FileNotFoundError:
            return False
        with source, to.open("xb") as target:
            shutil.copyfileobj(source, target, PIECE_BYTES)
            target.flush()
            os.fsync(target.fileno())
        return True

    def remove(self, name: str) -> None:
        """A file that no round names any more."""
        with suppress(FileNotFoundError):
            os.unlink(self._folder / name)

    def remove_orphans(self, is_named: Callable[[str], bool], *, most: int) -> int:
        """Remove files that no round names and no living process fills; how many went."""
        removed = 0
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if removed >= most:
                    break
                removed += self._remove_if_orphan(entry.name, is_named)
        return removed

    def _remove_if_orphan(self, name: str, is_named: Callable[[str], bool]) -> bool:
        if is_named(name):
            return False
        try:
            descriptor = os.open(self._folder / name, os.O_RDWR | os.O_CLOEXEC)
        except (FileNotFoundError, IsADirectoryError):
            return False
        try:
            idle = time.time() - os.fstat(descriptor).st_mtime > IDLE_SECONDS
            # Asked again behind the lock: it may have been sealed, and unlocked for that, in between.
            if (not _locked(descriptor) and not idle) or is_named(name):
                return False
            self.remove(name)
            return True
        finally:
            os.close(descriptor)

    def bytes_on_disk(self) -> int:
        """Of all payload files."""
        total = 0
        with os.scandir(self._folder) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    total += entry.stat().st_size
        return total

    def close(self) -> None:
        """Forget what is not sealed."""
        for merchant, name in list(self._open):
            self.discard(merchant, name)

    def _make(self, name: str) -> int:
        """A new file, locked. Between making and locking it, a sweep may have taken it for an orphan: then again."""
        path = self._folder / name
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if _is_at(descriptor, path):
                return descriptor
            os.close(descriptor)


def _locked(descriptor: int) -> bool:
    """Take the lock if nobody else has it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether the open file is still the one in the folder."""
    try:
        there = os.stat(path)
    except FileNotFoundError:
        return False
    mine = os.fstat(descriptor)
    return (there.st_dev, there.st_ino) == (mine.st_dev, mine.st_ino)


def _worded(fault: OSError) -> Exception:
    return StoreFullError(f"payload: {fault.strerror}") if is_full(fault) else fault


def _write(descriptor: int, piece: bytes) -> None:
    rest = memoryview(piece)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def sync_folder(folder: Path) -> None:
    """Make what was made, named or removed in it durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
