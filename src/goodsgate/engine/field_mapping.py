"""Map the submitter's names to field names: a line or a row goes in, a document with the gate's field names comes out.

Names are resolved by the submission's own mapping, then by the profile, then by the table of fields and the generic
names. For a table (`table_mapping`) that is done once, for its header; for JSON (`member_mapping`) record by record.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from goodsgate.engine.column_values import path_of, put, typed_value
from goodsgate.engine.header_names import HeaderName, generic_column, read_additions, read_header_name
from goodsgate.formats import Chunk
from goodsgate.model import fields
from goodsgate.model.batch import Kind, Policy, ReadingDecision
from goodsgate.model.issue import Issue, Severity, issue
from goodsgate.profiles import GENERIC, Column, Profile
from goodsgate.rules.shipping import shipping_parts

RESERVED = frozenset({"_verb", "_row", "_result", "_codes", "_messages", "_raw"})
"""Members and columns that control the gate and are no data; only `_verb` reaches the rules."""

ASIDE: tuple[Column, ...] = ()
"""A column that is stored and not checked."""
ERRORS_OF_TWO_VALUES = frozenset({
    "id", "location", "title", "gtin", "price", "sale_price", "currency", "quantity", "_verb",
})
"""Fields with which a record of two different values is rejected; the second value
of others is only stored."""

Members = dict[str, msgspec.Raw]
decode_members = msgspec.json.Decoder(Members).decode
encode = msgspec.json.encode


class Source(NamedTuple):
    """What a column or member of the submitter stands for."""

    name: str
    columns: tuple[Column, ...]
    """Entries of which the first whose conditions are met counts; none: the column is stored and not checked."""
    rank: int
    """Who says so; see below."""
    order: int = 0
    """Place among the columns of the profile."""
    number: str = ""
    """What stands for ``{n}`` in the name."""
    header: HeaderName | None = None
    """What the name adds to the value."""

    @property
    def fields(self) -> tuple[str, ...]:
        """Every field that the column can fill."""
        return tuple(dict.fromkeys(
            target for column in self.columns for target in (*column.to, *([column.rest] if column.rest else ()))
        ))

    def without(self, field: str) -> "Source":
        """Return the source without one of its fields."""
        columns = (
            msgspec.structs.replace(column, to=tuple(target for target in column.to if target != field))
            for column in self.columns
        )
        return self._replace(columns=tuple(each for each in columns if each.to or each.rest or each.packed))

    @property
    def is_trivial(self) -> bool:
        """Whether a value goes to one field as it is."""
        return (
            len(self.columns) == 1 and self.columns[0] == Column(to=self.columns[0].to)
            and len(self.columns[0].to) == 1 and (self.header is None or self.header.is_plain)
        )


MAPPED, PROFILED, NAMED = range(3)
"""Ranks: the submission's own mapping beats the profile, which beats names that anybody may use."""


class FieldMapping(ABC):
    """Names of one batch and the fields they stand for."""

    columns: list[str] | None = None
    """The submitter's header; None for JSON."""

    def __init__(self, kind: Kind, policy: Policy, profile: Profile) -> None:
        self.kind = kind
        self.policy = policy
        self.profile = profile
        self.decisions: list[ReadingDecision] = []
        """What was inferred about the names, for the batch to show."""

    @property
    def mapping(self) -> dict[str, list[str]]:
        """Submitter's name → field names, as far as they are known before a record is read; only names that change."""
        return dict(self.policy.mapping)

    @abstractmethod
    def documents(self, chunk: Chunk, issues: dict[int, list[Issue]]) -> Sequence[bytes]:
        """Return one document for each record; issues that are found on the way are added by index."""

    def rename(self, line: bytes) -> tuple[bytes, list[Issue]] | None:  # noqa: ARG002 - for JSON alone
        """Return the record with the gate's own names, and issues; None if it has them already."""
        return None

    def rename_variants(self, document: bytes) -> tuple[bytes, list[Issue]] | None:  # noqa: ARG002 - for JSON alone
        """Return a record, renamed before, with the gate's own names in its variants; None if it has them already."""
        return None

    def column_of(self, path: str, record: bytes | Sequence[str]) -> str | None:  # noqa: ARG002 - for other names
        """Return the submitter's name for a path of a field in a record, or None if it is the same."""
        return None

    def source_of(self, name: str) -> Source | None:  # noqa: ARG002 - for other names
        """Return what a name stands for; None for the gate's own names and for unknown ones."""
        return None

    def fields_of(self, name: str) -> list[str]:
        """Return the fields that a name stands for; none if it is stored and not checked."""
        source = self.source_of(name)
        if source is None:
            return [name] if fields.resolve(name, self.kind) == name else []
        return [*source.fields]


class OwnNames(FieldMapping):
    """Records with a schema of their own, which keep their names."""

    def __init__(self, kind: Kind, policy: Policy, profile: Profile, columns: list[str] | None) -> None:
        super().__init__(kind, policy, profile)
        self.columns = columns

    @property
    def mapping(self) -> dict[str, list[str]]:
        """No name changes."""
        return {}

    def documents(self, chunk: Chunk, issues: dict[int, list[Issue]]) -> Sequence[bytes]:
        """Return the lines, or the trimmed cells that are not empty under the names of their columns."""
        if self.columns is None:
            return chunk.lines
        documents = []
        for index, row in enumerate(chunk.rows):
            record: dict[str, object] = {}
            for name, cell in zip(self.columns, row, strict=False):
                text, path = cell.strip(), path_of(name, self.kind)
                if text and name not in record:
                    put(record, path, typed_value(text, name, self.kind))
                if text and text != cell:
                    issues.setdefault(index, []).append(
                        issue("text_edge_blanks", pointer_of(path), value=cell, suggestion=text)
                    )
            documents.append(encode(record))
        return documents


def find_source(name: str, kind: Kind, policy: Policy, profile: Profile) -> Source | None:
    """Return what a name stands for; None for one that nobody knows."""
    targets = policy.mapping.get(name)
    if targets is not None:
        names = tuple(resolve_target(target, kind) or target for target in targets)
        header = read_additions(name, names[0], kind) if names else None
        return Source(name, (Column(to=names),) if names else ASIDE, MAPPED, header=header)
    match = profile.column(name) if profile.name != GENERIC else None  # whose names are resolved below
    if match is not None:
        return Source(name, _entries(match.columns, match.number, kind), PROFILED, match.order, match.number)
    header = read_header_name(name.removeprefix("@"), kind)
    if header is None:
        parts = shipping_parts(name) if kind is Kind.PRODUCT else None
        return Source(name, (Column(to=("shipping",), parts=tuple(parts)),), NAMED) if parts else None
    column = generic_column(name.removeprefix("@")) if fields.resolve(name, kind) is None else None
    if column is None or column.to != (header.field,):
        column = Column(to=(header.field,))
    return Source(name, (column,), NAMED, header=header)


def resolve_target(name: str, kind: Kind) -> str | None:
    """Return the field that a mapping names as a target; None if there is none."""
    if name == "_verb":
        return name
    header = read_header_name(name, kind)
    return header.field if header is not None else None


def _entries(columns: tuple[Column, ...], number: str, kind: Kind) -> tuple[Column, ...]:
    """Return the entries that say something about records of a kind, with the number in the names of fields."""
    known = fields.FIELDS[kind].keys() | {"_verb"}
    entries = []
    for column in columns:
        to = tuple(target.replace("{n}", number) for target in column.to)
        to = tuple(target for target in to if target.split(".", 1)[0] in known)
        rest = column.rest if column.rest in known else None
        if to or rest or (column.packed and kind is Kind.PRODUCT):
            entries.append(column if (to, rest) == (column.to, column.rest) else
                           msgspec.structs.replace(column, to=to, rest=rest))
    return tuple(entries)


def set_aside(source: Source, kind: Kind) -> str:
    """Return the member that holds a column which is stored and not checked: its own name, unless a field has it.

    A column that the submission itself excludes never has a name that means a field.
    """
    name = source.name
    is_field = read_header_name(name, kind) if source.rank == MAPPED else name in fields.FIELDS[kind]
    return f"x_{name}" if is_field else name


def pointer_of(path: Sequence[str]) -> str:
    """Return the JSON Pointer (RFC 6901) of a path of members."""
    return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in path)


def two_values(path: Sequence[str], value: object, *, name: str, first: object, first_name: str) -> Issue:
    """Return the issue of a record in which two names stand for one field and have different values."""
    severity: Severity = "error" if path[0] in ERRORS_OF_TWO_VALUES else "warning"
    return msgspec.structs.replace(
        issue("field_conflict", pointer_of(path), value=value, expected=f"{first} ({first_name})", severity=severity),
        column=name,
    )
