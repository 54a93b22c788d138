"""Findings: what is wrong with the records of a batch, and how many of them a fix replaces."""

import msgspec

from goodsgate.model.batch import Result
from goodsgate.model.issue import Issue


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """All issues of one record or of the file, and the record as received if it was rejected or waits."""

    number: int
    """Record number from 1; 0 for the file as a whole."""
    source_row: int
    """Line or row in the file of the submission, from 1; 0 for none. A fix does not change it."""
    fix_round: int = 0
    """Round, from 2, whose file has sent the record last; 0 if no file of a fix has."""
    fix_row: int = 0
    """Line or row in that file, from 1."""
    key: str | None
    result: Result | None
    """None for the file as a whole."""
    issues: list[Issue]
    role: int = 0
    """What a rejected or waiting row is among the rows of its product, a byte of `model.roles`."""
    raw: bytes | None = None
    """The record as received, if it was rejected or waits: the line, or the JSON array of its cells; else None."""

    @property
    def place(self) -> str:
        """Where the record is in the submitter's files, in words; empty if it is in none."""
        own = f"line {self.source_row:,}" if self.source_row else ""
        if not self.fix_round:
            return own
        fixed = f"line {self.fix_row:,} of the file of round {self.fix_round}"
        return f"{own} of the first file, {fixed}" if own else fixed


class FixMatch(msgspec.Struct, frozen=True, kw_only=True):
    """How many records a fix has, and how many of them replace a rejected record of the batch."""

    records: int = 0
    replacing: int = 0
    """Records whose `_row` names a rejected record that no record before them names."""
    unmatched: int = 0
    """Records with another `_row`, which will be rejected."""
    without_row: int = 0
    """Records with an empty `_row`, or none: new records of the batch, if that is wanted."""
