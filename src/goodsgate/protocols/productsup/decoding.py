"""Error messages of lines that are not valid JSON, as PHP's ``json_decode`` gives them; the vendor publishes these.

The first problem from left to right counts. Only lines that another decoder has rejected come here, so speed does not
matter.
"""

import re

SYNTAX = "Syntax error"
CONTROL = "Control character error, possibly incorrectly encoded"
ENCODING = "Malformed UTF-8 characters, possibly incorrectly encoded"
SURROGATE = "Single unpaired UTF-16 surrogate in unicode escape"
MISMATCH = "State mismatch (invalid or malformed JSON)"
DEPTH = "Maximum stack depth exceeded"

DEPTH_MAX = 512

_BLANKS = re.compile(rb"[ \t\r\n]*")
_TOKEN = re.compile(
    rb"(?P<mark>[{}\[\]:,])|(?P<other>null|true|false|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)"
)
_STRING = re.compile(
    rb'"(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u(?:[0-9a-cA-CefEF][0-9a-fA-F]{3}|[dD][0-7][0-9a-fA-F]{2}'
    rb"|[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}))*"
)
_UNPAIRED = re.compile(rb"\\u[0-9a-fA-F]{4}")
_CLOSERS = {"}": "{", "]": "["}


class _JsonError(Exception):
    """A line that does not decode; the argument is the message."""


def decode_error(line: bytes) -> str | None:
    """Return the decoder's error message; None if the line decodes."""
    try:
        _parse(line)
    except _JsonError as fault:
        return str(fault)
    return None


def _parse(line: bytes) -> None:
    """Parse one value and nothing after it; raise _JsonError."""
    tokens = _JsonTokens(line)
    open_marks: list[str] = []
    expected = "value"
    while True:
        symbol = tokens.next()
        if expected == "end":
            if symbol:
                raise _JsonError(SYNTAX)
            return
        if symbol in ("}", "]") and expected in ("first key", "first value", "more"):
            if open_marks.pop() != _CLOSERS[symbol]:
                raise _JsonError(MISMATCH)
            expected = "more" if open_marks else "end"
        elif symbol in ("{", "[") and expected in ("value", "first value"):
            open_marks.append(symbol)
            if len(open_marks) > DEPTH_MAX:
                raise _JsonError(DEPTH)
            expected = "first key" if symbol == "{" else "first value"
        elif symbol in ("string", "other") and expected in ("value", "first value"):
            expected = "more" if open_marks else "end"
        elif symbol == "string" and expected in ("key", "first key"):
            expected = "colon"
        elif symbol == ":" and expected == "colon":
            expected = "value"
        elif symbol == "," and expected == "more":
            expected = "key" if open_marks[-1] == "{" else "value"
        else:
            raise _JsonError(SYNTAX)


class _JsonTokens:
    """The tokens of a line, one after the other."""

    def __init__(self, line: bytes) -> None:
        self._line = line
        self._at = 0
        try:
            line.decode()
            self._broken = len(line) + 1
        except UnicodeDecodeError as fault:
            self._broken = fault.start

    def next(self) -> str:
        """Return a mark, ``string``, ``other``, or an empty text at the end; raise _JsonError."""
        blanks = _BLANKS.match(self._line, self._at)
        start = self._at = blanks.end() if blanks is not None else self._at
        if start >= len(self._line):
            return ""
        if self._line[start] == 0x22:
            return self._string(start)
        token = _TOKEN.match(self._line, start)
        if token is None:
            if start >= self._broken:
                raise _JsonError(ENCODING)
            raise _JsonError(CONTROL if self._line[start] < 0x20 else SYNTAX)
        self._at = token.end()
        return token["mark"].decode() if token["mark"] else "other"

    def _string(self, start: int) -> str:
        body = _STRING.match(self._line, start)
        end = body.end() if body is not None else start + 1
        if self._broken < end:
            raise _JsonError(ENCODING)
        last = self._line[end : end + 1]
        if last == b'"':
            self._at = end + 1
            return "string"
        if last == b"\\":
            raise _JsonError(SURROGATE if _UNPAIRED.match(self._line, end) else SYNTAX)
        raise _JsonError(CONTROL)
