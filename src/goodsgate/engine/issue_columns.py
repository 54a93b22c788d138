"""Name the submitter's own column or member in issues, whose paths are those of the gate's fields."""

from collections.abc import Sequence

import msgspec

from goodsgate.engine.field_mapping import FieldMapping
from goodsgate.engine.grouped_chunks import GroupedChunk
from goodsgate.formats import Chunk
from goodsgate.model.issue import Issue


def received_records(chunk: Chunk) -> Sequence[bytes | Sequence[str]]:
    """Return the records of a chunk as they were received: lines of JSON, or rows of a table."""
    return chunk.lines or (chunk.cells if isinstance(chunk, GroupedChunk) else chunk.rows)


def with_column(issue: Issue, mapping: FieldMapping, record: bytes | Sequence[str]) -> Issue:
    """Return an issue with the submitter's own name of its field, if that differs."""
    column = mapping.column_of(issue.path, record) if issue.column is None else None
    return msgspec.structs.replace(issue, column=column) if column is not None else issue
