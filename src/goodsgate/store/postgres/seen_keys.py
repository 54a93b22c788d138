"""Seen keys of a batch in a temporary file of this process, so that memory stays bounded.

They are in the database already, chunk by chunk; here they can be looked up one by one.
"""

from collections.abc import Sequence

import apsw
import orjson

from goodsgate.store.postgres.statements import TEXTS

CACHE_BYTES = 8 * 1024**2


class SeenKeysFile:
    """The keys of one batch that are not known from its items."""

    def __init__(self) -> None:
        self.records = 0
        """Records of the batch whose keys are in the file."""
        self._db: apsw.Connection | None = None

    @property
    def filled(self) -> bool:
        """Whether the file has any key."""
        return self._db is not None

    def add(self, keys: Sequence[str], records: int) -> None:
        """Add keys of a chunk, after which the batch has so many records."""
        self.records = records
        if not keys:
            return
        if self._db is None:
            self._db = apsw.Connection("")  # a file without a name that is deleted with the connection
            self._db.execute(f"PRAGMA cache_size=-{CACHE_BYTES // 1024}; PRAGMA synchronous=OFF")
            self._db.execute(TEXTS["create_seen_keys"])
        with self._db:
            self._db.execute(TEXTS["add_seen_keys"], {"keys": orjson.dumps(sorted(keys)).decode()})

    def find(self, keys: Sequence[str]) -> set[str]:
        """Return those of the keys that are in the file."""
        if self._db is None:
            return set()
        return {key for (key,) in self._db.execute(TEXTS["seen_keys"], {"keys": orjson.dumps(keys).decode()})}

    def close(self) -> None:
        """Delete the file."""
        if self._db is not None:
            self._db.close()
            self._db = None
