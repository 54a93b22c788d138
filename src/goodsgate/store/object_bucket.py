"""Objects in S3-compatible storage."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import S3Store

PIECE_BYTES = 1024**2
"""Bytes that are read at once."""
RETRIES_MAX = 2
"""Retries of one call; callers have their own back-off."""
RETRY_TIMEOUT = timedelta(seconds=10)
"""For all tries of one call together."""
SIGNED_SECONDS_MAX = 7 * 24 * 3600
"""The longest validity of a signed link that S3 allows."""


class ObjectBucket:
    """Objects below ``s3://bucket/prefix``; errors of the storage are raised as those of files."""

    def __init__(self, address: str) -> None:
        """Open a bucket. Raises OSError, ValueError."""
        if not address.startswith("s3://"):
            raise ValueError("neither a folder nor s3://bucket/prefix")
        plain = os.environ.get("AWS_ENDPOINT_URL", os.environ.get("AWS_ENDPOINT", "")).startswith("http://")
        with _file_errors():
            self._store = S3Store.from_url(
                address, client_options={"allow_http": plain, "timeout": "60s", "connect_timeout": "5s"},
                retry_config={"max_retries": RETRIES_MAX, "retry_timeout": RETRY_TIMEOUT},
            )

    def put(self, path: str, pieces: Iterable[bytes], *, media_type: str) -> None:
        """Store pieces under a path. Raises OSError."""
        whole = isinstance(pieces, list)  # it goes in one request, of which an interruption leaves nothing
        with _file_errors():
            obstore.put(
                self._store, path, b"".join(pieces) if whole else iter(pieces),
                attributes={"Content-Type": media_type}, use_multipart=False if whole else None,
            )

    def get(self, path: str) -> Iterator[bytes]:
        """Return the pieces of an object. Raises FileNotFoundError, OSError."""
        with _file_errors():
            return _read(obstore.get(self._store, path))

    def has(self, path: str) -> bool:
        """Return whether an object exists. Raises OSError."""
        with _file_errors():
            try:
                obstore.head(self._store, path)
            except FileNotFoundError:
                return False
        return True

    def delete(self, path: str) -> None:
        """Delete an object, if it exists. Raises OSError."""
        with _file_errors():
            try:
                obstore.delete(self._store, path)
            except FileNotFoundError:
                return

    def remove_folder(self, path: str) -> None:
        """Do nothing: a bucket has no folders, and what was not written whole is not there."""

    def sign(self, path: str, seconds: float) -> str:
        """Return a link that lets anyone read the object for some seconds. Raises OSError."""
        with _file_errors():
            return obstore.sign(self._store, "GET", path, timedelta(seconds=min(seconds, SIGNED_SECONDS_MAX)))


def _read(result: "obstore.GetResult") -> Iterator[bytes]:
    with _file_errors():
        for piece in result.stream(PIECE_BYTES):
            yield bytes(piece)


@contextmanager
def _file_errors() -> Iterator[None]:
    try:
        yield
    except (PermissionDeniedError, UnauthenticatedError) as fault:
        raise PermissionError(str(fault)) from fault
    except BaseError as fault:
        raise OSError(str(fault)) from fault
