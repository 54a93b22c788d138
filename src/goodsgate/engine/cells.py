"""Members of items as cells of a table: the other way round than `field_mapping`."""

import re

import msgspec

from goodsgate.model.batch import Kind
from goodsgate.model.fields import FIELDS, cell_type
from goodsgate.model.json_text import cell_text, read_value, write_json
from goodsgate.rules.shipping import shipping_cell

_URL = re.compile(r"https?://", re.IGNORECASE)
_PLAIN = re.compile(r"[^\s,;|\[{](?:[^,]*[^\s,;|])?")
"""A value that is the same after a cell with commas was split."""


def to_cell(name: str, value: object, kind: Kind) -> str | None:
    """Return a member, as `read_members` returns it, as the cell that is read as the same value; None if there is none.

    A cell of an unknown column is a text, so that it cannot hold a number or an object.
    """
    content = bytes(value) if isinstance(value, msgspec.Raw) else b""
    start = content[:1]
    if start in (b'"', b"") or content == b"null":
        return cell_text(value)
    if name not in FIELDS[kind]:
        return None
    if start not in (b"[", b"{"):
        return cell_text(value)
    if name == "shipping" and (cell := shipping_cell(read_value(value))) is not None:
        return cell
    wanted = cell_type(name, kind)
    if wanted == "text":
        return None
    decoded = read_value(value)
    return _list_cell(decoded) if isinstance(decoded, list) and wanted == "list" else content.decode()


def _list_cell(values: list[object]) -> str:
    """Return a list as its values between commas, or as JSON if one of them would be read differently."""
    texts = [each for each in values if isinstance(each, str) and _PLAIN.fullmatch(each)]
    urls = sum(_URL.match(text) is not None for text in texts)
    if len(texts) < len(values) or (urls and urls < len(texts)):
        return write_json(values).decode()
    return ",".join(texts)
