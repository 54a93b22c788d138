"""Write a collection of the catalogue to a file, as a stream: a feed for other systems.

What is written and submitted again is `unchanged`. NDJSON and JSON hold every item as it is. A table has a column for
each member that some item has, and a feed an element; what they cannot hold is left out and named in `Report.left_out`.
"""

from collections.abc import Callable, Collection, Iterator

from goodsgate import formats
from goodsgate.engine.cells import to_cell
from goodsgate.engine.item_spool import ItemSpool
from goodsgate.engine.profile_table import ProfileTable
from goodsgate.engine.refusal import Refusal
from goodsgate.engine.report import Report
from goodsgate.formats.parquet_writer import check_parquet, write_parquet
from goodsgate.formats.rss_writer import check_item, write_rss
from goodsgate.model.batch import Kind
from goodsgate.model.catalogue import Item, display_key, item_key
from goodsgate.model.extras import ExtraMissingError
from goodsgate.model.fields import FIELDS
from goodsgate.model.json_text import Members, read_json, read_members, read_value
from goodsgate.profiles import Profile, load_profile, profile_names
from goodsgate.store.contract import Store

EXPORT_FORMATS = ("ndjson", "json", "csv", "tsv", "xlsx", "parquet", "google_rss")
MEDIA_TYPES = formats.MEDIA_TYPES | {
    "parquet": "application/vnd.apache.parquet", "google_rss": "application/rss+xml",
}
TABLES = ("csv", "tsv", "xlsx", "parquet")
GOOGLE = "google"
GOOGLE_FIELDS = frozenset(FIELDS[Kind.PRODUCT]) - {
    "currency", "tax_rule", "hs_code", "country_of_origin", "attributes", "variants", "version_number", "observed_at",
}
"""Fields that Google's specification has: the others are additions of Goodsgate."""
NO_TABLES = frozenset({"cif", "prestashop_combinations"})
"""Profiles of tables between lines that are no rows, and of tables without a name of the products."""
SUFFIXES = {"google_rss": "xml"}
PAGE_ITEMS = 200
"""Items that are read at once: few, because each may be as long as a line."""

Items = Callable[[], Iterator[Item | None]]
"""Returns the items from the first one on; None after each page, so that the caller can do something else."""


def export(store: Store, merchant: str, kind: Kind, collection: str, *, format: str, profile: str | None = None,
           after: str | None = None) -> Report:
    """Return a file of the items of a collection, ordered by key.

    `profile` names a profile whose columns a table has; see `engine.profile_table`. `after` is the key of the last item
    of an export that broke off, ``sku`` or ``sku@location``. For a table or a feed all items are read before it begins,
    because its header, or `Report.left_out`, depends on all of them; they are kept in a temporary file meanwhile, so
    that the store is read once and the file holds what was read. An export that is continued has the header of the
    whole, for which items before `after` are read, too.

    Raises Refusal (parameter_invalid), also for Parquet without its package.
    """
    if format not in EXPORT_FORMATS:
        allowed = ", ".join(EXPORT_FORMATS)
        raise Refusal("parameter_invalid", f"format must be one of {allowed}.", parameter="format")
    columns_of = _exported_profile(profile, format) if profile is not None else None
    if format == "parquet":
        try:
            check_parquet()
        except ExtraMissingError as error:
            raise Refusal("parameter_invalid", str(error), parameter="format") from error
    start = _stored_key(after, kind) if after is not None else None

    def items() -> Iterator[Item | None]:
        return _items(store, merchant, kind, collection, after=start)

    def earlier() -> Iterator[Item | None]:
        return _items(store, merchant, kind, collection, after=None) if start is not None else iter(())

    left_out: list[str] = []
    if format in ("ndjson", "json"):
        documents = (item.document for item in items() if item is not None)
        pieces = formats.write(documents, format=format, header=None)
    elif columns_of is not None and columns_of.name != GOOGLE:
        pieces = _profile_rows(items, earlier, ProfileTable(columns_of, kind), left_out, format=format)
    elif format == "google_rss":
        pieces = _feed(items, left_out, title=collection)
    else:
        allowed_names = GOOGLE_FIELDS if columns_of is not None else None
        pieces = _table(items, earlier, kind, left_out, format=format, allowed=allowed_names)
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


def _exported_profile(name: str, format: str) -> Profile:
    names = exported_profiles()
    if name not in names:
        raise Refusal("parameter_invalid", f"profile must be one of {', '.join(names)}.", parameter="profile")
    if format not in TABLES and (name, format) != (GOOGLE, "google_rss"):
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


def _profile_rows(items: Items, earlier: Items, table: ProfileTable, left_out: list[str], *, format: str,
                  ) -> Iterator[bytes]:
    """Yield a table with the columns of a profile; empty pieces while the items are read for the columns they need."""
    names: set[str] = set()
    with ItemSpool() as spool:
        for item, is_written in _in_turn(earlier, items):
            if item is None:
                yield b""
                continue
            names.update(read_members(item.document) or {})
            if is_written:
                spool.add(item)
        left_out += table.left_out(names)
        header = table.header(names)
        yield from _write_table((table.row(read_json(document), header) for _, document in spool), header, format)


def _table(items: Items, earlier: Items, kind: Kind, left_out: list[str], *, format: str,
           allowed: Collection[str] | None) -> Iterator[bytes]:
    """Yield a table of all items; empty pieces while they are read for its columns.

    Members that are not `allowed` are left out; None: all are.
    """
    names: dict[str, None] = {}
    unfit: dict[str, None] = {}
    with ItemSpool() as spool:
        for item, is_written in _in_turn(earlier, items):
            if item is None:
                yield b""
                continue
            for name, value in (read_members(item.document) or {}).items():
                fits = (allowed is None or name in allowed) and to_cell(name, value, kind) is not None
                (names if fits else unfit)[name] = None
            if is_written:
                spool.add(item)
        left_out += unfit
        header = [*filter(names.__contains__, FIELDS[kind]), *(name for name in names if name not in FIELDS[kind])]
        yield from _write_table((_cells(document, header, kind) for _, document in spool), header, format)


def _in_turn(earlier: Items, items: Items) -> Iterator[tuple[Item | None, bool]]:
    """Yield items that only the header is about, then those that are written."""
    for item in earlier():
        yield item, False
    for item in items():
        yield item, True


def _write_table(rows: Iterator[list[str]], header: list[str], format: str) -> Iterator[bytes]:
    return write_parquet(rows, header) if format == "parquet" else formats.write(rows, format=format, header=header)


def _cells(document: bytes, header: list[str], kind: Kind) -> list[str]:
    members = read_members(document) or {}
    return [to_cell(name, members[name], kind) or "" if name in members else "" for name in header]


def _feed(items: Items, left_out: list[str], *, title: str) -> Iterator[bytes]:
    """Yield a feed of the fields of all items; empty pieces while they are read for what it leaves out.

    Raises FormatOverflowError, before the first piece, for a character that XML cannot hold.
    """
    unfit: dict[str, None] = {}
    with ItemSpool() as spool:
        for item in items():
            if item is None:
                yield b""
                continue
            unfit.update(dict.fromkeys(name for name in read_members(item.document) or {} if name not in GOOGLE_FIELDS))
            if b"\\" in item.document or b"\xef\xbf" in item.document:  # else it has no such character
                check_item(display_key(item.key) or "", _fields(item.document))
            spool.add(item)
        left_out += unfit
        yield from write_rss(((display_key(key) or "", _fields(document)) for key, document in spool), title=title)


def _fields(document: bytes) -> Members:
    members = read_members(document) or {}
    return {name: read_value(value) for name, value in members.items() if name in GOOGLE_FIELDS}
