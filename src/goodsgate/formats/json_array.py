"""JSON arrays, split into their elements without decoding them.

A top-level array gives one record an element. Top-level objects, one or several after each other, give one record
each. `json_wrapper` finds the array in an object that wraps one (`{"items": […]}`).

The splitter looks at quotes and brackets alone, so an error inside an element affects only that element. Where many
elements are valid, a JSON decoder that leaves values as they are splits them about ten times as fast.
"""

import re
from collections.abc import Callable, Iterator

import msgspec

from goodsgate.formats.lines import are_readable, check_line, incomplete_line, truncate_line
from goodsgate.formats.payload_reader import PayloadReader, RecordRun
from goodsgate.model.issue import Issue, issue
from goodsgate.model.json_text import UNREADABLE_JSON

BLANKS = b" \t\r\n"
GUESSES_MAX = 4
"""Positions at which the fast way is tried before the slow one is taken."""
SEPARATOR_BYTES_MAX = 200
REST_BYTES_MAX = 1024 * 1024
"""Bytes behind an array that are kept."""

# Possessive inside, greedy outside: a possessive group drops its last match in Python 3.11.2, which Debian 12 ships.
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*"'
_IN_ELEMENT = re.compile(rb'[^"{}\[\]]*+(?:' + _STRING + rb'[^"{}\[\]]*+)*', re.S).match
_BETWEEN = re.compile(rb'[^"{}\[\],]*+(?:' + _STRING + rb'[^"{}\[\],]*+)*', re.S).match
_IN_STRING = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*', re.S).match
_SEPARATOR = re.compile(rb'\}[ \t\r\n]*,[ \t\r\n]*\{[ \t\r\n]*"[^"\\]*"').match

_QUOTE, _BACKSLASH, _COMMA = b'"\\,'
_OPENING, _CLOSING = b"[{", b"]}"
_CLOSER = {ord("["): ord("]"), ord("{"): ord("}")}

_Matcher = Callable[[bytes, int], re.Match[bytes] | None]

_elements = msgspec.json.Decoder(list[msgspec.Raw])


def json_records(
    pieces: Iterator[bytes], reader: PayloadReader, *, splitter: "JsonArraySplitter | None" = None
) -> Iterator[RecordRun]:
    """Yield one record for each element; its source row is its position in the array."""
    splitter = splitter or JsonArraySplitter(reader)
    for piece in pieces:
        splitter.feed(piece)
        yield splitter.run(len(piece))
        if splitter.is_broken:
            return
    splitter.finish()
    yield splitter.run(0)


class JsonArraySplitter:
    """Splitter of a JSON array that arrives in pieces."""

    def __init__(self, reader: PayloadReader, *, keeps_rest: bool = False) -> None:
        """With `keeps_rest`, something may follow the array, and its beginning is kept in `rest`."""
        self.rest = b""
        self.is_rest_cut = False
        """Whether more follows the array than is kept."""
        self._keeps_rest = keeps_rest
        self.is_broken = False
        """Whether the structure is broken, so that nothing after it can be split."""
        self.empty_elements = 0
        """Missing elements between separators: one in an empty array, else there is a comma too many."""
        self._reader = reader
        self._data = b""
        self._start = 0
        """Where the current element begins."""
        self._at = 0
        """How far it has been scanned."""
        self._open = bytearray()
        """The closing brackets that are expected, innermost last."""
        self._in_string = False
        self._is_array: bool | None = None
        """None until the first character that is not blank."""
        self._closed = False
        """Whether the end of the array has been read."""
        self._long = b""
        """The start of the current element once it exceeds the limit; the rest is dropped as it arrives."""
        self._separator = b""
        """The latest text between the end of an element and the first key of the next."""
        self._position = 1
        self._lines: list[bytes] = []
        self._unreadable: dict[int, Issue] = {}

    @property
    def is_array(self) -> bool:
        """Whether the payload is an array, as far as it is known; else objects follow one another."""
        return bool(self._is_array)

    def run(self, size: int) -> RecordRun:
        """Return the elements completed since the last call."""
        lines, unreadable, first = self._lines, self._unreadable, self._position
        self._position += len(lines)
        self._lines, self._unreadable = [], {}
        return RecordRun(lines, list(range(first, self._position)), unreadable, size)

    def feed(self, piece: bytes) -> None:
        """Split as far as the bytes reach."""
        self._data = self._data[self._start :] + piece
        self._at -= self._start
        self._start = 0
        if self._is_array is None and not self._detect_structure():
            return
        hopeful = bool(self._separator)
        while not self.is_broken and not self._closed:
            if hopeful and self._is_between_elements():
                hopeful = self._split_many()
            elif not self._split_one():
                break
        if self._closed and not self.is_broken:
            self._check_rest()
        if self._at - self._start > self._reader.limits.line_bytes_max and not self.is_broken:
            self._truncate_element()

    def _truncate_element(self) -> None:
        """Keep only so much of the current element that it exceeds the limit, not counting blanks around it."""
        limit = self._reader.limits.line_bytes_max
        start = self._long or self._data[self._start : self._at].lstrip(BLANKS)
        kept = start if self._in_string or not start.rstrip(BLANKS) else start.rstrip(BLANKS) + b" "
        if len(kept) > limit + 1:
            self._long = kept[: limit + 1]
            self._start = self._at
        else:
            self._data = kept + self._data[self._at :]
            self._start, self._at = 0, len(kept)

    def finish(self) -> None:
        """End the payload; record an issue if the JSON is not complete."""
        rest = self._long or self._data[self._start :].strip(BLANKS)
        if self._is_array is None or self.is_broken or self._closed or not (self._is_array or rest):
            return
        if rest and (self._long or self._open or self._in_string or rest[-1:] not in b"}]"):
            self._add_element(rest, incomplete_line(rest))
        elif rest:
            self._add_element(rest)
        self._reader.stop("payload_truncated", "the JSON is not terminated")

    def _detect_structure(self) -> bool:
        """Find out whether the payload is an array or a sequence of objects; return whether that is known."""
        rest = self._data.lstrip(BLANKS)
        self._start = self._at = len(self._data) - len(rest)
        if not rest:
            return False
        self._is_array = rest.startswith(b"[")
        if self._is_array:
            self._start = self._at = self._at + 1
        elif not rest.startswith(b"{"):
            start = rest[:20].decode("utf-8", "backslashreplace")
            self._break("payload_corrupt", f"JSON that begins with {start}, neither an array nor an object")
        return True

    def _is_between_elements(self) -> bool:
        """Return whether no element has begun."""
        return self._at == self._start and not (self._open or self._in_string or self._long)

    def _split_many(self) -> bool:
        """Split off all elements up to what looks like a separator, the fast way; return whether there are any.

        If everything up to a guessed gap decodes as elements with commas between, the guess was right: a gap inside
        an element or a string would leave that one unclosed.
        """
        data, start = self._data, self._start
        guess = len(data)
        for _ in range(GUESSES_MAX):
            guess = data.rfind(self._separator, start, guess)
            if guess < 0:
                return False
            run = data[start : guess + 1]
            try:
                lines = list(map(bytes, _elements.decode(b"[" + run + b"]")))
            except UNREADABLE_JSON:
                continue
            if are_readable(run, lines, self._reader):
                self._lines += lines
            else:
                for line in lines:
                    self._add_element(line)
            self._start = self._at = data.index(b",", guess) + 1
            return True
        return False

    def _split_one(self) -> bool:
        """Split off the current element or the end of the array, the slow way; return whether it is complete."""
        data, at, due = self._data, self._at, self._open
        while True:
            if self._in_string:
                at = _end_of_match(_IN_STRING, data, at)
                if data[at : at + 1] != b'"':
                    break
                self._in_string = False
                at += 1
            at = _end_of_match(_IN_ELEMENT if due else _BETWEEN, data, at)
            if at == len(data):
                break
            token = data[at]
            at += 1
            if token == _QUOTE:
                self._in_string = True
            elif token in _OPENING:
                due.append(_CLOSER[token])
            elif token == _COMMA or (not due and token == ord("]") and self._is_array):
                return self._complete_element(at, token)
            elif not due or due.pop() != token:
                self._report_mismatch(at, token)
                return False
            elif not due and not self._is_array:
                return self._complete_element(at, token)
        self._at = at
        return False

    def _complete_element(self, at: int, token: int) -> bool:
        """Add the current element, which ends before the separator or with its bracket at `at`, unless it is blank."""
        last = at if not self._is_array and token != _COMMA else at - 1
        line = self._long or self._data[self._start : last].strip(BLANKS)
        if line:
            self._add_element(line)
        else:
            self.empty_elements += 1
        if token == _COMMA and line.endswith(b"}"):
            bracket = self._data.rfind(b"}", self._start, last)
            separator = _SEPARATOR(self._data, bracket, bracket + SEPARATOR_BYTES_MAX)
            self._separator = separator.group() if separator else self._separator
        self._closed = token == ord("]") and bool(self._is_array)
        self._long = b""
        self._start = self._at = at
        return not self._closed

    def _report_mismatch(self, at: int, token: int) -> None:
        line = self._long or self._data[self._start : at].strip(BLANKS)
        where = f"record {self._position + len(self._lines):,}"
        self._add_element(line, issue("line_unreadable", value=f"unexpected {chr(token)}"))
        self._break("payload_corrupt", f"{where}: a {chr(token)} closes what is not open")

    def _check_rest(self) -> None:
        if self._keeps_rest:
            self.rest += self._data[self._start :]
            self.is_rest_cut = len(self.rest) > REST_BYTES_MAX
            self.rest = self.rest[:REST_BYTES_MAX]
            self._start = self._at = len(self._data)
            return
        rest = self._data[self._start :].strip(BLANKS)
        if rest:
            start = rest[:20].decode("utf-8", "backslashreplace")
            self._break("payload_corrupt", f"after the end of the array comes {start}")
        self._start = self._at = len(self._data)

    def _add_element(self, line: bytes, problem: Issue | None = None) -> None:
        problem = check_line(line, self._reader) or problem
        if problem:
            self._unreadable[len(self._lines)] = problem
            line = truncate_line(line) if problem.code == "line_too_long" else line
        self._lines.append(line)

    def _break(self, code: str, value: str) -> None:
        self.is_broken = True
        self._reader.stop(code, value)


def _end_of_match(match: _Matcher, data: bytes, at: int) -> int:
    """Return where the match at `at` ends."""
    result = match(data, at)
    return result.end() if result else at
