"""Why a line does not decode, in the words of the decoder whose messages are published (PHP's ``json_decode``).

The first problem from left to right counts. Only lines that are no JSON come here, so this may take its time.
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


class _Wrong(Exception):
    """The message is the argument."""


def message_of(line: bytes) -> str | None:
    """The decoder's message; None if it takes the line."""
    try:
        _parse(line)
    except _Wrong as wrong:
        return str(wrong)
    return None


def _parse(line: bytes) -> None:
    """One value and nothing behind it."""
    tokens = _Tokens(line)
    open_marks: list[str] = []
    wanted = "value"
    while True:
        found = tokens.next()
        if wanted == "end":
            if found:
                raise _Wrong(SYNTAX)
            return
        if found in ("}", "]") and wanted in ("first key", "first value", "more"):
            if open_marks.pop() != _CLOSERS[found]:
                raise _Wrong(MISMATCH)
            wanted = "more" if open_marks else "end"
        elif found in ("{", "[") and wanted in ("value", "first value"):
            open_marks.append(found)
            if len(open_marks) > DEPTH_MAX:
                raise _Wrong(DEPTH)
            wanted = "first key" if found == "{" else "first value"
        elif found in ("string", "other") and wanted in ("value", "first value"):
            wanted = "more" if open_marks else "end"
        elif found == "string" and wanted in ("key", "first key"):
            wanted = "colon"
        elif found == ":" and wanted == "colon":
            wanted = "value"
        elif found == "," and wanted == "more":
            wanted = "key" if open_marks[-1] == "{" else "value"
        else:
            raise _Wrong(SYNTAX)


class _Tokens:
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
        """A mark, ``string``, ``other``, or nothing at the end; raises _Wrong."""
        blanks = _BLANKS.match(self._line, self._at)
        start = self._at = blanks.end() if blanks is not None else self._at
        if start >= len(self._line):
            return ""
        if self._line[start] == 0x22:
            return self._string(start)
        token = _TOKEN.match(self._line, start)
        if token is None:
            if start >= self._broken:
                raise _Wrong(ENCODING)
            raise _Wrong(CONTROL if self._line[start] < 0x20 else SYNTAX)
        self._at = token.end()
        return token["mark"].decode() if token["mark"] else "other"

    def _string(self, start: int) -> str:
        body = _STRING.match(self._line, start)
        end = body.end() if body is not None else start + 1
        if self._broken < end:
            raise _Wrong(ENCODING)
        last = self._line[end : end + 1]
        if last == b'"':
            self._at = end + 1
            return "string"
        if last == b"\\":
            raise _Wrong(SURROGATE if _UNPAIRED.match(self._line, end) else SYNTAX)
        raise _Wrong(CONTROL)
