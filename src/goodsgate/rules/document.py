"""Decoding of one document, with the reason why it is not a record."""

from typing import Any

import orjson

from goodsgate.model.counting import counted
from goodsgate.model.issue import Issue, issue
from goodsgate.model.json_text import Number, read_json

Record = dict[str, object]

_TYPE_NAMES: dict[type, str] = {
    list: "a list", str: "a text", int: "a number", Number: "a number", bool: "true or false", type(None): "null",
}


class UnreadableError(Exception):
    """A document is not a record; carries the issue that says why."""

    def __init__(self, issue: Issue) -> None:
        super().__init__(issue.code)
        self.issue = issue


def decode_document(document: bytes, *, depth_max: int) -> Record:
    """Decode one document exactly, as `read_json` does; raises UnreadableError if it is not a record.

    If a member occurs twice, the last one counts, as in every common reader (RFC 8259, section 4, leaves it open).
    """
    try:
        record = read_json(document)
    except orjson.JSONDecodeError as error:
        if "depth" in error.msg or "recursion" in error.msg.lower():
            raise UnreadableError(issue("line_too_deep", expected=f"at most {counted(depth_max, 'level')}")) from None
        raise UnreadableError(issue("line_unreadable", value=_describe(document, error))) from None
    if not isinstance(record, dict):
        raise UnreadableError(issue("record_not_object", value=_TYPE_NAMES.get(type(record), "something else")))
    if document.count(b"{") + document.count(b"[") > depth_max and is_deeper(record, depth_max):
        raise UnreadableError(issue("line_too_deep", expected=f"at most {counted(depth_max, 'level')}"))
    return record


def _describe(document: bytes, error: orjson.JSONDecodeError) -> str:
    """Say what is wrong and where: at which character from 1, or at which byte if the text is not UTF-8."""
    try:
        document.decode()
    except UnicodeDecodeError as broken:
        return f"not UTF-8 at byte {broken.start + 1}"
    return f"{error.msg.split(': line ')[0]} at character {error.pos + 1}"


def is_deeper(value: dict[str, Any], levels: int) -> bool:
    """Return whether lists and objects are nested more than so many levels."""
    level: list[Any] = [value]
    for _ in range(levels):
        level = [
            inner for entry in level for inner in (entry.values() if type(entry) is dict else entry)
            if type(inner) is dict or type(inner) is list
        ]
        if not level:
            return False
    return True
