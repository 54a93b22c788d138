"""What was looked up of held items, for the questions that follow about the same keys."""

from collections.abc import Sequence
from typing import Any

import msgspec

from goodsgate.model.batch import Kind
from goodsgate.model.catalogue import Held


class Look(msgspec.Struct, frozen=True):
    """What one look-up came by; good until the next settle."""

    shelf: int
    keys: set[str]
    rows: list[tuple[Any, ...]]
    """As the statement gives them: the key asked for, the key held, …, the batch that wrote it, the document."""

    def twins(self) -> dict[str, str]:
        """Key → the first of the live items that differ from it by case."""
        twins: dict[str, str] = {}
        for wanted, key, hash, *_ in self.rows:
            if key != wanted and hash is not None:
                twins[wanted] = min(key, twins.get(wanted, key))
        return twins

    def written_by(self, batch: bytes) -> set[str]:
        """Keys of the items that the batch wrote last."""
        return {key for wanted, key, _, _, by, _ in self.rows if by == batch and key == wanted}

    def held(self) -> dict[str, Held]:
        """By key, tombstones included, without those that only differ by case."""
        return {
            key: Held(hash, version, document) for wanted, key, hash, version, _, document in self.rows if key == wanted
        }


def joined(looks: Sequence[Look]) -> Look:
    """Several look-ups of one shelf as one; of different ones, as before and after one was made, nothing is known."""
    if len({look.shelf for look in looks}) != 1:
        return Look(0, set(), [])
    return Look(
        looks[0].shelf, set().union(*(look.keys for look in looks)), [row for look in looks for row in look.rows]
    )


class Looked(dict[int, dict[str, bytes | None]]):
    """Hashes of stock items as they were looked up first since the last settle, by shelf and key."""

    def note(self, kind: str, look: Look) -> None:
        """Items of the other kinds are changed by nobody but who works their lane."""
        if kind == Kind.STOCK and look.rows:
            seen = self.setdefault(look.shelf, {})
            for row in look.rows:
                seen.setdefault(row[1], row[2])
