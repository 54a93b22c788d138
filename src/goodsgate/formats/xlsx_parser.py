"""The process that parses an XLSX: it reads the file from its input and writes rows of text to its output.

`isolated` starts it once for each file. So it imports little, and nothing of ours: each import is paid for again.
Each frame is its length (4 bytes, little-endian) and a JSON object, see `xlsx.Frame`; length 0 is the end.
"""

import json
import os
import resource
import struct
import sys
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from io import BytesIO

from isal import igzip_lib
from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

WHOLE_NUMBER_MAX = 10**15
RUN_ROWS = 1_000
RUN_CHARACTERS = 256 * 1024
"""A frame ends after so many rows or characters."""
LONG_ROW_CELL_CHARACTERS = 64
"""Characters that are kept of each cell of a row that is too long."""
SHEETS_CHARACTERS_MAX = 1_000
"""Characters of the names of sheets that are reported."""
INFLATED_BYTES = 256 * 1024
ROWS_FACTOR = 2
"""Memory and time for the rows of a sheet that was read within the limits, as a multiple of them."""
MEMORY_EXIT_CODE = 3

_ZIP_FAULTS: tuple[type[Exception], ...] = (
    zipfile.BadZipFile, OSError, ValueError, RuntimeError, struct.error,
    igzip_lib.IsalError,  # type: ignore[assignment]  # its stubs name an instance
)  # fmt: skip


def main(arguments: Sequence[str]) -> None:
    """Parse the file in the standard input; never returns.

    Arguments are bytes of memory and seconds of processor time, and at most so many unpacked bytes of the file, bytes
    of a cell, and characters of a row.
    """
    try:
        memory_bytes, seconds = int(arguments[0]), float(arguments[1])
        _be_ended_first()
        _limit_process(memory_bytes, seconds, factor=1)
        unpacked_bytes_max, cell_bytes_max, row_characters_max = map(int, arguments[2:])
        sheet = _open(sys.stdin.buffer.read(), unpacked_bytes_max)
        if sheet is not None:
            # What was read in time is also delivered: a batch is applied as a whole, or not at all.
            _limit_process(memory_bytes, seconds, factor=ROWS_FACTOR)
            _write_rows(sheet, cell_bytes_max, row_characters_max)
        _write_frame(b"")
    except BrokenPipeError:
        os._exit(0)  # nobody reads on
    except MemoryError:
        os._exit(MEMORY_EXIT_CODE)
    os._exit(0)  # without freeing what the kernel frees faster


def text_of(cell: object) -> str:
    """Return the text of a cell that is not text."""
    if isinstance(cell, bool):
        return "TRUE" if cell else "FALSE"
    if isinstance(cell, int | float):
        whole = float(cell).is_integer() and abs(cell) < WHOLE_NUMBER_MAX
        return str(int(cell)) if whole else f"{cell:.15g}"
    if isinstance(cell, datetime | date | time):
        return cell.isoformat()
    if isinstance(cell, timedelta):
        minutes, seconds = divmod(round(cell.total_seconds()), 60)
        return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"
    return str(cell)


def _be_ended_first() -> None:
    """Let the kernel of a machine without memory end this process before others."""
    with suppress(OSError), open("/proc/self/oom_score_adj", "wb") as score:
        score.write(b"1000")


def _limit_process(memory_bytes: int, seconds: float, *, factor: int) -> None:
    """Limit this process, so that no bug of a library can do more harm than use this up."""
    whole_seconds = max(1, round(seconds))
    _limit(resource.RLIMIT_AS, memory_bytes * factor, memory_bytes * ROWS_FACTOR)
    _limit(resource.RLIMIT_CPU, whole_seconds * factor, whole_seconds * ROWS_FACTOR + 1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # pipes are not files
    "".encode("cp437")  # what zipfile loads when it meets a name; from here on no file or connection can be opened
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))


def _limit(kind: int, soft: int, hard: int) -> None:
    """Set a limit, unless the operator has set a lower one for all processes."""
    _, given = resource.getrlimit(kind)
    if given != resource.RLIM_INFINITY:
        hard = min(hard, given)
    resource.setrlimit(kind, (min(soft, hard), hard))


def _open(data: bytes, unpacked_bytes_max: int) -> CalamineSheet | None:
    """Return the first visible sheet and report the others; None, with the reason reported, if none can be read."""
    if not _is_within_limit(data, unpacked_bytes_max):
        return None
    try:
        book = CalamineWorkbook.from_filelike(BytesIO(data))
        sheets = [sheet for sheet in book.sheets_metadata if sheet.typ == SheetTypeEnum.WorkSheet]
        visible = [sheet for sheet in sheets if sheet.visible == SheetVisibleEnum.Visible] or sheets
        if not visible:
            _write(stopped=("payload_corrupt", "XLSX: no sheet found"))
            return None
        sheet = book.get_sheet_by_name(visible[0].name)
    except (CalamineError, OSError, ValueError) as fault:
        _write(stopped=("payload_corrupt", f"XLSX: {fault}"))
        return None
    except MemoryError:
        raise
    except BaseException as fault:
        if type(fault).__name__ != "PanicException":  # how a bug of the library on a strange file shows; not exported
            raise
        _write(stopped=("payload_corrupt", "XLSX: unsupported file"))
        return None
    others = [each.name for each in book.sheets_metadata if each.name != visible[0].name]
    if others:
        _write(sheets_ignored=", ".join(others)[:SHEETS_CHARACTERS_MAX])
    return sheet


def _is_within_limit(data: bytes, unpacked_bytes_max: int) -> bool:
    """Return whether the parts stay within the limit when they are decompressed; if not, the reason is reported.

    The library believes the directory and decompresses into memory; here nothing is believed, and nothing kept.
    """
    try:
        parts = zipfile.ZipFile(BytesIO(data)).infolist()
        unpacked_bytes = sum(part.file_size for part in parts)
        if unpacked_bytes <= unpacked_bytes_max:
            unpacked_bytes = 0
            for piece in (piece for part in parts for piece in _inflate(data, part)):
                unpacked_bytes += len(piece)
                if unpacked_bytes > unpacked_bytes_max:
                    break
    except _ZIP_FAULTS as fault:
        has_end = not data.startswith(b"PK") or b"PK\x05\x06" in data[-65_600:]
        _write(stopped=("payload_corrupt" if has_end else "payload_truncated", f"XLSX: {fault}"))
        return False
    if unpacked_bytes > unpacked_bytes_max:
        _write(unpacked_bytes=unpacked_bytes)
    return unpacked_bytes <= unpacked_bytes_max


def _inflate(data: bytes, part: zipfile.ZipInfo) -> Iterator[bytes]:
    """Yield the decompressed bytes of one part in pieces, whatever size the directory claims."""
    head = data[part.header_offset : part.header_offset + 30]
    start = part.header_offset + 30 + int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little")
    end = start + part.compress_size
    if part.compress_type == zipfile.ZIP_STORED:
        yield data[start:end]
        return
    if part.compress_type != zipfile.ZIP_DEFLATED:
        raise ValueError(f"{part.filename} uses an unsupported compression")
    decoder = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_DEFLATE)
    for at in range(start, end, INFLATED_BYTES):
        compressed = data[at : min(end, at + INFLATED_BYTES)]
        while not decoder.eof and (compressed or not decoder.needs_input):
            yield decoder.decompress(compressed, INFLATED_BYTES)
            compressed = b""


def _write_rows(sheet: CalamineSheet, cell_bytes_max: int, row_characters_max: int) -> None:
    """Write the rows that are not blank, in frames of bounded size."""
    numbers: list[int] = []
    rows: list[list[str]] = []
    long_cells: list[int] = []
    long_rows: list[int] = []
    characters = blank = number = 0
    for number, cells in enumerate(sheet.iter_rows(), 1):
        row = [cell if type(cell) is str else text_of(cell) for cell in cells]
        text = "".join(row)
        if not text.strip():
            blank += 1
            continue
        if len(text) > row_characters_max:
            long_rows.append(len(rows))
            row = [cell[:LONG_ROW_CELL_CHARACTERS] for cell in row]
        elif len(text) * 4 > cell_bytes_max and any(
            len(cell) * 4 > cell_bytes_max and len(cell.encode()) > cell_bytes_max for cell in row
        ):
            long_cells.append(len(rows))
        numbers.append(number)
        rows.append(row)
        characters += len(text)
        if len(rows) == RUN_ROWS or characters >= RUN_CHARACTERS:
            _write(numbers=numbers, rows=rows, long_cells=long_cells, long_rows=long_rows, characters=characters)
            numbers, rows, long_cells, long_rows, characters = [], [], [], [], 0
    _write(
        numbers=numbers, rows=rows, long_cells=long_cells, long_rows=long_rows, characters=characters, blank_rows=blank
    )


def _write(**members: object) -> None:
    """Write a frame with a JSON object."""
    _write_frame(json.dumps(members, ensure_ascii=False, separators=(",", ":")).encode())


def _write_frame(frame: bytes) -> None:
    """Write a frame; an empty one is the end."""
    output = sys.stdout.buffer
    output.write(struct.pack("<I", len(frame)))
    output.write(frame)
    output.flush()
