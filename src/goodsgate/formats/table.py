"""CSV and TSV: rows of cells.

A line without quotation marks is split at the delimiter; the others go through the `csv` module in its strict mode. It
reads on over line ends while a quotation mark is open, so one mark too many could swallow the rest of the file. It
cannot here: where a record of several lines turns out malformed, over-long or without an end, its first line alone is
taken for the broken record and reading goes on with the second.

A TSV need not quote: a line whose marks do not pair is split as it stands if that gives as many cells as the header.
"""

import csv
import re
from collections import deque
from collections.abc import Iterator

from goodsgate.formats.charset import HEAD_BYTES, first_bytes
from goodsgate.formats.lines import CUT_BYTES, broken_off, cut, flaw, sound, whole_lines
from goodsgate.formats.payload_reader import CELL_OVERHEAD_BYTES, PIECE_BYTES, PayloadReader, RecordRun
from goodsgate.model.issue import Issue, issue

DELIMITERS = ",;\t|"
"""In this order where a header speaks for several."""
REREAD_CHARACTERS_FREE = 16 * 1024 * 1024
"""Lines are read a second time up to this, and from there on up to as much as was read once: never quadratic."""
CELLS_PER_CHUNK_BYTE = 4
"""Cells may take this much more memory than the chunk has bytes; many short ones end it earlier."""

_QUOTED = re.compile(r'"[^"]*"?')
_DIRECTIVE = re.compile(r"sep=(.)\r?")
_BLANK = " \t\r" + DELIMITERS


def delimiter_of(line: str) -> str:
    """The delimiter that is most frequent in the header line outside quotation marks; a comma if there is none."""
    bare = _QUOTED.sub("", line)
    return max(DELIMITERS, key=bare.count)


def named(cells: list[str], reading: PayloadReader) -> list[str]:
    """The header: names trimmed, missing ones numbered, repeated ones told."""
    names = [cell.strip() or f"column_{number}" for number, cell in enumerate(cells, 1)]
    for name in sorted({name for name in names if names.count(name) > 1}, key=names.index):
        reading.tell("header_duplicate", name)
    return names


def long_cell(row: list[str], reading: PayloadReader) -> Issue | None:
    """The first cell over the limit; those over it are cut in the row."""
    limit = reading.limits.cell_bytes_max
    found = None
    for index, cell in enumerate(row):
        if len(cell) * 4 > limit and len(cell.encode()) > limit:
            column = reading.header[index] if reading.header else None
            found = found or Issue(
                code="cell_too_long", column=column, value=cell[:100] + "…", expected=f"at most {limit:,} bytes"
            )
            row[index] = cell[:CUT_BYTES]
    return found


class _RecordTooLongError(Exception):
    """A record of several lines is over the limit of a line."""


class _LineSource:
    """The physical lines of the file without their line feeds, then None for ever; some may be given back."""

    def __init__(self, runs: Iterator[tuple[bytes, bool]], reading: PayloadReader, end: bytes) -> None:
        self.flaws: dict[int, Issue] = {}
        """Line number → what its bytes show to be wrong; whoever passes the line removes it."""
        self.characters = 0
        """Read so far, each once."""
        self._runs = runs
        self._reading = reading
        self.end = end.decode()
        self._back: deque[str] = deque()

    def give_back(self, lines: list[str]) -> None:
        """Have these lines come again, before any other."""
        self._back.extendleft(reversed(lines))

    def __iter__(self) -> Iterator[str | None]:
        back = self._back
        number = 1
        for run, broken in self._runs:
            lines = self._decoded(run, broken, number)
            number += len(lines)
            self.characters += len(run)
            for line in lines:
                yield line
                while back:
                    yield back.popleft()
        while True:
            yield back.popleft() if back else None

    def _decoded(self, run: bytes, broken: bool, number: int) -> list[str]:
        reading, end = self._reading, self.end.encode()
        parts = run.split(end) if broken or len(run) > reading.limits.line_bytes_max else []
        if not broken and sound(run, parts, reading):
            return run.decode().split(self.end)
        lines = []
        for index, part in enumerate(run.split(end), number):
            if found := flaw(part, reading):
                self.flaws[index] = found
            long = found is not None and found.code == "line_too_long"
            lines.append((cut(part) if long else part).decode("utf-8", "backslashreplace"))
        if broken and lines[-1]:
            self.flaws.setdefault(number + len(lines) - 1, broken_off(parts[-1]))
        return lines


class DelimitedTable:
    """Rows of a delimited file; made with its header read, which is put into the reading."""

    def __init__(self, pieces: Iterator[bytes], reading: PayloadReader, *, delimiter: str | None) -> None:
        self._reading = reading
        self._limit = reading.limits.line_bytes_max
        if csv.field_size_limit() < self._limit * 2:  # of the whole process, hence only ever raised; ours is stricter
            csv.field_size_limit(self._limit * 2)
        pieces, end = _with_line_end(pieces)
        self._source = _LineSource(whole_lines(pieces, reading, end=end), reading, end)
        self._lines = iter(self._source)
        self._literal = delimiter == "\t"
        self._delimit(delimiter or ",")
        self._number = 0
        """Of the last line taken."""
        self._empty = 0
        self._reread = 0
        self._width = 0
        reading.header = self._header(delimiter)
        self._width = len(reading.header)

    def runs(self) -> Iterator[RecordRun]:
        """The rows below the header; empty ones are counted, passed over and told once."""
        if not self._reading.header:
            return
        lines, flaws, delimiter, width = self._lines, self._source.flaws, self._delimiter, self._width
        cell_characters = self._reading.limits.cell_bytes_max // 4
        piece_bytes = min(PIECE_BYTES, self._reading.limits.chunk_bytes)
        run, size = RecordRun([], [], {}, 0), 0
        for line in lines:
            if line is None:
                break
            self._number = first = self._number + 1
            text = line.rstrip("\r") if line.endswith("\r") else line
            found = None
            if not text:
                self._empty += 1
                continue
            if '"' not in text:
                row = text.split(delimiter)
            else:
                row, found = self._quoted(line, text)
            size += len(text) + 1
            if found or flaws or len(row) != width or len(text) > cell_characters or self._number != first:
                row, found = self._examined(row, found, first)
            if not row[0].strip() and not found and not "".join(row).strip():
                self._empty += 1
                continue
            if found:
                run.flaws[len(run.records)] = found
            run.records.append(row)
            run.source_rows.append(first)
            if size >= piece_bytes:
                yield self._sized(run, size)
                run, size = RecordRun([], [], {}, 0), 0
        yield self._sized(run, size)
        if self._empty:
            self._reading.tell("rows_empty", str(self._empty))

    def _delimit(self, delimiter: str) -> None:
        self._delimiter = delimiter
        self._dialect = csv.reader((), delimiter=delimiter, strict=True).dialect  # made once: readers are many

    def _sized(self, run: RecordRun, size: int) -> RecordRun:
        memory = size + CELL_OVERHEAD_BYTES * self._width * len(run.records)
        run.size = max(size, memory // CELLS_PER_CHUNK_BYTE)
        return run

    def _header(self, delimiter: str | None) -> list[str]:
        """The names in the first line that is not blank; empty, with the reason told, if there are none to read."""
        for line in self._lines:
            if line is None:
                return []
            self._number = first = self._number + 1
            directive = _DIRECTIVE.fullmatch(line) if first == 1 and delimiter is None else None
            if directive:  # what Excel writes and reads in front of a header
                self._delimit(delimiter := directive[1])
                continue
            if not line.strip(_BLANK):
                self._empty += 1
                continue
            self._delimit(delimiter or delimiter_of(line))
            text = line.rstrip("\r")
            row, found = self._quoted(line, text) if '"' in text else (text.split(self._delimiter), None)
            return self._checked_header(row, found or self._flaw_in(first))
        return []

    def _checked_header(self, row: list[str], found: Issue | None) -> list[str]:
        limit = self._reading.limits.columns_max
        if len(row) > limit:
            self._reading.stop("columns_too_many", f"{len(row):,}", expected=f"at most {limit:,}")
            return []
        if found := found or long_cell(row, self._reading):
            self._reading.stop("payload_corrupt", f"invalid header. {found.message}")
            return []
        return named(row, self._reading)

    def _quoted(self, line: str, text: str) -> tuple[list[str], Issue | None]:
        """The record that begins with a line that holds quotation marks."""
        if self._source.flaws:
            known = self._source.flaws.get(self._number)
            if known and known.code == "line_too_long":  # only its start is here, its marks say nothing
                return text.split(self._delimiter), None
        if text.count('"') % 2 == 0:
            try:
                return next(csv.reader((text,), self._dialect)), None
            except csv.Error:
                pass
        return self._several(line, text)

    def _several(self, line: str, text: str) -> tuple[list[str], Issue | None]:
        """The record of this line and as many more as it needs; or of this line alone, if they make no sense."""
        held = [line]
        try:
            row: list[str] = next(csv.reader(self._fed(held), self._dialect))
        except csv.Error:
            found = issue("quotes_broken", value=text)
        except _RecordTooLongError:
            found = issue("line_too_long", expected=f"at most {self._limit:,} bytes")
        else:
            self._number += len(held) - 1
            return row, None
        again = sum(map(len, held))
        if self._reread + again > max(REREAD_CHARACTERS_FREE, self._source.characters):
            self._number += len(held) - 1
        else:
            self._reread += again
            self._source.give_back(held[1:])
        row = text.split(self._delimiter)
        literal = self._literal and len(row) == (self._width or len(row))
        return row, None if literal else found

    def _fed(self, held: list[str]) -> Iterator[str]:
        """The held line and those after it, which are held, too, as the csv module asks for them."""
        size = len(held[0])
        end = self._source.end
        yield held[0] + end
        for line in self._lines:
            if line is None:
                return
            held.append(line)
            size += len(line) + 1
            if size > self._limit:
                raise _RecordTooLongError
            yield line + end

    def _examined(self, row: list[str], found: Issue | None, first: int) -> tuple[list[str], Issue | None]:
        """A row about which something is unusual: as it is to be held, and why it is no record."""
        found = self._flaw_in(first) or found
        width = self._width
        if len(row) > width and not "".join(row[width:]).strip():
            row = row[:width]
        blank = len(row) < width and not "".join(row).strip()
        if len(row) != width and not blank:
            found = found or issue("row_ragged", value=str(len(row)), expected=str(width))
            row = row[: self._reading.limits.columns_max]
        return row, found or long_cell(row, self._reading)

    def _flaw_in(self, first: int) -> Issue | None:
        """What is wrong with the bytes of the lines from `first` to the last one taken."""
        flaws = self._source.flaws
        found = None
        for number in range(first, self._number + 1) if flaws else ():
            found = flaws.pop(number, None) or found
        return found


def _with_line_end(pieces: Iterator[bytes]) -> tuple[Iterator[bytes], bytes]:
    """What ends the lines: a carriage return if the first 64 KiB hold no line feed (old Macintosh files)."""
    head, pieces = first_bytes(pieces, HEAD_BYTES)
    return pieces, b"\r" if b"\r" in head[:-1] and b"\n" not in head else b"\n"
