"""Marks before cells of CSV and TSV that a spreadsheet would take for a formula, and run.

A cell that begins with one of the characters below gets an apostrophe before it, so that it is a text. A cell that
begins with apostrophes and then one of them gets one more, so that the mark can be removed from exactly those cells
that have it. Numbers such as ``-5`` and ``+4.20`` stay numbers.
"""

import re

_MARK = "'"
_FORMULA = re.compile(r"'*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
"""The last four are the full-width forms of the first four."""
_NUMBER = re.compile(r"[+-][0-9]+(?:[.,][0-9]+)*")


def needs_mark(cell: str) -> bool:
    """Return whether a spreadsheet would take a cell for a formula, or the cell has a mark of its own."""
    return _FORMULA.match(cell) is not None and _NUMBER.fullmatch(cell) is None


def mark_formula(cell: str) -> str:
    """Return a cell with a mark, if it needs one."""
    return _MARK + cell if needs_mark(cell) else cell


def is_marked(cell: str) -> bool:
    """Return whether a cell has a mark, or looks so."""
    return cell.startswith(_MARK) and needs_mark(cell)


def unmark_formula(cell: str) -> str:
    """Return a cell without its mark: what `mark_formula` was given."""
    return cell[1:] if is_marked(cell) else cell
