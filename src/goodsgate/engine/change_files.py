"""Files of changes for warehouses: the journal of each merchant as segments of NDJSON, with manifests.

    MERCHANT/manifest.json                    how far the files go, their days, and what is missing
    MERCHANT/2026-01-31/manifest.json         the segments whose first change was written on that day
    MERCHANT/2026-01-31/NUMBER-CURSOR.ndjson.zst

A segment is written before the manifest of its day, and that before the manifest of the merchant. That one says where
to go on: whoever dies in between, the changes behind it are written again, under the same numbers.
"""

import hashlib
import logging
import tempfile
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import IO, Any, TypeVar

import msgspec

from goodsgate.engine.change_documents import change_documents, encode_change_lines
from goodsgate.engine.outage import StoreOutage
from goodsgate.model import zstd
from goodsgate.model.background import BackgroundThread
from goodsgate.model.batch import new_id, now
from goodsgate.model.journal import ItemChange, JournalPage, parse_cursor
from goodsgate.store.contract import JournalPositionError, NameTakenError, ResourcesFullError, Store, StoreError
from goodsgate.store.objects import Objects

log = logging.getLogger(__name__)

LEASE = "changes/lease"
"""Type of the resource that says which process writes the files of a merchant."""
LEASE_SECONDS = 120
"""A process that has not renewed its lease for so long has died, or has lost the storage."""
PAGE_CHANGES = 2_000
SEGMENT_CHANGES_MAX = 100_000
SEGMENT_BYTES_MAX = 64 * 1024**2
"""Of NDJSON. A segment ends behind the page with which it has so many."""
PIECE_BYTES = 1024**2
MERCHANTS_PER_LOOK = 500
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

T = TypeVar("T")


class SegmentEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A segment in the manifest of its day."""

    name: str
    """Its path below the folder of the merchant."""
    first: int
    last: int
    """Numbers of its first and its last change."""
    changes: int
    bytes: int
    sha256: str
    """Of the file as it is, compressed."""
    cursor: str
    """Behind its last change."""


class DayManifest(msgspec.Struct, frozen=True):
    """The segments of a day."""

    segments: list[SegmentEntry] = []


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """Changes that no file has, because the journal had them no more."""

    after: int
    """Number of the last change before them."""
    reason: str
    """`expired`: deleted after their retention. `unknown`: the store was restored; numbers may come again."""
    noted_at: datetime


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """How far the files of a merchant go."""

    merchant: str
    last: int = 0
    """Number of the last change in a file."""
    cursor: str | None = None
    """Behind that change, for `GET /v1/changes`."""
    written_at: datetime | None = None
    days: list[str] = []
    gaps: list[Gap] = []


class Lease(msgspec.Struct, frozen=True):
    """Which process writes, and how long."""

    writer: str
    until: datetime


class ChangeFiles:
    """Writes changes to files, in a thread of its own; any number of processes may do so at once."""

    def __init__(self, store: Store, open_objects: Callable[[], Objects], *, interval_seconds: float) -> None:
        """Create what does nothing before `start`. `open_objects` opens the storage, again after it has failed."""
        self._store = store
        self._open_objects = open_objects
        self._interval_seconds = interval_seconds
        self._writer = new_id()
        self._objects: Objects | None = None
        self._written: dict[str, int] = {}
        """Merchant → number of the last change that needs no further look."""
        self._stop = threading.Event()
        self._thread = BackgroundThread("change-files", self._run, self._stop)

    def start(self) -> None:
        """Start to write files."""
        self._thread.start()

    def stop(self) -> None:
        """Write the segment that is being written, and no further one."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        outage = StoreOutage("the writer of change files")
        while not self._stop.is_set():
            try:
                self.write_new()
            except StoreError as fault:  # of the store or of the storage: the manifest says where to go on
                self._objects = None
                outage.wait(fault, self._stop)
                continue
            outage.end()
            self._stop.wait(self._interval_seconds)

    def write_new(self) -> None:
        """Write the changes of all merchants that no file has. Raises StoreError if store or storage fail."""
        objects = self._objects = self._objects or self._open_objects()
        for merchants in _merchants(self._store):
            for merchant, last in self._store.journal_numbers(merchants).items():
                if self._stop.is_set():
                    return
                if self._written.get(merchant) != last and self._take_lease(merchant):
                    self._write_merchant(objects, merchant)

    def _write_merchant(self, objects: Objects, merchant: str) -> None:
        manifest = read_manifest(objects, merchant)
        while not self._stop.is_set():
            page, manifest = self._first_page(merchant, manifest)
            if not page.changes:
                self._written[merchant] = page.position.number
                return
            manifest = self._write_segment(objects, manifest, page)
            if not self._take_lease(merchant):
                return  # it took longer than the lease, and another process goes on
            _put(objects, f"{merchant}/manifest.json", manifest)

    def _first_page(self, merchant: str, manifest: Manifest) -> tuple[JournalPage, Manifest]:
        """Return the changes behind the manifest; if they are gone, the oldest ones, and note the gap."""
        position = parse_cursor(manifest.cursor) if manifest.cursor is not None else None
        try:
            return self._store.changes(merchant, after=position, limit=PAGE_CHANGES), manifest
        except JournalPositionError as fault:
            log.error(
                "changes of %s are missing in its files: the position of their manifest is %s; load an export",
                merchant, fault.reason, extra={"after": manifest.last},
            )
            gap = Gap(after=manifest.last, reason=fault.reason, noted_at=now())
            page = self._store.changes(merchant, after=None, limit=PAGE_CHANGES)
            return page, msgspec.structs.replace(manifest, gaps=[*manifest.gaps, gap])

    def _write_segment(self, objects: Objects, manifest: Manifest, page: JournalPage) -> Manifest:
        """Write a segment that begins with a page, and the manifest of its day; return that of the merchant."""
        first = page.changes[0]
        day = (EPOCH + timedelta(microseconds=first.written_at)).date().isoformat()
        name = f"{day}/{first.number:012}-{first.position.cursor}.ndjson.zst"
        with tempfile.TemporaryFile() as file:
            count, last, digest = self._pack(file, manifest.merchant, page)
            size = file.tell()
            file.seek(0)
            objects.put(f"{manifest.merchant}/{name}", iter(lambda: file.read(PIECE_BYTES), b""),
                        media_type="application/zstd")
        entry = SegmentEntry(
            name=name, first=first.number, last=last.number, changes=count, bytes=size, sha256=digest,
            cursor=last.position.cursor,
        )
        at = f"{manifest.merchant}/{day}/manifest.json"
        earlier = _get(objects, at, DayManifest) or DayManifest()
        others = [each for each in earlier.segments if each.name != name]
        _put(objects, at, DayManifest([*others, entry]))
        return msgspec.structs.replace(
            manifest, last=entry.last, cursor=entry.cursor, written_at=now(), days=sorted({*manifest.days, day})
        )

    def _pack(self, file: IO[bytes], merchant: str, page: JournalPage) -> tuple[int, ItemChange, str]:
        """Write a page and what follows it to a file; return number of changes, the last one, and the digest."""
        packer, digest = zstd.ZstdCompressor(level=3), hashlib.sha256()
        count = size = 0
        while True:
            lines = encode_change_lines(change_documents(page.changes, ("before", "after")))
            count, size, last = count + len(page.changes), size + len(lines), page.changes[-1]
            packed = packer.compress(lines)
            digest.update(packed)
            file.write(packed)
            if page.is_last or count >= SEGMENT_CHANGES_MAX or size >= SEGMENT_BYTES_MAX:
                break
            following = self._store.changes(merchant, after=page.position, limit=PAGE_CHANGES)
            if not following.changes:
                break
            page = following
        packed = packer.flush()
        digest.update(packed)
        file.write(packed)
        return count, last, digest.hexdigest()

    def _take_lease(self, merchant: str) -> bool:
        """Return whether this process is the one that writes the files of a merchant, and renew its lease."""
        moment = now()
        body = msgspec.json.encode(Lease(self._writer, moment + timedelta(seconds=LEASE_SECONDS)))
        resources = self._store.resources(merchant, LEASE, limit=1)
        if not resources:
            try:
                self._store.add_resource(merchant, LEASE, name="lease", body=body, resources_max=1)
            except (NameTakenError, ResourcesFullError):
                return False
            return True
        lease = msgspec.json.decode(resources[0].body, type=Lease)
        if lease.writer != self._writer and lease.until > moment:
            return False
        return self._store.put_resource(msgspec.structs.replace(resources[0], body=body)) is not None


def read_manifest(objects: Objects, merchant: str) -> Manifest:
    """Return the manifest of a merchant; an empty one if there is none. Raises StoreError."""
    return _get(objects, f"{merchant}/manifest.json", Manifest) or Manifest(merchant=merchant)


def late_merchants(store: Store, objects: Objects) -> Iterator[tuple[str, int, list[Gap]]]:
    """Yield each merchant with changes that no file has, their number, and the gaps of its files."""
    for merchants in _merchants(store):
        for merchant, last in store.journal_numbers(merchants).items():
            manifest = read_manifest(objects, merchant)
            if manifest.last < last or manifest.gaps:
                yield merchant, max(0, last - manifest.last), manifest.gaps


def _merchants(store: Store) -> Iterator[list[str]]:
    after: str | None = None
    while True:
        page = store.merchants(after=after, limit=MERCHANTS_PER_LOOK)
        yield [merchant.id for merchant in page.rows]
        after = page.next
        if after is None:
            return


def _get(objects: Objects, path: str, type: type[T]) -> T | None:
    pieces = objects.get(path)
    if pieces is None:
        return None
    try:
        return msgspec.json.decode(b"".join(pieces), type=type)
    except msgspec.DecodeError as fault:
        raise StoreError(f"{path} is no manifest: {fault}; delete it to write the files again") from fault


def _put(objects: Objects, path: str, document: Any) -> None:
    objects.put(path, msgspec.json.encode(document), media_type="application/json")
