"""Pieces of payloads as objects in a folder or a bucket, which the setting ``payloads`` names.

A row without bytes names each object and is on disk before the object is put. So no object is unknown: what no batch
took, the sweep finds by its upload.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from goodsgate.store.contract import StoreBusyError, StoreError
from goodsgate.store.objects import OWNER, Objects

PAUSE_SECONDS = 2.0
"""After a failure, all are refused at once for so long: threads that wait for the storage are missing elsewhere."""
NOT_SET = "payloads are in a storage that the setting payloads named; set it again until their batches are deleted"


class PayloadObjects:
    """The storage of payloads; any number of threads may use it."""

    def __init__(self, open_objects: Callable[[], Objects] | None) -> None:
        """Open nothing yet; without `open_objects`, new payloads are rows."""
        self._open_objects = open_objects
        self._objects: Objects | None = None
        self._lock = threading.Lock()
        self._failed_at = 0.0
        self.fault = ""
        """Why the last use failed; empty if it did not."""

    @property
    def is_used(self) -> bool:
        """Whether the pieces of new payloads are put there."""
        return self._open_objects is not None

    def put(self, merchant: int, upload: str, piece: int, content: bytes) -> None:
        """Store a piece, durable on return. Raises StoreBusyError."""
        with self._storage() as objects:
            objects.put(_path(merchant, upload, piece), content)

    def get(self, merchant: int, upload: str, piece: int) -> bytes:
        """Return a piece. Raises StoreBusyError, also if it is missing: nothing is lost by waiting."""
        path = _path(merchant, upload, piece)
        with self._storage() as objects:
            pieces = objects.get(path)
            content = b"".join(pieces) if pieces is not None else None
            if content is None:
                _check_mark(objects)
        if content is None:
            raise StoreBusyError(f"{path} is missing in the storage of payloads; restore it, or cancel the batch")
        return content

    def delete(self, merchant: int, upload: str, pieces: Sequence[int]) -> None:
        """Delete pieces, if they exist. Raises StoreBusyError."""
        if pieces:
            with self._storage() as objects:
                for piece in pieces:
                    objects.delete(_path(merchant, upload, piece))
                objects.remove_folder(f"{merchant}/{upload}")

    def check(self) -> None:
        """Look at the storage. Raises StoreBusyError if it cannot be used."""
        with self._storage() as objects:
            _check_mark(objects)

    @contextmanager
    def _storage(self) -> Iterator[Objects]:
        if self._open_objects is None:
            raise StoreBusyError(NOT_SET)
        if self.fault and time.monotonic() - self._failed_at < PAUSE_SECONDS:
            raise StoreBusyError(self.fault)
        try:
            with self._lock:
                if self._objects is None:
                    self._objects = self._open_objects()
                objects = self._objects
            yield objects
        except StoreError as fault:
            self.fault, self._failed_at = f"payloads cannot be stored or read: {fault}", time.monotonic()
            raise StoreBusyError(self.fault) from fault
        self.fault = ""


def _check_mark(objects: Objects) -> None:
    if not objects.has(OWNER):
        raise StoreError(f"{OWNER} is missing; mount the folder, or correct the setting payloads")


def _path(merchant: int, upload: str, piece: int) -> str:
    return f"{merchant}/{upload}/{piece:06}"
