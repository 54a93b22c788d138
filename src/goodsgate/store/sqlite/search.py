"""Writes the search index with the items, and searches it; FTS5 of SQLite has the terms."""

from collections.abc import Iterable, Sequence, Set

import msgspec
import orjson
import xxhash

from goodsgate.model.batch import Kind
from goodsgate.model.catalogue import Write
from goodsgate.store.contract import ItemTerms, SearchTerm
from goodsgate.store.shared.database import Statements
from goodsgate.store.shared.item_index import sorted_keys
from goodsgate.store.shared.progress import Progress
from goodsgate.store.shared.search import TERM_MARK, SqlSearch
from goodsgate.store.shared.timestamps import id_bytes
from goodsgate.store.sqlite.database import SqliteDatabase
from goodsgate.store.sqlite.progress import read_progress
from goodsgate.store.sqlite.statements import SqliteStatements


class TermWriter(msgspec.Struct):
    """The terms of the items that a commit writes to one collection, prepared before the items are written."""

    terms: dict[str, str]
    """By key, of the written items; empty if the index is off."""
    hashes: dict[str, int]
    """What is stored with each written item."""
    before: dict[str, tuple[int, int | None]]
    """Number and hash of the written and deleted items that exist."""
    deleted: Iterable[str] = ()
    last_number: int = 0
    """Of all items, before the items are written."""

    def write(self, db: SqliteStatements, named: tuple[int, int], written: Iterable[str]) -> None:
        """Write the terms of new items and of those whose terms changed, and delete those of deleted items.

        `written` are the keys in the order in which the items were written.
        """
        scope = f" {named[1]}{TERM_MARK}"
        if self.terms:
            self._write_new(db, named, scope, [key for key in written if key not in self.before])
        changed, gone = [], [self.before[key][0] for key in self.deleted if self.before.get(key, (0, None))[1]]
        for key, (id, hash) in self.before.items():
            after = self.hashes.get(key, hash)
            if after != hash and after:
                changed.append((id, scoped(self.terms[key], scope)))
            elif after != hash and hash:
                gone.append(id)
        db.insert_rows("put_terms", (), sorted(changed))
        if gone:
            db.change("delete_terms", (orjson.dumps(gone).decode(),))

    def _write_new(self, db: SqliteStatements, named: tuple[int, int], scope: str, new: Sequence[str]) -> None:
        """Write the terms of new items: each got the number behind the last one."""
        numbers: Sequence[int] = range(self.last_number + 1, self.last_number + 1 + len(new))
        statement = "add_terms"
        if new and db.value("last_item") != numbers[-1]:
            rows = db.rows("item_searches", (*named, sorted_keys(new)))
            new, numbers, statement = [row[0] for row in rows], [row[1] for row in rows], "put_terms"
        db.insert_rows(statement, (), [
            (id, scoped(terms, scope)) for key, id in zip(new, numbers, strict=True) if (terms := self.terms[key])
        ])


def scoped(terms: str, scope: str) -> str:
    """Return terms as the index has them, each behind what names its collection; `scope` begins with a space."""
    return f"{scope}{terms.replace(' ', scope)}"


def prepare_terms(db: SqliteStatements, named: tuple[int, int], kind: str, writes: Sequence[Write],
                  deleted: Iterable[str], *, item_terms: ItemTerms | None, stored: Set[str]) -> TermWriter:
    """Return the terms of written items, and what is known of those that exist (`stored`)."""
    terms: dict[str, str] = {}
    keys, last_number = [*deleted], 0
    if item_terms is not None and writes:
        written = [write.key for write in writes]
        texts = item_terms(Kind(kind), written, [write.document for write in writes])
        terms = dict(zip(written, texts, strict=True))
        keys += stored & terms.keys()
        last_number = db.value("last_item")
    rows = db.each("item_searches", (*named, sorted_keys(keys))) if keys else ()
    return TermWriter(
        terms, {key: terms_hash(text) for key, text in terms.items()}, {key: (id, hash) for key, id, hash in rows},
        deleted, last_number,
    )


def terms_hash(terms: str) -> int:
    """Return what is stored with an item: 0 without terms, else a positive number."""
    return (xxhash.xxh3_64_intdigest(terms.encode()) >> 1 or 1) if terms else 0


class SqliteSearch(SqlSearch):
    """Implements SearchStore."""

    def __init__(self, database: SqliteDatabase) -> None:
        super().__init__(database)
        self._folder = database

    def _may_fill(self) -> bool:
        return self._folder.lock_worker()

    def _match(self, collection: int, terms: Sequence[Sequence[SearchTerm]]) -> str:
        """Return an expression of FTS5: each term is a string, which has no operators."""
        return " AND ".join(
            "(" + " OR ".join(
                '"' + f"{collection}{TERM_MARK}{text}".replace('"', '""') + '"' + " *" * is_prefix
                for text, is_prefix in alternatives
            ) + ")" for alternatives in terms
        )

    def _progress(self, db: Statements, merchant: int, batch: str) -> Progress | None:
        assert isinstance(db, SqliteStatements)
        id = id_bytes(batch)
        return read_progress(db, merchant, id) if id is not None else None

    def _fill(self, db: Statements, merchant: int, collection: int, keys: Sequence[str], terms: Sequence[str]) -> None:
        assert isinstance(db, SqliteStatements)
        named, hashes = (merchant, collection), dict(zip(keys, map(terms_hash, terms), strict=True))
        rows = db.rows("item_searches", (*named, sorted_keys(keys)))
        writer = TermWriter(dict(zip(keys, terms, strict=True)), hashes, {key: (id, hash) for key, id, hash in rows})
        writer.write(db, named, keys)
        db.change_each("mark_searched", ((*named, key, hash) for key, hash in hashes.items()))
