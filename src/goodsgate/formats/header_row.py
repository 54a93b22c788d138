"""Find the header of a table among its first rows."""

import re
from collections.abc import Callable, Sequence
from typing import Literal

from goodsgate.formats.contract import ReadOptions
from goodsgate.formats.payload_reader import PayloadReader
from goodsgate.model.batch import HEADER_ROW_MAX

KNOWN_COLUMNS_MIN = 2
NAMES_MAX = 200
"""Names of a row that are looked up; it takes 0.1 ms to find that nobody knows one."""
COLUMNS_MAX = 2_000
"""Cells of a row that are looked at."""
LABEL_ROWS_MAX = 2
"""Rows of labels that may stand above the names of a system."""
GAP_COLUMNS = 20
"""Blank columns after which a cell of the header row does not belong to the table any more."""
_NUMBER = re.compile(r"[-+]?[\d.,'\s]*\d[\d.,'\s]*(?:[€$£%]|[A-Z]{3})?")
SHOWN_ROWS = 3
SHOWN_CHARACTERS = 60


def find_header(rows: Sequence[Sequence[str]], options: ReadOptions) -> int | None:
    """Return the index of the row that a profile recognizes, else of the first row with two or more known columns.

    None if there is neither. A row below wider ones is no header, and neither is one with a number: they hold values
    that look like names. Labels above the names of a system are no header either.
    """
    resolve, recognizes = options.resolve, options.recognizes
    found: int | None = None
    widest = 0
    for at, row in enumerate(rows[:HEADER_ROW_MAX]):
        if found is not None and at > found + LABEL_ROWS_MAX:
            break
        names = [name for cell in row[:COLUMNS_MAX] if (name := cell.strip())]
        if recognizes is not None and recognizes(names):
            return at
        if found is None and resolve is not None and len(names) >= widest and (
            not any(map(_NUMBER.fullmatch, names)) and _has_known_columns(names[:NAMES_MAX], resolve)
        ):
            found = at
        widest = max(widest, len(names))
    return found


def _has_known_columns(names: Sequence[str], resolve: Callable[[str], str | None]) -> bool:
    known: set[str] = set()
    for name in names:
        if (field := resolve(name)) is not None:
            known.add(field)
            if len(known) >= KNOWN_COLUMNS_MIN:
                return True
    return False


def table_columns(header: Sequence[str]) -> tuple[int, int]:
    """Return the first column of a table and the one after its last: where its header has names.

    A name that stands far away from the others does not belong to them.
    """
    start = end = 0
    for at, cell in enumerate(header):
        if cell.strip():
            if end and at - end >= GAP_COLUMNS:
                break
            start, end = start if end else at, at + 1
    return start, end


def note_header_row(reader: PayloadReader, options: ReadOptions, *, numbers: Sequence[int],
                    rows: Sequence[Sequence[str]]) -> None:
    """Store in the reader which row is the header and what stands above it; `numbers` are theirs, the header's last."""
    how: Literal["given", "detected"] = "detected" if options.header_row is None else "given"
    if len(numbers) > 1 or options.header_row is not None:
        reader.add_decision("header_row", str(numbers[-1]), how)
    if len(numbers) > 1:
        reader.add_notice("rows_above_header", describe_rows(numbers[:-1], rows))


def describe_rows(numbers: Sequence[int], rows: Sequence[Sequence[str]]) -> str:
    """Return what the rows above a header say, for a notice."""
    shown = []
    for number, row in zip(numbers[:SHOWN_ROWS], rows, strict=False):
        text = " ".join(cell.strip() for cell in row if cell.strip())
        shown.append(f'{number} "{text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…"}"')
    return ", ".join([*shown, *(["…"] if len(numbers) > SHOWN_ROWS else [])])
