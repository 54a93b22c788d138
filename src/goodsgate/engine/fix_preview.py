"""Preview of a corrected file before it is sent: what would change, and which rows match no rejected record."""

from collections.abc import Iterable, Iterator

import msgspec

from goodsgate import formats
from goodsgate.engine.fix_match import match_fix
from goodsgate.engine.fix_records import MARKED_FORMATS, assemble, row_texts
from goodsgate.engine.fix_rows import new_columns
from goodsgate.engine.report import submission_of
from goodsgate.formats import Chunk
from goodsgate.model.batch import Batch, ReadingDecision
from goodsgate.model.catalogue import display_key
from goodsgate.model.finding import Finding, FixMatch
from goodsgate.model.json_text import cell_text, read_members
from goodsgate.store.contract import Store

EXAMPLES_MAX = 20
TEXT_CHARACTERS_MAX = 200


class CellChange(msgspec.Struct, frozen=True):
    """A cell of a rejected record as received and as in the file, both truncated."""

    name: str
    before: str
    after: str


class RecordChange(msgspec.Struct, frozen=True):
    """What a row of the file changes in a rejected record."""

    row: int
    key: str
    cells: list[CellChange]


class FixPreview(msgspec.Struct, frozen=True, kw_only=True):
    """What a fix would replace and change."""

    match: FixMatch
    changed: int
    """Records of which at least one cell differs from what was received."""
    examples: list[RecordChange]
    """The first changed records, EXAMPLES_MAX at most."""
    unmatched: list[str]
    """The first `_row` that name no rejected record, or one that was named before."""
    encoding: ReadingDecision | None
    """How the file was decoded, if anything had to be decided."""


def preview_fix(store: Store, limits: formats.Limits, batch: Batch, pieces: Iterable[bytes], *, format: str,
                content_encoding: str, encoding: str | None = None) -> FixPreview:
    """Read a fix and return what it would do, without effect. Raises Refusal as `match_fix`."""
    counter = _ChangeCounter(store, batch, format)
    decisions: list[ReadingDecision] = []
    match = match_fix(
        store, limits, batch, pieces, format=format, content_encoding=content_encoding, encoding=encoding,
        watch=counter.add, decisions=decisions,
    )
    return FixPreview(
        match=match, changed=counter.changed, examples=counter.examples, unmatched=counter.unmatched,
        encoding=next((each for each in decisions if each.what == "encoding"), None),
    )


class _ChangeCounter:
    """Counts the records that a fix changes, in bounded memory."""

    def __init__(self, store: Store, batch: Batch, format: str) -> None:
        self._store = store
        self._batch = batch
        self._round = msgspec.structs.replace(submission_of(batch), format=format)
        self.changed = 0
        self.examples: list[RecordChange] = []
        self.unmatched: list[str] = []

    def add(self, chunk: Chunk, header: list[str] | None) -> None:
        """Count the records of a chunk."""
        batch, columns = self._batch, self._batch.columns
        if columns is not None and header is not None:
            columns = [*columns, *new_columns(header, columns, has_marks=self._round.format in MARKED_FORMATS)]
        fixed = assemble(chunk, header=header, round=self._round, columns=columns, store=self._store)
        numbers = [number for number in fixed.replaces or () if number is not None]
        received = self._store.rejected_by_number(batch.merchant, batch.id, numbers)
        for at, (text, number) in enumerate(zip(row_texts(chunk, header), fixed.replaces or (), strict=True)):
            if number is not None:
                self._compare(received[number], fixed, at, columns)
            elif text and len(self.unmatched) < EXAMPLES_MAX:
                self.unmatched.append(text[:TEXT_CHARACTERS_MAX])

    def _compare(self, before: Finding, fixed: Chunk, at: int, columns: list[str] | None) -> None:
        cells = [*_changes(before.raw or b"", fixed, at, columns)]
        if not cells:
            return
        self.changed += 1
        if len(self.examples) < EXAMPLES_MAX:
            self.examples.append(RecordChange(before.number, display_key(before.key) or "", cells[:EXAMPLES_MAX]))


def _changes(raw: bytes, fixed: Chunk, at: int, columns: list[str] | None) -> Iterator[CellChange]:
    """Yield the cells in which a record of a fix differs from the one that it replaces."""
    if columns is not None:
        was, now = msgspec.json.decode(raw or b"[]", type=list[str]), fixed.rows[at]
        for place in range(max(len(was), len(now))):
            name = columns[place] if place < len(columns) else f"column {place + 1}"
            before, after = (cells[place] if place < len(cells) else "" for cells in (was, now))
            if before != after:
                yield CellChange(name, before[:TEXT_CHARACTERS_MAX], after[:TEXT_CHARACTERS_MAX])
        return
    line = fixed.lines[at]
    if line.strip() == raw.strip():
        return
    was_members, members = read_members(raw), read_members(line)
    if was_members is None or members is None:
        texts = (text[:TEXT_CHARACTERS_MAX].decode("utf-8", "replace") for text in (raw, line))
        yield CellChange("record", *texts)
        return
    for name in dict.fromkeys([*was_members, *members]):
        if name.startswith("_") and name not in was_members:
            continue
        before, after = cell_text(was_members.get(name)), cell_text(members.get(name))
        if before != after:
            yield CellChange(name, before[:TEXT_CHARACTERS_MAX], after[:TEXT_CHARACTERS_MAX])
