"""JSON as clients send it: what readers raise for it, and how it is shown however broken it is.

Nothing that was received may keep a page, a report or a batch from being read. A value may be no UTF-8, nested more
deeply than a reader's stack, or a number that no machine holds.
"""

import contextlib
import json
from typing import Any, NoReturn

import msgspec
import orjson

UNREADABLE_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, orjson.JSONDecodeError)
"""What msgspec and orjson raise for bytes that are not JSON, not UTF-8 or nested too deeply."""

INTEGER_DIGITS_MAX = 19
"""Longer integers are read as floats, as orjson does."""

Members = dict[str, object]
"""Members of a record by name: cells of a table as texts, members of JSON as the bytes they were received in."""

_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


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
    try:
        return msgspec.json.decode(value)
    except UNREADABLE_JSON:
        return bytes(value).decode("utf-8", "replace")


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


def load_json(content: bytes | str) -> Any:
    """Decode JSON; a number that is too large for orjson becomes infinite, or a float. Raises JSONDecodeError.

    For everything that was accepted: JSON has no bounds for numbers.
    """
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as error:
        if "infinity" in error.msg:
            with contextlib.suppress(ValueError, RecursionError):
                return json.loads(content, parse_int=_parse_integer, parse_constant=_refuse_constant)
        raise


def _parse_integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= INTEGER_DIGITS_MAX else float(digits)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)
