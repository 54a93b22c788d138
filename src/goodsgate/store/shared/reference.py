"""Reference data."""

from collections.abc import Sequence

import orjson

from goodsgate.model.catalogue import ReferenceEntry
from goodsgate.model.json_text import read_json, write_json
from goodsgate.store.contract import Page
from goodsgate.store.shared.audit import record_act
from goodsgate.store.shared.database import Database

ENTRIES_PER_STATEMENT = 10_000

decode_data = read_json


class SqlReference:
    """Implements ReferenceStore."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._intake = database.intake

    def put_reference(self, merchant: str, kind: str, entries: Sequence[ReferenceEntry], *,
                      replace: bool = False) -> int:
        """Add or replace entries by code and return the number of entries of the kind."""
        number = self._database.require_number(merchant)
        named = {"merchant": number, "kind": kind}
        distinct = list({entry.code: entry for entry in entries}.values())
        with self._intake.writing(number) as db:
            version = db.value("next_reference_version", {"merchant": number, "now": self._database.now()})
            for start in range(0, len(distinct), ENTRIES_PER_STATEMENT):
                rows = [_entry_row(entry) for entry in distinct[start : start + ENTRIES_PER_STATEMENT]]
                db.change("put_entries", {**named, "version": version, "entries": orjson.dumps(rows).decode()})
            if replace:
                db.change("delete_older_entries", {**named, "version": version})
            record_act(db, number, merchant, now=self._database.now())
            return int(db.value("count_entries", named))

    def reference(self, merchant: str, kind: str, *, search: str | None = None, after: str | None = None,
                  limit: int = 100) -> Page[ReferenceEntry]:
        """Return entries by code; `search` is a case-insensitive substring of code or name."""
        number = self._database.number(merchant)
        values = {
            "merchant": number, "kind": kind, "after": after or "", "limit": limit + 1,
            "search": (search or "").casefold(),
        }
        rows = self._intake.query("entries", values, number)
        entries = [
            ReferenceEntry(code=code, name=name, parent=parent, data=decode_data(data))
            for code, name, parent, data in rows[:limit]
        ]
        return Page(entries, entries[-1].code if len(rows) > limit else None)

    def reference_version(self, merchant: str) -> int:
        """Return a number that grows with every change; 0 before the first."""
        number = self._database.number(merchant)
        rows = self._intake.query("reference_version", {"merchant": number}, number)
        return int(rows[0][0]) if rows else 0


def _entry_row(entry: ReferenceEntry) -> tuple[str | None, ...]:
    folded = f"{entry.code}\n{entry.name}".casefold()
    return entry.code, entry.name, entry.parent, write_json(entry.data).decode(), folded
