"""Write a collection of the catalogue to a file, as a stream: a feed for other systems.

What is written and submitted again is `unchanged`. NDJSON and JSON hold every item as it is. A table has a column for
each member that some item has, and a feed an element; what they cannot hold is left out and named in `Report.left_out`.
"""

from collections.abc import Callable, Iterator

from goodsgate import formats
from goodsgate.engine.cells import to_cell
from goodsgate.engine.refusal import Refusal
from goodsgate.engine.report import Report
from goodsgate.formats.parquet_writer import check_parquet, write_parquet
from goodsgate.formats.rss_writer import check_item, write_rss
from goodsgate.model.batch import Kind
from goodsgate.model.catalogue import Item, display_key, item_key
from goodsgate.model.fields import FIELDS
from goodsgate.model.json_text import Members, read_members, read_value
from goodsgate.store.contract import Store

EXPORT_FORMATS = ("ndjson", "json", "csv", "tsv", "xlsx", "parquet", "google_rss")
MEDIA_TYPES = formats.MEDIA_TYPES | {
    "parquet": "application/vnd.apache.parquet", "google_rss": "application/rss+xml",
}
SUFFIXES = {"google_rss": "xml"}
PAGE_ITEMS = 200
"""Items that are read at once: few, because each may be as long as a line."""

Items = Callable[[], Iterator[Item | None]]
"""Returns the items from the first one on; None after each page, so that the caller can do something else."""


class ExportChangedError(Exception):
    """An item got a member for which the header that was already written has no column."""


def export(store: Store, merchant: str, kind: Kind, collection: str, *, format: str, after: str | None = None,
           ) -> Report:
    """Return a file of the items of a collection, ordered by key.

    `after` is the key of the last item of an export that broke off, ``sku`` or ``sku@location``. For a table or a feed
    all items are read before it begins, because its header, or `Report.left_out`, depends on all of them.

    Raises Refusal (parameter_invalid), also for Parquet without its package.
    """
    if format not in EXPORT_FORMATS:
        allowed = ", ".join(EXPORT_FORMATS)
        raise Refusal("parameter_invalid", f"format must be one of {allowed}.", parameter="format")
    if format == "parquet":
        try:
            check_parquet()
        except formats.FormatMissingError as error:
            raise Refusal("parameter_invalid", str(error), parameter="format") from error
    start = _stored_key(after, kind) if after is not None else None

    def items() -> Iterator[Item | None]:
        return _items(store, merchant, kind, collection, after=start)

    left_out: list[str] = []
    if format in ("ndjson", "json"):
        documents = (item.document for item in items() if item is not None)
        pieces = formats.write(documents, format=format, header=None)
    elif format == "google_rss":
        pieces = _feed(items, kind, left_out, title=collection)
    else:
        pieces = _table(items, kind, left_out, format=format)
    return Report(
        media_type=MEDIA_TYPES[format], filename=f"{collection}-{kind}.{SUFFIXES.get(format, format)}", pieces=pieces,
        left_out=left_out,
    )


def _items(store: Store, merchant: str, kind: Kind, collection: str, *, after: str | None) -> Iterator[Item | None]:
    while True:
        page = store.items(merchant, kind, collection, after=after, limit=PAGE_ITEMS)
        yield from page.rows
        yield None
        after = page.next
        if after is None:
            return


def _stored_key(key: str, kind: Kind) -> str:
    sku, separator, location = key.rpartition("@")
    return item_key(sku, location) if separator and kind is not Kind.PRODUCT else key


def _table(items: Items, kind: Kind, left_out: list[str], *, format: str) -> Iterator[bytes]:
    """Yield a table of all items; empty pieces while they are read for its columns."""
    names: dict[str, None] = {}
    unfit: dict[str, None] = {}
    for item in items():
        if item is None:
            yield b""
            continue
        for name, value in (read_members(item.document) or {}).items():
            (unfit if to_cell(name, value, kind) is None else names)[name] = None
    left_out += unfit
    header = [*filter(names.__contains__, FIELDS[kind]), *(name for name in names if name not in FIELDS[kind])]
    known = {*names, *unfit}
    rows = (_cells(item, header, known, kind) for item in items() if item is not None)
    yield from write_parquet(rows, header) if format == "parquet" else formats.write(rows, format=format, header=header)


def _cells(item: Item, header: list[str], known: set[str], kind: Kind) -> list[str]:
    members = read_members(item.document) or {}
    if not members.keys() <= known:
        added = ", ".join(sorted(members.keys() - known))
        raise ExportChangedError(f"{display_key(item.key)} got {added} while the table was written; export it again")
    return [to_cell(name, members[name], kind) or "" if name in members else "" for name in header]


def _feed(items: Items, kind: Kind, left_out: list[str], *, title: str) -> Iterator[bytes]:
    """Yield a feed of the fields of all items; empty pieces while they are read for what it leaves out.

    Raises FormatOverflowError, before the first piece, for a character that XML cannot hold.
    """
    unfit: dict[str, None] = {}
    for item in items():
        if item is None:
            yield b""
            continue
        unfit.update(dict.fromkeys(name for name in read_members(item.document) or {} if name not in FIELDS[kind]))
        if b"\\" in item.document or b"\xef\xbf" in item.document:  # else it has no such character
            check_item(display_key(item.key) or "", _fields(item, kind))
    left_out += unfit
    yield from write_rss(
        ((display_key(item.key) or "", _fields(item, kind)) for item in items() if item is not None), title=title
    )


def _fields(item: Item, kind: Kind) -> Members:
    members = read_members(item.document) or {}
    return {name: read_value(value) for name, value in members.items() if name in FIELDS[kind]}
