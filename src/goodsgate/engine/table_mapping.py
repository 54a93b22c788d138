"""Names of a table: the header is resolved once, and each row becomes a document."""

from collections.abc import Sequence

import orjson

from goodsgate.engine.column_values import (
    addition_of,
    applies,
    column_texts,
    is_same,
    matches,
    path_of,
    put,
    typed_value,
    unpack,
    with_addition,
)
from goodsgate.engine.field_mapping import (
    MAPPED,
    PROFILED,
    RESERVED,
    FieldMapping,
    Source,
    pointer_of,
    set_aside,
    two_values,
)
from goodsgate.engine.placeholders import clean_mark, placeholder_issue
from goodsgate.engine.row_rules import RowRules, put_options
from goodsgate.engine.table_header import TableHeader
from goodsgate.formats import Chunk
from goodsgate.model import fields
from goodsgate.model.batch import Kind, Policy
from goodsgate.model.issue import Issue, issue
from goodsgate.model.json_text import write_json
from goodsgate.profiles import Column, Profile, fold
from goodsgate.rules.placeholders import PLACEHOLDERS, spellings
from goodsgate.rules.shipping import read_shipping

MARKED_FIELDS = frozenset({"id", "gtin", "mpn", "item_group_id", "location", "hs_code"})
"""Fields of digits, which a spreadsheet's mark keeps as text."""
PRICE_FIELDS = frozenset({"price", "sale_price"})
TITLE_CHARACTERS_MAX = fields.FIELDS[Kind.PRODUCT]["title"].characters_max


class TableMapping(FieldMapping):
    """Columns of one table and the fields they stand for."""

    def __init__(self, kind: Kind, policy: Policy, profile: Profile, columns: list[str]) -> None:
        super().__init__(kind, policy, profile)
        self.columns = columns
        self._header = TableHeader(kind, policy, profile, columns)
        self.issues = self._header.issues
        """Issues of the header."""
        self.refusal = self._header.refusal
        """Why no row of the table can be applied; the issue of each."""
        self.decisions += self._header.decisions
        self._positions, self._sources = self._header.positions, self._header.sources
        self._folded = {fold(name): at for name, at in reversed(self._positions.items())}
        self._cells: Sequence[str] = ()
        """The row that is read."""
        self._plan()

    @property
    def mapping(self) -> dict[str, list[str]]:
        """Column → field names; only columns whose names change."""
        known = {name: [*source.fields] for name, source in self._sources.items()}
        return {name: targets for name, targets in known.items() if targets != [name]}

    def positions_of(self, field: str) -> list[int]:
        """Return the columns that fill a field, the preferred one first."""
        return [self._positions[name] for name in self._by_field.get(field, ())]

    def source_of(self, name: str) -> Source | None:
        """Return what a column stands for."""
        return self._sources.get(name)

    def _plan(self) -> None:
        """Prepare what is done with each cell of a row."""
        counts: dict[str, int] = {}
        for source in self._sources.values():
            for field in source.fields:
                counts[field] = counts.get(field, 0) + 1
        mapped = {name for name, source in self._sources.items() if source.rank == MAPPED}
        maps_prices = not PRICE_FIELDS.isdisjoint(field for name in mapped for field in self._sources[name].fields)
        self._rules = RowRules(
            self.profile, self.kind, self.columns or (), positions=self._folded,
            mapped={self._positions[name] for name in mapped}, maps_prices=maps_prices,
            used=[column for source in self._sources.values() for column in source.columns],
            filling={self._positions[name] for name, source in self._sources.items() if source.columns},
        )
        self._plain: list[str] = []
        special: list[tuple[Source, int]] = []
        for at, name in enumerate(self.columns or ()):
            known = self._sources.get(name)
            if self._positions[name] != at or (name in RESERVED and name != "_verb") or at in self._rules.consumed:
                self._plain.append("")
            elif known is None:
                self._plain.append(name)
            elif not known.columns:
                self._plain.append(set_aside(known, self.kind))
            elif known.is_trivial and self._is_plain(target := known.columns[0].to[0]) and counts[target] == 1:
                self._plain.append(target)
            else:
                self._plain.append("")
                special.append((known, at))
        self._special = [*sorted(special, key=lambda each: self._header.preference(each[0]))]
        self._fields = [self._sources[name].fields if name in self._sources else () for name in self.columns or ()]
        self._marked = [at for at, names in enumerate(self._fields) if not MARKED_FIELDS.isdisjoint(names)]
        self._repeats = self._find_repeats()
        self._words = PLACEHOLDERS | spellings(self.profile.empty_words)
        self._by_field: dict[str, list[str]] = {}
        for source, _ in self._special:
            for field in source.fields:
                self._by_field.setdefault(field, []).append(source.name)
        for name, other in self._sources.items():
            for field in other.fields:
                if name not in self._by_field.setdefault(field, []):
                    self._by_field[field].append(name)

    def _find_repeats(self) -> list[tuple[int, int]]:
        """Return the columns whose name an earlier one has, each with that one."""
        firsts = ((at, self._positions[name]) for at, name in enumerate(self.columns or ()) if name not in RESERVED)
        return [(at, first) for at, first in firsts if at != first]

    def _is_plain(self, target: str) -> bool:
        return "." not in target and fields.cell_type(target, self.kind) == "text"

    def documents(self, chunk: Chunk, issues: dict[int, list[Issue]]) -> Sequence[bytes]:
        """Return one document for each row."""
        documents = []
        for index, row in enumerate(chunk.rows):
            cells = [*map(str.strip, row)]
            found: list[Issue] = [] if cells == row else self._trimmed(row, cells)
            documents.append(self.document(cells, found))
            if found:
                issues[index] = found
        if self.refusal is not None:
            for index in range(len(chunk.rows)):
                issues[index] = [issue("not_applied", value=self.refusal.message)]
        return documents

    def document(self, cells: list[str], issues: list[Issue]) -> bytes:
        """Return the document of one row of trimmed cells, which are changed; empty cells are absent, or are nulls."""
        if not self._words.isdisjoint(cells):
            self._check_placeholders(cells, issues)
        for at in self._marked:
            if at < len(cells) and cells[at][:1] in ("'", "="):
                self._clean_mark(cells, at, issues)
        for at, first in self._repeats:
            self._use_repeat(cells, at, first=first, issues=issues)
        record: dict[str, object] = {name: cell for name, cell in zip(self._plain, cells, strict=False) if cell}
        record.pop("", None)
        if self._special or self._rules:
            self._fill(record, cells, issues)
        if self._header.describes_title:
            _add_title(record)
        if self.policy.empty == "clear":
            self._add_nulls(record, cells)
        try:
            return orjson.dumps(record)
        except orjson.JSONEncodeError:  # a cell of JSON holds a number that orjson would round
            return write_json(record)

    def _use_repeat(self, cells: list[str], at: int, *, first: int, issues: list[Issue]) -> None:
        """Use the cell of a column whose name an earlier one has, if that one's is empty; two values are an issue."""
        if at >= len(cells) or not cells[at]:
            return
        if not cells[first]:
            cells[first] = cells[at]
        elif self._fields[first] and not is_same(cells[first], cells[at]):
            path, name = path_of(self._fields[first][0], self.kind), self._column(at)
            issues.append(two_values(path, cells[at], name=name, first=cells[first], first_name=name))

    def _add_nulls(self, record: dict[str, object], cells: Sequence[str]) -> None:
        """Add a null for each empty cell whose field has no value in another column."""
        for name, cell in zip(self._plain, cells, strict=False):
            if name and not cell and name != "_verb":
                record.setdefault(name, None)
        for source, at in self._special:
            if at < len(cells) and not cells[at]:
                for path in (path_of(target, self.kind) for column in source.columns for target in column.to):
                    holder = record.get(path[0])
                    if path[0] not in record or (isinstance(holder, dict) and len(path) == 2 and path[1] not in holder):
                        put(record, path, None)

    def _fill(self, record: dict[str, object], cells: Sequence[str], issues: list[Issue]) -> None:
        """Add the values of columns that need more than a name."""
        self._cells = cells
        first: dict[tuple[str, ...], tuple[str, Source]] = {}
        """Path → the cell that filled it, and its column."""
        for source, at in self._special:
            cell = cells[at] if at < len(cells) else ""
            if cell:
                self._fill_column(record, source, cell, first=first, issues=issues)
        if self._rules:
            self._rules.fill(record, cells, self._read_cell, issues)

    def _fill_column(self, record: dict[str, object], source: Source, cell: str, *,
                     first: dict[tuple[str, ...], tuple[str, Source]], issues: list[Issue]) -> None:
        column = next((each for each in source.columns if applies(each.when, self._read_cell)), None)
        if column is None:
            record[set_aside(source, self.kind)] = cell
            return
        if column.packed is not None:
            self._fill_packed(record, cell, column)
            return
        texts = column_texts(cell, column)
        addition = addition_of(column, source.header, self._read_cell)
        if addition:
            texts, conflicts = with_addition(texts, addition, path=pointer_of(path_of(column.to[0], self.kind)))
            issues.extend(conflicts)
        if column.matching is not None:
            others = [text for text in texts if not matches(column.matching, text)]
            texts = [text for text in texts if text not in others]
            if others:
                record[set_aside(source, self.kind)] = cell
        if not texts:
            return
        if column.rest is not None:
            self._add(record, column.rest, texts[1:])
            texts = texts[:1]
        for target in column.to:
            path = path_of(target, self.kind)
            if len(texts) > 1:
                self._add(record, target, texts)
            elif source.rank == PROFILED and self._is_repeated(target):
                value = typed_value(texts[0], target, self.kind)
                self._add(record, target, value if isinstance(value, list) else texts)
            elif (other := first.setdefault(path, (texts[0], source)))[1] is source:
                value = read_shipping(texts[0], column.parts) if column.parts else None
                put(record, path, value or typed_value(texts[0], target, self.kind))
            elif source.rank != PROFILED and not is_same(other[0], texts[0]):
                found = two_values(path, cell, name=source.name, first=other[0], first_name=other[1].name)
                issues.append(found)
                if found.severity != "error":
                    record[set_aside(source, self.kind)] = cell

    def _fill_packed(self, record: dict[str, object], cell: str, column: Column) -> None:
        """Add named values; what a column of the file has filled stays."""
        assert column.packed is not None
        for name, values in (unpack(cell, column.packed) or [{}])[0].items():
            put_options(record, name, values, self.kind)

    def _is_repeated(self, target: str) -> bool:
        field = fields.FIELDS[self.kind].get(target)
        return field is not None and field.repeated > 0

    def _add(self, record: dict[str, object], target: str, texts: Sequence[object]) -> None:
        """Add values to those that a repeated field has."""
        if not texts:
            return
        had = record.get(target)
        known = had if isinstance(had, list) else [had] if had is not None else []
        values = [*dict.fromkeys([*known, *texts])]
        is_list = len(values) > 1 or fields.cell_type(target, self.kind) == "list"
        record[target] = values if is_list else values[0]

    def _read_cell(self, column: str) -> str:
        at = self._folded.get(fold(column))
        return self._cells[at] if at is not None and at < len(self._cells) else ""

    # what a cell holds

    def _check_placeholders(self, cells: list[str], issues: list[Issue]) -> None:
        for at, cell in enumerate(cells[: len(self._fields)]):
            if cell not in self._words:
                continue
            if cell.lower() in self.profile.empty_words:
                cells[at] = ""
            elif self._fields[at]:
                found = placeholder_issue(cell, self._pointer(at), self._fields[at])
                issues.append(found)

    def _clean_mark(self, cells: list[str], at: int, issues: list[Issue]) -> None:
        text = clean_mark(cells[at])
        if text is not None:
            if not self.profile.text_marks:
                issues.append(issue("text_mark", self._pointer(at), value=cells[at], suggestion=text))
            cells[at] = text

    def _trimmed(self, row: Sequence[str], cells: Sequence[str]) -> list[Issue]:
        known = len(self.columns or ())
        return [
            issue("text_edge_blanks", self._pointer(at), value=was, suggestion=cell)
            for at, (was, cell) in enumerate(zip(row, cells, strict=True))
            if was != cell and cell and at < known
        ]

    def _column(self, at: int) -> str:
        return (self.columns or [])[at]

    def _pointer(self, at: int) -> str:
        """Return the JSON Pointer of the member that holds a column's cells."""
        name = self._column(at)
        source = self._sources.get(name)
        return pointer_of(path_of(source.fields[0], self.kind) if source is not None and source.fields else (name,))

    def column_of(self, path: str, record: bytes | Sequence[str]) -> str | None:
        """Return the column of a path: of several, the first one with a cell in this row."""
        if not path or isinstance(record, bytes):
            return None
        steps = [step.replace("~1", "/").replace("~0", "~") for step in path.split("/")[1:]]
        for end in range(len(steps), 0, -1):
            dotted = ".".join(steps[:end])
            names = self._by_field.get(dotted, ())
            if names:
                filled = (name for name in names if _cell(record, self._positions[name]))
                name = next(filled, names[0])
                return name if name != dotted else None
            if dotted in self._positions:
                return dotted
        return None


def _add_title(record: dict[str, object]) -> None:
    """Make a description the title, too, if it can be one."""
    text = record.get("description")
    if isinstance(text, str) and len(text) <= TITLE_CHARACTERS_MAX and "\n" not in text and "<" not in text:
        record.setdefault("title", text)


def _cell(row: Sequence[str], at: int) -> str:
    return row[at].strip() if at < len(row) else ""
