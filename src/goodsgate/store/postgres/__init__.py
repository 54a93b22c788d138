"""The store for many machines: one PostgreSQL database, which is all that the hosts share.

Any number of processes on any number of hosts submit, ask and work. Every transaction takes the role `goodsgate_app`
and names its merchant, and row-level security shows it that merchant's rows alone. Leases run on the clock of the
database. Nothing is kept in a session, so that a pool may stand between.

Each file of this package is one part of the contract and builds on the one before::

    database → merchants → messages → resources → documents → receiving → lanes → lookups → marks → stock → settling →
    asking → sweeping → examining
"""

from goodsgate.store.postgres.examining import Examining

__all__ = ["PostgresStore"]


class PostgresStore(Examining):
    """See the contract for what each method keeps, and Database for what a store is made with."""

    commits_remotely = True
