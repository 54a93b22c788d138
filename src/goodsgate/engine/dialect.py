"""The dialect of a submission: how its report is written, so that the submitter's own programs read it."""

from collections.abc import Sequence

import msgspec

from goodsgate import formats
from goodsgate.model.batch import Batch, ReadingDecision


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """How a table is written."""

    delimiter: str | None = None
    """None: that of the format."""
    encoding: str = "utf-8"
    """As Python calls it."""
    sheet: str | None = None


def encoding_of(reading: Sequence[ReadingDecision]) -> str | None:
    """Return the charset that a submission was read in, as Python calls it; None if nothing had to be decided."""
    name = _value(reading, "encoding")
    return formats.find_encoding(name) if name is not None else None


def dialect_of(batch: Batch, format: str) -> Dialect:
    """Return how a report of the batch in this format is written: like the submission, as far as the format allows."""
    if format == "xlsx":
        return Dialect(sheet=_value(batch.reading, "sheet"))
    if format not in ("csv", "tsv") or batch.format not in ("csv", "tsv"):
        return Dialect()
    name = _value(batch.reading, "delimiter") if format == batch.format else None
    delimiter = formats.find_delimiter(name) if name is not None else None
    return Dialect(delimiter=delimiter, encoding=encoding_of(batch.reading) or "utf-8")


def _value(reading: Sequence[ReadingDecision], what: str) -> str | None:
    return next((decision.value for decision in reading if decision.what == what), None)
