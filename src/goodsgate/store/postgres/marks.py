"""Marks: values by which items can be found, kept in step with the items in the transaction that writes them."""

from collections.abc import Iterable, Mapping, Sequence

import orjson

from goodsgate.model.batch import Kind
from goodsgate.model.catalogue import IndexEntry, Write
from goodsgate.store.contract import IndexFilter
from goodsgate.store.marking import marking
from goodsgate.store.postgres.ask import Cursor, do, every, value
from goodsgate.store.postgres.lookups import Lookups, marks_of, shelf_of


class Marks(Lookups):
    """The part of the contract that finds items by their marks."""

    def find_by_index(self, merchant: str, kind: Kind, collection: str, marks: Sequence[IndexEntry]) -> dict[IndexEntry,
                      list[str]]:
        """Keys in their order."""
        number = self.number(merchant)
        if number is None or not marks:
            return {}
        found: dict[IndexEntry, list[str]] = {}
        with self.server.transaction(number) as db:
            shelf = shelf_of(db, number, kind, collection)
            if shelf is None or not shelf[2]:
                return {}
            names, texts = zip(*sorted(set(marks)), strict=True)
            asked = {"merchant": number, "shelf": shelf[0], "names": list(names), "texts": list(texts)}
            for name, text, key in every(db, "marked", asked):
                found.setdefault((name, text), []).append(key)
        return found

    def list_index(self, merchant: str, kind: Kind, collection: str, name: str, *,
                   filters: Sequence[Sequence[IndexFilter]] = (), backwards: bool = False, offset: int = 0,
                   limit: int = 100,
                   ) -> tuple[int, list[tuple[str, str]]]:
        """By value and key, in the order of their UTF-8 bytes."""
        number = self.number(merchant)
        if number is None:
            return 0, []
        with self.server.transaction(number) as db:
            shelf = shelf_of(db, number, kind, collection)
            if shelf is None or not shelf[2]:
                return 0, []
            asked = {"merchant": number, "shelf": shelf[0], "name": name, "demands": len(filters), **_ways(filters)}
            total = int(value(db, "count_marks", asked))
            page = {**asked, "offset": offset, "limit": limit}
            return total, every(db, "marks_backwards" if backwards else "marks", page) if offset < total else []


def _ways(filters: Sequence[Sequence[IndexFilter]]) -> dict[str, list[object]]:
    """A column for each member, and one for which demand it may fulfil."""
    ways = [(at, one) for at, some in enumerate(filters) for one in some]
    names = IndexFilter.__struct_fields__
    return {"at": [at for at, _ in ways], **{f"{name}s": [getattr(one, name) for _, one in ways] for name in names}}


def put_marks(db: Cursor, number: int, shelf: int, writes: Mapping[str, Write], gone: Iterable[str]) -> None:
    """Bring the marks of written items up to date, and those of items that go; a shelf that has none is left alone."""
    named = {"merchant": number, "shelf": shelf}
    now = {key: write.index_entries for key, write in writes.items() if write.index_entries}
    marked = value(db, "is_marked", named)
    if not marked:
        if not now:
            return
        do(db, "mark_shelf", named)
    before = marks_of(db, number, shelf, [*writes, *gone]) if marked else {}
    moved = marking(before, now)
    if moved.dropped:
        do(db, "drop_mark", {**named, **_columns(("names", "texts", "keys"), moved.dropped)})
    if moved.added:
        do(db, "add_mark", {**named, **_columns(("names", "texts", "keys"), moved.added)})
    if moved.changed:
        changed = [(key, orjson.dumps(held).decode()) for key, held in moved.changed]
        do(db, "put_item_marks", {**named, **_columns(("keys", "marks"), changed)})
    if moved.unmarked:
        do(db, "drop_item_marks", {**named, "keys": moved.unmarked})


def _columns(names: Sequence[str], rows: Sequence[tuple[str, ...]]) -> dict[str, list[str]]:
    return dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
