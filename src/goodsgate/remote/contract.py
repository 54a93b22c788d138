"""What can be done with files of others, and what can go wrong."""

from collections.abc import Generator, Iterable
from datetime import datetime
from pathlib import Path
from typing import Protocol, Self

import msgspec

PIECE_BYTES = 1024**2
"""Bytes that are read or written at once, at most."""
FILES_MAX = 10_000
"""Files of one folder that are looked at; a larger folder is refused."""


class RemoteError(Exception):
    """A file could not be listed, read, written or moved; `final` if another attempt cannot succeed as things are.

    The reason is fit for the owner of the address, and has no credential.
    """

    def __init__(self, reason: str, *, final: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.final = final


class FileChangedError(RemoteError):
    """A file is not the one that was listed any more: what was read of it counts for nothing."""


class HostKeyError(RemoteError):
    """The host has another key than the one that is pinned, or none is pinned; `fingerprint` is that of its key."""

    def __init__(self, reason: str, fingerprint: str) -> None:
        super().__init__(reason, final=True)
        self.fingerprint = fingerprint


class RemoteSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the operator allows, and how long to wait."""

    hosts: frozenset[str] = frozenset()
    """Hosts that may be called; ``*.host`` allows every subdomain, ``*`` every host."""
    allow_private: bool = False
    """Whether hosts may have private addresses."""
    allow_http: bool = False
    """Whether files may be read without TLS."""
    folders: tuple[Path, ...] = ()
    """Folders below which files may be."""
    connect_seconds: float = 15.0
    idle_seconds: float = 60.0
    """Time in which the next bytes must arrive."""


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """How to get in: what a place asks for, besides its address. Never shown in messages."""

    username: str = ""
    """Of SFTP and HTTP; the id of the access key for S3."""
    password: str = ""
    """Of SFTP and HTTP; the secret of the access key for S3."""
    private_key: str = ""
    """Of SFTP, as in a file of OpenSSH."""
    passphrase: str = ""
    """Of the private key."""
    token: str = ""
    """A bearer token for HTTP; the session token for S3."""
    host_key: str = ""
    """Fingerprint (``SHA256:…``) of the key that the SFTP host must have."""
    endpoint: str = ""
    """Address of an S3-compatible service; empty: that of Amazon."""
    region: str = ""
    """Of S3; empty: us-east-1."""


class RemoteFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that exists."""

    name: str
    """Within the folder of the address."""
    size: int | None = None
    """In bytes; None if the place does not say."""
    modified_at: datetime | None = None
    etag: str = ""

    @property
    def version(self) -> str:
        """What changes whenever the content does, as far as the place says; empty if it says nothing."""
        if self.etag:
            return self.etag
        if self.modified_at is None:
            return ""
        return f"{'' if self.size is None else self.size}@{self.modified_at.isoformat()}"


class RemotePlace(Protocol):
    """An open place; to be used with `with`, by one thread. Every method raises RemoteError."""

    def __enter__(self) -> Self:
        """Connect."""

    def __exit__(self, *_: object) -> None:
        """Disconnect."""

    def files(self) -> list[RemoteFile]:
        """Return the files that the address means, the newest first; a single file that is missing is an error."""

    def read(self, file: RemoteFile, *, offset: int = 0) -> Generator[bytes, None, None]:
        """Yield the bytes of a file from an offset on, in pieces of at most `PIECE_BYTES`.

        Close the generator before the place, if it is not read to its end.
        Raises RemoteError if the file is not the one that was listed any more, or ends early.
        """

    def write(self, name: str, pieces: Iterable[bytes]) -> None:
        """Write a file of the folder: under another name first, so that nobody sees a part of it."""

    def move(self, name: str, to: str) -> None:
        """Move a file to a path within the folder; folders in between are created. A file that is there is replaced."""

    def delete(self, name: str) -> None:
        """Delete a file of the folder, if it exists."""


def newest_first(files: Iterable[RemoteFile]) -> list[RemoteFile]:
    """Return files by age, and by name where that is equal or unknown. Raises RemoteError if there are too many."""
    found = sorted(files, key=lambda file: file.name, reverse=True)
    if len(found) > FILES_MAX:
        raise RemoteError(f"The folder has more than {FILES_MAX:,} files; use a narrower pattern.", final=True)
    return sorted(found, key=lambda file: -file.modified_at.timestamp() if file.modified_at else 0.0)


def check_name(name: str) -> None:
    """Raise RemoteError for a path that leads out of the folder."""
    parts = name.split("/")
    if not name or "\0" in name or any(part in ("", ".", "..") for part in parts):
        raise RemoteError(f"{name!r} is no path within the folder.", final=True)


def changed(file: RemoteFile) -> FileChangedError:
    """Return the error of a file that is not the one that was listed."""
    return FileChangedError(f"The file {file.name} changed while it was read.")
