"""Corrected rows of a fix of a table, as rows of the batch.

A report has the columns of the batch, the columns that the report adds, and behind these the further cells of a row
that has too many. A row that comes back as it was is the received one, with whatever made it unreadable.
"""

import msgspec

from goodsgate.formats.formula_marks import is_marked, needs_mark, unmark_formula
from goodsgate.model.finding import Finding
from goodsgate.model.issue import Issue, issue

ADDED_COLUMNS = frozenset({"_row", "_codes", "_messages", "_result"})
"""Columns and members that a report adds to a record."""
READING_CODES = frozenset(
    {
        "line_too_long", "cell_too_long", "row_ragged", "nul_bytes", "encoding_broken", "duplicate_in_batch",
        "cell_error", "formula_without_value", "sku_number_format",
    }
)
"""Issues that remain as long as a record is what was received."""

_decode_row = msgspec.json.Decoder(list[str]).decode


class FixTable:
    """The columns of a fix and where they stand in the batch."""

    def __init__(self, header: list[str], columns: list[str], *, is_text: bool) -> None:
        """`columns` are those of the batch; CSV and TSV may have marks before formulas and further cells in a row."""
        self._is_text = is_text
        self._width = len(header)
        names = [*header]
        if is_text:
            names = [unmark_formula(name) if is_marked(name) and name not in columns else name for name in header]
        free = {name: [at for at, each in enumerate(names) if each == name] for name in names}
        self._places = [free[column].pop(0) if free.get(column) else None for column in columns]
        """For each column of the batch the column of the fix with its name."""

    def row(self, cells: list[str], before: Finding | None, problem: Issue | None) -> tuple[list[str], Issue | None]:
        """Return the row of the batch, and why it cannot be read.

        `before` is the record that it replaces; `problem` is why the row of the fix cannot be read.
        """
        if not self._is_text:
            return received_row(self._own(cells), before, problem)
        received = _decode_row(before.raw) if before is not None and before.raw else []
        own = self._own(cells) + _without_blank_end(cells[self._width :])
        own = [unmarked(cell, received[at] if at < len(received) else "") for at, cell in enumerate(own)]
        width = len(self._places)
        if before is not None and own == [*received, *[""] * (width - len(received))]:
            return received, reading_issue(before)
        if len(own) > width:
            return own, issue("row_ragged", value=str(len(own)), expected=str(width))
        return own, problem

    def _own(self, cells: list[str]) -> list[str]:
        """Return the cells of the columns of the batch."""
        return [cells[at] if at is not None and at < len(cells) else "" for at in self._places]


def received_row(cells: list[str], before: Finding | None, problem: Issue | None) -> tuple[list[str], Issue | None]:
    """Return a row of the batch from a fix that keeps no further cells of a row, and why it cannot be read."""
    if before is not None and before.raw:
        received = _decode_row(before.raw)
        if cells == [*received, *[""] * (len(cells) - len(received))][: len(cells)]:
            return received, reading_issue(before)
    return cells, problem


def reading_issue(before: Finding) -> Issue | None:
    """Return why a record could not be read; it cannot be read again if it comes back as it was."""
    return next((each for each in before.issues if each.code in READING_CODES), None)


def new_columns(header: list[str], columns: list[str], *, has_marks: bool) -> list[str]:
    """Return the columns of a fix that neither the batch nor its report has."""
    names = {unmark_formula(name) if has_marks and name not in columns else name: None for name in header}
    return [name for name in names if name not in columns and name not in ADDED_COLUMNS]


def unmarked(cell: str, received: str) -> str:
    """Return a cell without the mark that the report has put before it.

    The file may be a report without marks. So a cell that is the one that was received stays, and a mark is removed if
    what was received had one, too.
    """
    if not is_marked(cell) or cell == received:
        return cell
    return unmark_formula(cell) if needs_mark(received) or unmark_formula(cell) == received else cell


def _without_blank_end(cells: list[str]) -> list[str]:
    count = len(cells)
    while count and not cells[count - 1].strip():
        count -= 1
    return cells[:count]
