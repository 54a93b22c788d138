"""Writes the search index with the items, and searches it; text search vectors have the terms."""

import struct
import zlib
from collections.abc import Mapping, Sequence

from goodsgate.store.contract import SearchTerm, StoreBusyError
from goodsgate.store.postgres.item_rows import END, START
from goodsgate.store.postgres.progress import progress_from_row
from goodsgate.store.postgres.server import ROLE
from goodsgate.store.postgres.statements import SQL, PostgresStatements
from goodsgate.store.shared.database import Row, Statements
from goodsgate.store.shared.item_index import sorted_keys
from goodsgate.store.shared.progress import Progress
from goodsgate.store.shared.search import TERM_MARK, SqlSearch


class TermRows:
    """Terms of new items of one collection, by key; each item has some."""

    def __init__(self, named: Mapping[str, int], terms: Mapping[str, str]) -> None:
        self.named = named
        self.terms = terms


def scope_of(collection: int) -> str:
    """Return what names a collection in its terms; if two have the same, a search reads the terms of both."""
    return f"{zlib.crc32(collection.to_bytes(8, 'big')) & 0xFFFF:04x}{TERM_MARK}"


def scoped(terms: str, scope: str) -> str:
    """Return terms as the index has them, each behind what names its collection."""
    return f"{scope}{terms.replace(' ', f' {scope}')}"


def sort_terms(db: PostgresStatements, named: Mapping[str, int], terms: Mapping[str, str], live: Mapping[str, bool],
               ) -> TermRows:
    """Return the terms of new items, and write those of the items that exist (`live`)."""
    if live:
        write_terms(db, named, {key: text for key, text in terms.items() if key in live})
    return TermRows(named, {key: text for key, text in terms.items() if text and key not in live})


def copy_terms(db: PostgresStatements, collections: Sequence[TermRows]) -> None:
    """Copy the terms of new items, in the binary format; the transaction has dropped its role."""
    if not any(rows.terms for rows in collections):
        return
    with db.cursor.copy(SQL["copy_terms"]) as copy:
        copy.write(START)
        for rows in collections:
            copy.write(_joined(rows))
        copy.write(END)


def _joined(rows: TermRows) -> bytes:
    """Return the rows: 4 columns, each behind its length. A vector is a number of terms, each with no positions."""
    scope, pack = scope_of(rows.named["collection"]).encode(), struct.Struct(">ii").pack
    between = b"\0\0\0" + scope
    head = struct.pack(">hiqiq", 4, 8, rows.named["merchant"], 8, rows.named["collection"])
    parts: list[bytes] = []
    for key, terms in rows.terms.items():
        name = key.encode()
        vector = b"%b%b\0\0\0" % (scope, terms.encode().replace(b" ", between))
        parts += (head, len(name).to_bytes(4, "big"), name, pack(len(vector) + 4, terms.count(" ") + 1), vector)
    return b"".join(parts)


def write_terms(db: PostgresStatements, named: Mapping[str, int], terms: Mapping[str, str]) -> None:
    """Write the terms of items that may have some."""
    scope = scope_of(named["collection"])
    some = sorted((key, scoped(text, scope)) for key, text in terms.items() if text)
    none = [key for key, text in terms.items() if not text]
    if some:
        keys, texts = zip(*some, strict=True)
        db.change("put_terms", {**named, "keys": [*keys], "terms": [*texts]})
    if none:
        db.change("delete_terms", {**named, "keys": none})


class PostgresSearch(SqlSearch):
    """Implements SearchStore."""

    def fill_search(self, *, limit: int) -> bool:
        """Add items that the index lacks, unless a commit is in the way."""
        try:
            return super().fill_search(limit=limit)
        except StoreBusyError:
            return False

    def _lock_gap(self, db: Statements, named: dict[str, int], _gap: str | None) -> str | None:
        row = db.first("lock_collection", named)
        return row[0] if row is not None else None

    def _match(self, collection: int, terms: Sequence[Sequence[SearchTerm]]) -> str:
        """Return a tsquery: each term is quoted, so that it has no operators."""
        scope = scope_of(collection)
        return " & ".join(
            "(" + " | ".join(
                "'" + f"{scope}{text}".replace("\\", "\\\\").replace("'", "''") + "'" + ":*" * is_prefix
                for text, is_prefix in alternatives
            ) + ")" for alternatives in terms
        )

    def _items_by_terms(self, db: Statements, values: dict[str, object]) -> list[Row]:
        """Search without row-level security, with which PostgreSQL does not use the index; the statement names all."""
        assert isinstance(db, PostgresStatements)
        db.cursor.execute("SET LOCAL ROLE NONE")
        rows = db.rows("items_by_terms", values)
        db.cursor.execute(f"SET LOCAL ROLE {ROLE}")
        return rows

    def _progress(self, db: Statements, merchant: int, batch: str) -> Progress | None:
        row = db.first("progress", {"merchant": merchant, "id": batch})
        return progress_from_row(row) if row is not None else None

    def _fill(self, db: Statements, merchant: int, collection: int, keys: Sequence[str], terms: Sequence[str]) -> None:
        assert isinstance(db, PostgresStatements)
        named = {"merchant": merchant, "collection": collection}
        db.change("mark_searched", {**named, "keys": sorted_keys(keys)})
        write_terms(db, named, dict(zip(keys, terms, strict=True)))
