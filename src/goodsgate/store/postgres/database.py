"""What the parts of the store share: the server, notifications, uploads, and the numbers of merchants."""

import secrets
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from goodsgate.store.contract import ItemTerms, StoreError
from goodsgate.store.objects import Objects
from goodsgate.store.postgres.notifications import Notifications
from goodsgate.store.postgres.payload_objects import PayloadObjects
from goodsgate.store.postgres.server import Server
from goodsgate.store.postgres.uploads import Uploads
from goodsgate.store.shared.database import ALL_MERCHANTS, MessageSignal
from goodsgate.store.shared.merchant_numbers import MerchantNumbers
from goodsgate.store.shared.statement_files import migrations

NUMBER_BITS = 62
"""Of a number in the database, which is a bigint that is not negative."""

MIGRATIONS = migrations(Path(__file__).parent / "migrations")


def random_number() -> int:
    """Return a number for a merchant or a collection: no sequence, which a restored dump would set back."""
    return secrets.randbits(NUMBER_BITS)


class PostgresDatabase:
    """See PostgresStore."""

    def __init__(self, address: str, *, connections_max: int, small_payload_bytes: int,
                 open_payloads: Callable[[], Objects] | None = None, item_terms: ItemTerms | None = None,
                 now: Callable[[], datetime] | None = None) -> None:
        """Connect to nothing yet. Raises StoreError if the address is invalid."""
        self.item_terms = item_terms
        """Gives the terms of items; None if the search index is off."""
        self.server = Server(address, connections_max=connections_max, now=now)
        self.notifications = Notifications(self.server)
        self.payload_objects = PayloadObjects(open_payloads)
        self.uploads = Uploads(
            self.server, self.payload_objects, small_bytes=small_payload_bytes, sending_max=connections_max
        )
        self.message_signal = MessageSignal()
        self._numbers = MerchantNumbers(self._read_number)

    @property
    def intake(self) -> Server:
        """Tables of merchants, batches, rounds and lanes."""
        return self.server

    @property
    def catalogue(self) -> Server:
        """Tables of items, results and findings."""
        return self.server

    def close(self) -> None:
        """Forget unfinished uploads, and close all connections."""
        self.uploads.close()
        self.notifications.close()
        self.server.close()

    def now(self) -> int:
        """Return the time in microseconds since 1970, on the server's clock."""
        return self.server.now()

    def number(self, merchant: str) -> int | None:
        """Return the number by which rows refer to the merchant; None if there is no such merchant."""
        return self._numbers.get(merchant)

    def _read_number(self, merchant: str) -> int | None:
        rows = self.server.query("merchant_number", {"id": merchant}, ALL_MERCHANTS)
        return int(rows[0][0]) if rows else None

    def cache_number(self, merchant: str, number: int) -> None:
        """Cache the number of a merchant that was just read."""
        self._numbers.put(merchant, number)

    def flush(self, merchant: int) -> None:
        """Write to disk what lazy commits have left in memory so far."""
        with self.server.transaction(merchant) as db:
            db.value("flush_journal")

    def new_number(self) -> int:
        """Return a number that no merchant has or had, not even one that a restored backup does not know."""
        return random_number()

    def require_number(self, merchant: str) -> int:
        """Return the number of the merchant. Raises StoreError if there is no such merchant."""
        number = self.number(merchant)
        if number is None:
            raise StoreError(f"no such merchant: {merchant}")
        return number
