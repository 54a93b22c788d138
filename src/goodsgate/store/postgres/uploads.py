"""Uploads: small ones in memory, larger ones as rows, piece by piece.

Pieces are compressed and sent while the next ones arrive; the next call raises what went wrong with one. Pieces are
committed without waiting for the disk; the transaction that uses the upload waits, and then everything before it is on
disk. A server that crashes in between may lose the last pieces, which is detected in the same way. Pieces are
compressed if that makes them smaller: they cross the network, the log and the table.
"""

import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress

import msgspec
import psycopg

from goodsgate.model import zstd
from goodsgate.store.contract import StoreBusyError, StoreError
from goodsgate.store.postgres.server import Server
from goodsgate.store.postgres.statements import PostgresStatements

PIECE_BYTES = 1024 * 1024
PIECE_BYTES_MAX = 2 * PIECE_BYTES
"""Pieces of a size between the two are stored as they come."""
SENDING_MAX = 2
"""Pieces of one upload that are compressed or sent at once."""
GONE = "the upload was idle too long and was removed, or the server crashed and lost a part of it"
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
        self.sending: deque[Future[None]] = deque()
        """The last pieces; each waits for the one before."""

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

    def __init__(self, server: Server, *, small_bytes: int, sending_max: int) -> None:
        """Send at most `sending_max` pieces at once, each on its own connection."""
        self._server = server
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
        upload.wait(left=SENDING_MAX - 1)
        before = upload.sending[-1] if upload.sending else None
        touched_at = max(self._server.now(), upload.touched_at + 1)
        at = {"merchant": number, "upload": name, "piece": upload.pieces}
        moved = {**at, "before": upload.touched_at, "now": touched_at}
        upload.sending.append(self._senders.submit(self._send, number, upload, before, moved, content))
        upload.touched_at = touched_at
        upload.pieces += 1

    def _send(self, number: int, upload: Upload, before: Future[None] | None, moved: dict[str, object], content: bytes,
              ) -> None:
        packed = self._packed(upload, content)
        if before is not None:
            before.result()  # it was submitted earlier, so that a thread works on it
        with self._server.transaction(number, lazy=True) as db:
            if not db.change("touch_upload" if moved["piece"] else "add_upload", moved):
                raise StoreBusyError(GONE)
            db.change("add_payload", {**moved, **packed})

    def rest(self, merchant: str, name: str) -> UploadRest:
        """Wait for the pieces being sent, and compress what is left.

        Called before the transaction that uses the upload. Raises as `append` does, and StoreError if there is no such
        upload.
        """
        upload = self._open.get((merchant, name))
        if upload is None:
            raise StoreError("there is no such upload")
        upload.wait()
        named = {"upload": name, "piece": upload.pieces}
        if not upload.content and upload.pieces:
            stored = {**named, "packed": False, "content": None}
            return UploadRest(upload.bytes, upload.pieces, upload.touched_at, stored)
        packed = self._packed(upload, bytes(upload.content))
        return UploadRest(upload.bytes, upload.pieces + 1, upload.touched_at, {**named, **packed})

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
                if db.change("delete_upload", gone):  # not once a round uses it
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
        return [zstd.decompress(content) if packed else content for packed, content in rows]

    def close(self) -> None:
        """Forget uploads that no batch has taken; the sweep deletes their pieces."""
        self._senders.shutdown()
        self._fetchers.shutdown(cancel_futures=True)
        self._open.clear()

    def _packed(self, upload: Upload, content: bytes) -> dict[str, object]:
        packed = content
        if upload.compresses and len(content) > COMPRESSED_BYTES_MIN:
            packer = getattr(self._packers, "packer", None)
            if packer is None:
                packer = self._packers.packer = zstd.ZstdCompressor(level=1)
            packed = packer.compress(content, packer.FLUSH_FRAME)
        smaller = len(packed) < len(content) * COMPRESSED_SHARE_MAX
        if not smaller and len(content) >= PIECE_BYTES:
            upload.compresses = False
        return {"packed": smaller, "content": psycopg.Binary(packed if smaller else content)}
