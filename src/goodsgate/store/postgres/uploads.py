"""Uploads: small ones in memory, larger ones piece by piece, as rows or as objects.

Pieces are compressed and sent while the next ones arrive; the next call raises what went wrong with one. Pieces are
committed without waiting for the disk; the transaction that uses the upload waits, and then everything before it is on
disk. A server that crashes in between may lose the last pieces, which is detected in the same way. Pieces are
compressed if that makes them smaller: they cross the network, the log and the table.

The storage of objects is no part of the database. So the row of a piece is on disk before its object is put, and the
batch is created behind the last object.
"""

import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress

import msgspec
import psycopg

from goodsgate.model import crash, zstd
from goodsgate.store.contract import StoreBusyError, StoreError
from goodsgate.store.postgres.payload_objects import PayloadObjects
from goodsgate.store.postgres.server import Server
from goodsgate.store.postgres.statements import PostgresStatements

PIECE_BYTES = 1024 * 1024
PIECE_BYTES_MAX = 2 * PIECE_BYTES
"""Pieces of a size between the two are stored as they come."""
SENDING_MAX = 2
PUTTING_MAX = 4
"""Pieces of one upload that are compressed or sent at once, as rows and as objects."""
ANY_TIME = 2**62
"""Later than any."""
GONE = "the upload was idle too long and was removed, or the server crashed and lost a part of it"
MISSES_OBJECTS = "a piece of the upload could not be stored"
PIECES_PER_QUERY = 4
"""Pieces that are fetched together."""
FETCHES_AHEAD = 4
"""Queries that run ahead of the reader."""
COMPRESSED_BYTES_MIN = 512
COMPRESSED_SHARE_MAX = 0.9
"""A piece that does not get smaller than this share is stored as it is, and so are the next ones."""


class Upload:
    """An upload: what is not sent yet, and how much was."""

    def __init__(self) -> None:
        self.content = bytearray()
        self.bytes = 0
        self.pieces = 0
        self.touched_at = 0
        """When the last piece was sent; different for each piece."""
        self.compresses = True
        self.misses_objects = False
        """Whether an object could not be put."""
        self.has_row: Future[None] | None = None
        """Done when the row of the last piece is stored; its object may not be."""
        self.sending: deque[Future[None]] = deque()
        """The last pieces; each waits for the row of the one before."""

    def wait(self, *, left: int = 0) -> None:
        """Wait until all pieces but `left` are stored. Raises what went wrong, once."""
        while len(self.sending) > left:
            self.sending.popleft().result()


class UploadRest(msgspec.Struct, frozen=True):
    """What the transaction that uses an upload needs to know of it."""

    bytes: int
    """Of the whole upload."""
    pieces: int
    """Of the whole upload, including the last one."""
    touched_at: int
    """When the last stored piece was sent; 0 if none was."""
    piece: dict[str, object]
    """The values of the last piece; its content is None if all pieces are stored."""


NO_REST = UploadRest(0, 0, 0, {})
"""For a round without a payload."""


class Uploads:
    """The uploads that this process receives."""

    def __init__(self, server: Server, objects: PayloadObjects, *, small_bytes: int, sending_max: int) -> None:
        """Send at most `sending_max` pieces at once, each on its own connection."""
        self._server = server
        self._objects = objects
        self._small_bytes = small_bytes
        self._senders = ThreadPoolExecutor(sending_max, "sending")
        self._fetchers = ThreadPoolExecutor(1, "fetching")
        self._packers = threading.local()
        self._open: dict[tuple[str, str], Upload] = {}

    def append(self, merchant: str, number: int, name: str, piece: bytes) -> None:
        """Append bytes. Raises StoreFullError, StoreBusyError, of this piece or one before it."""
        upload = self._open.setdefault((merchant, name), Upload())
        upload.bytes += len(piece)
        if not upload.content and upload.bytes > self._small_bytes and PIECE_BYTES <= len(piece) <= PIECE_BYTES_MAX:
            self._put(number, name, upload, piece)
            return
        upload.content += piece
        while upload.bytes > self._small_bytes and len(upload.content) >= PIECE_BYTES:
            content = bytes(memoryview(upload.content)[:PIECE_BYTES])
            del upload.content[:PIECE_BYTES]
            self._put(number, name, upload, content)

    def _put(self, number: int, name: str, upload: Upload, content: bytes) -> None:
        upload.wait(left=(PUTTING_MAX if self._objects.is_used else SENDING_MAX) - 1)
        before, upload.has_row = upload.has_row, Future()
        touched_at = max(self._server.now(), upload.touched_at + 1)
        at = {"merchant": number, "upload": name, "piece": upload.pieces}
        moved = {**at, "before": upload.touched_at, "now": touched_at}
        upload.sending.append(self._senders.submit(self._send, number, upload, before, upload.has_row, moved, content))
        upload.touched_at = touched_at
        upload.pieces += 1

    def _send(self, number: int, upload: Upload, before: Future[None] | None, has_row: Future[None],
              moved: dict[str, object], content: bytes) -> None:
        try:
            content = self._send_row(number, upload, before, moved, content)
        except BaseException as fault:
            has_row.set_exception(fault)
            raise
        has_row.set_result(None)
        if self._objects.is_used:
            crash.point("piece-noted")
            try:
                self._objects.put(number, str(moved["upload"]), int(str(moved["piece"])), content)
            except StoreError:
                upload.misses_objects = True
                raise
            crash.point("piece-stored")

    def _send_row(self, number: int, upload: Upload, before: Future[None] | None, moved: dict[str, object],
                  content: bytes) -> bytes:
        """Store the row of a piece; return its bytes, compressed if that makes them smaller."""
        is_packed, content = self._packed(upload, content)
        if before is not None:
            before.result()  # it was submitted earlier, so that a thread works on it
        is_object = self._objects.is_used
        row = {**moved, "packed": is_packed, "content": None if is_object else psycopg.Binary(content)}
        with self._server.transaction(number, lazy=not is_object) as db:
            if not db.change("touch_upload" if moved["piece"] else "add_upload", moved):
                raise StoreBusyError(GONE)
            db.change("add_payload", row)
        return content

    def rest(self, merchant: str, number: int, name: str) -> UploadRest:
        """Wait for the pieces being sent, and compress what is left.

        Called before the transaction that uses the upload. Raises as `append` does, and StoreError if there is no such
        upload.
        """
        upload = self._open.get((merchant, name))
        if upload is None:
            raise StoreError("there is no such upload")
        if self._objects.is_used and upload.content and upload.bytes > self._small_bytes:
            self._put(number, name, upload, bytes(upload.content))
            upload.content.clear()
        upload.wait()
        if upload.misses_objects:
            raise StoreBusyError(MISSES_OBJECTS)
        named = {"upload": name, "piece": upload.pieces}
        if not upload.content and upload.pieces:
            stored = {**named, "packed": False, "content": None}
            return UploadRest(upload.bytes, upload.pieces, upload.touched_at, stored)
        packed, content = self._packed(upload, bytes(upload.content))
        last = {**named, "packed": packed, "content": psycopg.Binary(content)}
        return UploadRest(upload.bytes, upload.pieces + 1, upload.touched_at, last)

    @staticmethod
    def take(db: PostgresStatements, number: int, rest: UploadRest) -> None:
        """Take an upload inside the transaction that uses it. Raises StoreBusyError if a piece was lost."""
        if rest.touched_at:
            taken = {"merchant": number, "upload": rest.piece["upload"], "touched_at": rest.touched_at}
            if not db.change("seal_upload", taken):
                raise StoreBusyError(GONE)

    def keep(self, merchant: str, name: str) -> None:
        """Keep an upload: a round now uses it."""
        self._open.pop((merchant, name), None)

    def discard(self, merchant: str, number: int, name: str) -> None:
        """Delete an upload, if it exists; what cannot be deleted now, the sweep deletes."""
        upload = self._open.pop((merchant, name), None)
        if upload is not None and upload.pieces:
            wait(upload.sending)
            gone = {"merchant": number, "upload": name}
            with suppress(StoreError), self._server.transaction(number, lazy=True) as db:
                if self._objects.is_used:
                    db.change("expire_upload", {**gone, "before": ANY_TIME})  # the sweep deletes the objects
                elif db.change("delete_upload", gone):  # not once a round uses it
                    db.change("delete_pieces", gone)

    def read(self, number: int, upload: str, pieces: int) -> Iterator[bytes]:
        """Return the pieces, of at most PIECE_BYTES_MAX each. Raises StoreError if they were swept meanwhile."""
        fetching: deque[Future[list[bytes]]] = deque()
        try:
            for first in range(0, pieces, PIECES_PER_QUERY):
                last = min(first + PIECES_PER_QUERY, pieces)
                fetching.append(self._fetchers.submit(self._fetch, number, upload, first, last))
                if len(fetching) > FETCHES_AHEAD:
                    yield from fetching.popleft().result()
            while fetching:
                yield from fetching.popleft().result()
        finally:
            for unread in fetching:
                unread.cancel()

    def _fetch(self, number: int, upload: str, first: int, last: int) -> list[bytes]:
        asked = {"merchant": number, "upload": upload, "first": first, "behind": last}
        with self._server.transaction(number) as db:
            rows = db.rows("payload_pieces", asked)
        if len(rows) != last - first:
            raise StoreError("the payload was deleted while it was read")
        pieces = []
        for piece, (packed, content) in enumerate(rows, first):
            stored = content if content is not None else self._objects.get(number, upload, piece)
            pieces.append(zstd.decompress(stored) if packed else stored)
        return pieces

    def close(self) -> None:
        """Forget uploads that no batch has taken; the sweep deletes their pieces."""
        self._senders.shutdown()
        self._fetchers.shutdown(cancel_futures=True)
        self._open.clear()

    def _packed(self, upload: Upload, content: bytes) -> tuple[bool, bytes]:
        """Return whether a piece is compressed, and what is to be stored."""
        packed = content
        if upload.compresses and len(content) > COMPRESSED_BYTES_MIN:
            packer = getattr(self._packers, "packer", None)
            if packer is None:
                packer = self._packers.packer = zstd.ZstdCompressor(level=1)
            packed = packer.compress(content, packer.FLUSH_FRAME)
        smaller = len(packed) < len(content) * COMPRESSED_SHARE_MAX
        if not smaller and len(content) >= PIECE_BYTES:
            upload.compresses = False
        return smaller, packed if smaller else content
