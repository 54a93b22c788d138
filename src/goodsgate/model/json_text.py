"""JSON as clients send it: read and written exactly, and shown however broken it is.

Nothing that was received may keep a page, a report or a batch from being read. A value may be no UTF-8, nested more
deeply than a reader's stack, or a number that no machine holds. JSON has no bounds for numbers, but most decoders have:
they round fractions and long integers, and refuse what is larger than a double. `read_json` does neither, and
`write_json` writes numbers as they were read, so that what one part of the gate accepts every other part can read.
"""

import json
import re
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn, Self, TypeGuard

import msgspec
import orjson

UNREADABLE_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, orjson.JSONDecodeError)
"""What msgspec and orjson raise for bytes that are not JSON, not UTF-8 or nested too deeply."""

Members = dict[str, object]
"""Members of a record by name: cells of a table as texts, members of JSON as the bytes they were received in."""

_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


class Number(Decimal):
    """A JSON number with a fraction or an exponent: its exact value, and its text as it was received.

    An exponent that even Decimal has no room for (more than 18 digits) makes the value infinite, or zero.
    """

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str) -> Self:
        """Make a number of its text in JSON."""
        try:
            number = super().__new__(cls, text)
        except InvalidOperation:
            is_small = "e-" in text.lower()
            number = super().__new__(cls, "0" if is_small else "-Infinity" if text.startswith("-") else "Infinity")
        number.text = text
        return number

    def __str__(self) -> str:
        return self.text


def is_number(value: object) -> TypeGuard[int | Decimal]:
    """Return whether a decoded value is a JSON number."""
    return isinstance(value, int | Decimal | float) and not isinstance(value, bool)


def read_json(content: bytes | str) -> Any:
    """Decode JSON exactly: integers as int, other numbers as Number; of equal members the last one counts.

    Raises orjson.JSONDecodeError, whose message names the position, for what is not JSON, not UTF-8, holds half a
    surrogate pair, or nests too deeply.
    """
    try:
        return _read(content)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return _read_slowly(content)


def write_json(value: object) -> bytes:
    """Encode a value as JSON; a Number is written as it was received."""
    return _write(value)


def has_nul(content: bytes) -> bool:
    """Return whether a name or a text of some JSON holds the character NUL, which few databases and formats can."""
    return b"\\u0000" in content and _NUL.search(content) is not None


def contains_nul(value: object) -> bool:
    """Return whether a name or a text in a decoded value holds the character NUL."""
    pending = [value]
    while pending:
        each = pending.pop()
        if isinstance(each, dict):
            pending += [*each, *each.values()]
        elif isinstance(each, list):
            pending += each
        elif isinstance(each, str) and "\0" in each:
            return True
    return False


def read_members(raw: bytes) -> Members | None:
    """Return the members of a JSON object as they were received; None if it is no object or cannot be read."""
    try:
        return dict(_decode_members(raw))
    except UNREADABLE_JSON:
        return None


def read_value(value: object) -> object:
    """Return the value of a member: JSON that cannot be decoded as the text it was received as, texts unchanged."""
    if not isinstance(value, msgspec.Raw):
        return value
    content = bytes(value)
    try:
        return read_json(content)
    except orjson.JSONDecodeError:
        return content.decode("utf-8", "replace")


def member_text(value: object) -> str:
    """Return the text of a member: the characters of a string, anything else as it was received."""
    if not isinstance(value, msgspec.Raw):
        return str(value)
    content = bytes(value)
    if content[:1] == b'"':
        return str(read_value(value))
    return content.decode("utf-8", "replace")


def cell_text(value: object) -> str:
    """Return the text of a member as a cell: nothing for null and for no member."""
    is_empty = value is None or (isinstance(value, msgspec.Raw) and bytes(value) == b"null")
    return "" if is_empty else member_text(value)


def _read_slowly(content: bytes | str) -> Any:
    """Decode JSON whose integers have thousands of digits; raise orjson.JSONDecodeError for everything else."""
    refusal: orjson.JSONDecodeError | None = None
    try:
        orjson.loads(content)
    except orjson.JSONDecodeError as error:
        if "infinity" not in error.msg:
            raise
        refusal = error
    try:
        value = json.loads(content, parse_int=_read_integer, parse_float=Number, parse_constant=_refuse_constant)
        _write(value)  # which fails for half a surrogate pair
    except (ValueError, RecursionError) as error:
        raise refusal or orjson.JSONDecodeError(f"recursion limit: {error}", "", 0) from error
    return value


def _read_integer(digits: str) -> int | Number:
    try:
        return int(digits)
    except ValueError:  # Python converts some thousand digits at most
        return Number(digits)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _write_number(value: object) -> msgspec.Raw:
    if isinstance(value, Number):
        return msgspec.Raw(value.text.encode())
    raise TypeError(f"cannot write a {type(value).__name__}")


_read = msgspec.json.Decoder(float_hook=Number).decode
_write = msgspec.json.Encoder(enc_hook=_write_number).encode
