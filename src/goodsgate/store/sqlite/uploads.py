"""Uploads: small ones in memory, larger ones in files.

A file is locked by the process that writes it. A file that no round uses and nobody locks belonged to a process that is
dead, and may be removed; so may one that was locked without a new byte for an hour.
"""

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from goodsgate.model.batch import new_id
from goodsgate.store.contract import StoreBusyError, StoreError, StoreFullError
from goodsgate.store.sqlite.file import FILE_MODE, FOLDER_MODE, is_full

IDLE_SECONDS = 3_600.0
"""Longer than any server waits for the next bytes of a body; measured by a clock that nobody sets."""
PIECE_BYTES = 1024 * 1024


@contextmanager
def _translate_errors() -> Iterator[None]:
    """Raise errors of the system as those of a store."""
    try:
        yield
    except OSError as fault:
        raise _translate(fault) from fault


def _translate(fault: OSError) -> Exception:
    """Return the error of a store for one of the system, which no submission is to blame for."""
    reason = f"{fault.filename or 'payload'}: {fault.strerror}"
    return StoreFullError(reason) if is_full(fault) else StoreBusyError(reason)


class Upload:
    """An upload: in `content` while it is small, then in a locked file."""

    def __init__(self) -> None:
        self.bytes = 0
        self.content = bytearray()
        self.descriptor: int | None = None


class Pieces(Iterator[bytes]):
    """The pieces of an open file; closes it at the end, or when the iterator is deleted."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    def __next__(self) -> bytes:
        piece = os.read(self._descriptor, PIECE_BYTES) if self._descriptor is not None else b""
        if not piece:
            self.close()
            raise StopIteration
        return piece

    def close(self) -> None:
        """Close the file, if it is open."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def __del__(self) -> None:
        self.close()


class Uploads:
    """The folder of payloads."""

    def __init__(self, folder: Path, *, small_bytes: int, note_full: Callable[[], None] = lambda: None) -> None:
        """Open nothing yet. `note_full` is called when a write fails for lack of space."""
        self._folder = folder
        self._small_bytes = small_bytes
        self._note_full = note_full
        self._open: dict[tuple[str, str], Upload] = {}
        self._watched: dict[str, tuple[int, float]] = {}
        """Locked files that no round uses: size, and since when it has been that."""

    def create(self) -> None:
        """Create the folder."""
        self._folder.mkdir(mode=FOLDER_MODE, exist_ok=True)

    def append(self, merchant: str, name: str, piece: bytes) -> None:
        """Append bytes to an upload. Raises StoreFullError."""
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
                upload.descriptor = self._create(name)
            _write(upload.descriptor, piece)
        except OSError as fault:
            self.discard(merchant, name)
            if is_full(fault):
                self._note_full()
            raise _translate(fault) from fault

    def discard(self, merchant: str, name: str) -> None:
        """Delete an upload, if it exists."""
        upload = self._open.pop((merchant, name), None)
        if upload is not None and upload.descriptor is not None:
            with suppress(FileNotFoundError):
                os.unlink(self._folder / name)
            os.close(upload.descriptor)

    def sync(self, merchant: str, name: str) -> tuple[int, bytes | None]:
        """Make an upload durable; return its length, and its content if small. Raises StoreError, StoreFullError."""
        upload = self._open.get((merchant, name))
        if upload is None:
            raise StoreError("there is no such upload")
        if upload.descriptor is None:
            return upload.bytes, bytes(upload.content)
        if not _is_at(upload.descriptor, self._folder / name):
            raise StoreBusyError("the upload was idle too long and was removed")
        try:
            os.fsync(upload.descriptor)
            sync_folder(self._folder)
        except OSError as fault:
            if is_full(fault):
                self._note_full()
            raise _translate(fault) from fault
        return upload.bytes, None

    def keep(self, merchant: str, name: str) -> None:
        """Keep the file of an upload: a round now uses it."""
        upload = self._open.pop((merchant, name), None)
        if upload is not None and upload.descriptor is not None:
            os.close(upload.descriptor)

    @_translate_errors()
    def read(self, name: str, size: int) -> Iterator[bytes] | None:
        """Return the pieces of a file, None if it is gone or not `size` bytes long.

        It may be removed while it is read.
        """
        try:
            descriptor = os.open(self._folder / name, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        if os.fstat(descriptor).st_size != size:
            os.close(descriptor)
            return None
        return Pieces(descriptor)

    @_translate_errors()
    def size(self, name: str) -> int | None:
        """Return the length of a file, None if it is gone."""
        try:
            return os.stat(self._folder / name).st_size
        except FileNotFoundError:
            return None

    def copy(self, name: str, to: Path) -> bool:
        """Copy a file and sync the copy; return False if the file is gone."""
        try:
            source = (self._folder / name).open("rb")
        except FileNotFoundError:
            return False
        with source, open(to, "xb", opener=_open_private) as target:
            shutil.copyfileobj(source, target, PIECE_BYTES)
            target.flush()
            os.fsync(target.fileno())
        return True

    @_translate_errors()
    def remove(self, name: str) -> None:
        """Remove a file that no round uses any more."""
        with suppress(FileNotFoundError):
            os.unlink(self._folder / name)

    @_translate_errors()
    def remove_orphans(self, is_used: Callable[[str], bool], *, limit: int) -> int:
        """Remove files that no round uses and no living process writes; return their number."""
        removed = 0
        watched, self._watched = self._watched, {}
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if removed >= limit:
                    break
                removed += self._remove_if_orphan(entry.name, is_used, watched.get(entry.name))
        return removed

    def _remove_if_orphan(self, name: str, is_used: Callable[[str], bool], before: tuple[int, float] | None) -> bool:
        if is_used(name):
            return False
        try:
            descriptor = os.open(self._folder / name, os.O_RDWR | os.O_CLOEXEC)
        except (FileNotFoundError, IsADirectoryError):
            return False
        try:
            size, now = os.fstat(descriptor).st_size, time.monotonic()
            since = before[1] if before is not None and before[0] == size else now
            # Checked again behind the lock: a batch may have taken the file, and unlocked it, in between.
            if (not _lock(descriptor) and now - since <= IDLE_SECONDS) or is_used(name):
                self._watched[name] = (size, since)
                return False
            self.remove(name)
            return True
        finally:
            os.close(descriptor)

    @_translate_errors()
    def bytes_on_disk(self) -> int:
        """Return the size of all payload files."""
        total = 0
        with os.scandir(self._folder) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    total += entry.stat().st_size
        return total

    def close(self) -> None:
        """Delete uploads that no batch has taken."""
        for merchant, name in list(self._open):
            self.discard(merchant, name)

    def can_grow(self) -> bool:
        """Return whether the disk takes another megabyte; quotas count, too."""
        probe = self._folder / f".{new_id()}"
        try:
            descriptor = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
            try:
                os.posix_fallocate(descriptor, 0, PIECE_BYTES)
            finally:
                os.unlink(probe)
                os.close(descriptor)
        except OSError:
            return False
        return True

    def _create(self, name: str) -> int:
        """Create and lock a file; once more if a sweep took it for an orphan in between."""
        path = self._folder / name
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if _is_at(descriptor, path):
                return descriptor
            os.close(descriptor)


def _lock(descriptor: int) -> bool:
    """Lock a file unless another process has locked it; return whether it is locked now."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    """Return whether the open file is still the one at the path."""
    try:
        there = os.stat(path)
    except FileNotFoundError:
        return False
    mine = os.fstat(descriptor)
    return (there.st_dev, there.st_ino) == (mine.st_dev, mine.st_ino)


def _open_private(path: str, flags: int) -> int:
    """Open a new file that only this user can read."""
    return os.open(path, flags, FILE_MODE)


def _write(descriptor: int, piece: bytes) -> None:
    rest = memoryview(piece)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def sync_folder(folder: Path) -> None:
    """Make created, renamed and removed files of a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
