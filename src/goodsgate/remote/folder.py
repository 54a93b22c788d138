"""Files of this machine, or of a file system that it has mounted."""

import os
import secrets
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from stat import S_ISREG
from typing import Self

from goodsgate.remote.addresses import RemoteAddress
from goodsgate.remote.contract import (
    PIECE_BYTES,
    RemoteError,
    RemoteFile,
    RemoteSettings,
    changed,
    check_name,
    newest_first,
)


class LocalFolder:
    """A folder below one that the operator allows; links that lead out of those are not followed."""

    def __init__(self, address: RemoteAddress, settings: RemoteSettings) -> None:
        self._address = address
        self._folder = Path(address.folder)
        self._allowed = settings.folders

    def __enter__(self) -> Self:
        check_folder(self._folder, self._allowed)
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is open."""

    def files(self) -> list[RemoteFile]:
        """Return the files that the address means."""
        if not self._address.is_folder:
            with _remote_errors():
                return [self._file(self._address.name, self._path(self._address.name).stat())]
        with _remote_errors(), os.scandir(self._folder) as entries:
            names = [entry.name for entry in entries if self._address.accepts(entry.name) and entry.is_file()]
        found = []
        for name in names:
            with _remote_errors():
                found.append(self._file(name, self._path(name).stat()))
        return newest_first(found)

    def read(self, file: RemoteFile, *, offset: int = 0) -> Generator[bytes, None, None]:
        """Yield the bytes of a file."""
        with _remote_errors(), self._path(file.name).open("rb") as stream:
            if self._file(file.name, os.fstat(stream.fileno())) != file:
                raise changed(file)
            stream.seek(offset)
            while piece := stream.read(PIECE_BYTES):
                yield piece
            if self._file(file.name, os.fstat(stream.fileno())) != file:
                raise changed(file)

    def write(self, name: str, pieces: Iterable[bytes]) -> None:
        """Write a file: under another name, synced, and then renamed."""
        target = self._path(name)
        part = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
        with _remote_errors():
            try:
                with part.open("wb") as stream:
                    for piece in pieces:
                        stream.write(piece)
                    stream.flush()
                    os.fsync(stream.fileno())
                part.replace(target)
            except BaseException:
                part.unlink(missing_ok=True)
                raise
            _sync_folder(target.parent)

    def move(self, name: str, to: str) -> None:
        """Move a file within the folder."""
        source, target = self._path(name), self._path(to)
        with _remote_errors():
            target.parent.mkdir(parents=True, exist_ok=True)
            check_folder(target.parent, self._allowed)
            source.replace(target)
            _sync_folder(target.parent)

    def delete(self, name: str) -> None:
        """Delete a file."""
        with _remote_errors():
            self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        check_name(name)
        path = self._folder / name
        if path.is_symlink():
            check_folder(path.resolve().parent, self._allowed)
        return path

    @staticmethod
    def _file(name: str, status: os.stat_result) -> RemoteFile:
        if not S_ISREG(status.st_mode):
            raise RemoteError(f"{name} is not a file.", final=True)
        modified_at = datetime.fromtimestamp(status.st_mtime_ns // 1000 / 1e6, UTC)
        return RemoteFile(name=name, size=status.st_size, modified_at=modified_at)


def check_folder(folder: Path, allowed: tuple[Path, ...]) -> None:
    """Raise RemoteError unless a folder is one of those allowed, or below one."""
    real = Path(os.path.realpath(folder))
    if not any(real.is_relative_to(os.path.realpath(each)) for each in allowed):
        raise RemoteError(f"The folder {folder} is not allowed (setting feed_folders).", final=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _remote_errors() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as fault:
        raise RemoteError(f"There is no {fault.filename}.") from fault
    except OSError as fault:
        raise RemoteError(f"{fault.filename or 'The file'}: {fault.strerror or fault}.") from fault
