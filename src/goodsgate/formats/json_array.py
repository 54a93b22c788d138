"""A JSON array, cut into its elements without being decoded.

A top-level array gives one record an element. Top-level objects, one or several after each other, give one record
each. An object that wraps an array (`{"items": […]}`) is one record and not opened: a product may hold arrays, too.

The cutter looks at quotes and brackets alone, so what is wrong inside an element harms only that element. Where many
elements are sound, a JSON decoder that leaves values as they are does the same cutting some ten times as fast.
"""

import re
from collections.abc import Callable, Iterator

import msgspec

from goodsgate.formats.lines import broken_off, cut, flaw, sound
from goodsgate.formats.payload_reader import PayloadReader, RecordRun
from goodsgate.model.issue import Issue, issue

BLANKS = b" \t\r\n"
GUESSES_MAX = 4
"""Places at which the fast way is tried before the slow one is taken."""
SEPARATOR_BYTES_MAX = 200

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


def json_records(pieces: Iterator[bytes], reading: PayloadReader) -> Iterator[RecordRun]:
    """One record an element; their places are their positions in the array."""
    splitter = JsonArraySplitter(reading)
    for piece in pieces:
        splitter.take(piece)
        yield splitter.run(len(piece))
        if splitter.dead:
            return
    splitter.end()
    yield splitter.run(0)


class JsonArraySplitter:
    """Where in the array the bytes taken so far end, and the elements they completed."""

    def __init__(self, reading: PayloadReader) -> None:
        self.dead = False
        """The structure is broken: nothing that follows can be told apart."""
        self.gaps = 0
        """Places where an element could stand and none does: one in an empty array, else there is a comma too many."""
        self._reading = reading
        self._data = b""
        self._start = 0
        """Where the element in hand begins."""
        self._at = 0
        """How far it has been looked through."""
        self._open = bytearray()
        """The closing brackets that are due, innermost last."""
        self._in_string = False
        self._array: bool | None = None
        """None until the first character that is not blank."""
        self._closed = False
        """The end of the array was seen."""
        self._long = b""
        """The start of the element in hand, once it is over the limit; the rest is dropped as it comes."""
        self._separator = b""
        """From the end of an element to the first key of the next, as last seen."""
        self._position = 1
        self._lines: list[bytes] = []
        self._flaws: dict[int, Issue] = {}

    @property
    def array(self) -> bool:
        """Whether it is one, as far as it is known; else objects stand after each other."""
        return bool(self._array)

    def run(self, size: int) -> RecordRun:
        """The elements completed since the last stretch."""
        lines, flaws, first = self._lines, self._flaws, self._position
        self._position += len(lines)
        self._lines, self._flaws = [], {}
        return RecordRun(lines, list(range(first, self._position)), flaws, size)

    def take(self, piece: bytes) -> None:
        """Cut as far as the bytes reach."""
        self._data = self._data[self._start :] + piece
        self._at -= self._start
        self._start = 0
        if self._array is None and not self._begin():
            return
        hopeful = bool(self._separator)
        while not self.dead and not self._closed:
            if hopeful and self._between():
                hopeful = self._many()
            elif not self._one():
                break
        if self._closed and not self.dead:
            self._after_end()
        if self._at - self._start > self._reading.limits.line_bytes_max and not self.dead:
            self._shorten()

    def _shorten(self) -> None:
        """Keep no more of the element in hand than shows that it is too long; blanks around it do not count."""
        limit = self._reading.limits.line_bytes_max
        seen = self._long or self._data[self._start : self._at].lstrip(BLANKS)
        kept = seen if self._in_string or not seen.rstrip(BLANKS) else seen.rstrip(BLANKS) + b" "
        if len(kept) > limit + 1:
            self._long = kept[: limit + 1]
            self._start = self._at
        else:
            self._data = kept + self._data[self._at :]
            self._start, self._at = 0, len(kept)

    def end(self) -> None:
        """The payload has ended: say so if it should not have."""
        rest = self._long or self._data[self._start :].strip(BLANKS)
        if self._array is None or self.dead or self._closed or not (self._array or rest):
            return
        if rest and (self._long or self._open or self._in_string or rest[-1:] not in b"}]"):
            self._add(rest, broken_off(rest))
        elif rest:
            self._add(rest)
        self._reading.stop("payload_truncated", "the JSON is not terminated")

    def _begin(self) -> bool:
        """Whether it is known what the payload is: an array, or objects after each other."""
        rest = self._data.lstrip(BLANKS)
        self._start = self._at = len(self._data) - len(rest)
        if not rest:
            return False
        self._array = rest.startswith(b"[")
        if self._array:
            self._start = self._at = self._at + 1
        elif not rest.startswith(b"{"):
            start = rest[:20].decode("utf-8", "backslashreplace")
            self._break("payload_corrupt", f"JSON that begins with {start}, neither an array nor an object")
        return True

    def _between(self) -> bool:
        """Whether no element was begun."""
        return self._at == self._start and not (self._open or self._in_string or self._long)

    def _many(self) -> bool:
        """The fast way: all elements up to what looks like the gap between two. Whether it found any.

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
            except (msgspec.DecodeError, RecursionError):
                continue
            if sound(run, lines, self._reading):
                self._lines += lines
            else:
                for line in lines:
                    self._add(line)
            self._start = self._at = data.index(b",", guess) + 1
            return True
        return False

    def _one(self) -> bool:
        """The slow way: the element in hand, or the end of the array. Whether it was there as a whole."""
        data, at, due = self._data, self._at, self._open
        while True:
            if self._in_string:
                at = _past(_IN_STRING, data, at)
                if data[at : at + 1] != b'"':
                    break
                self._in_string = False
                at += 1
            at = _past(_IN_ELEMENT if due else _BETWEEN, data, at)
            if at == len(data):
                break
            token = data[at]
            at += 1
            if token == _QUOTE:
                self._in_string = True
            elif token in _OPENING:
                due.append(_CLOSER[token])
            elif token == _COMMA or (not due and token == ord("]") and self._array):
                return self._complete(at, token)
            elif not due or due.pop() != token:
                self._mismatch(at, token)
                return False
            elif not due and not self._array:
                return self._complete(at, token)
        self._at = at
        return False

    def _complete(self, at: int, token: int) -> bool:
        """Take the element in hand, which ends before the separator or with its bracket at `at`; blanks are none."""
        last = at if not self._array and token != _COMMA else at - 1
        line = self._long or self._data[self._start : last].strip(BLANKS)
        if line:
            self._add(line)
        else:
            self.gaps += 1
        if token == _COMMA and line.endswith(b"}"):
            bracket = self._data.rfind(b"}", self._start, last)
            found = _SEPARATOR(self._data, bracket, bracket + SEPARATOR_BYTES_MAX)
            self._separator = found.group() if found else self._separator
        self._closed = token == ord("]") and bool(self._array)
        self._long = b""
        self._start = self._at = at
        return not self._closed

    def _mismatch(self, at: int, token: int) -> None:
        line = self._long or self._data[self._start : at].strip(BLANKS)
        where = f"record {self._position + len(self._lines):,}"
        self._add(line, issue("line_unreadable", value=f"unexpected {chr(token)}"))
        self._break("payload_corrupt", f"{where}: a {chr(token)} closes what is not open")

    def _after_end(self) -> None:
        rest = self._data[self._start :].strip(BLANKS)
        if rest:
            start = rest[:20].decode("utf-8", "backslashreplace")
            self._break("payload_corrupt", f"after the end of the array comes {start}")
        self._start = self._at = len(self._data)

    def _add(self, line: bytes, found: Issue | None = None) -> None:
        found = flaw(line, self._reading) or found
        if found:
            self._flaws[len(self._lines)] = found
            line = cut(line) if found.code == "line_too_long" else line
        self._lines.append(line)

    def _break(self, code: str, value: str) -> None:
        self.dead = True
        self._reading.stop(code, value)


def _past(match: _Matcher, data: bytes, at: int) -> int:
    """Where the match at `at` ends."""
    found = match(data, at)
    return found.end() if found else at
