"""Objects: bytes under a path, in a folder of this machine or in S3-compatible storage.

Protocols store reports, exports and images there, which nobody queries. ``s3://bucket/prefix`` takes its credentials,
region and endpoint from the usual places (``AWS_ACCESS_KEY_ID``, ``AWS_REGION``,
``AWS_ENDPOINT_URL``, instance roles …). Any number of threads may use one `Objects`.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import LocalStore, S3Store

from goodsgate.store.contract.errors import StoreBusyError, StoreError

PIECE_BYTES = 1024**2
"""Bytes that are read at once."""
RETRIES_MAX = 2
"""Retries of one call to S3; callers have their own back-off."""
RETRY_TIMEOUT = timedelta(seconds=10)
"""For all tries of one call together."""
OWNER = "goodsgate-store"
"""Object with the id of the store that the objects beside it belong to."""
SIGNED_SECONDS_MAX = 7 * 24 * 3600
"""The longest validity of a signed link that S3 allows."""


class Objects:
    """Objects in one folder or bucket."""

    def __init__(self, address: str) -> None:
        """Open a folder, which is created if needed, or ``s3://bucket/prefix``. Raises StoreError."""
        self.folder = None if "://" in address else Path(address).absolute()
        try:
            self._store: LocalStore | S3Store = _bucket(address) if self.folder is None else _folder(self.folder)
        except (BaseError, OSError, ValueError) as fault:
            raise StoreError(f"{address} cannot store objects: {_first_line(fault)}") from fault

    def put(self, path: str, content: bytes | Iterable[bytes], *, media_type: str = "application/octet-stream") -> None:
        """Store bytes under a path (``a/b.json``) and replace what was there; durable on return.

        If the pieces raise an exception, the old object stays. Raises StoreBusyError, StoreError.
        """
        data = content if isinstance(content, bytes) else iter(content)
        with _translate_errors(path):
            if isinstance(self._store, S3Store):
                obstore.put(self._store, path, data, attributes={"Content-Type": media_type})
                return
            obstore.put(self._store, path, data)
            assert self.folder is not None
            _sync(self.folder, path)

    def get(self, path: str) -> Iterator[bytes] | None:
        """Return an object in pieces of about 1 MiB; None if it does not exist. Raises StoreBusyError, StoreError."""
        with _translate_errors(path):
            try:
                found = obstore.get(self._store, path)
            except FileNotFoundError:
                return None
        return _pieces(path, found)

    def has(self, path: str) -> bool:
        """Return whether an object exists. Raises StoreBusyError, StoreError."""
        with _translate_errors(path):
            try:
                obstore.head(self._store, path)
            except FileNotFoundError:
                return False
        return True

    def delete(self, path: str) -> None:
        """Delete an object, if it exists. Raises StoreBusyError, StoreError."""
        with _translate_errors(path):
            try:
                obstore.delete(self._store, path)
            except FileNotFoundError:
                return

    def sign(self, path: str, seconds: float) -> str | None:
        """Return a link that lets anyone read the object for some seconds, at most seven days.

        Returns None for a folder, whose objects the caller has to serve itself.
        """
        if not isinstance(self._store, S3Store):
            return None
        with _translate_errors(path):
            return obstore.sign(self._store, "GET", path, timedelta(seconds=min(seconds, SIGNED_SECONDS_MAX)))


def open_objects(address: str, *, store: str, name: str, owner: Callable[[], str]) -> Objects:
    """Open the objects at an address, or in the folder `name` of an embedded store, and mark them as those of `owner`.

    `store` is the address of the store, and `name` the setting, too. Raises StoreError if the objects are those of
    another store, or if the store is a server and the setting is empty, because other hosts would not have a folder of
    this machine.
    """
    if not address and "://" in store:
        required = "a folder that every host of the gate reaches, or s3://bucket/prefix"
        raise StoreError(f"the store is a server, so the setting {name} must name {required}")
    place = address or str(Path(store) / name)
    objects = Objects(place)
    own = owner().encode()
    found = objects.get(OWNER)
    if found is None:
        objects.put(OWNER, own, media_type="text/plain")
    elif b"".join(found) != own:
        raise StoreError(
            f"{place} has the {name} of another store; let the setting {name} name a folder or prefix of its own, or "
            f"delete {OWNER} there if that store is gone"
        )
    return objects


def owner_of(secret: bytes) -> str:
    """Return the public id of a store that has this secret for it."""
    return hashlib.sha256(b"owner of objects\0" + secret).hexdigest()[:32]


def _bucket(address: str) -> S3Store:
    if not address.startswith("s3://"):
        raise ValueError("neither a folder nor s3://bucket/prefix")
    plain = os.environ.get("AWS_ENDPOINT_URL", os.environ.get("AWS_ENDPOINT", "")).startswith("http://")
    return S3Store.from_url(
        address, client_options={"allow_http": plain, "timeout": "60s", "connect_timeout": "5s"},
        retry_config={"max_retries": RETRIES_MAX, "retry_timeout": RETRY_TIMEOUT},
    )


def _folder(folder: Path) -> LocalStore:
    folder.mkdir(parents=True, exist_ok=True)
    return LocalStore(prefix=folder)


def _sync(folder: Path, path: str) -> None:
    """Sync the file and its folders: a rename is not durable before."""
    at = folder / path
    while True:
        descriptor = os.open(at, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if at == folder:
            return
        at = at.parent


def _pieces(path: str, found: "obstore.GetResult") -> Iterator[bytes]:
    with _translate_errors(path):
        for piece in found.stream(PIECE_BYTES):
            yield bytes(piece)


@contextmanager
def _translate_errors(path: str) -> Iterator[None]:
    """Translate errors of the storage to those of a store."""
    try:
        yield
    except (PermissionDeniedError, UnauthenticatedError) as fault:
        raise StoreError(f"the storage of {path} denies access: {_first_line(fault)}") from fault
    except (BaseError, OSError) as fault:
        raise StoreBusyError(f"the storage of {path} is unavailable: {_first_line(fault)}") from fault


def _first_line(fault: Exception) -> str:
    return str(fault).partition("\n")[0]
