"""Write a feed to files on this machine: what of a collection is wanted, checked, in files of a bounded size.

All items are read at one moment into a temporary file, as for an export. What is written is complete before anything is
published, so that a feed that has shrunk can be held, and a reader never sees half of one.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any

import msgspec

from goodsgate import formats
from goodsgate.engine.feed_table import Cell, FeedRow, FeedTable, text_cell
from goodsgate.engine.item_spool import ItemSpool
from goodsgate.engine.profile_table import ProfileTable
from goodsgate.engine.table_columns import TableColumns
from goodsgate.formats.compressed_writer import Compression, compress
from goodsgate.formats.parquet_writer import write_parquet
from goodsgate.formats.rss_writer import drop_unfit, write_rss
from goodsgate.model.batch import Kind
from goodsgate.model.catalogue import display_key, split_key
from goodsgate.model.issue import Issue
from goodsgate.model.journal import ItemChange, JournalPosition
from goodsgate.model.json_text import read_json, read_members, write_json
from goodsgate.profiles import load_profile
from goodsgate.store.contract import JournalPositionError, Store
from goodsgate.targets import load_target, target_names

FEED_FORMATS = ("ndjson", "csv", "tsv", "parquet", "google_rss")
SUFFIXES = {"google_rss": "xml"}
COMPRESSION_SUFFIXES: dict[Compression, str] = {"none": "", "gzip": ".gz", "zstd": ".zst"}
VERB = "_verb"
"""Column that says of a row in a file of changes that its item was deleted."""
KEY_FIELDS = {Kind.PRODUCT: ("id",), Kind.PRICE: ("id", "location"), Kind.STOCK: ("id", "location")}
PAGE_ITEMS = 500
"""Items that are read at once. More would be held in memory, however long each is."""
PAGE_CHANGES = 2_000
CHECK_ITEMS = 500
"""Items after which a run looks whether it may go on."""
GROUPS_MAX = 200
EXAMPLES_MAX = 5
IN_STOCK = frozenset({"in_stock", "in stock"})


class FeedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a feed holds, and how it is written."""

    kind: Kind = Kind.PRODUCT
    collection: str = "products"
    profile: str | None = None
    """A target or a profile that can be written; None: the members of the items."""
    format: str = "ndjson"
    compression: Compression = "none"
    groups: tuple[str, ...] = ()
    """Values of ``item_group_id``; none: all items."""
    in_stock: bool = False
    """Whether items that are not in stock are left out."""
    only: tuple[str, ...] = ()
    """Columns, or members without a profile; none: all."""
    options: dict[str, str] = {}
    """Column of a target → value of items that have none."""
    keeps_incomplete: bool = False
    """Whether items without a value that the target requires are written."""
    file_items_max: int | None = None
    """None: what the target says."""


class FeedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a feed."""

    number: int
    """1 for the first one."""
    items: int
    bytes: int
    sha256: str


class FeedIssueGroup(msgspec.Struct, kw_only=True):
    """What falls short in one column of a feed, in the same way."""

    code: str
    column: str
    severity: str
    message: str
    """That of the first item."""
    items: int = 0
    examples: list[str] = []
    """Keys of some items."""


class FeedResult(msgspec.Struct, frozen=True, kw_only=True):
    """What was written."""

    files: list[FeedFile]
    items: int
    """Items that were wanted."""
    written: int
    incomplete: int
    """Items without a value that the target requires."""
    issues: list[FeedIssueGroup]
    left_out: list[str]
    """Members that no column holds."""
    position: JournalPosition | None
    """Behind the changes that the feed has; None if the gate keeps none."""
    is_full: bool
    """Whether it has all items, and not only what has changed."""


class FeedWriter:
    """Writes one feed to a folder."""

    def __init__(self, store: Store, merchant: str, request: FeedRequest, folder: Path, *,
                 checkpoint: Callable[[], None] = lambda: None) -> None:
        """`checkpoint` is called every few items; what it raises ends the run."""
        self._store = store
        self._merchant = merchant
        self._request = request
        self._folder = folder
        self._checkpoint = checkpoint
        self._table: FeedTable | None = None
        if request.profile in target_names():
            target = load_target(request.profile)
            self._table = FeedTable(target, options=request.options, only=request.only or None)
        self._wanted = wanted_items(request)
        self._written = self._items = self._incomplete = 0
        self._issues: dict[tuple[str, str, str], FeedIssueGroup] = {}
        self._left_out: list[str] = []

    def write(self, *, after: JournalPosition | None = None, files_min: int = 1) -> FeedResult:
        """Write the feed; with `after`, only what has changed since, if the journal still knows.

        The files are named by their numbers. There are at least `files_min`, perhaps without items, so that no file of
        an earlier run stays as it is.
        """
        with ItemSpool() as spool:
            is_full = True
            position = None
            if after is not None:
                try:
                    position, is_full = self._spool_changes(spool, after), False
                except JournalPositionError:
                    is_full = True
            if is_full:
                position = self._spool_items(spool)
            header, rows = self._rows(spool, with_verb=not is_full)
            files = [*self._write_files(header, rows, files_min)]
        groups = sorted(self._issues.values(), key=lambda group: (group.severity, -group.items, group.column))
        return FeedResult(
            files=files, items=self._items, written=self._written, incomplete=self._incomplete, issues=groups,
            left_out=self._left_out, position=position, is_full=is_full,
        )

    # -- what is wanted ---------------------------------------------------------------------------------------------
    def _spool_items(self, spool: ItemSpool) -> JournalPosition:
        request, wanted = self._request, self._wanted
        with self._store.item_snapshot(
            self._merchant, request.kind, request.collection, page_items=PAGE_ITEMS
        ) as snapshot:
            for page in snapshot.pages:
                for item in page:
                    if wanted is None or wanted(item.document):
                        spool.add(item.key, item.document)
                self._checkpoint()
        return snapshot.position

    def _spool_changes(self, spool: ItemSpool, after: JournalPosition) -> JournalPosition:
        """Read what has changed. Raises JournalPositionError if changes are missing."""
        request = self._request
        while True:
            page = self._store.changes(
                self._merchant, after=after, kind=request.kind, collection=request.collection, limit=PAGE_CHANGES
            )
            last = {change.key: change for change in page.changes}  # an item changes several times at once
            for change in last.values():
                document = self._changed_document(change)
                if document is not None:
                    spool.add(change.key, document)
            self._checkpoint()
            after = page.position
            if page.is_last:
                return after

    def _changed_document(self, change: ItemChange) -> bytes | None:
        """Return what is written for a change: empty for an item that is no longer wanted; None for nothing."""
        if change.after is not None and (self._wanted is None or self._wanted(change.after.document)):
            return change.after.document
        if change.before is not None and (self._wanted is None or self._wanted(change.before.document)):
            return b""
        return None

    # -- rows -------------------------------------------------------------------------------------------------------
    def _rows(self, spool: ItemSpool, *, with_verb: bool) -> tuple[list[str], Iterator[Any]]:
        """Return the header and the rows: lists of cells, objects for RSS, or lines of NDJSON."""
        request = self._request
        if self._table is not None:
            return self._table.header, self._target_rows(spool, self._table)
        if request.profile is not None:
            table = ProfileTable(load_profile(request.profile), request.kind)
            names = {name for document in self._read_ahead(spool) for name in read_members(document) or {}}
            self._left_out += table.left_out(names)
            header = [name for name in table.header(names) if not request.only or name in request.only]
            return header, (table.row(read_json(document), header) for _, document in self._documents(spool))
        if request.format == "ndjson":
            return [], self._lines(spool)
        columns = TableColumns(request.kind)
        for document in self._read_ahead(spool):
            columns.add(document)
        self._left_out += columns.left_out
        header = [name for name in columns.header if not request.only or name in request.only]
        if with_verb:
            header = [*dict.fromkeys((*KEY_FIELDS[request.kind], *header)), VERB]
        return header, self._cells(spool, columns, header)

    def _documents(self, spool: ItemSpool) -> Iterator[tuple[str, bytes]]:
        for at, (key, document) in enumerate(spool):
            if not at % CHECK_ITEMS:
                self._checkpoint()
            self._items += 1
            self._written += 1
            yield key, document

    def _read_ahead(self, spool: ItemSpool) -> Iterator[bytes]:
        """Yield the documents on which the header depends."""
        for at, (_, document) in enumerate(spool):
            if not at % CHECK_ITEMS:
                self._checkpoint()
            yield document

    def _cells(self, spool: ItemSpool, columns: TableColumns, header: list[str]) -> Iterator[list[str]]:
        for key, document in self._documents(spool):
            yield columns.cells(document or write_json({**_named(key), VERB: "delete"}), header)

    def _lines(self, spool: ItemSpool) -> Iterator[bytes]:
        only = frozenset(self._request.only)
        for key, document in self._documents(spool):
            if not document:
                yield write_json({**_named(key), VERB: "delete"})
            elif only:
                members = read_members(document) or {}
                yield msgspec.json.encode({name: value for name, value in members.items() if name in only})
            else:
                yield document

    def _target_rows(self, spool: ItemSpool, table: FeedTable) -> Iterator[list[Cell | None]]:
        keeps, is_rss = self._request.keeps_incomplete, self._request.format == "google_rss"
        for at, (key, document) in enumerate(spool):
            if not at % CHECK_ITEMS:
                self._checkpoint()
            self._items += 1
            row = table.row(read_json(document))
            if row.issues:
                self._count(key, row)
            if not row.is_complete:
                self._incomplete += 1
                if not keeps:
                    continue
            self._written += 1
            may_be_unfit = is_rss and (b"\\" in document or b"\xef\xbf" in document)
            yield drop_unfit(row.cells) if may_be_unfit else row.cells

    def _count(self, key: str, row: FeedRow) -> None:
        """Count the issues of an item, each kind once."""
        counted = set()
        for each in row.issues:
            kind = (each.code, each.path, each.severity)
            group = self._issues.get(kind)
            if group is None:
                if len(self._issues) >= GROUPS_MAX:
                    continue
                group = self._issues[kind] = issue_group(each)
            if kind in counted:
                continue
            counted.add(kind)
            group.items += 1
            if len(group.examples) < EXAMPLES_MAX:
                group.examples.append(display_key(key) or "")

    # -- files ------------------------------------------------------------------------------------------------------
    def _write_files(self, header: list[str], rows: Iterator[Any], files_min: int) -> Iterator[FeedFile]:
        request = self._request
        items_max = request.file_items_max or (self._table.target.file_items_max if self._table is not None else None)
        for number in range(1, 1_000_000):
            first = next(rows, None)
            if first is None and number > files_min:
                return
            before = self._written - (first is not None)
            taken = rows if items_max is None else islice(rows, items_max - 1)
            content = self._encode(header, chain([] if first is None else [first], taken))
            size, digest = write_file(self._folder / str(number), content, request.compression)
            yield FeedFile(number=number, items=self._written - before, bytes=size, sha256=digest)

    def _encode(self, header: list[str], rows: Iterable[Any]) -> Iterator[bytes]:
        request = self._request
        if self._table is not None:
            return encode_target(header, rows, format=request.format, title=request.collection)
        if request.format == "parquet":
            return write_parquet(rows, header)
        return formats.write(rows, format=request.format, header=header or None)


def encode_target(header: list[str], rows: Iterable[list[Cell | None]], *, format: str, title: str) -> Iterator[bytes]:
    """Yield a file of the rows of a target, whose columns `header` names."""
    if format in ("ndjson", "google_rss"):
        objects = ({name: cell for name, cell in zip(header, row, strict=True) if cell is not None} for row in rows)
        if format == "ndjson":
            return formats.write(map(msgspec.json.encode, objects), format="ndjson", header=None)
        return write_rss(((str(each.get("id", "")), each) for each in objects), title=title)
    cells = ([text_cell(cell) for cell in row] for row in rows)
    return write_parquet(cells, header) if format == "parquet" else formats.write(cells, format=format, header=header)


def write_file(path: Path, pieces: Iterable[bytes], compression: Compression) -> tuple[int, str]:
    """Write pieces to a file, compressed; return its size and SHA-256."""
    digest = hashlib.sha256()
    size = 0
    with path.open("wb") as file:
        for piece in compress(pieces, compression):
            digest.update(piece)
            size += len(piece)
            file.write(piece)
    return size, digest.hexdigest()


def wanted_items(request: FeedRequest) -> Callable[[bytes], bool] | None:
    """Return what says of a document whether a feed has it; None: it has all."""
    if not request.groups and not request.in_stock:
        return None
    groups = frozenset(request.groups)

    def is_wanted(document: bytes) -> bool:
        record = read_json(document)
        if groups and record.get("item_group_id") not in groups:
            return False
        if not request.in_stock:
            return True
        if request.kind is Kind.STOCK:
            return int(record.get("quantity") or 0) > 0
        return record.get("availability") in IN_STOCK

    return is_wanted


def issue_group(each: Issue) -> FeedIssueGroup:
    """Return an empty group of issues like this one."""
    return FeedIssueGroup(code=each.code, column=each.path.lstrip("/"), severity=each.severity, message=each.message)


def feed_suffix(format: str, compression: Compression) -> str:
    """Return how the name of a file ends."""
    return f".{SUFFIXES.get(format, format)}{COMPRESSION_SUFFIXES[compression]}"


def read_pieces(file: IO[bytes], piece_bytes: int = 1024**2) -> Iterator[bytes]:
    """Yield the content of a file."""
    return iter(lambda: file.read(piece_bytes), b"")


def _named(key: str) -> dict[str, object]:
    """Return the members by which a deleted item is known."""
    sku, location = split_key(key)
    return {"id": sku, **({"location": location} if location else {})}
