"""The rows of a submission as its fixes have corrected them; they give a row of a later round the rest of its group."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from itertools import chain
from typing import NamedTuple

import msgspec
import orjson

from goodsgate import formats
from goodsgate.engine.fix_records import MARKED_FORMATS, row_numbers, row_texts_of
from goodsgate.engine.fix_rows import FixTable
from goodsgate.formats import Chunk
from goodsgate.model.finding import Finding
from goodsgate.store.contract import ClaimedRound, Store

CORRECTED_CHARACTERS_MAX = 64 * 1024 * 1024
"""Characters of corrected rows that are in memory; further ones are taken as they were submitted."""

ROW_REJECTED = "group_row_rejected"

OpenFix = Callable[[Iterator[bytes], str, str], formats.Reader]
"""Opens a fix by its pieces, format and content encoding."""


class CorrectedRow(NamedTuple):
    """A row as a fix has it."""

    table: FixTable | None
    """The columns of the fix; None if its cells are already those of the batch."""
    cells: list[str]

    def row(self, received: list[str]) -> list[str]:
        """Return the row of the batch; `received` is what was submitted."""
        if self.table is None:
            return self.cells
        before = Finding(
            number=0, source_row=0, key=None, result=None, issues=[], raw=orjson.dumps(received)
        )
        return self.table.row(self.cells, before, None)[0]


def corrected_rows(store: Store, round: ClaimedRound, columns: list[str], open_fix: OpenFix) -> dict[int, CorrectedRow]:
    """Return the rows that this and earlier fixes of a batch have sent, by record number; the last one counts."""
    rows: dict[int, CorrectedRow] = {}
    left = CORRECTED_CHARACTERS_MAX
    for chunk, header, format in _fix_chunks(store, round, open_fix):
        table = None
        if header is not None:
            table = FixTable(header, columns, is_text=format in MARKED_FORMATS)
        for at, number in enumerate(row_numbers(chunk, header)):
            if number is None or at in chunk.unreadable:
                continue
            cells = chunk.rows[at] if table is not None else row_texts_of(chunk, at, columns)
            left -= sum(map(len, cells))
            if left < 0:
                return rows
            rows[number] = CorrectedRow(table, cells)
    return rows


def replaced_numbers(reader: formats.Reader) -> set[int]:
    """Return the records that a fix names."""
    return {
        number for chunk in reader.chunks() for number in row_numbers(chunk, reader.header) if number is not None
    }


def find_source_rows(chunks: Iterable[Chunk], numbers: Set[int]) -> set[int]:
    """Return where the numbered records stand in the file of the submission."""
    found: set[int] = set()
    first = 1
    for chunk in chunks:
        found.update(row for number, row in enumerate(chunk.source_rows, first) if number in numbers)
        first += len(chunk)
    return found


def depends_on(finding: Finding, source_rows: Set[int]) -> bool:
    """Return whether a record was rejected because of one of these rows, from which it takes something."""
    return any(
        each.code == ROW_REJECTED and each.value is not None and each.value.isdecimal()
        and int(each.value) in source_rows for each in finding.issues
    )


def with_corrections(chunks: Iterable[Chunk], rows: Mapping[int, CorrectedRow]) -> Iterator[Chunk]:
    """Yield the chunks of a submission with its corrected rows."""
    first = 1
    for chunk in chunks:
        places = [at for at in range(len(chunk)) if first + at in rows] if rows else []
        if places:
            cells = [*chunk.rows]
            for at in places:
                cells[at] = rows[first + at].row(cells[at])
            unreadable = {at: problem for at, problem in chunk.unreadable.items() if first + at not in rows}
            yield msgspec.structs.replace(chunk, rows=cells, unreadable=unreadable)
        else:
            yield chunk
        first += len(chunk)


def _fix_chunks(store: Store, round: ClaimedRound, open_fix: OpenFix,
                ) -> Iterator[tuple[Chunk, list[str] | None, str]]:
    """Yield the chunks of all fixes that are kept, each with its header and its format."""
    for number in range(1, round.number + 1):
        pieces = store.payload(round.merchant, round.batch, number)
        head = next(pieces, b"") if pieces is not None else b""
        if pieces is None or not head:
            continue
        if number == round.number:
            format, content_encoding = round.format, round.content_encoding
        else:
            try:
                format, content_encoding = formats.detect(
                    content_type=None, content_encoding=None, filename=None, head=head
                )
            except formats.UnknownFormatError:
                continue
        reader = open_fix(chain((head,), pieces), format, content_encoding)
        for chunk in reader.chunks():
            yield chunk, reader.header, format
