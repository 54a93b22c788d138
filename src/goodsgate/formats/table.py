"""CSV and TSV: rows of cells.

A line without quotation marks is split at the delimiter; other lines are parsed by the `csv` module in strict mode. The
module reads on over line ends while a quotation mark is open, so one mark too many could swallow the rest of the file.
This is prevented: if a record of several lines is malformed, too long or incomplete, only its first line counts as the
invalid record, and reading continues with the second line.

A TSV need not quote: a line with unbalanced marks is split as it is if that gives as many cells as the header has.
"""

import csv
import re
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING

from goodsgate.formats.charset import HEAD_BYTES, first_bytes, is_html
from goodsgate.formats.cif import SIGNATURE, CifLines
from goodsgate.formats.contract import ReadOptions
from goodsgate.formats.delimiter import DELIMITERS, QUOTED, delimiter_name, detect_delimiter, directed_delimiter
from goodsgate.formats.header_row import find_header, note_header_row
from goodsgate.formats.lines import CUT_BYTES, are_readable, check_line, incomplete_line, truncate_line, whole_lines
from goodsgate.formats.payload_reader import CELL_OVERHEAD_BYTES, PIECE_BYTES, PayloadReader, RecordRun
from goodsgate.model.batch import HEADER_ROW_MAX
from goodsgate.model.issue import Issue, issue

if TYPE_CHECKING:
    import _csv

REREAD_CHARACTERS_FREE = 16 * 1024 * 1024
"""Lines may be read twice up to this many characters, then as many as were read once, so that time stays linear."""
BLANK_BYTES_MAX = 4 * 1024 * 1024
"""Blank lines before the header are skipped up to this size."""
AHEAD_CHARACTERS_MAX = 256 * 1024
"""Characters in which a header is looked for."""
HTML_BYTES = 1_024
"""Bytes in which an HTML page shows itself."""
SHOWN_CHARACTERS = 40
CELLS_PER_CHUNK_BYTE = 4
"""Cells may need this much more memory than the chunk has bytes; many short cells end a chunk earlier."""

_BLANK = " \t\r" + DELIMITERS


def column_names(cells: list[str], reader: PayloadReader) -> list[str]:
    """Return the names of the columns: trimmed, missing ones numbered; duplicates add a notice."""
    names = [cell.strip() or f"column_{number}" for number, cell in enumerate(cells, 1)]
    for name in sorted({name for name in names if names.count(name) > 1}, key=names.index):
        reader.add_notice("header_duplicate", name)
    return names


def truncate_long_cells(row: list[str], reader: PayloadReader) -> Issue | None:
    """Truncate the cells of a row that exceed the limit; return the issue of the first one."""
    limit = reader.limits.cell_bytes_max
    problem = None
    for index, cell in enumerate(row):
        if len(cell) * 4 > limit and len(cell.encode()) > limit:
            column = reader.header[index] if reader.header else None
            problem = problem or Issue(
                code="cell_too_long", column=column, value=cell[:100] + "…", expected=f"at most {limit:,} bytes"
            )
            row[index] = cell[:CUT_BYTES]
    return problem


class _RecordTooLongError(Exception):
    """A record of several lines exceeds the limit of a line."""


class _LineSource:
    """Physical lines of a file without their line ends, then None repeatedly; lines can be given back."""

    def __init__(self, runs: Iterator[tuple[bytes, bool]], reader: PayloadReader, end: bytes, *,
                 cif: CifLines | None = None) -> None:
        self.unreadable: dict[int, Issue] = {}
        """Line number → issue of its bytes; removed when the line is consumed."""
        self.characters = 0
        """Characters read so far, each counted once."""
        self._runs = runs
        self._cif = cif
        self._reader = reader
        self.end = end.decode()
        self._back: deque[str] = deque()

    def give_back(self, lines: list[str]) -> None:
        """Return these lines again before all others."""
        self._back.extendleft(reversed(lines))

    def __iter__(self) -> Iterator[str | None]:
        back = self._back
        number = 1
        for run, broken in self._runs:
            lines = self._decode(run, broken, number)
            number += len(lines)
            self.characters += len(run)
            if self._cif is not None:
                lines = [*map(self._cif.convert, lines)]
            for line in lines:
                yield line
                while back:
                    yield back.popleft()
        while True:
            yield back.popleft() if back else None

    def _decode(self, run: bytes, broken: bool, number: int) -> list[str]:
        reader, end = self._reader, self.end.encode()
        parts = run.split(end) if broken or len(run) > reader.limits.line_bytes_max else []
        if not broken and are_readable(run, parts, reader):
            return run.decode().split(self.end)
        lines = []
        for index, part in enumerate(run.split(end), number):
            if problem := check_line(part, reader):
                self.unreadable[index] = problem
            long = problem is not None and problem.code == "line_too_long"
            lines.append((truncate_line(part) if long else part).decode("utf-8", "backslashreplace"))
        if broken and lines[-1]:
            self.unreadable.setdefault(number + len(lines) - 1, incomplete_line(parts[-1]))
        return lines


class DelimitedTable:
    """Rows of a delimited file; the constructor reads the header and stores it in the reader."""

    def __init__(self, pieces: Iterator[bytes], reader: PayloadReader, *, delimiter: str | None,
                 options: ReadOptions) -> None:
        self._reader = reader
        self._options = options
        self._limit = reader.limits.line_bytes_max
        if csv.field_size_limit() < self._limit * 2:  # of the whole process, hence only ever raised; ours is stricter
            csv.field_size_limit(self._limit * 2)
        self._head, pieces = first_bytes(pieces, HEAD_BYTES)
        end = _line_end(self._head)
        self._cif = CifLines() if self._head.startswith(SIGNATURE) else None
        self._source = _LineSource(whole_lines(pieces, reader, end=end), reader, end, cif=self._cif)
        self._lines = iter(self._source)
        self._literal = delimiter == "\t"
        self._set_delimiter(delimiter or ",")
        self._number = 0
        """Number of the last line that was consumed."""
        self._empty = 0
        self._reread = 0
        self._width = 0
        head = self._head[:HTML_BYTES].decode("utf-8", "replace").lstrip()
        if is_html(head):  # which some programs save as .csv, and servers answer with when an export fails
            reader.reject("payload_html", f"it begins with {head[:SHOWN_CHARACTERS]!r}")
        reader.header = [] if is_html(head) else self._header(delimiter)
        self._width = len(reader.header)

    def runs(self) -> Iterator[RecordRun]:
        """Yield the rows below the header; empty rows are skipped, and their number is added as a notice."""
        if not self._reader.header:
            return
        lines, unreadable, delimiter, width = self._lines, self._source.unreadable, self._delimiter, self._width
        cell_characters = self._reader.limits.cell_bytes_max // 4
        piece_bytes = min(PIECE_BYTES, self._reader.limits.chunk_bytes)
        run, size = RecordRun([], [], {}, 0), 0
        for line in lines:
            if line is None:
                break
            self._number = first = self._number + 1
            text = line.rstrip("\r") if line.endswith("\r") else line
            problem = None
            if size >= piece_bytes:
                yield self._with_size(run, size)
                run, size = RecordRun([], [], {}, 0), 0
            size += len(text) + 1
            if not text:
                self._empty += 1
                continue
            if '"' not in text:
                row = text.split(delimiter)
            else:
                row, problem = self._read_quoted(line, text)
            if problem or unreadable or len(row) != width or len(text) > cell_characters or self._number != first:
                row, problem = self._check_row(row, problem, first)
            if not row[0].strip() and not problem and not "".join(row).strip():
                self._empty += 1
                continue
            if problem:
                run.unreadable[len(run.records)] = problem
            run.records.append(row)
            run.source_rows.append(first)
        yield self._with_size(run, size)
        empty = self._empty - (self._cif.blanked if self._cif is not None else 0)
        if empty > 0:
            self._reader.add_notice("rows_empty", str(empty))

    def _set_delimiter(self, delimiter: str) -> None:
        self._delimiter = delimiter
        self._dialect = csv.reader((), delimiter=delimiter, strict=True).dialect  # built once
        self._skipping_dialect = csv.reader((), delimiter=delimiter, strict=True, skipinitialspace=True).dialect
        self._has_blank_before_quote = re.compile(rf'(?:^|{re.escape(delimiter)}) +"').search

    def _dialect_of(self, text: str) -> "_csv.Dialect":
        """Return how a line is read: a blank between a delimiter and a quotation mark belongs to no cell."""
        search = self._has_blank_before_quote
        has_blank = search(text) and search(QUOTED.sub('""', text))  # inside quotation marks it belongs to the cell
        return self._skipping_dialect if has_blank else self._dialect

    def _with_size(self, run: RecordRun, size: int) -> RecordRun:
        memory = size + CELL_OVERHEAD_BYTES * self._width * len(run.records)
        run.size = max(size, memory // CELLS_PER_CHUNK_BYTE)
        return run

    def _header(self, delimiter: str | None) -> list[str]:
        """Return the names in the first line that is not blank; an empty list if there is no readable header."""
        skipped = 0
        for line in self._lines:
            if line is None:
                return []
            skipped += len(line) + 1
            if skipped > self._limit + BLANK_BYTES_MAX:
                expected = f"a header within {BLANK_BYTES_MAX:,} bytes"
                self._reader.stop("payload_sparse", f"{skipped:,}", expected=expected)
                return []
            self._number = first = self._number + 1
            directed = directed_delimiter(line) if first == self._empty + 1 else None
            if directed is not None:  # what Excel writes and reads in front of a header
                if delimiter is None:
                    delimiter = directed
                    self._reader.add_decision("delimiter", delimiter_name(delimiter), "given")
                continue
            if not line.strip(_BLANK):
                self._empty += 1
                continue
            if delimiter is None:
                head = self._head.decode("utf-8", "replace")
                delimiter, confidence = detect_delimiter(head, is_whole=len(self._head) < HEAD_BYTES)
                self._reader.add_decision("delimiter", delimiter_name(delimiter), "detected", confidence)
            self._set_delimiter(delimiter)
            text = line.rstrip("\r")
            row, problem = self._read_quoted(line, text) if '"' in text else (text.split(self._delimiter), None)
            return self._choose_header(row, problem or self._take_issue_of(first), first)
        return []

    def _choose_header(self, row: list[str], problem: Issue | None, first: int) -> list[str]:
        """Return the names of the header: this row, or one of the following if it is recognized or was named."""
        options, last = self._options, self._number
        if problem or (options.resolve is None and options.header_row is None):
            return self._check_header(row, problem)
        ahead = self._look_ahead()
        rows, numbers = [row], [first]
        for number, line in enumerate(ahead, last + 1):
            if line.strip(_BLANK):
                rows.append(self._loose_cells(line))
                numbers.append(number)
        if options.header_row is None:
            at = find_header(rows, options) or 0
        elif options.header_row in numbers:
            at = numbers.index(options.header_row)
        else:
            self._reader.reject("header_row_blank", str(options.header_row))
            return []
        note_header_row(self._reader, options, numbers=numbers[: at + 1], rows=rows)
        consumed = numbers[at] - last if at else 0
        self._source.give_back(ahead[consumed:])
        if not at:
            return self._check_header(row, None)
        self._number = numbers[at]
        self._take_issue_of(first, until=self._number)
        line = ahead[consumed - 1]
        text = line.rstrip("\r")
        row, problem = self._read_quoted(line, text) if '"' in text else (text.split(self._delimiter), None)
        return self._check_header(row, problem or self._take_issue_of(numbers[at]))

    def _look_ahead(self) -> list[str]:
        """Return the next lines, as many as a header is looked for in; they must be given back."""
        ahead: list[str] = []
        characters = 0
        while len(ahead) < HEADER_ROW_MAX and characters < AHEAD_CHARACTERS_MAX:
            line = next(self._lines)
            if line is None:
                break
            ahead.append(line)
            characters += len(line)
        return ahead

    def _loose_cells(self, line: str) -> list[str]:
        """Return the cells of a line, even if a cell goes on in the next one."""
        text = line.rstrip("\r")
        if '"' not in text:
            return text.split(self._delimiter)
        try:
            return next(csv.reader((text,), delimiter=self._delimiter, skipinitialspace=True))
        except csv.Error:
            return []

    def _check_header(self, row: list[str], problem: Issue | None) -> list[str]:
        limit = self._reader.limits.columns_max
        if len(row) > limit:
            self._reader.stop("columns_too_many", f"{len(row):,}", expected=f"at most {limit:,}")
            return []
        if problem := problem or truncate_long_cells(row, self._reader):
            self._reader.stop("payload_corrupt", f"invalid header. {problem.message}")
            return []
        return column_names(row, self._reader)

    def _read_quoted(self, line: str, text: str) -> tuple[list[str], Issue | None]:
        """Return the record that begins with a line with quotation marks."""
        if self._source.unreadable:
            known = self._source.unreadable.get(self._number)
            if known and known.code == "line_too_long":  # only its start is here, its marks say nothing
                return text.split(self._delimiter), None
        if text.count('"') % 2 == 0:
            try:
                return next(csv.reader((text,), self._dialect_of(text))), None
            except csv.Error:
                pass
        return self._read_several_lines(line, text)

    def _read_several_lines(self, line: str, text: str) -> tuple[list[str], Issue | None]:
        """Return the record of this line and as many more as it needs, or of this line alone if they are invalid."""
        pending = [line]
        try:
            row: list[str] = next(csv.reader(self._feed_csv(pending), self._dialect_of(line)))
        except csv.Error:
            problem = issue("quotes_broken", value=text)
        except _RecordTooLongError:
            problem = issue("line_too_long", expected=f"at most {self._limit:,} bytes")
        else:
            self._number += len(pending) - 1
            return row, None
        again = sum(map(len, pending))
        if self._reread + again > max(REREAD_CHARACTERS_FREE, self._source.characters):
            self._number += len(pending) - 1
        else:
            self._reread += again
            self._source.give_back(pending[1:])
        row = text.split(self._delimiter)
        literal = self._literal and len(row) == (self._width or len(row))
        return row, None if literal else problem

    def _feed_csv(self, pending: list[str]) -> Iterator[str]:
        """Yield the pending line and those after it, which become pending too, to the csv module."""
        size = len(pending[0])
        end = self._source.end
        yield pending[0] + end
        for line in self._lines:
            if line is None:
                return
            pending.append(line)
            size += len(line) + 1
            if size > self._limit:
                raise _RecordTooLongError
            yield line + end

    def _check_row(self, row: list[str], problem: Issue | None, first: int) -> tuple[list[str], Issue | None]:
        """Return an unusual row as it is stored, and the reason why it is invalid."""
        problem = self._take_issue_of(first) or problem
        width = self._width
        if len(row) > width and not "".join(row[width:]).strip():
            row = row[:width]
        blank = len(row) < width and not "".join(row).strip()
        if len(row) != width and not blank:
            problem = problem or issue("row_ragged", value=str(len(row)), expected=str(width))
            row = row[: self._reader.limits.columns_max]
        return row, problem or truncate_long_cells(row, self._reader)

    def _take_issue_of(self, first: int, *, until: int | None = None) -> Issue | None:
        """Return and remove the issue of the bytes of the lines from `first` to the current one, or before `until`."""
        unreadable = self._source.unreadable
        problem = None
        for number in range(first, until or self._number + 1) if unreadable else ():
            problem = unreadable.pop(number, None) or problem
        return problem


def _line_end(head: bytes) -> bytes:
    """Return the line end: a carriage return if the first 64 KiB contain no line feed (old Macintosh files)."""
    return b"\r" if b"\r" in head[:-1] and b"\n" not in head else b"\n"
