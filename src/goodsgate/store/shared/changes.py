"""Revisions of what clients wait for."""

from collections.abc import Sequence

import orjson

from goodsgate.store.shared.database import Database, Statements
from goodsgate.store.shared.timestamps import id_bytes


def revision_keys(database: Database, batches: Sequence[tuple[str, str]]) -> str:
    """Return numbers of merchants and ids of batches as JSON; what cannot be there is left out."""
    pairs = [(database.number(merchant), batch) for merchant, batch in batches if id_bytes(batch) is not None]
    return orjson.dumps([pair for pair in pairs if pair[0] is not None]).decode()


def read_lanes(database: Database, db: Statements, merchants: Sequence[str]) -> dict[str, int]:
    """Return the number of claims of a merchant's lanes, by merchant."""
    return _read_numbers(database, db, merchants, "lane_revisions")


def read_journals(database: Database, db: Statements, merchants: Sequence[str]) -> dict[str, int]:
    """Return the number of the last change, by merchant."""
    return _read_numbers(database, db, merchants, "journal_numbers")


def _read_numbers(database: Database, db: Statements, merchants: Sequence[str], name: str) -> dict[str, int]:
    pairs = [(database.number(merchant), merchant) for merchant in merchants]
    numbers = {number: merchant for number, merchant in pairs if number is not None}
    if not numbers:
        return {}
    rows = db.rows(name, {"merchants": orjson.dumps([*numbers]).decode()})
    return {numbers[number]: int(value) for number, value in rows}
