"""Keys that a batch has shown, kept beside in a temporary file of this process, so that memory stays bounded.

They are in the database already, portion by portion; this is only where they can be looked for one by one.
"""

from collections.abc import Sequence

import apsw
import orjson

from goodsgate.store.postgres.ask import TEXTS

CACHE_BYTES = 8 * 1024**2


class Scratch:
    """The keys of one batch that its items do not tell."""

    def __init__(self) -> None:
        self.records = 0
        """Of the batch, those whose keys are here."""
        self._db: apsw.Connection | None = None

    @property
    def filled(self) -> bool:
        """Whether there is any."""
        return self._db is not None

    def fill(self, keys: Sequence[str], records: int) -> None:
        """Keys of one more portion, with which the batch has so many records."""
        self.records = records
        if not keys:
            return
        if self._db is None:
            self._db = apsw.Connection("")  # a file that has no name and goes with the connection
            self._db.execute(f"PRAGMA cache_size=-{CACHE_BYTES // 1024}; PRAGMA synchronous=OFF")
            self._db.execute(TEXTS["make_scratch"])
        with self._db:
            self._db.execute(TEXTS["fill_scratch"], {"keys": orjson.dumps(sorted(keys)).decode()})

    def among(self, keys: Sequence[str]) -> set[str]:
        """Which of them are there."""
        if self._db is None:
            return set()
        return {key for (key,) in self._db.execute(TEXTS["seen"], {"keys": orjson.dumps(keys).decode()})}

    def close(self) -> None:
        """Let go of the file."""
        if self._db is not None:
            self._db.close()
            self._db = None
