"""Names of JSON records: each record is read by itself, so that its neighbours do not matter.

A record that has the gate's own names, or names that nobody knows, is not copied.
"""

import functools
from collections.abc import Iterator, Sequence

import msgspec

from goodsgate.engine.column_values import (
    addition_of,
    applies,
    column_texts,
    is_same,
    matches,
    path_of,
    put,
    read_decimal,
    with_addition,
)
from goodsgate.engine.field_mapping import (
    ASIDE,
    MAPPED,
    PROFILED,
    RESERVED,
    FieldMapping,
    Members,
    Source,
    decode_members,
    encode,
    find_source,
    pointer_of,
    set_aside,
    two_values,
)
from goodsgate.formats import Chunk
from goodsgate.model import fields
from goodsgate.model.batch import Kind, Policy
from goodsgate.model.issue import Issue, issue
from goodsgate.model.json_text import UNREADABLE_JSON, cell_text
from goodsgate.profiles import GENERIC, Profile, load_profile

NAMES_KNOWN_MAX = 10_000
"""Names of members whose meaning is remembered."""
STANDARD_BYTES_MAX = 16 * 1024
"""Records up to this size have names whose meaning is remembered for all batches."""
NESTED_MAX = 100
"""Entries of a list inside a record that are looked at."""
DIGITS_MAX = 30
"""A number with an exponent is written out up to this size."""
EMPTY = (b"null", b'""')

decode_variants = msgspec.json.Decoder(list[Members]).decode


@functools.lru_cache(1_000)
def unknown_among(names: tuple[str, ...], kind: Kind) -> tuple[str, ...]:
    """Return the names that are neither fields nor other names for them."""
    known = fields.FIELDS[kind]
    policy, profile = Policy(), load_profile(GENERIC)
    return tuple(
        name for name in names
        if name not in known and name not in RESERVED and find_source(name, kind, policy, profile) is None
    )


class MemberMapping(FieldMapping):
    """Members of JSON records and the fields they stand for."""

    def __init__(self, kind: Kind, policy: Policy, profile: Profile) -> None:
        super().__init__(kind, policy, profile)
        self._known: dict[str, Source | None] = {}
        self._repeated: set[tuple[str, str]] = set()
        """Pairs of names for one field that were reported once."""
        self._lists: set[str] = set()
        """Names with several values for one field that were reported once."""
        self._unknown: dict[str, bool] = {}
        """Name → whether nobody knows it."""
        self._shapes: dict[tuple[str, ...], tuple[str, ...] | None] = {}
        """Names of a record → the names of its fields, in the same order; None if a record needs more than names."""
        self._renames_first = False
        """Whether records are renamed before they are checked, because the last ones had other names."""
        self._has_standard_names = not policy.mapping and profile.name == GENERIC
        """Whether names mean what they mean to everybody."""
        self._nested = [
            source for name in (*policy.mapping, *profile.columns) if "." in name
            if (source := find_source(name, kind, policy, profile)) is not None and source.columns
        ]
        """Members inside other members; their values are copied."""

    def documents(self, chunk: Chunk, issues: dict[int, list[Issue]]) -> Sequence[bytes]:
        """Return the lines; renamed if the records before them had to be, otherwise the check calls `rename`."""
        # What the check has learned under one profile does not hold under another one.
        if not self._renames_first and self.profile.name == GENERIC and not self._nested:
            return chunk.lines
        documents, is_any = [], False
        for index, line in enumerate(chunk.lines):
            renamed = self._rename_members(line)
            if renamed is None:
                documents.append(line)
                continue
            is_any = True
            documents.append(renamed[0])
            if renamed[1]:
                issues[index] = renamed[1]
        self._renames_first = is_any or not chunk.lines
        return documents

    def source_of(self, name: str) -> Source | None:
        """Return what a member stands for; None for the gate's own names and for unknown ones."""
        try:
            return self._known[name]
        except KeyError:
            pass
        source = None
        if name in RESERVED:
            source = Source(name, ASIDE, MAPPED) if name != "_verb" else None
        else:
            source = find_source(name, self.kind, self.policy, self.profile)
            if source is not None and source.is_trivial and source.fields == (name,):
                source = None
            elif source is not None and not source.columns and source.rank != MAPPED:
                source = None if name not in fields.FIELDS[self.kind] else source
        if len(self._known) >= NAMES_KNOWN_MAX:
            self._known.clear()
        self._known[name] = source
        return source

    def unknown_names(self, lines: Sequence[bytes]) -> list[str]:
        """Return the names of members in some records that nobody knows and that were not returned before."""
        found: list[str] = []
        for line in lines:
            try:
                names = tuple(decode_members(line))
            except UNREADABLE_JSON:
                continue
            if self._has_standard_names and len(line) <= STANDARD_BYTES_MAX:
                names = unknown_among(names, self.kind)
            for name in names:
                if name not in self._unknown:
                    if len(self._unknown) >= NAMES_KNOWN_MAX:
                        return found
                    is_unknown = self._unknown[name] = self._is_unknown(name)
                    found += [name] if is_unknown else []
        return found

    def _is_unknown(self, name: str) -> bool:
        if name in RESERVED or name in fields.FIELDS[self.kind] or "@" in name[1:]:  # an attribute inside a record
            return False
        if find_source(name, self.kind, self.policy, self.profile) is not None:
            return False
        inside = any(source.name.startswith(f"{name}.") for source in self._nested)
        return not inside and fields.resolve(name.partition(".")[0], self.kind) is None

    def rename(self, line: bytes) -> tuple[bytes, list[Issue]] | None:
        """Return the record with the gate's names, and issues; None if it has them already or is no object."""
        renamed = self._rename_members(line)
        if renamed is None:
            return self.rename_variants(line)
        self._renames_first = True
        document, issues = self.rename_variants(renamed[0]) or (renamed[0], [])
        return document, [*renamed[1], *issues]

    def _rename_members(self, line: bytes) -> tuple[bytes, list[Issue]] | None:
        """Return the record with the gate's names, and issues; variants keep theirs."""
        try:
            members = decode_members(line)
        except UNREADABLE_JSON:
            return None
        names = (*members,)
        try:
            shape = self._shapes[names]
        except KeyError:
            shape = self._remember_shape(names)
        if shape is not None:
            return (encode(dict(zip(shape, members.values(), strict=True))), []) if shape != names else None
        sources = [source for name in members if (source := self.source_of(name)) is not None]
        nested = [
            (source, values[0] if len(values) == 1 or source.rank == MAPPED else msgspec.Raw(encode(values)))
            for source in self._nested
            if source.name not in members and (values := _nested_values(members, source.name.split(".")))
        ]
        if not sources and not nested:
            return None
        issues: list[Issue] = []
        return encode(self._with_fields(members, sources, nested, issues)), issues

    def _remember_shape(self, names: tuple[str, ...]) -> tuple[str, ...] | None:
        """Return the fields of a record with these names if each goes to a field of its own as it is, else None."""
        targets: list[str] = []
        for name in names:
            source = self.source_of(name)
            targets.append(name if source is None else source.fields[0] if source.is_trivial else "")
        is_simple = (
            len({*targets}) == len(targets) and not self._nested and "" not in targets
            and not any("." in target and target not in names for target in targets)
        )
        if len(self._shapes) >= NAMES_KNOWN_MAX:
            self._shapes.clear()
        shape = self._shapes[names] = tuple(targets) if is_simple else None
        return shape

    def _with_fields(self, members: Members, sources: list[Source], nested: list[tuple[Source, msgspec.Raw]],
                     issues: list[Issue]) -> dict[str, object]:
        """Return the record with a field for each member that stands for one."""
        others = {source.name: source for source in sources}
        mapped = {field for source in sources if source.rank == MAPPED for field in source.fields}
        record: dict[str, object] = {}
        names: dict[str, str] = {}
        """Top field → the member that filled it."""
        for name, value in members.items():
            if name not in others:
                record[f"x_{name}" if name in mapped else name] = value
                names.setdefault(name, name)
        values = [(source, members[source.name]) for source in sources if source.name not in RESERVED]
        if any(source.name[0] == "@" for source in sources):
            values = self._without_attributes(values, members)
        for source, value in sorted([*values, *nested], key=lambda each: (each[0].rank, each[0].order)):
            if source.columns:
                self._fill(record, source, value, members=members, names=names, issues=issues)
            else:
                record[set_aside(source, self.kind)] = value
        return record

    def _without_attributes(self, values: list[tuple[Source, msgspec.Raw]], members: Members,
                            ) -> list[tuple[Source, msgspec.Raw]]:
        """Return the values, those of attributes set aside if an element stands for the same field."""
        elements = {field for source, _ in values if source.name[0] != "@" for field in source.fields}
        elements |= members.keys() & fields.FIELDS[self.kind].keys()
        return [
            (source if source.name[0] != "@" or elements.isdisjoint(source.fields) else source._replace(columns=ASIDE),
             value)
            for source, value in values
        ]

    def _fill(self, record: dict[str, object], source: Source, value: msgspec.Raw, *, members: Members,
              names: dict[str, str], issues: list[Issue]) -> None:
        def read_cell(name: str) -> str:
            found = members.get(name)
            return cell_text(found if found is not None else nested_value(members, name.split(".")))

        is_list = source.rank == PROFILED and bytes(value)[:1] == b"["
        if source.is_trivial and not (is_list and self._is_single(source.columns[0].to[0])):
            self._put(record, source, source.columns[0].to[0], value, names=names, issues=issues)
            return
        column = next((each for each in source.columns if applies(each.when, read_cell)), None)
        if column is None:
            record.setdefault(set_aside(source, self.kind), value)
            return
        texts = [text for whole in _texts(value) for text in column_texts(whole, column)]
        if column.matching and not all(matches(column.matching, each) for each in texts):
            record.setdefault(set_aside(source, self.kind), value)
            texts = [each for each in texts if is_list and matches(column.matching, each)]
        if not texts:
            return
        if addition := addition_of(column, source.header, read_cell):
            texts, conflicts = with_addition(texts, addition, path=pointer_of(path_of(column.to[0], self.kind)))
            issues.extend(conflicts)
        for target in column.to:
            several = texts if len(texts) > 1 and not self._is_single(target) else None
            if len(texts) > 1 and several is None and column.rest is None and source.name not in self._lists:
                self._lists.add(source.name)
                issues.append(msgspec.structs.replace(
                    issue("list_first_used", pointer_of(path_of(target, self.kind)), value=value, expected=texts[0]),
                    column=source.name,
                ))
            self._put(record, source, target, msgspec.Raw(encode(several or texts[0])), names=names, issues=issues)
        if column.rest is not None and texts[1:]:
            self._put(record, source, column.rest, msgspec.Raw(encode(texts[1:])), names=names, issues=issues)

    def _is_single(self, target: str) -> bool:
        field = fields.FIELDS[self.kind].get(target)
        return field is None or not field.repeated

    def _put(self, record: dict[str, object], source: Source, target: str, value: msgspec.Raw, *,
             names: dict[str, str], issues: list[Issue]) -> None:
        """Set a field; what another member of the record has set is compared with it."""
        path = path_of(target, self.kind)
        other = names.setdefault(target, source.name)
        if other == source.name or source.rank == MAPPED:
            put(record, path, value)
            names[target] = source.name
            return
        had = record.get(target)
        if not isinstance(had, msgspec.Raw) or bytes(had) in EMPTY:
            put(record, path, value)
            names[target] = source.name
        elif bytes(value) not in EMPTY and not is_same(cell_text(had), cell_text(value)):
            found = two_values(path, cell_text(value), name=source.name, first=cell_text(had), first_name=other)
            issues.append(found)
            if found.severity != "error":
                record[set_aside(source, self.kind)] = value
        elif (other, source.name) not in self._repeated:
            self._repeated.add((other, source.name))
            issues.append(msgspec.structs.replace(
                issue("field_repeated", pointer_of(path), value=source.name, expected=other), column=source.name
            ))

    def rename_variants(self, document: bytes) -> tuple[bytes, list[Issue]] | None:
        """Return the record with the gate's names in its variants, and issues; None if they have them already."""
        if self.kind is not Kind.PRODUCT or b'"variants"' not in document:
            return None
        try:
            members = decode_members(document)
            variants = decode_variants(members.get("variants", b"[]"))
        except UNREADABLE_JSON:
            return None
        if all(fields.resolve_in_variant(name) in (None, name) for variant in variants for name in variant):
            return None
        issues: list[Issue] = []
        renamed = [_rename_variant(variant, f"/variants/{at}", issues) for at, variant in enumerate(variants)]
        return encode({**members, "variants": renamed}), issues

    def column_of(self, path: str, record: bytes | Sequence[str]) -> str | None:
        """Return the member of the record that stands for a path."""
        if not path or not isinstance(record, bytes):
            return None
        try:
            members = decode_members(record)
        except UNREADABLE_JSON:
            return None
        names = [*members]
        steps = [step.replace("~1", "/").replace("~0", "~") for step in path.split("/")[1:]]
        targets = {".".join(steps[:end]) for end in range(1, len(steps) + 1)}
        for name in (*names, *(source.name for source in self._nested)):
            source = self.source_of(name)
            is_there = name in names or bool(_nested_values(members, name.split(".")))
            if source is not None and is_there and not targets.isdisjoint(source.fields):
                return name
        return None


def _rename_variant(variant: Members, path: str, issues: list[Issue]) -> dict[str, msgspec.Raw]:
    """Return a variant with the gate's names; two different values for one field are an error."""
    renamed: dict[str, msgspec.Raw] = {}
    for name, value in sorted(variant.items(), key=lambda each: fields.resolve_in_variant(each[0]) != each[0]):
        field = fields.resolve_in_variant(name) or name
        had = renamed.get(field)
        if had is None or bytes(had) in EMPTY:
            renamed[field] = value
        elif bytes(value) not in EMPTY and not is_same(cell_text(had), cell_text(value)):
            found = two_values((field,), cell_text(value), name=name, first=cell_text(had), first_name=field)
            issues.append(msgspec.structs.replace(found, path=f"{path}{found.path}", severity="error"))
    return renamed


def _texts(value: msgspec.Raw) -> Iterator[str]:
    """Yield the texts of a member: one, those of a list, or those of the only member of an object."""
    start = bytes(value)[:1]
    if start not in (b"[", b"{"):
        text = cell_text(value)
        number = read_decimal(text) if b"e" in bytes(value).lower() and start != b'"' else None
        yield format(number, "f") if number is not None and abs(number.adjusted()) < DIGITS_MAX else text
        return
    try:
        if start == b"[":
            yield from map(cell_text, msgspec.json.decode(value, type=list[msgspec.Raw]))
            return
        members = decode_members(value)
    except UNREADABLE_JSON:
        return
    inner = next(iter(members.values())) if len(members) == 1 else None
    if inner is None or bytes(inner)[:1] == b"{":
        yield cell_text(value)
    else:
        yield from _texts(inner)


def nested_value(members: Members, path: Sequence[str]) -> msgspec.Raw | None:
    """Return the value at a path as raw JSON, or None; a list without a position in the path gives its first entry."""
    return next(iter(_nested_values(members, path)), None)


def _nested_values(members: Members, path: Sequence[str]) -> list[msgspec.Raw]:
    """Return the values at a path as raw JSON; a list without a position in the path gives those of its entries."""
    values = [members[path[0]]] if path[0] in members else []
    for step in path[1:]:
        found: list[msgspec.Raw] = []
        for value in values:
            try:
                below = msgspec.json.decode(value, type=Members | list[msgspec.Raw] | str | float | bool | None)
                entries = below if isinstance(below, list) and not step.isdigit() else [value]
                for entry in entries[:NESTED_MAX]:
                    found += _below(entry, step)
            except UNREADABLE_JSON:
                continue
        values = found
    return values


def _below(value: msgspec.Raw, step: str) -> list[msgspec.Raw]:
    below = msgspec.json.decode(value, type=Members | list[msgspec.Raw] | str | float | bool | None)
    if isinstance(below, dict):
        return [below[step]] if step in below else []
    if isinstance(below, list) and step.isdigit() and len(step) < 10 and int(step) < len(below):
        return [below[int(step)]]
    return []
