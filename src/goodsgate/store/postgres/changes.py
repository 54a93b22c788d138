"""Changes that clients wait for: other processes notify of them, and one look for all clients finds the rest."""

from collections.abc import Sequence

from goodsgate.store.contract import ChangeListener, Revisions
from goodsgate.store.postgres.database import PostgresDatabase
from goodsgate.store.shared.changes import read_journals, read_lanes, revision_keys
from goodsgate.store.shared.database import ALL_MERCHANTS


class PostgresChanges:
    """Implements ChangeStore."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database
        self._notifications = database.notifications

    def change_token(self) -> object:
        """Return a value that changes with commits: of this process at once, of others soon after."""
        return self._notifications.change_token()

    def listen_for_changes(self, listener: ChangeListener) -> None:
        """Call `listener` for each notification."""
        self._notifications.listen(listener)

    def is_notified(self) -> bool:
        """Return whether this process listens; not behind a pool, nor while the server is away."""
        return self._notifications.is_listening()

    def revisions(self, batches: Sequence[tuple[str, str]], *, lanes: Sequence[str] = (),
                  journals: Sequence[str] = ()) -> Revisions:
        """Return the revisions, in one transaction."""
        keys = revision_keys(self._database, batches)
        with self._database.server.reading(ALL_MERCHANTS) as db:
            found = {id.hex(): (*row,) for id, *row in db.rows("batch_revisions", {"batches": keys})} if batches else {}
            return Revisions(
                batches=found, lanes=read_lanes(self._database, db, lanes),
                journals=read_journals(self._database, db, journals),
            )
