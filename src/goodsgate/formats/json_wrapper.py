"""The list of records inside a JSON object, such as ``{"products": [{…}, {…}]}``.

An object with exactly one list of objects is read as that list, which is found in the first mebibyte and split as an
array is. An object that looks like a record itself, because beside the list it has a key or several known fields,
stays one record: a product holds lists, too.
"""

import re
from collections.abc import Iterator

import msgspec

from goodsgate.formats.charset import first_bytes, skip_bytes
from goodsgate.formats.json_array import BLANKS, JsonArraySplitter, json_records
from goodsgate.formats.lines import ndjson
from goodsgate.formats.payload_reader import PayloadReader, RecordRun
from goodsgate.model.batch import Kind
from goodsgate.model.fields import resolve
from goodsgate.model.json_text import UNREADABLE_JSON

SAMPLE_BYTES = 1024 * 1024
LINE_SAMPLE_BYTES = 4096
LEVELS_MAX = 6
"""Levels of objects in which a list is looked for."""
RECORD_FIELDS = 2
"""So many known fields beside a list make its object a record."""
LIST_NAMES = frozenset({
    "products", "product", "items", "item", "offers", "offer", "articles", "article", "entries", "entry", "records",
    "record", "rows", "row", "data", "results", "result", "value", "values", "list", "objects", "hits", "nodes",
    "catalog", "catalogue", "feed", "skus", "artikel", "produkte", "produits", "productos", "prodotti", "produkty",
    "producten", "stock", "prices", "inventory",
})
"""Names of a list of records, in lower case."""
WHOLE = "."
"""The path of the object itself."""

_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*"|[\[\]{}:,]', re.S)
_OPENS_LIST = re.compile(rb"\[\s*[{\]]")
_PRETTY = re.compile(rb'\s*\{\s*(?:"[^"\\\n]*"\s*:\s*[\[{]\s*\{?)?\s*$')
"""The first line of an object that is written over several lines."""

Path = tuple[str, ...]
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class JsonScan(msgspec.Struct):
    """Lists of objects in the first value of a text."""

    lists: list[tuple[Path, int]] = []
    """Path and offset of each list of objects that stands in objects alone."""
    empty: list[tuple[Path, int]] = []
    """The same of empty lists."""
    names: dict[Path, list[str]] = {}
    """Path of an object → the names of its members."""
    end: int | None = None
    """Where the value ends; None if the text ends before."""


def scan_json(text: bytes) -> JsonScan:
    """Return the lists of objects in a text that begins with an object, as far as the text reaches."""
    scan = JsonScan()
    open_brackets: list[bytes] = []
    path: list[str] = []
    in_arrays = 0
    """Brackets that are open from the outermost array on; inside, nothing is looked for."""
    name, is_name = "", False
    for token in _TOKEN.finditer(text):
        sign = token[0][:1]
        if in_arrays:
            in_arrays += (sign in b"[{") - (sign in b"]}")
            continue
        if sign == b'"':
            if is_name:
                name, is_name = token[0][1:-1].decode("utf-8", "replace"), False
                scan.names.setdefault(tuple(path), []).append(name)
        elif sign == b"{":
            if open_brackets:
                path.append(name)
            open_brackets.append(sign)
            is_name = True
        elif sign == b"[":
            if len(path) < LEVELS_MAX and (opens := _OPENS_LIST.match(text, token.start())):
                lists = scan.empty if opens[0].endswith(b"]") else scan.lists
                lists.append(((*path, name), token.start()))
            in_arrays = 1
        elif sign == b",":
            is_name = True
        elif sign == b"}":
            open_brackets.pop()
            if not open_brackets:
                scan.end = token.end()
                return scan
            path.pop()
            is_name = False
    return scan


def wrapped_records(pieces: Iterator[bytes], reader: PayloadReader, *, records_at: str | None) -> Iterator[RecordRun]:
    """Yield the records of a JSON payload: elements of an array, of a list inside an object, or objects."""
    head, pieces = first_bytes(pieces, 1)
    if head[:1] == b"[" and records_at in (None, WHOLE):
        return json_records(pieces, reader)
    sample, pieces = first_bytes(pieces, SAMPLE_BYTES)
    if records_at is None and not sample.lstrip(BLANKS).startswith(b"{"):
        return json_records(pieces, reader)
    scan = scan_json(sample) if sample.lstrip(BLANKS).startswith(b"{") else JsonScan()
    if records_at is not None:
        reader.add_decision("records_at", records_at, "given")
        return _named_records(pieces, reader, scan, records_at)
    follows = scan.end is not None and bool(sample[scan.end :].strip(BLANKS))
    lists = [] if follows else [each for each in scan.lists if not _is_part_of_record(each[0], scan)]
    if not scan.lists and not follows:
        lists = [each for each in scan.empty if each[0][-1].lower() in LIST_NAMES and not _has_key(each[0], scan)][:1]
    if not lists:
        return json_records(pieces, reader)
    choices = [".".join(path) for path, _ in lists]
    if _has_key(lists[0][0], scan):
        choices.append(WHOLE)
    if len(choices) > 1:
        reader.add_notice("records_ambiguous", ", ".join(choices), suggestion=choices[0])
        return iter(())
    path, start = lists[0]
    reader.add_decision("records_at", choices[0], "detected", 0.95 if path[-1].lower() in LIST_NAMES else 0.8)
    return _list_records(pieces, reader, path, start)


def lines_or_wrapped(pieces: Iterator[bytes], reader: PayloadReader, *, records_at: str | None) -> Iterator[RecordRun]:
    """Yield the records of NDJSON, or of an object over several lines, or alone in its line, that holds a list."""
    if records_at is not None:
        return wrapped_records(pieces, reader, records_at=records_at)
    head, pieces = first_bytes(pieces, LINE_SAMPLE_BYTES)
    line, newline, rest = head.lstrip(BLANKS).partition(b"\n")
    if line.startswith(b"{"):
        if not newline and len(head) < LINE_SAMPLE_BYTES and _is_record(line):
            return ndjson(pieces, reader)
        is_alone = not rest.strip(BLANKS) and _OPENS_LIST.search(line) is not None
        if is_alone and not newline and len(head) >= LINE_SAMPLE_BYTES:
            sample, pieces = first_bytes(pieces, SAMPLE_BYTES)
            is_alone = not sample.lstrip(BLANKS).partition(b"\n")[2].strip(BLANKS)
        if is_alone or (newline and _PRETTY.match(line)):
            return wrapped_records(pieces, reader, records_at=None)
    return ndjson(pieces, reader)


def _is_record(line: bytes) -> bool:
    """Return whether an object has a key, and no list in it can be one of records.

    Only what takes little time is looked at: most small submissions are one such record.
    """
    try:
        members = _decode_members(line)
    except UNREADABLE_JSON:
        return False
    return (
        any(resolve(name, Kind.PRODUCT) == "id" for name in members)
        and LIST_NAMES.isdisjoint(map(str.lower, members))
        and not any(_OPENS_LIST.search(value) for value in map(bytes, members.values()) if value[:1] == b"{")
    )


def _named_records(
    pieces: Iterator[bytes], reader: PayloadReader, scan: JsonScan, records_at: str
) -> Iterator[RecordRun]:
    steps = tuple(filter(None, re.split(r"[./]", records_at.removeprefix("$").replace("[*]", ""))))
    if not steps:
        return json_records(pieces, reader)
    for path, start in (*scan.lists, *scan.empty):
        if path == steps:
            return _list_records(pieces, reader, path, start, is_given=True)
    reader.add_notice("records_missing", records_at)
    return iter(())


def _list_records(
    pieces: Iterator[bytes], reader: PayloadReader, path: Path, start: int, *, is_given: bool = False
) -> Iterator[RecordRun]:
    """Yield the elements of a list that begins at `start`, and check what follows it."""
    splitter = JsonArraySplitter(reader, keeps_rest=True)
    yield from json_records(skip_bytes(pieces, start), reader, splitter=splitter)
    if reader.stopped is not None:
        return
    scan = scan_json(b'{"":' * len(path) + b"0" + splitter.rest)
    if scan.lists and not is_given:
        names = ", ".join(".".join((*path[: len(other) - 1], other[-1])) for other, _ in scan.lists)
        reader.add_notice("records_ambiguous", f"{'.'.join(path)}, {names}", suggestion=".".join(path))
    elif scan.end is None and not splitter.is_rest_cut:
        reader.stop("payload_truncated", "the JSON is not terminated")


def _is_part_of_record(path: Path, scan: JsonScan) -> bool:
    """Return whether the object of a list is a record itself, and the list only a part of it."""
    if path[-1].lower() in LIST_NAMES:
        return False
    known = sum(resolve(name, Kind.PRODUCT) is not None for name in scan.names.get(path[:-1], ()))
    return known >= RECORD_FIELDS or _has_key(path, scan)


def _has_key(path: Path, scan: JsonScan) -> bool:
    """Return whether an object around a list has a key."""
    return any(
        resolve(name, Kind.PRODUCT) == "id" for level in range(len(path)) for name in scan.names.get(path[:level], ())
    )
