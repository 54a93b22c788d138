"""The columns of a table of items: one for each member that fits into a cell."""

import msgspec

from goodsgate.engine.cells import to_cell
from goodsgate.model.batch import Kind
from goodsgate.model.fields import FIELDS, cell_type
from goodsgate.model.json_text import UNREADABLE_JSON, read_json, read_members


class TableColumns:
    """The members of items of a kind, as far as they were read."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self._always_fit = {name for name in FIELDS[kind] if cell_type(name, kind) != "text"}
        """Fields whose values fit whatever they are."""
        self._fit: dict[str, None] = {}
        self._unfit: dict[str, None] = {}

    def add(self, document: bytes) -> None:
        """Read the members of an item."""
        for name, value in (read_members(document) or {}).items():
            is_text = bytes(value)[:1] == b'"' if isinstance(value, msgspec.Raw) else True
            fits = is_text or name in self._always_fit or to_cell(name, value, self._kind) is not None
            (self._fit if fits else self._unfit)[name] = None

    @property
    def header(self) -> list[str]:
        """Members that fit into a cell, known fields first."""
        known = FIELDS[self._kind]
        return [*filter(self._fit.__contains__, known), *(name for name in self._fit if name not in known)]

    @property
    def left_out(self) -> list[str]:
        """Members of which some value does not fit into a cell."""
        return [*self._unfit]

    def cells(self, document: bytes, header: list[str]) -> list[str]:
        """Return an item as cells."""
        members = read_members(document) or {}
        try:
            record = read_json(document)
        except UNREADABLE_JSON:
            record = {}
        row = []
        for name in header:
            if name not in members:
                row.append("")
            elif type(text := record.get(name)) is str:
                row.append(text)
            else:
                row.append(to_cell(name, members[name], self._kind) or "")
        return row
