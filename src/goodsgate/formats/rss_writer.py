"""Write items as RSS 2.0 with Google's namespace, as a stream."""

import functools
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from xml.sax.saxutils import escape

from goodsgate.formats.contract import FormatOverflowError

PIECE_CHARACTERS = 64 * 1024
NAMESPACE = "http://base.google.com/ns/1.0"

_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that no XML 1.0 document can hold, not even as a reference (XML 1.0, section 2.2)."""
_MARKS = re.compile("[&<>\r]")
_ELEMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_CARRIAGE_RETURN = {"\r": "&#13;"}
"""A parser turns a bare carriage return into a line feed (XML 1.0, section 2.11)."""


def write_rss(items: Iterable[tuple[str, Mapping[str, object]]], *, title: str) -> Iterator[bytes]:
    """Yield a feed of items, each given as its key and its decoded members.

    A member is an element ``g:name``; a list repeats it, an object nests one for each of its members. Members whose
    name is no XML name are left out. Raises FormatOverflowError for a character that XML cannot hold.
    """
    _check(title, "the title")
    parts = [
        f'<?xml version="1.0" encoding="UTF-8"?>\n<rss version="2.0" xmlns:g="{NAMESPACE}">\n<channel>\n'
        f"<title>{_escaped(title)}</title>\n<link/>\n<description/>\n"
    ]
    size = 0
    for key, members in items:
        part = f"<item>\n{_elements(members, key)}</item>\n"
        parts.append(part)
        size += len(part)
        if size >= PIECE_CHARACTERS:
            yield "".join(parts).encode()
            parts, size = [], 0
    parts.append("</channel>\n</rss>\n")
    yield "".join(parts).encode()


def check_item(key: str, members: Mapping[str, object]) -> None:
    """Raise FormatOverflowError for a character that XML cannot hold."""
    _elements(members, key)


def is_element_name(name: str) -> bool:
    """Return whether a member can be an element."""
    return _ELEMENT_NAME.fullmatch(name) is not None


def drop_unfit(values: Iterable[Any]) -> list[Any]:
    """Return values without the characters that XML cannot hold, those in lists and objects, too."""
    return [_NOT_IN_XML.sub("", value) if type(value) is str else _drop_within(value) for value in values]


def _drop_within(value: Any) -> Any:
    if isinstance(value, list):
        return drop_unfit(value)
    if isinstance(value, dict):
        return dict(zip(value, drop_unfit(value.values()), strict=True))
    return value


def _elements(members: Mapping[str, object], key: str) -> str:
    parts = []
    for name, value in members.items():
        element = _element(name)
        if element is None:
            continue
        begin, end = element
        if type(value) is str:
            parts.append(f"{begin}{_escaped(value)}{end}")
        else:
            for each in value if isinstance(value, list) else [value]:
                parts.append(f"{begin}{_content(each)}{end}")
    text = "".join(parts)
    if _NOT_IN_XML.search(text) is not None:
        _refuse(members, key)
    return text


@functools.lru_cache(1_024)
def _element(name: str) -> tuple[str, str] | None:
    """Return the tags of a member; None if its name is no XML name."""
    return (f"<g:{name}>", f"</g:{name}>\n") if is_element_name(name) else None


def _content(value: object) -> str:
    if isinstance(value, dict):
        return "".join(
            f"<g:{name}>{_content(each)}</g:{name}>" for name, each in value.items() if is_element_name(name)
        )
    if isinstance(value, bool):
        return "true" if value else "false"
    return _escaped("" if value is None else str(value))


def _escaped(text: str) -> str:
    return escape(text, _CARRIAGE_RETURN) if _MARKS.search(text) is not None else text


def _refuse(members: Mapping[str, object], key: str) -> None:
    """Raise FormatOverflowError for the first member with a character that XML cannot hold."""
    for name, value in members.items():
        for each in value if isinstance(value, list) else [value]:
            if is_element_name(name):
                _check(_content(each), f"{name} of item {key!r}")


def _check(text: str, where: str) -> None:
    if (found := _NOT_IN_XML.search(text)) is not None:
        raise FormatOverflowError(
            f"XML cannot hold the character U+{ord(found[0]):04X} in {where}; correct it, or ask for another format."
        )
