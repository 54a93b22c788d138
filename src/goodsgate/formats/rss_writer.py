"""Write items as RSS 2.0 with Google's namespace, as a stream."""

import re
from collections.abc import Iterable, Iterator
from xml.sax.saxutils import escape

from goodsgate.formats.contract import FormatOverflowError

PIECE_CHARACTERS = 64 * 1024
NAMESPACE = "http://base.google.com/ns/1.0"

_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that no XML 1.0 document can hold, not even as a reference (XML 1.0, section 2.2)."""
_ELEMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_CARRIAGE_RETURN = {"\r": "&#13;"}
"""A parser turns a bare carriage return into a line feed (XML 1.0, section 2.11)."""


def write_rss(items: Iterable[tuple[str, dict[str, object]]], *, title: str) -> Iterator[bytes]:
    """Yield a feed of items, each given as its key and its decoded members.

    A member is an element ``g:name``; a list repeats it, an object nests one for each of its members. Members whose
    name is no XML name are left out. Raises FormatOverflowError for a character that XML cannot hold.
    """
    parts = [
        f'<?xml version="1.0" encoding="UTF-8"?>\n<rss version="2.0" xmlns:g="{NAMESPACE}">\n<channel>\n'
        f"<title>{_text(title, 'the title')}</title>\n<link/>\n<description/>\n"
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


def check_item(key: str, members: dict[str, object]) -> None:
    """Raise FormatOverflowError for a character that XML cannot hold."""
    _elements(members, key)


def is_element_name(name: str) -> bool:
    """Return whether a member can be an element."""
    return _ELEMENT_NAME.fullmatch(name) is not None


def _elements(members: dict[str, object], key: str) -> str:
    return "".join(
        f"<g:{name}>{_content(each, f'{name} of item {key!r}')}</g:{name}>\n"
        for name, value in members.items() if is_element_name(name)
        for each in (value if isinstance(value, list) else [value])
    )


def _content(value: object, where: str) -> str:
    if isinstance(value, dict):
        return "".join(
            f"<g:{name}>{_content(each, where)}</g:{name}>" for name, each in value.items() if is_element_name(name)
        )
    if isinstance(value, bool):
        return "true" if value else "false"
    return _text("" if value is None else str(value), where)


def _text(text: str, where: str) -> str:
    if (found := _NOT_IN_XML.search(text)) is not None:
        raise FormatOverflowError(
            f"XML cannot hold the character U+{ord(found[0]):04X} in {where}; correct it, or ask for another format."
        )
    return escape(text, _CARRIAGE_RETURN)
