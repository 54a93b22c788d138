"""Whole lines out of pieces, and NDJSON.

The good path has no Python call per line. What may be wrong with a line (not UTF-8, NUL bytes, too long) is looked for
in many lines at once, and only where it is found is each line looked at.
"""

from collections.abc import Iterator
from itertools import compress

from goodsgate.formats.payload_reader import PayloadReader, RecordRun
from goodsgate.model.issue import Issue, issue

CUT_BYTES = 4096
"""What is kept of a record that is too long."""


def whole_lines(pieces: Iterator[bytes], reading: PayloadReader, *, end: bytes = b"\n") -> Iterator[tuple[bytes, bool]]:
    """Runs of whole lines without the end of the last, and whether the last of them broke off with the payload.

    A line over the limit is dropped as it comes; what is handed on of it is just long enough to show.
    """
    enough = reading.limits.line_bytes_max + 1
    held: list[bytes | memoryview] = []
    size = 0
    for piece in pieces:
        last = piece.rfind(end)
        if last < 0:
            if size < enough:
                held.append(piece)
                size += len(piece)
            continue
        if size >= enough:
            first = piece.index(end)
            yield b"".join(held)[:enough] + piece[first:last], False
        else:
            held.append(memoryview(piece)[:last])
            yield b"".join(held), False
        held = [piece[last + 1 :]]
        size = len(held[0])
    if size:
        yield b"".join(held)[:enough], reading.stopped is not None


def sound(run: bytes, parts: list[bytes], reading: PayloadReader) -> bool:
    """Whether the run is UTF-8, without NUL bytes, and none of its parts is over the limit of a line."""
    limit = reading.limits.line_bytes_max
    if b"\0" in run or (len(run) > limit and max(map(len, parts)) > limit):
        return False
    return run.isascii() or _is_utf8(run)


def flaw(line: bytes, reading: PayloadReader) -> Issue | None:
    """Why the line is no record, as far as its bytes show."""
    limit = reading.limits.line_bytes_max
    if len(line) > limit:
        return issue("line_too_long", expected=f"at most {limit:,} bytes")
    if not line.isascii() and not _is_utf8(line):
        return issue("encoding_broken", value=_around_break(line), expected=reading.charset)
    if b"\0" in line:
        return issue("nul_bytes")
    return None


def cut(line: bytes) -> bytes:
    """The start of a line that is too long, without a broken character at its end."""
    return line[:CUT_BYTES].decode("utf-8", "ignore").encode()


def broken_off(line: bytes) -> Issue:
    """The issue of a record at which the payload ended too early."""
    return issue("line_incomplete", value=line[-100:].decode("utf-8", "backslashreplace"))


def ndjson(pieces: Iterator[bytes], reading: PayloadReader) -> Iterator[RecordRun]:
    """One record a line; blank lines are counted, passed over and told once. One that is too long is never blank."""
    blanks = b" \t\r" if reading.exact else None
    number = 1
    empty = 0
    for run, broken in whole_lines(pieces, reading):
        raw = run.split(b"\n")
        flaws: dict[int, Issue] = {}
        if not sound(run, raw, reading):
            for index, line in enumerate(raw):
                if found := flaw(line, reading):
                    flaws[index] = found
                    raw[index] = cut(line) if found.code == "line_too_long" else line
        if broken:
            flaws.setdefault(len(raw) - 1, broken_off(raw[-1]))
        lines = list(map(bytes.strip, raw)) if blanks is None else [line.strip(blanks) for line in raw]
        for index, found in flaws.items():
            if found.code == "line_too_long":
                lines[index] = lines[index] or b" "
        if all(lines):
            places = list(range(number, number + len(raw)))
        else:
            flaws = {index: found for index, found in flaws.items() if lines[index]}
            kept = list(compress(range(len(lines)), lines))
            flaws = {position: flaws[index] for position, index in enumerate(kept) if index in flaws} if flaws else {}
            lines = list(filter(None, lines))
            places = [number + index for index in kept]
            empty += len(raw) - len(lines)
        number += len(raw)
        yield RecordRun(lines, places, flaws, len(run))
    if empty:
        reading.tell("rows_empty", str(empty))


def _is_utf8(run: bytes) -> bool:
    try:
        run.decode()
    except UnicodeDecodeError:
        return False
    return True


def _around_break(line: bytes) -> str:
    """The first bytes that are no character, with a few around them, as people can read them."""
    try:
        line.decode()
    except UnicodeDecodeError as fault:
        return line[max(0, fault.start - 20) : fault.start + 20].decode("utf-8", "backslashreplace")
    return ""
