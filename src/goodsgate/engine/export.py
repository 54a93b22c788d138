"""Write a collection of the catalogue to a file, as a stream: a feed for other systems.

What is written and submitted again is `unchanged`. NDJSON and JSON hold every item as it is. A table has a column for
each member that some item has, and a feed an element; what they cannot hold is left out and named in `Report.left_out`.
"""

from collections.abc import Iterator

from goodsgate import formats
from goodsgate.engine.feed_files import encode_target
from goodsgate.engine.feed_table import FeedTable
from goodsgate.engine.item_spool import ItemSpool
from goodsgate.engine.profile_table import ProfileTable
from goodsgate.engine.refusal import Refusal
from goodsgate.engine.report import Report
from goodsgate.engine.table_columns import TableColumns
from goodsgate.formats.parquet_writer import check_parquet, write_parquet
from goodsgate.formats.rss_writer import check_item, drop_unfit, write_rss
from goodsgate.model.batch import Kind
from goodsgate.model.catalogue import Item, display_key, item_key
from goodsgate.model.extras import ExtraMissingError
from goodsgate.model.fields import FIELDS
from goodsgate.model.journal import JournalPosition
from goodsgate.model.json_text import Members, read_json, read_members, read_value
from goodsgate.profiles import Profile, load_profile, profile_names
from goodsgate.store.contract import Store
from goodsgate.targets import load_target, target_names

EXPORT_FORMATS = ("ndjson", "json", "csv", "tsv", "xlsx", "parquet", "google_rss")
MEDIA_TYPES = formats.MEDIA_TYPES | {
    "parquet": "application/vnd.apache.parquet", "google_rss": "application/rss+xml",
}
TABLES = ("csv", "tsv", "xlsx", "parquet")
GOOGLE_FIELDS = frozenset(FIELDS[Kind.PRODUCT]) - {
    "currency", "tax_rule", "hs_code", "country_of_origin", "attributes", "variants", "version_number", "observed_at",
}
"""Fields that Google's specification has: the others are additions of Goodsgate."""
NO_TABLES = frozenset({"cif", "prestashop_combinations"})
"""Profiles of tables between lines that are no rows, and of tables without a name of the products."""
SUFFIXES = {"google_rss": "xml"}
PAGE_ITEMS = 200
"""Items that are read at once: few, because each may be as long as a line."""

def export(store: Store, merchant: str, kind: Kind, collection: str, *, format: str, profile: str | None = None,
           after: str | None = None, leaves_incomplete: bool = False) -> Report:
    """Return a file of the items of a collection, ordered by key.

    `profile` names a target (see `engine.feed_table`) or a profile whose columns a table has (`engine.profile_table`).
    With `leaves_incomplete`, items are left out that lack a value which the target requires.

    All items are read before the file begins, into a temporary file: so it holds one state of the collection, behind
    which `Report.positions` says where the changes go on, however long a client takes to read it.

    `after` is the key of the last item of an export that broke off, ``sku`` or ``sku@location``. What follows is of
    another state than what the client has, so that it has no position. It has the header of the whole, for which items
    before `after` are read, too.

    Raises Refusal (parameter_invalid), also for Parquet without its package.
    """
    if format not in EXPORT_FORMATS:
        allowed = ", ".join(EXPORT_FORMATS)
        raise Refusal("parameter_invalid", f"format must be one of {allowed}.", parameter="format")
    target = _feed_table(profile, kind, format) if profile in target_names() else None
    columns_of = _exported_profile(profile, format) if profile is not None and target is None else None
    if format == "parquet":
        try:
            check_parquet()
        except ExtraMissingError as error:
            raise Refusal("parameter_invalid", str(error), parameter="format") from error
    start = _stored_key(after, kind) if after is not None else None
    positions: list[JournalPosition] = []
    left_out: list[str] = []

    def pieces() -> Iterator[bytes]:
        with ItemSpool() as spool:
            if start is None:
                yield from _spool_snapshot(store, merchant, kind, collection, spool, positions)
                earlier: Iterator[Item | None] = iter(())
            else:
                yield from _spool_rest(store, merchant, kind, collection, spool, start)
                earlier = _items(store, merchant, kind, collection, after=None)
            if target is None and format in ("ndjson", "json"):
                yield from formats.write((document for _, document in spool), format=format, header=None)
            elif target is not None:
                yield from _target_table(spool, earlier, target, left_out, format=format, title=collection,
                                         leaves_incomplete=leaves_incomplete)
            elif columns_of is not None:
                yield from _profile_rows(spool, earlier, ProfileTable(columns_of, kind), left_out, format=format)
            elif format == "google_rss":
                yield from _feed(spool, left_out, title=collection)
            else:
                yield from _table(spool, earlier, kind, left_out, format=format)

    return Report(
        media_type=MEDIA_TYPES[format], filename=f"{collection}-{kind}.{SUFFIXES.get(format, format)}",
        pieces=pieces(), left_out=left_out, positions=positions,
    )


def _spool_snapshot(store: Store, merchant: str, kind: Kind, collection: str, spool: ItemSpool,
                    positions: list[JournalPosition]) -> Iterator[bytes]:
    """Read all items at one moment, and then its position; yield an empty piece after each page."""
    with store.item_snapshot(merchant, kind, collection, page_items=PAGE_ITEMS) as snapshot:
        for page in snapshot.pages:
            for item in page:
                spool.add(item.key, item.document)
            yield b""
    positions.append(snapshot.position)


def _spool_rest(store: Store, merchant: str, kind: Kind, collection: str, spool: ItemSpool, start: str,
                ) -> Iterator[bytes]:
    for item in _items(store, merchant, kind, collection, after=start):
        if item is None:
            yield b""
        else:
            spool.add(item.key, item.document)


def _items(store: Store, merchant: str, kind: Kind, collection: str, *, after: str | None) -> Iterator[Item | None]:
    """Yield items page by page; None after each page, so that the caller can do something else."""
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


def _exported_profile(name: str, format: str) -> Profile:
    names = exported_profiles()
    if name not in names:
        allowed = ", ".join(sorted({*names, *target_names()}))
        raise Refusal("parameter_invalid", f"profile must be one of {allowed}.", parameter="profile")
    if format not in TABLES:
        raise Refusal(
            "parameter_invalid", f"A profile is a table: format must be one of {', '.join(TABLES)}.", parameter="format"
        )
    return load_profile(name)


def exported_profiles() -> list[str]:
    """Return the profiles in which a table can be written: those that are recognized by a single row of columns."""
    profiles = (load_profile(name) for name in profile_names())
    return [
        profile.name for profile in profiles
        if profile.signature and profile.columns and profile.name not in NO_TABLES
    ]


def _feed_table(name: str, kind: Kind, format: str) -> FeedTable:
    """Return the columns of a target. Raises Refusal (parameter_invalid)."""
    target = load_target(name)
    allowed = dict.fromkeys((*target.formats, *TABLES))
    if format not in allowed:
        raise Refusal("parameter_invalid", f"{target.title}: format must be one of {', '.join(allowed)}.",
                      parameter="format")
    if kind is not Kind.PRODUCT:
        raise Refusal("parameter_invalid", f"{target.title} is for kind=product.", parameter="kind")
    return FeedTable(target)


def _target_table(spool: ItemSpool, earlier: Iterator[Item | None], table: FeedTable, left_out: list[str], *,
                  format: str, title: str, leaves_incomplete: bool) -> Iterator[bytes]:
    """Yield the columns of a target; empty pieces while the items are read for what these leave out."""
    names: set[str] = set()
    for document in _documents(earlier, spool):
        if document is None:
            yield b""
        else:
            names.update(read_members(document) or {})
    left_out += sorted(names - table.fields)
    rows = (table.row(read_json(document)) for _, document in spool)
    cells = (row.cells for row in rows if row.is_complete or not leaves_incomplete)
    fit = map(drop_unfit, cells) if format == "google_rss" else cells
    yield from encode_target(table.header, fit, format=format, title=title)


def _profile_rows(spool: ItemSpool, earlier: Iterator[Item | None], table: ProfileTable, left_out: list[str], *,
                  format: str) -> Iterator[bytes]:
    """Yield a table with the columns of a profile; empty pieces while the items are read for the columns they need."""
    names: set[str] = set()
    for document in _documents(earlier, spool):
        if document is None:
            yield b""
        else:
            names.update(read_members(document) or {})
    left_out += table.left_out(names)
    header = table.header(names)
    yield from _write_table((table.row(read_json(document), header) for _, document in spool), header, format)


def _table(spool: ItemSpool, earlier: Iterator[Item | None], kind: Kind, left_out: list[str], *, format: str,
           ) -> Iterator[bytes]:
    """Yield a table of all items; empty pieces while they are read for its columns."""
    columns = TableColumns(kind)
    for document in _documents(earlier, spool):
        if document is None:
            yield b""
        else:
            columns.add(document)
    left_out += columns.left_out
    header = columns.header
    rows = (columns.cells(document, header) for _, document in spool)
    yield from _write_table(rows, header, format)


def _documents(earlier: Iterator[Item | None], spool: ItemSpool) -> Iterator[bytes | None]:
    """Yield the documents that a header depends on; None now and then, so that the caller can do something else."""
    for item in earlier:
        yield item.document if item is not None else None
    for at, (_, document) in enumerate(spool):
        yield document
        if not at % PAGE_ITEMS:
            yield None


def _write_table(rows: Iterator[list[str]], header: list[str], format: str) -> Iterator[bytes]:
    return write_parquet(rows, header) if format == "parquet" else formats.write(rows, format=format, header=header)


def _feed(spool: ItemSpool, left_out: list[str], *, title: str) -> Iterator[bytes]:
    """Yield a feed of the fields of all items; empty pieces while they are read for what it leaves out.

    Raises FormatOverflowError, before the first piece, for a character that XML cannot hold.
    """
    unfit: dict[str, None] = {}
    for at, (key, document) in enumerate(spool):
        unfit.update(dict.fromkeys(name for name in read_members(document) or {} if name not in GOOGLE_FIELDS))
        if b"\\" in document or b"\xef\xbf" in document:  # else it has no such character
            check_item(display_key(key) or "", _fields(document))
        if not at % PAGE_ITEMS:
            yield b""
    left_out += unfit
    yield from write_rss(((display_key(key) or "", _fields(document)) for key, document in spool), title=title)


def _fields(document: bytes) -> Members:
    members = read_members(document) or {}
    return {name: read_value(value) for name, value in members.items() if name in GOOGLE_FIELDS}
