"""Objects in a folder of this machine."""

import errno
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from uuid import uuid4

PIECE_BYTES = 1024**2
"""Bytes that are read at once."""


class ObjectFolder:
    """Objects as files; an object is replaced as a whole and is durable when it was put."""

    def __init__(self, folder: Path) -> None:
        """Create the folder if need be. Raises OSError."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder

    def put(self, path: str, pieces: Iterable[bytes], *, media_type: str) -> None:  # noqa: ARG002 - files have no type
        """Store pieces under a path. Raises OSError."""
        at = self._file(path)
        at.parent.mkdir(parents=True, exist_ok=True)
        part = at.with_name(f".{uuid4().hex}.part")
        try:
            with part.open("xb") as file:
                file.writelines(pieces)
                file.flush()
                os.fsync(file.fileno())
            part.replace(at)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        self._sync_folders(at)

    def get(self, path: str) -> Iterator[bytes]:
        """Return the pieces of an object. Raises FileNotFoundError, OSError."""
        at = self._file(path)
        if not at.is_file():
            raise FileNotFoundError(path)
        return _read(at)

    def has(self, path: str) -> bool:
        """Return whether an object exists. Raises OSError."""
        return self._file(path).is_file()

    def delete(self, path: str) -> None:
        """Delete an object, if it exists. Raises OSError."""
        self._file(path).unlink(missing_ok=True)

    def remove_folder(self, path: str) -> None:
        """Remove a folder unless there are objects in it, and what interrupted writers left there. Raises OSError."""
        at = self._file(path)
        for part in at.glob(".*.part"):
            part.unlink(missing_ok=True)
        try:
            at.rmdir()
        except OSError as fault:
            if fault.errno not in (errno.ENOENT, errno.ENOTEMPTY):
                raise

    def sign(self, path: str, seconds: float) -> None:
        """Return None: the caller has to serve the object itself."""

    def _file(self, path: str) -> Path:
        if any(part in ("", ".", "..") for part in path.split("/")):
            raise ValueError(f"the path {path!r} leads out of the folder or is not normalized")
        return self._folder / path

    def _sync_folders(self, at: Path) -> None:
        """Sync the folders of a file: a rename is not durable before."""
        while at != self._folder:
            at = at.parent
            descriptor = os.open(at, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def _read(at: Path) -> Iterator[bytes]:
    with at.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            yield piece
