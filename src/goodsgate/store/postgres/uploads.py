"""Bodies on their way in: small ones in memory, larger ones as rows, piece by piece.

Pieces are packed and sent while the next ones come; what went wrong with one, whatever comes next finds out. Pieces
are committed without waiting for the disk; what seals the upload waits, and with it everything before it is on disk. A
server that falls in between may lose the last ones, which is found out in the same way. Pieces are packed where that
makes them smaller: they cross the network, the log and the table.
"""

import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress

import msgspec
import psycopg
import zstandard

from goodsgate.store.contract import StoreBusyError, StoreError
from goodsgate.store.postgres.ask import Cursor, do, every
from goodsgate.store.postgres.server import Server

PIECE_BYTES = 1024 * 1024
PIECE_BYTES_MAX = 2 * PIECE_BYTES
"""What comes in pieces between the two is kept in these, without being gathered."""
UNDERWAY_MAX = 2
"""Pieces of one upload that are packed or sent at once."""
GONE = "the upload stood still too long and was removed, or the server fell and lost a part of it"
PIECES_AT_ONCE = 4
"""Pieces that are fetched together."""
FETCHES_AHEAD = 4
"""Whoever reads has so many times that many pieces fetched and unpacked while he is at work with the last."""
PACKED_BYTES_MIN = 512
PACKED_SHARE_MAX = 0.9
"""A piece that does not get smaller than this is kept as it is, and so are those behind it."""


class Upload:
    """One body: what is not sent yet, and how much was."""

    def __init__(self) -> None:
        self.content = bytearray()
        self.bytes = 0
        self.pieces = 0
        self.touched_at = 0
        """When the last piece was sent; another time for each."""
        self.packs = True
        self.underway: deque[Future[None]] = deque()
        """The last pieces, each of which waits for the one before it."""

    def sent(self, *, but: int = 0) -> None:
        """Wait until all pieces but so many, and those in memory, are there. Raises what went wrong, once."""
        while len(self.underway) > but:
            self.underway.popleft().result()


class Rest(msgspec.Struct, frozen=True):
    """What a submission's last transaction has to know of its payload."""

    bytes: int
    """Of the whole."""
    pieces: int
    """Of the whole, the last one too."""
    touched_at: int
    """When the last piece was sent before; 0 if none was."""
    piece: dict[str, object]
    """The last one, as statements take it; its content is None if all was sent before."""


NO_REST = Rest(0, 0, 0, {})
"""Of a round without a payload of its own."""


class Uploads:
    """Those that this process receives."""

    def __init__(self, server: Server, *, small_bytes: int, sending_max: int) -> None:
        """At most `sending_max` pieces are on their way at once, each on a connection of its own."""
        self._server = server
        self._small_bytes = small_bytes
        self._senders = ThreadPoolExecutor(sending_max, "sending")
        self._fetchers = ThreadPoolExecutor(1, "fetching")
        self._packers = threading.local()
        self._open: dict[tuple[str, str], Upload] = {}

    def receive(self, merchant: str, number: int, name: str, piece: bytes) -> None:
        """Append; raises StoreFullError, StoreBusyError, of this piece or one before it."""
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
        upload.sent(but=UNDERWAY_MAX - 1)
        before = upload.underway[-1] if upload.underway else None
        touched_at = max(self._server.now(), upload.touched_at + 1)
        at = {"merchant": number, "upload": name, "piece": upload.pieces}
        moved = {**at, "before": upload.touched_at, "now": touched_at}
        upload.underway.append(self._senders.submit(self._send, number, upload, before, moved, content))
        upload.touched_at = touched_at
        upload.pieces += 1

    def _send(self, number: int, upload: Upload, before: Future[None] | None, moved: dict[str, object], content: bytes,
              ) -> None:
        packed = self._packed(upload, content)
        if before is not None:
            before.result()  # it was begun earlier, so that a thread is at work on it
        with self._server.transaction(number, lazy=True) as db:
            if not do(db, "touch_upload" if moved["piece"] else "add_upload", moved):
                raise StoreBusyError(GONE)
            do(db, "add_payload", {**moved, **packed})

    def rest(self, merchant: str, name: str) -> Rest:
        """Before the transaction that seals: wait for the pieces that are on their way, and pack what is left. Raises
        as `receive` does, and StoreError if there is no such upload."""
        upload = self._open.get((merchant, name))
        if upload is None:
            raise StoreError("there is no such upload")
        upload.sent()
        named = {"upload": name, "piece": upload.pieces}
        if not upload.content and upload.pieces:
            return Rest(upload.bytes, upload.pieces, upload.touched_at, {**named, "packed": False, "content": None})
        packed = self._packed(upload, bytes(upload.content))
        return Rest(upload.bytes, upload.pieces + 1, upload.touched_at, {**named, **packed})

    @staticmethod
    def seal(db: Cursor, number: int, rest: Rest) -> None:
        """Inside the transaction that seals. Raises StoreBusyError if not all that was sent is there any more."""
        if rest.touched_at:
            sealed = {"merchant": number, "upload": rest.piece["upload"], "touched_at": rest.touched_at}
            if not do(db, "seal_upload", sealed):
                raise StoreBusyError(GONE)

    def keep(self, merchant: str, name: str) -> None:
        """A round now names it."""
        self._open.pop((merchant, name), None)

    def discard(self, merchant: str, number: int, name: str) -> None:
        """Forget it; harmless if there is none. What cannot be removed now, the sweep removes."""
        upload = self._open.pop((merchant, name), None)
        if upload is not None and upload.pieces:
            wait(upload.underway)
            gone = {"merchant": number, "upload": name}
            with suppress(StoreError), self._server.transaction(number, lazy=True) as db:
                if do(db, "drop_upload", gone):  # not once it is sealed
                    do(db, "drop_payload", gone)

    def read(self, number: int, upload: str, pieces: int) -> Iterator[bytes]:
        """What was sent, in pieces of at most PIECE_BYTES_MAX; raises StoreError if it was swept meanwhile."""
        fetching: deque[Future[list[bytes]]] = deque()
        try:
            for first in range(0, pieces, PIECES_AT_ONCE):
                last = min(first + PIECES_AT_ONCE, pieces)
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
            rows = every(db, "payload_pieces", asked)
        if len(rows) != last - first:
            raise StoreError("the payload was removed while it was read")
        return [zstandard.ZstdDecompressor().decompress(content) if packed else content for packed, content in rows]

    def close(self) -> None:
        """Forget what is not sealed; the sweep removes what was sent of it."""
        self._senders.shutdown()
        self._fetchers.shutdown(cancel_futures=True)
        self._open.clear()

    def _packed(self, upload: Upload, content: bytes) -> dict[str, object]:
        packed = content
        if upload.packs and len(content) > PACKED_BYTES_MIN:
            packer = getattr(self._packers, "packer", None)
            if packer is None:
                packer = self._packers.packer = zstandard.ZstdCompressor(level=1)
            packed = packer.compress(content)
        smaller = len(packed) < len(content) * PACKED_SHARE_MAX
        if not smaller and len(content) >= PIECE_BYTES:
            upload.packs = False
        return {"packed": smaller, "content": psycopg.Binary(packed if smaller else content)}
