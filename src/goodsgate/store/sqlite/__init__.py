"""The embedded store: one folder, no server.

``intake.db`` holds merchants, keys, reference data, batches, rounds, leases and small payloads; ``payloads/`` one file
for each larger one; ``catalogue.db`` items, results, findings and the progress of rounds. Any number of processes may
read and submit, one works: it holds ``worker.lock``, others wait for that. But for movements of stock, which are short,
only the one that works writes ``catalogue.db``, and only its transactions are long; so a submission never waits for a
bulk load, and a movement for no more than a portion.

Each file of this package is one part of the contract and builds on the one before::

    folder → merchants → messages → resources → documents → receiving → lanes → lookups → marks → stock → settling →
    asking → sweeping → copying → examining
"""

from goodsgate.store.sqlite.examining import Examining

__all__ = ["SqliteStore"]


class SqliteStore(Examining):
    """See the contract for what each method keeps, and Folder for what a store is made with."""

    commits_remotely = False
