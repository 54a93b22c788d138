"""Marks: values by which items can be found, kept in step with the items in the transaction that writes them."""

from collections.abc import Iterable, Mapping, Sequence

import apsw
import msgspec
import orjson

from goodsgate.model.batch import Kind
from goodsgate.model.catalogue import IndexEntry
from goodsgate.store.contract import IndexFilter
from goodsgate.store.marking import marking
from goodsgate.store.sqlite.ask import do, each, every, value
from goodsgate.store.sqlite.lookups import Lookups, marks_of, packed_keys, shelf_of

encode = msgspec.json.encode


class Marks(Lookups):
    """The part of the contract that finds items by their marks."""

    def find_by_index(self, merchant: str, kind: Kind, collection: str, marks: Sequence[IndexEntry]) -> dict[IndexEntry,
                      list[str]]:
        """Keys in their order."""
        number = self.number(merchant)
        wanted: dict[str, dict[str, None]] = {}
        for name, text in marks:
            wanted.setdefault(name, {})[text] = None
        found: dict[IndexEntry, list[str]] = {}
        with self.catalogue.reading() as db:
            shelf = shelf_of(db, number, kind, collection)
            if shelf is None or not shelf[2]:
                return {}
            for name, texts in wanted.items():
                for text, key in each(db, "marked", (number, shelf[0], name, packed_keys([*texts]))):
                    found.setdefault((name, text), []).append(key)
        return found

    def list_index(self, merchant: str, kind: Kind, collection: str, name: str, *,
                   filters: Sequence[Sequence[IndexFilter]] = (), backwards: bool = False, offset: int = 0,
                   limit: int = 100,
                   ) -> tuple[int, list[tuple[str, str]]]:
        """By value and key, in the order of their UTF-8 bytes."""
        number = self.number(merchant)
        with self.catalogue.reading() as db:
            shelf = shelf_of(db, number, kind, collection)
            if shelf is None or not shelf[2]:
                return 0, []
            ways = [(at, one.name, one.minimum, one.maximum, one.contains) for at,
                some in enumerate(filters) for one in some]
            asked = {
                "merchant": number, "shelf": shelf[0], "name": name, "demands": len(filters),
                "ways": encode(ways).decode(),
            }
            total = int(value(db, "count_marks", asked))
            page = {**asked, "offset": offset, "limit": limit}
            return total, every(db, "marks_backwards" if backwards else "marks", page) if offset < total else []


def put_marks(db: apsw.Connection, number: int, shelf: int, marks: Mapping[str, tuple[IndexEntry, ...]],
              gone: Iterable[str], *, marked: bool) -> None:
    """Bring the marks of written items up to date, and those of items that go; a shelf that has none is left alone."""
    now = {key: held for key, held in marks.items() if held}
    if not marked:
        if not now:
            return
        do(db, "mark_shelf", {"merchant": number, "shelf": shelf})
    before = marks_of(db, number, shelf, [*marks, *gone]) if marked else {}
    named = (number, shelf)
    if fresh := sorted((key, held) for key, held in now.items() if key not in before):
        do(db, "add_marks_of", (*named, told := _json(fresh)))
        do(db, "put_item_marks", (*named, told))
    moved = marking(before, {key: now[key] for key in before if key in now})
    for name, rows in (
        ("drop_mark", moved.dropped), ("add_mark", moved.added), ("put_item_marks", moved.changed),
        ("drop_item_marks", moved.unmarked),
    ):
        if rows:
            do(db, name, (*named, _json(rows)))


def _json(rows: Sequence[object]) -> str:
    return orjson.dumps(rows).decode()
