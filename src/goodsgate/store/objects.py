"""Objects: bytes under a path, in a folder of this machine or in S3-compatible storage.

What a protocol keeps beside the store (reports, exports, images) and nobody asks questions of. ``s3://bucket/prefix``
takes its credentials, region and endpoint from the usual places (``AWS_ACCESS_KEY_ID``, ``AWS_REGION``,
``AWS_ENDPOINT_URL``, instance roles …). Any number of threads may use one `Objects`.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import LocalStore, S3Store

from goodsgate.store.errors import StoreBusyError, StoreError

PIECE_BYTES = 1024**2
"""Of what is read, at once."""
RETRIES_MAX = 2
"""Of one call to S3; whoever calls has a back-off of its own."""
PATIENCE = timedelta(seconds=10)
"""For all tries of one call together."""
SIGNED_SECONDS_MAX = 7 * 24 * 3600
"""How long a signed link may be good, as S3 has it."""


class Objects:
    """One folder or bucket."""

    def __init__(self, address: str) -> None:
        """A folder, which is made if it is not there, or ``s3://bucket/prefix``; raises StoreError."""
        self.folder = None if "://" in address else Path(address).absolute()
        try:
            self._store: LocalStore | S3Store = _bucket(address) if self.folder is None else _folder(self.folder)
        except (BaseError, OSError, ValueError) as fault:
            raise StoreError(f"{address} cannot keep objects: {_first_line(fault)}") from fault

    def put(self, path: str, content: bytes | Iterable[bytes], *, media_type: str = "application/octet-stream") -> None:
        """Keep bytes under a path (``a/b.json``), in place of what was there; durable on return.

        Pieces that end with an exception leave what was there as it was. Raises StoreBusyError, StoreError.
        """
        given = content if isinstance(content, bytes) else iter(content)
        with _worded(path):
            if isinstance(self._store, S3Store):
                obstore.put(self._store, path, given, attributes={"Content-Type": media_type})
                return
            obstore.put(self._store, path, given)
            assert self.folder is not None
            _sync(self.folder, path)

    def get(self, path: str) -> Iterator[bytes] | None:
        """What is kept, in pieces of about 1 MiB; None if there is nothing. Raises StoreBusyError, StoreError."""
        with _worded(path):
            try:
                found = obstore.get(self._store, path)
            except FileNotFoundError:
                return None
        return _pieces(path, found)

    def has(self, path: str) -> bool:
        """Whether anything is kept under the path. Raises StoreBusyError, StoreError."""
        with _worded(path):
            try:
                obstore.head(self._store, path)
            except FileNotFoundError:
                return False
        return True

    def delete(self, path: str) -> None:
        """Keep nothing under the path any more; no matter if there was nothing. Raises StoreBusyError, StoreError."""
        with _worded(path):
            try:
                obstore.delete(self._store, path)
            except FileNotFoundError:
                return

    def sign(self, path: str, seconds: float) -> str | None:
        """A link by which whoever has it may read the object for so long, at most seven days.

        None for a folder: its owner has to hand it out itself.
        """
        if not isinstance(self._store, S3Store):
            return None
        with _worded(path):
            return obstore.sign(self._store, "GET", path, timedelta(seconds=min(seconds, SIGNED_SECONDS_MAX)))


def open_objects(given: str, *, store: str, name: str, setting: str) -> Objects:
    """The place that a setting gives, else the folder `name` inside that of an embedded store.

    `store` is the address of the store. Raises StoreError where it is a server and the setting is empty: no folder of
    this machine would be there for the other hosts.
    """
    if given:
        return Objects(given)
    if "://" in store:
        told = "a folder that every host of the gate reaches, or s3://bucket/prefix"
        raise StoreError(f"the store is a server, so the setting {setting} must name {told}")
    return Objects(str(Path(store) / name))


def _bucket(address: str) -> S3Store:
    if not address.startswith("s3://"):
        raise ValueError("neither a folder nor s3://bucket/prefix")
    plain = os.environ.get("AWS_ENDPOINT_URL", os.environ.get("AWS_ENDPOINT", "")).startswith("http://")
    return S3Store.from_url(
        address, client_options={"allow_http": plain, "timeout": "60s", "connect_timeout": "5s"},
        retry_config={"max_retries": RETRIES_MAX, "retry_timeout": PATIENCE},
    )


def _folder(folder: Path) -> LocalStore:
    folder.mkdir(parents=True, exist_ok=True)
    return LocalStore(prefix=folder)


def _sync(folder: Path, path: str) -> None:
    """A rename is not durable before the file and its folders are."""
    at = folder / path
    while True:
        opened = os.open(at, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
        if at == folder:
            return
        at = at.parent


def _pieces(path: str, found: "obstore.GetResult") -> Iterator[bytes]:
    with _worded(path):
        for piece in found.stream(PIECE_BYTES):
            yield bytes(piece)


@contextmanager
def _worded(path: str) -> Iterator[None]:
    """What the storage raises, as a store's errors."""
    try:
        yield
    except (PermissionDeniedError, UnauthenticatedError) as fault:
        raise StoreError(f"the storage of {path} refuses: {_first_line(fault)}") from fault
    except (BaseError, OSError) as fault:
        raise StoreBusyError(f"the storage of {path} is busy or away: {_first_line(fault)}") from fault


def _first_line(fault: Exception) -> str:
    return str(fault).partition("\n")[0]
