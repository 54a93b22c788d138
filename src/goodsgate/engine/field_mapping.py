"""Map the submitter's names to field names: a line or a row goes in, a document with the gate's field names comes out.

The mapping of a batch is resolved once, from the policy's mapping, the header or the members of the first records. It
is stored with the batch, so that a repeated chunk, a fix and a retry use the same names.
"""

import logging
import re
from collections.abc import Iterable, Sequence
from itertools import chain

import msgspec
import orjson

from goodsgate.model import fields
from goodsgate.model.batch import Kind, Policy, ReadingDecision
from goodsgate.model.issue import Issue, issue
from goodsgate.model.json_text import UNREADABLE_JSON, read_json, write_json
from goodsgate.rules.currencies import DECIMALS

log = logging.getLogger(__name__)

RESERVED = frozenset({"_verb", "_row", "_result", "_codes", "_messages", "_raw"})
"""Members and columns that control the gate and are no data; only `_verb` reaches the rules."""

SAMPLE_RECORDS = 1_000
"""First records of a JSON payload whose member names are collected to resolve the mapping."""

Members = dict[str, msgspec.Raw]
LEVELS_MAX = 32
"""Levels that a mapping creates at most; dots of a longer name are part of the name."""
_INTEGER = re.compile(r"[+-]?[0-9]{1,17}")
_WORD = re.compile(r"[^\W_]+")
_POSITION = re.compile(r"[0-9]{1,9}")

decode_members = msgspec.json.Decoder(Members).decode
encode = msgspec.json.encode


class FieldMapping:
    """Names of one batch and the fields they stand for."""

    def __init__(self, kind: Kind, mapping: dict[str, list[str]], columns: list[str] | None) -> None:
        self.kind = kind
        self.mapping = mapping
        """Submitter's name → field names, dotted where nested; only names that change."""
        self.columns = columns
        self.decisions: list[ReadingDecision] = []
        """What was inferred about the names, for the batch to show."""
        self._names: dict[str, str] = {}
        self._nested: list[tuple[str, list[str]]] = []
        """JSON members inside other members; their values are copied."""
        for theirs, ours in mapping.items():
            for name in ours:
                self._names.setdefault(name, theirs)
            if columns is None and "." in theirs:
                self._nested.append((theirs, theirs.split(".")))
        self._plain, self._special = self._plan(columns) if columns is not None else ([], [])

    def _plan(self, columns: list[str]) -> tuple[list[str], list[tuple[str, list[tuple[str, ...]]]]]:
        """Return the target member of each column, and the paths of those whose cells need conversion or nesting."""
        plain: list[str] = []
        special: list[tuple[str, list[tuple[str, ...]]]] = []
        for at, column in enumerate(columns):
            name = column if columns.index(column) == at else ""
            if not name or (name in RESERVED and name != "_verb"):
                plain.append("")
                continue
            targets = self.mapping.get(name, [name]) or [set_aside(name, self.kind)]
            if len(targets) == 1 and "." not in targets[0] and not _converts(targets[0], self.kind):
                plain.append(targets[0])
            else:
                plain.append(f"\0{name}")
                special.append((f"\0{name}", [tuple(t.split(".")) if _nests(t, self.kind) else (t,) for t in targets]))
        return plain, special

    def documents(self, lines: Sequence[bytes], rows: Sequence[list[str]], trims: dict[int, list[Issue]],
                  ) -> Sequence[bytes]:
        """Return one document for each record; issues of trimmed cells are added to `trims`."""
        if self.columns is None:
            return [self.rename(line) for line in lines] if self.mapping else lines
        documents = []
        for index, row in enumerate(rows):
            cells = [*map(str.strip, row)]
            if cells != row:
                trims[index] = self._trimmed(row, cells)
            documents.append(self.document(cells))
        return documents

    def document(self, cells: Sequence[str]) -> bytes:
        """Return the document of one row of trimmed cells; empty cells are left out."""
        record: dict[str, object] = {name: cell for name, cell in zip(self._plain, cells, strict=False) if cell}
        record.pop("", None)
        for name, paths in self._special:
            cell = record.pop(name, None)
            if cell is None:
                continue
            for path in paths:
                _put(record, path, _convert(str(cell), path, self.kind))
        try:
            return orjson.dumps(record)
        except orjson.JSONEncodeError:  # a cell of JSON holds a number that orjson would round
            return write_json(record)

    def rename(self, line: bytes) -> bytes:
        """Return the record with the gate's member names and unchanged values; what is no object stays as it is."""
        try:
            members = decode_members(line)
        except UNREADABLE_JSON:
            return line
        record: dict[str, object] = {}
        for name, value in members.items():
            targets = self.mapping.get(name)
            if targets is None:
                record.setdefault(name, value)
            elif name in RESERVED:
                continue
            elif not targets:
                record[set_aside(name, self.kind)] = value
            else:
                for target in targets:
                    _put(record, tuple(target.split(".")), value)
        for name, path in self._nested:
            found = None if name in members else _nested_value(members, path)
            for target in self.mapping[name] if found is not None else ():
                record.pop(target, None)  # a mapped member beats one that has the name by chance
                _put(record, tuple(target.split(".")), found)
        return encode(record)

    def column_of(self, path: str) -> str | None:
        """Return the submitter's name for a path of a field, or None if it is the same."""
        if not path:
            return None
        parts = path[1:].replace("~1", "/").replace("~0", "~").split("/")
        while parts:
            dotted = ".".join(parts)
            if dotted in self._names:
                return self._names[dotted]
            if self.columns is not None and dotted in self.columns:
                return dotted
            parts.pop()
        return None

    def _trimmed(self, row: Sequence[str], cells: Sequence[str]) -> list[Issue]:
        columns = self.columns or []
        return [
            issue("text_edge_blanks", self._pointer(columns[at]), value=was, suggestion=cell)
            for at, (was, cell) in enumerate(zip(row, cells, strict=True))
            if was != cell and cell and at < len(columns)
        ]

    def _pointer(self, column: str) -> str:
        """Return the JSON Pointer (RFC 6901) of the member that holds a column's cells."""
        target = (self.mapping.get(column) or [column])[0]
        steps = target.split(".") if _nests(target, self.kind) else [target]
        return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in steps)


def resolve_mapping(kind: Kind, policy: Policy, *, columns: list[str] | None, sample: Iterable[bytes],
                    ) -> tuple[FieldMapping, list[Issue]]:
    """Return the mapping of a new batch and the issues of its header; records of a schema keep their own names."""
    if policy.schema:
        return FieldMapping(kind, {}, columns), []
    names = list(dict.fromkeys(columns)) if columns is not None else _member_names(sample)
    mapping: dict[str, list[str]] = {}
    for name, targets in policy.mapping.items():
        # A dotted name reaches into a member; the dots of a column are part of its name.
        if name in names or (columns is None and name.split(".", 1)[0] in names):
            mapping[name] = [fields.resolve(target, kind) or target for target in targets]
    taken = set(chain.from_iterable(mapping.values()))
    resolved: dict[str, str | None] = {}
    for name in names:
        if name not in mapping and name not in RESERVED:
            field = resolved[name] = fields.resolve(name, kind)
            if field == name:
                taken.add(name)
        elif columns is None and name in RESERVED and name != "_verb":
            mapping[name] = []
    mapped = set(chain.from_iterable(mapping.values()))
    keys = [name for name, field in resolved.items() if field == "id"] if columns is not None else []
    if len(keys) > 1 and "id" not in mapped:  # nobody knows which one it is: none is used, and each record lacks a key
        taken.discard("id")
    else:
        keys = []
    issues = _header_issues(kind, resolved, taken, mapped, keys) if columns is not None else []
    for name, field in resolved.items():
        if name in keys or (field == name and field in mapped):
            mapping[name] = []
        elif field is not None and field != name and field not in taken:
            mapping[name] = [field]
            taken.add(field)
    return FieldMapping(kind, mapping, columns), issues


def resolve_name(kind: Kind, policy: Policy, name: str) -> str | None:
    """Return the field that a column stands for before the mapping is resolved; None for an unknown one."""
    targets = policy.mapping.get(name)
    if targets is not None:
        return fields.resolve(targets[0], kind) if targets else None
    return None if policy.schema else fields.resolve(name, kind)


def set_aside(name: str, kind: Kind) -> str:
    """Return the member that holds a column which the mapping excludes from the checks."""
    return f"x_{name}" if fields.resolve(name, kind) else name


def _header_issues(
    kind: Kind, resolved: dict[str, str | None], taken: set[str], mapped: set[str], keys: list[str]
) -> list[Issue]:
    """Return the issues of a header.

    `taken` are the fields that have a column, `mapped` those that the policy maps, `keys` the columns that may be the
    key.
    """
    issues = []
    if keys:
        issues.append(issue("header_key_ambiguous", value=", ".join(keys), suggestion=f"{keys[-1]}:id"))
    elif not any(field == "id" for field in resolved.values()) and "id" not in mapped:
        issues.append(issue("header_key_missing", expected="a column for id (sku, code, item number …)"))
    used = {name: name for name in taken if name in resolved} | dict.fromkeys(mapped, "a mapped column")
    for name, field in resolved.items():
        top = name.split(".", 1)[0]
        if field is None and not (top != name and fields.resolve(top, kind)):
            issues.append(issue("header_unknown", value=name, suggestion=_nearest(name, kind)))
        elif field is not None and name not in keys and (other := used.setdefault(field, name)) != name:
            issues.append(issue("header_field_repeated", value=name, expected=other))
    return issues


def _nearest(name: str, kind: Kind) -> str | None:
    """Return the field that an unknown column may stand for; a currency in its name says nothing about that."""
    words = [word for word in _WORD.findall(name) if word.upper() not in DECIMALS]
    without_currency = "_".join(words)
    return fields.resolve(without_currency, kind) or fields.nearest(without_currency, kind)


def _member_names(sample: Iterable[bytes]) -> list[str]:
    names: dict[str, None] = {}
    for line in sample:
        try:
            names.update(dict.fromkeys(decode_members(line)))
        except UNREADABLE_JSON:
            continue
    return list(names)


_URL = re.compile(r"https?://", re.IGNORECASE)
_BEFORE_URL = re.compile(r"[\s,;|]+(?=https?://)|[\s,;|]+\Z", re.IGNORECASE)
"""Separators of URLs in a cell; elsewhere a comma is part of a URL (``/w_300,h_300/a.jpg``)."""


def _nests(target: str, kind: Kind) -> bool:
    """Return whether the dot separates two levels; below a field without members it is part of the name."""
    top = target.split(".", 1)[0]
    return 0 < target.count(".") <= LEVELS_MAX and fields.holds_members(top, kind)


def _converts(target: str, kind: Kind) -> bool:
    return fields.cell_type(target, kind) != "text"


def _convert(cell: str, path: tuple[str, ...], kind: Kind) -> object:
    """Return the cell as the field's type; a cell that cannot be converted stays text, and the rules report it."""
    wanted = fields.cell_type(".".join(path), kind)
    if wanted == "integer" and _INTEGER.fullmatch(cell):
        return int(cell)
    if wanted in ("list", "object") and cell[:1] in "[{":
        try:
            value = read_json(cell)
            write_json(value)  # which nests less deeply than it reads
        except (orjson.JSONDecodeError, RecursionError):
            return cell
        return value
    if wanted == "list":
        pieces = _BEFORE_URL.split(cell) if _URL.match(cell) else cell.split(",")
        return [part for part in (piece.strip() for piece in pieces) if part]
    return cell


def _nested_value(members: Members, path: list[str]) -> object:
    """Return the value at a path as raw JSON, or None if there is none."""
    value: object = members.get(path[0])
    for step in path[1:]:
        if not isinstance(value, msgspec.Raw):
            return None
        try:
            below = msgspec.json.decode(value, type=Members | list[msgspec.Raw] | str | float | bool | None)
        except UNREADABLE_JSON:
            return None
        if isinstance(below, dict):
            value = below.get(step)
        elif isinstance(below, list) and _POSITION.fullmatch(step) and int(step) < len(below):
            value = below[int(step)]
        else:
            return None
    return value


def _put(record: dict[str, object], path: tuple[str, ...], value: object) -> None:
    """Set a value at a path, creating objects and lists on the way."""
    at: object = record
    for step, following in zip(path, (*path[1:], None), strict=True):
        fresh: object = value if following is None else ([] if _POSITION.fullmatch(following) else {})
        if isinstance(at, list):
            if not _POSITION.fullmatch(step) or int(step) > len(at):
                return
            if int(step) == len(at):
                at.append(fresh)
            at = at[int(step)]
        elif isinstance(at, dict):
            if following is None:
                at[step] = fresh
            at = at.setdefault(step, fresh)
        else:
            return
