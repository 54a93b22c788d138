"""What was looked up of held items, for the questions that follow about the same keys."""

import threading
from collections.abc import Iterable, Sequence
from itertools import chain, repeat
from typing import Any

import msgspec

from goodsgate.model.batch import Kind
from goodsgate.model.catalogue import CurrentItem

FOLDING = {letter: letter + 32 for letter in range(ord("A"), ord("Z") + 1)}
"""To keys without ASCII case."""
LOOKS_MAX = 2
"""Of the portion that is being settled, and of the one behind it."""

Name = tuple[str, str, str]
"""Of a shelf: merchant, kind and collection."""


class Look(msgspec.Struct, frozen=True):
    """What one look-up came by; good until something of it is settled.

    Of items that are alike only that is known: held under a key asked for, live, without a version, with the hash that
    was given with the key, and last written by another batch than the one that asked. So `twins` and `written_by` need
    nothing of them: their keys are those asked for, and this batch did not write them. What differs from such a key by
    case has its row, as ever.
    """

    shelf: int
    keys: set[str]
    rows: list[tuple[Any, ...]]
    """As the statement gives them: the key asked for, the key held, …, the batch that wrote it, the document."""
    shades: set[str] = set()
    """The keys without their case, for `Looks`."""
    alike: dict[str, bytes] = {}
    """Key → hash of items that have no row."""
    batch: bytes = b""
    """For which they were compared; see `tells_of`."""

    def twins(self) -> dict[str, str]:
        """Key → the first of the live items that differ from it by case."""
        twins: dict[str, str] = {}
        for wanted, key, hash, *_ in self.rows:
            if key != wanted and hash is not None:
                twins[wanted] = min(key, twins.get(wanted, key))
        return twins

    def written_by(self, batch: bytes) -> set[str]:
        """Keys of the items that the batch wrote last; to be asked only where `tells_of` it."""
        return {key for wanted, key, _, _, by, _ in self.rows if by == batch and key == wanted}

    def tells_of(self, batch: bytes) -> bool:
        """Whether all items that this batch wrote have a row."""
        return not self.alike or self.batch == batch

    def held(self) -> dict[str, CurrentItem]:
        """By key, tombstones included, without those that only differ by case."""
        held = dict(zip(self.alike, map(CurrentItem, self.alike.values(), repeat(None)), strict=False))
        rows = [row for row in self.rows if row[0] == row[1]]
        if rows:
            keys, _, hashes, versions, _, documents = zip(*rows, strict=True)
            held.update(zip(keys, map(CurrentItem, hashes, versions, documents), strict=True))
        return held

    def live(self) -> dict[str, bool]:
        """Held key, be it one in another case → whether it is no tombstone."""
        live = {row[1]: row[2] is not None for row in self.rows}
        live.update(dict.fromkeys(self.alike, True))
        return live


def joined(looks: Sequence[Look]) -> Look:
    """Several look-ups of one shelf as one, all for the same batch where anything is alike; of different shelves, as
    before and after one was made, nothing is known."""
    if len({look.shelf for look in looks}) != 1:
        return Look(0, set(), [])
    return Look(
        looks[0].shelf, set().union(*(look.keys for look in looks)), [row for look in looks for row in look.rows],
        set().union(*(look.shades for look in looks)),
        dict(chain.from_iterable(look.alike.items() for look in looks)), max(look.batch for look in looks),
    )


class Looked(dict[int, dict[str, bytes | None]]):
    """Hashes of stock items as they were looked up first since the last settle, by shelf and key."""

    def note(self, kind: str, look: Look) -> None:
        """Items of the other kinds are changed by nobody but who works their lane. Of stock none are alike: each has
        its row."""
        if kind == Kind.STOCK and look.rows:
            seen = self.setdefault(look.shelf, {})
            for row in look.rows:
                seen.setdefault(row[1], row[2])


class Looks:
    """Those that are still good: a thread may look up what the next portion needs while another settles the last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: list[tuple[Name, Look]] = []
        """The newest last."""
        self._changed: set[str] = set()
        """Keys without their case that were settled since a look-up began; never changed, but replaced."""

    def begin(self) -> None:
        """Something is looked up from now on that is kept later."""
        with self._lock:
            self._changed = set()

    def keep(self, name: Name, look: Look) -> None:
        """It was made after everything that was settled."""
        with self._lock:
            self._kept = [*self._kept[1 - LOOKS_MAX :], (name, look)]

    def keep_begun(self, name: Name, look: Look) -> bool:
        """It was begun a while ago; False, and it is not kept, if something of it was settled since."""
        with self._lock:
            if self._changed and not self._changed.isdisjoint(look.shades):
                return False
            self._kept = [*self._kept[1 - LOOKS_MAX :], (name, look)]
            return True

    def over(self, name: Name, keys: Iterable[str], *, batch: bytes | None = None) -> Look | None:
        """The newest that has all these keys of the shelf, and tells which of their items this batch wrote."""
        for named, look in reversed(self._kept):
            if named == name and look.keys.issuperset(keys) and (batch is None or look.tells_of(batch)):
                return look
        return None

    def settled(self, keys: set[str]) -> None:
        """Items of these keys were written or deleted."""
        if not keys:
            return
        known = next((look.shades for _, look in self._kept if look.keys == keys), None)
        changed = known or folded(keys)
        with self._lock:
            self._changed = self._changed | changed
            # Most are of these very keys, which is soon seen.
            kept = [(name, look) for name, look in self._kept if look.keys.isdisjoint(keys)]
            self._kept = [(name, look) for name, look in kept if changed.isdisjoint(look.shades)]

    def clear(self) -> None:
        """Somebody else may have changed anything."""
        with self._lock:
            self._kept = []


def folded(keys: Iterable[str]) -> set[str]:
    """Without their ASCII case."""
    known = [*keys]
    if "".join(known).isascii():
        return set(map(str.lower, known))
    return {key.translate(FOLDING) for key in known}
