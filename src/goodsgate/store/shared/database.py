"""The interface between shared code and a database: named statements in transactions."""

from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager
from enum import Enum
from typing import Any, Final, Protocol

from goodsgate.store.contract import ItemTerms, StoreError

Row = tuple[Any, ...]
Values = Mapping[str, Any]


class ConstraintError(StoreError):
    """A row violates a constraint of the schema; nothing of the transaction remains."""


class MerchantScope(Enum):
    """Marks a transaction that is not limited to one merchant."""

    ALL_MERCHANTS = "all"


ALL_MERCHANTS: Final = MerchantScope.ALL_MERCHANTS

Merchants = int | None | MerchantScope
"""Whose rows a transaction sees: those of one merchant by number, none (None), or the dispatching tables whole."""


class Statements(Protocol):
    """Runs the statements of `queries.sql` by name, in one transaction."""

    def change(self, name: str, values: Values | None = None, /) -> int:
        """Run a statement that returns no rows, and return the number of rows it changed."""

    def first(self, name: str, values: Values | None = None, /) -> Row | None:
        """Return the first row, if there is one."""

    def value(self, name: str, values: Values | None = None, /) -> Any:
        """Return the first column of the first row, which must exist."""

    def rows(self, name: str, values: Values | None = None, /) -> list[Row]:
        """Return all rows."""

    def each(self, name: str, values: Values | None = None, /) -> Generator[Row, None, None]:
        """Yield row by row; closing the generator ends the statement."""


class Transactions(Protocol):
    """Opens transactions on the database, or on one file of it."""

    def reading(self, merchants: Merchants = None, /) -> AbstractContextManager[Statements]:
        """Open a transaction that only reads."""

    def snapshot(self, merchants: Merchants = None, /) -> AbstractContextManager[Statements]:
        """Open a transaction that only reads, all of whose statements see what was committed when the first began."""

    def writing(self, merchants: Merchants = None, /, *, lazy: bool = False) -> AbstractContextManager[Statements]:
        """Open a transaction that is committed and durable at the end, and rolled back if anything is raised.

        A `lazy` one may be undone by a power cut.

        Raises ConstraintError, StoreBusyError, StoreFullError.
        """

    def query(self, name: str, values: Values, merchants: Merchants = None, /) -> list[Row]:
        """Run one statement that reads in a transaction of its own, and return all rows."""


class MessageSignal:
    """Tells the outbox of this process that messages were stored."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[], None]] = []

    def listen(self, listener: Callable[[], None]) -> None:
        """Call `listener` each time."""
        self._listeners.append(listener)

    def send(self) -> None:
        """Call the listeners, after the commit."""
        for listener in self._listeners:
            listener()


class Database(Protocol):
    """What shared code needs of a store's database."""

    @property
    def intake(self) -> Transactions:
        """Tables of merchants, batches, rounds and lanes."""

    @property
    def catalogue(self) -> Transactions:
        """Tables of items, results and findings."""

    @property
    def message_signal(self) -> MessageSignal:
        """To be sent after each commit that stored messages."""

    item_terms: ItemTerms | None
    """Gives the terms of items; None if the search index is off."""

    def now(self) -> int:
        """Return the time in microseconds since 1970."""

    def number(self, merchant: str) -> int | None:
        """Return the number by which rows refer to the merchant; None if there is no such merchant."""

    def new_number(self) -> int:
        """Return a number that no merchant has or had, not even one that a restored backup does not know."""

    def require_number(self, merchant: str) -> int:
        """Return the number of the merchant. Raises StoreError if there is no such merchant."""
