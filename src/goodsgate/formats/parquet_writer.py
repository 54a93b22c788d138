"""Write rows as Parquet, with the optional package pyarrow."""

from collections.abc import Iterable, Iterator
from importlib import import_module
from itertools import islice
from tempfile import TemporaryFile
from typing import Any

from goodsgate.model.extras import needed_extra

PIECE_BYTES = 256 * 1024
GROUP_ROWS = 4_096
"""Rows of a row group, which is held in memory."""


def check_parquet() -> None:
    """Raise ExtraMissingError if the package for Parquet is not installed."""
    _pyarrow()


def write_parquet(rows: Iterable[list[str]], header: list[str]) -> Iterator[bytes]:
    """Yield a file with one column of text for each name; an empty cell is null.

    Some pieces are empty, so that the caller can do something else meanwhile. Raises ExtraMissingError.
    """
    pyarrow, parquet = _pyarrow()
    schema = pyarrow.schema([(name, pyarrow.string()) for name in header])
    with TemporaryFile() as file:
        with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
            remaining = iter(rows)
            while group := list(islice(remaining, GROUP_ROWS)):
                columns = [[cell or None for cell in column] for column in zip(*group, strict=True)]
                writer.write_table(pyarrow.table(columns, schema=schema))
                yield b""
        file.seek(0)
        while piece := file.read(PIECE_BYTES):
            yield piece


def _pyarrow() -> tuple[Any, Any]:
    with needed_extra("parquet", "Parquet"):
        return import_module("pyarrow"), import_module("pyarrow.parquet")
