"""Whether the two files of a folder belong together.

Both contain the id of the store and a generation, which is raised in both whenever a worker process begins to work: a
copy of one file from before that is recognized. Within a generation each file shows how far the other one has to be.
The catalogue contains whatever the intake knows to be finished; and the intake contains every batch that the catalogue
has begun.
"""

import secrets
import time

import msgspec

from goodsgate.store.contract import StoreError
from goodsgate.store.sqlite.file import SqliteFile
from goodsgate.store.sqlite.statements import SqliteStatements

STORE_ID_BYTES = 16
NEWEST_BATCHES = 20
"""Batches of the catalogue, the newest first, that the intake has to contain."""
TRIES = 3
PAUSE_SECONDS = 0.05
"""Between two tries: the files are not read at one moment, and may be changed in between."""
RESTORE = "restore the whole folder from one backup, or put the right file back (docs/how-to/back-up.md)"


class Identity(msgspec.Struct, frozen=True):
    """What a file contains of the store's identity."""

    store: bytes
    generation: int
    raising: int = 0
    """Of the intake: 1 if the catalogue may be one generation ahead."""


class SqliteIdentity:
    """Compares the files of a folder, and raises their generation."""

    def __init__(self, intake: SqliteFile, catalogue: SqliteFile) -> None:
        self._intake = intake
        self._catalogue = catalogue

    def store_id(self) -> str:
        """Return the id of the store, the same for good. Raises StoreError if there is none."""
        identity = self._read(self._intake, "intake_identity")
        if identity is None:
            raise StoreError(f"there is no store in {self._intake.path.parent}")
        return identity.store.hex()

    def require_match(self) -> None:
        """Raise StoreError if the files do not belong together, or one of them is older than the other."""
        mismatch = self.mismatch()
        if mismatch is not None:
            raise StoreError(f"{mismatch}; {RESTORE}")

    def mismatch(self) -> str | None:
        """Return in what the files do not match; None if they do, or there is no store yet."""
        for _ in range(TRIES):
            mismatch = self._mismatch()
            if mismatch is None:
                return None
            time.sleep(PAUSE_SECONDS)
        return mismatch

    def complete(self) -> None:
        """Give the files of a new store their identity; no effect on others."""
        with self._intake.reading() as db:
            row = db.first("intake_identity")
        if row is not None and row[1]:
            return
        with self._intake.writing() as db:
            db.change("add_intake_identity", {"store": secrets.token_bytes(STORE_ID_BYTES)})
            store, *_ = db.first("intake_identity") or (b"",)
        with self._catalogue.writing() as db:
            db.change("add_catalogue_identity", {"store": store})
        with self._intake.writing() as db:
            identity = Identity(*(db.first("intake_identity") or (b"", 1)))
            if not identity.generation:
                db.change("end_generation", {"generation": 1})

    def raise_generation(self, db: SqliteStatements) -> int:
        """Begin the next generation in a transaction of the intake, and return its number for `end_raising`."""
        db.change("begin_generation")
        identity = Identity(*(db.first("intake_identity") or (b"", 0)))
        return identity.generation + 1

    def end_raising(self, generation: int) -> None:
        """Write the new generation to both files."""
        with self._catalogue.writing() as db:
            db.change("set_catalogue_generation", {"generation": generation})
        with self._intake.writing() as db:
            db.change("end_generation", {"generation": generation})

    # -- inside -------------------------------------------------------------------------------------------------------

    def _mismatch(self) -> str | None:
        intake = self._read(self._intake, "intake_identity")
        catalogue = self._read(self._catalogue, "catalogue_identity")
        if intake is None or catalogue is None:
            # A store that is just being created has no catalogue yet.
            has_none = catalogue is None and (intake is None or not intake.generation)
            missing = self._intake if intake is None else self._catalogue
            return None if has_none else f"{missing.path.name} is missing or empty"
        if intake.store != catalogue.store:
            return "intake.db and catalogue.db are of different stores"
        ahead = catalogue.generation - intake.generation
        if ahead < 0 or ahead > intake.raising:
            older = self._catalogue if ahead < 0 else self._intake
            generations = sorted((intake.generation, catalogue.generation))
            return f"{older.path.name} is an older copy (generation {generations[0]}, the other file has " \
                f"{generations[1]})"
        return self._lagging_file()

    def _lagging_file(self) -> str | None:
        """Return which file lacks what the other one has seen in it."""
        last_finished = self._intake.query("last_finished", {})[0][0]
        clock = self._catalogue.query("clock", {})[0][0]
        if last_finished is not None and last_finished > clock:
            return "catalogue.db is an older copy, or one without its log: it lacks batches that are finished"
        newest = {"limit": NEWEST_BATCHES}
        for merchant, batch, round in self._catalogue.query("newest_progress", newest):
            rows = self._intake.query("rounds_of_batch", {"merchant": merchant, "id": batch})
            # A batch may be swept at this moment, first from the catalogue.
            if (not rows or rows[0][0] <= round) and any(
                row[1] == batch for row in self._catalogue.query("newest_progress", newest)
            ):
                return "intake.db is an older copy, or one without its log: it lacks batches that are in the catalogue"
        return None

    def _read(self, file: SqliteFile, statement: str) -> Identity | None:
        """Return the identity in a file; None if the file is missing, or just being created."""
        if not file.schema_number():
            return None
        rows = file.query(statement, {})
        return Identity(*rows[0]) if rows else None
