"""Objects: bytes under a path, in a folder of this machine or in S3-compatible storage.

Protocols store reports, exports and images there, which nobody queries. ``s3://bucket/prefix`` takes its credentials,
region and endpoint from the usual places (``AWS_ACCESS_KEY_ID``, ``AWS_REGION``,
``AWS_ENDPOINT_URL``, instance roles …). Any number of threads may use one `Objects`.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from goodsgate.model.extras import ExtraMissingError, needed_extra
from goodsgate.store.contract.errors import StoreBusyError, StoreError
from goodsgate.store.object_folder import ObjectFolder

OWNER = "goodsgate-store"
"""Object with the id of the store that the objects beside it belong to."""


class ObjectPlace(Protocol):
    """Where objects are."""

    def put(self, path: str, pieces: Iterable[bytes], *, media_type: str) -> None:
        """Store pieces under a path and replace what was there, as a whole and durably. Raises OSError."""

    def get(self, path: str) -> Iterator[bytes]:
        """Return the pieces of an object. Raises FileNotFoundError, OSError."""

    def has(self, path: str) -> bool:
        """Return whether an object exists. Raises OSError."""

    def delete(self, path: str) -> None:
        """Delete an object, if it exists. Raises OSError."""

    def remove_folder(self, path: str) -> None:
        """Remove a folder without objects, and what interrupted writers left in it. Raises OSError."""

    def sign(self, path: str, seconds: float) -> str | None:
        """Return a link to the object, or None if there is none. Raises OSError."""


class Objects:
    """Objects in one folder or bucket."""

    def __init__(self, address: str) -> None:
        """Open a folder, which is created if needed, or ``s3://bucket/prefix``. Raises StoreError."""
        self.folder = None if "://" in address else Path(address).absolute()
        try:
            self._place: ObjectPlace = _open_bucket(address) if self.folder is None else ObjectFolder(self.folder)
        except (OSError, ValueError, ExtraMissingError) as fault:
            raise StoreError(f"{address} cannot store objects: {_first_line(fault)}") from fault

    def put(self, path: str, content: bytes | Iterable[bytes], *, media_type: str = "application/octet-stream") -> None:
        """Store bytes under a path (``a/b.json``) and replace what was there; durable on return.

        If the pieces raise an exception, the old object stays. Raises StoreBusyError, StoreError.
        """
        with _store_errors(path):
            self._place.put(path, [content] if isinstance(content, bytes) else content, media_type=media_type)

    def get(self, path: str) -> Iterator[bytes] | None:
        """Return an object in pieces of about 1 MiB; None if it does not exist. Raises StoreBusyError, StoreError."""
        with _store_errors(path):
            try:
                return _pieces(path, self._place.get(path))
            except FileNotFoundError:
                return None

    def has(self, path: str) -> bool:
        """Return whether an object exists. Raises StoreBusyError, StoreError."""
        with _store_errors(path):
            return self._place.has(path)

    def delete(self, path: str) -> None:
        """Delete an object, if it exists. Raises StoreBusyError, StoreError."""
        with _store_errors(path):
            self._place.delete(path)

    def remove_folder(self, path: str) -> None:
        """Remove a folder in which nobody writes any more, unless there are objects in it. Raises StoreBusyError."""
        with _store_errors(path):
            self._place.remove_folder(path)

    def sign(self, path: str, seconds: float) -> str | None:
        """Return a link that lets anyone read the object for some seconds, at most seven days.

        Returns None for a folder, whose objects the caller has to serve itself.
        """
        with _store_errors(path):
            return self._place.sign(path, seconds)


def open_objects(address: str, *, store: str, name: str, owner: Callable[[], str],
                 must_exist: bool = False) -> Objects:
    """Open the objects at an address, or in the folder `name` of an embedded store, and mark them as those of `owner`.

    With `must_exist` they were marked before, so that a place without a mark is the wrong one: a folder that is not
    mounted, for example. `store` is the address of the store, and `name` the setting, too.

    Raises StoreError if the objects are those of another store, or if the store is a server and the setting is empty,
    because other hosts would not have a folder of this machine.
    """
    if not address and "://" in store:
        required = "a folder that every host of the gate reaches, or s3://bucket/prefix"
        raise StoreError(f"the store is a server, so the setting {name} must name {required}")
    place = address or str(Path(store) / name)
    objects = Objects(place)
    own = owner().encode()
    found = objects.get(OWNER)
    if found is None and must_exist:
        raise StoreError(
            f"{place} has no {OWNER}, although {name} were stored before; mount the folder, or correct the setting "
            f"{name}; if they are to be given up, put an object {OWNER} with the text {own.decode()} there"
        )
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


def _open_bucket(address: str) -> ObjectPlace:
    with needed_extra("s3", "Storage in a bucket"):
        from goodsgate.store.object_bucket import ObjectBucket
    return ObjectBucket(address)


def _pieces(path: str, pieces: Iterator[bytes]) -> Iterator[bytes]:
    with _store_errors(path):
        yield from pieces


@contextmanager
def _store_errors(path: str) -> Iterator[None]:
    """Raise the errors of the storage as those of a store."""
    try:
        yield
    except PermissionError as fault:
        raise StoreError(f"the storage of {path} denies access: {_first_line(fault)}") from fault
    except OSError as fault:
        raise StoreBusyError(f"the storage of {path} is unavailable: {_first_line(fault)}") from fault


def _first_line(fault: Exception) -> str:
    return str(fault).partition("\n")[0]
