"""Changes that clients wait for. Nobody notifies of them: the version of each file says that something has changed."""

from collections.abc import Sequence

from goodsgate.store.contract import ChangeListener, Revisions
from goodsgate.store.shared.changes import read_journals, read_lanes, revision_keys
from goodsgate.store.sqlite.database import SqliteDatabase


class SqliteChanges:
    """Implements ChangeStore."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database

    def change_token(self) -> tuple[int, int]:
        """Return a value that changes with every commit to either file, by any process."""
        return self._database.intake.version(), self._database.catalogue.version()

    def listen_for_changes(self, listener: ChangeListener) -> None:
        """Call nobody: processes that share files do not hear of each other."""

    def is_notified(self) -> bool:
        """Return False."""
        return False

    def revisions(self, batches: Sequence[tuple[str, str]], *, lanes: Sequence[str] = (),
                  journals: Sequence[str] = ()) -> Revisions:
        """Return the revisions, each file read in one statement."""
        keys = revision_keys(self._database, batches)
        with self._database.intake.reading() as db:
            found = {id: row for id, *row in db.rows("batch_revisions", {"batches": keys})} if batches else {}
            lane_revisions = read_lanes(self._database, db, lanes)
        with self._database.catalogue.reading() as db:
            progress = {id: row for id, *row in db.rows("progress_revisions", {"batches": keys})} if batches else {}
            numbers = read_journals(self._database, db, journals)
        is_open = 2
        return Revisions(
            batches={
                id.hex(): (*row, *progress.get(id, ())) if row[is_open] else (*row,) for id, row in found.items()
            },
            lanes=lane_revisions, journals=numbers,
        )
