"""Names of a mapping that no JSON record has: the submitter has spelled them wrong, or the export has changed."""

from collections.abc import Iterable

from goodsgate.engine.field_mapping import decode_members
from goodsgate.engine.member_mapping import nested_value
from goodsgate.engine.table_header import nearest_column
from goodsgate.formats import Chunk
from goodsgate.model.issue import Issue, issue
from goodsgate.model.json_text import UNREADABLE_JSON

NAMES_SHOWN_MAX = 50


class MappedNames:
    """The names that a submission maps, and those of them that no record has had so far.

    A table is refused if it lacks one of them. What the records of a JSON file have is known at its end.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self.missing = {*names}
        self._others: dict[str, None] = {}
        """Names of the records that were read, for the message."""

    def read(self, chunk: Chunk) -> None:
        """Look for the missing names in the records of a chunk."""
        for line in chunk.lines:
            if not self.missing:
                return
            try:
                members = decode_members(line)
            except UNREADABLE_JSON:
                continue
            self.missing -= members.keys()
            self.missing -= {
                name for name in self.missing if "." in name and nested_value(members, name.split(".")) is not None
            }
            if len(self._others) < NAMES_SHOWN_MAX:
                self._others |= dict.fromkeys(members)

    def issues(self) -> list[Issue]:
        """Return an issue of the file for each name that is missing; none if no record could be read."""
        names = [*self._others][:NAMES_SHOWN_MAX]
        return [
            issue("map_column_missing", value=name, expected=", ".join(names), suggestion=nearest_column(name, names))
            for name in sorted(self.missing) if names
        ]
