"""Complete lines from pieces, and NDJSON.

The fast path has no Python call for each line. Errors of lines (not UTF-8, NUL bytes, too long) are searched in many
lines at once, and only if there is one is each line checked.
"""

from collections.abc import Iterator
from itertools import compress

from goodsgate.formats.payload_reader import PayloadReader, RecordRun
from goodsgate.model.issue import Issue, issue

CUT_BYTES = 4096
"""Bytes that are kept of a record that is too long."""


def whole_lines(pieces: Iterator[bytes], reader: PayloadReader, *, end: bytes = b"\n") -> Iterator[tuple[bytes, bool]]:
    """Yield runs of complete lines without the last line end, and whether the last line is incomplete.

    A line over the limit is dropped as it comes; what is handed on of it is just long enough to show.
    """
    enough = reader.limits.line_bytes_max + 1
    pending: list[bytes | memoryview] = []
    size = 0
    for piece in pieces:
        last = piece.rfind(end)
        if last < 0:
            if size < enough:
                pending.append(piece)
                size += len(piece)
            continue
        if size >= enough:
            first = piece.index(end)
            yield b"".join(pending)[:enough] + piece[first:last], False
        else:
            pending.append(memoryview(piece)[:last])
            yield b"".join(pending), False
        pending = [piece[last + 1 :]]
        size = len(pending[0])
    if size:
        yield b"".join(pending)[:enough], reader.stopped is not None


def are_readable(run: bytes, parts: list[bytes], reader: PayloadReader) -> bool:
    """Return whether a run is UTF-8 without NUL bytes, and none of its parts exceeds the limit of a line."""
    limit = reader.limits.line_bytes_max
    if b"\0" in run or (len(run) > limit and max(map(len, parts)) > limit):
        return False
    return run.isascii() or _is_utf8(run)


def check_line(line: bytes, reader: PayloadReader) -> Issue | None:
    """Return the issue of a line whose bytes cannot be a record, else None."""
    limit = reader.limits.line_bytes_max
    if len(line) > limit:
        return issue("line_too_long", expected=f"at most {limit:,} bytes")
    if not line.isascii() and not _is_utf8(line):
        return issue("encoding_broken", value=_quote_invalid_bytes(line), expected=reader.charset)
    if b"\0" in line:
        return issue("nul_bytes")
    return None


def truncate_line(line: bytes) -> bytes:
    """Return the start of a line that is too long, without an incomplete character at its end."""
    return line[:CUT_BYTES].decode("utf-8", "ignore").encode()


def incomplete_line(line: bytes) -> Issue:
    """Return the issue of a record in which the payload ended."""
    return issue("line_incomplete", value=line[-100:].decode("utf-8", "backslashreplace"))


def ndjson(pieces: Iterator[bytes], reader: PayloadReader) -> Iterator[RecordRun]:
    """Yield one record for each line; blank lines are skipped, and their number is added as a notice."""
    blanks = b" \t\r" if reader.exact else None
    number = 1
    empty = 0
    for run, broken in whole_lines(pieces, reader):
        raw = run.split(b"\n")
        unreadable: dict[int, Issue] = {}
        if not are_readable(run, raw, reader):
            for index, line in enumerate(raw):
                if problem := check_line(line, reader):
                    unreadable[index] = problem
                    raw[index] = truncate_line(line) if problem.code == "line_too_long" else line
        if broken:
            unreadable.setdefault(len(raw) - 1, incomplete_line(raw[-1]))
        lines = list(map(bytes.strip, raw)) if blanks is None else [line.strip(blanks) for line in raw]
        for index, problem in unreadable.items():
            if problem.code == "line_too_long":
                lines[index] = lines[index] or b" "
        if all(lines):
            places = list(range(number, number + len(raw)))
        else:
            unreadable = {index: problem for index, problem in unreadable.items() if lines[index]}
            kept = list(compress(range(len(lines)), lines))
            unreadable = {position: unreadable[index] for position,
                index in enumerate(kept) if index in unreadable} if unreadable else {}
            lines = list(filter(None, lines))
            places = [number + index for index in kept]
            empty += len(raw) - len(lines)
        number += len(raw)
        yield RecordRun(lines, places, unreadable, len(run))
    if empty:
        reader.add_notice("rows_empty", str(empty))


def _is_utf8(run: bytes) -> bool:
    try:
        run.decode()
    except UnicodeDecodeError:
        return False
    return True


def _quote_invalid_bytes(line: bytes) -> str:
    """Return the first invalid bytes of a line with a few around them, in readable form."""
    try:
        line.decode()
    except UnicodeDecodeError as fault:
        return line[max(0, fault.start - 20) : fault.start + 20].decode("utf-8", "backslashreplace")
    return ""
