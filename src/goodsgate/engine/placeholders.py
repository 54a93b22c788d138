"""Cells that hold no value but a word for it: errors of a spreadsheet, ``NULL``, ``N/A``, a dash; and text marks."""

import re
from collections.abc import Sequence

from goodsgate.model.issue import Issue, Severity, issue

KEY_FIELDS = frozenset({"id", "title", "price", "sale_price", "gtin", "quantity", "location"})
"""Fields that reject a record whose cell holds such a word."""

_TEXT_MARK = re.compile(r"'(\S.*)|=\"([^\"]+)\"")


def placeholder_issue(cell: str, path: str, names: Sequence[str]) -> Issue:
    """Return the issue of a cell that holds a placeholder instead of a value."""
    severity: Severity = "warning" if KEY_FIELDS.isdisjoint(names) else "error"
    return issue("value_placeholder", path, value=cell, severity=severity)


def clean_mark(cell: str) -> str | None:
    """Return the text that a spreadsheet's text mark stands for (``'00417``, ``="00418"``); None without a mark."""
    marked = _TEXT_MARK.fullmatch(cell)
    return (marked[1] or marked[2]).strip() if marked is not None else None
