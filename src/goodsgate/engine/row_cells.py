"""What the cells of a row say: conditions of profiles, and the first one with a value."""

from collections.abc import Sequence
from typing import NamedTuple

Row = Sequence[str]


class RowCondition(NamedTuple):
    """Cells that one of some columns may have; ``*`` stands for any that is not empty."""

    columns: Sequence[int]
    cells: frozenset[str]
    """In lower case."""


def are_met(conditions: Sequence[RowCondition], row: Row) -> bool:
    """Return whether a row meets all conditions."""
    for columns, cells in conditions:
        cell = first_cell(row, columns).lower()
        if cell not in cells and not (cell and "*" in cells):
            return False
    return True


def first_cell(row: Row, columns: Sequence[int]) -> str:
    """Return the first filled cell of these columns, trimmed; empty if there is none."""
    for at in columns:
        if (cell := row[at]) and (cell := cell.strip()):
            return cell
    return ""


def has_any(row: Row, columns: Sequence[int]) -> bool:
    """Return whether any of these columns is filled."""
    for at in columns:  # noqa: SIM110 - called for every cell that could be taken
        if (cell := row[at]) and cell.strip():
            return True
    return False
