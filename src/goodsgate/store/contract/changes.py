"""How those who wait learn of changes: notifications are a hint, and revisions the truth."""

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from goodsgate.model.batch import Revision


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """What commits have changed."""

    merchants: frozenset[str] = frozenset()
    """Merchants with a batch, a catalogue or reference data that has changed."""
    batches: frozenset[str] = frozenset()
    journals: frozenset[str] = frozenset()
    """Merchants whose journal has grown."""


ChangeListener = Callable[[Changes | None], None]
"""Called by a thread of the store; None: anything may have changed."""


class Revisions(msgspec.Struct, frozen=True, kw_only=True):
    """What the store has now. What it does not know is left out."""

    batches: dict[str, Revision]
    """By id of the batch, as `Batch.revision`."""
    lanes: dict[str, int]
    """By merchant: a number that grows when a round of a lane is claimed, so that those behind it move up."""
    journals: dict[str, int]
    """By merchant: the number of the last change."""


class ChangeStore(Protocol):
    """Changes that this process waits for."""

    def change_token(self) -> object:
        """Return a value that changes whenever a batch document may have changed; takes microseconds.

        It changes at once for commits of this process, and for others as soon as the store learns of them.
        """

    def listen_for_changes(self, listener: ChangeListener) -> None:
        """Call `listener` with the changes of commits by any process, while `is_notified` returns True."""

    def is_notified(self) -> bool:
        """Return whether listeners are called now; takes microseconds. If not, only the change token tells."""

    def revisions(self, batches: Sequence[tuple[str, str]], *, lanes: Sequence[str] = (),
                  journals: Sequence[str] = ()) -> Revisions:
        """Return revisions of batches, named by merchant and id, and of lanes and journals of merchants."""
