"""What is wrong with entries of reference data as a whole: codes that occur twice, parents, cycles."""

import unicodedata
from collections.abc import Iterable, Mapping

import msgspec

from goodsgate.model.catalogue import ReferenceEntry
from goodsgate.rules.identifiers import INVISIBLE

TREE_KINDS = frozenset({"category", "department"})
"""Kinds whose entries have parents of the same kind."""
ONLY_IN_SPELLING = "only in case, blanks or Unicode form"
SHOWN_MAX = 5
"""Codes of a cycle that a message names."""


class Problem(msgspec.Struct, frozen=True):
    """What is wrong with one entry of a file."""

    place: int
    """Row of the entry in the file, from 1; 0 for the file as a whole."""
    message: str

    @property
    def sentence(self) -> str:
        """The message with its row, as people read it."""
        text = self.message[:1].upper() + self.message[1:].removesuffix(".")
        return f"Row {self.place}: {text}." if self.place else f"{text}."


class LoadedEntries:
    """The entries of a file with their rows, each code once; `problems` grows with what is added."""

    def __init__(self) -> None:
        self.entries: dict[str, ReferenceEntry] = {}
        self.problems: list[Problem] = []
        self._places: dict[str, int] = {}
        self._spellings: dict[str, str] = {}
        """Folded code → the code that has it."""

    def add(self, entry: ReferenceEntry, place: int) -> None:
        """Add an entry; one whose code occurred before, in any spelling, is a problem."""
        folded = fold_code(entry.code)
        before = self._spellings.setdefault(folded, entry.code)
        if entry.code in self.entries:
            first = self._places[entry.code]
            self.problems.append(Problem(place, f'the code "{entry.code}" occurs twice, first in row {first}'))
        elif before != entry.code:
            other = f'"{before}" in row {self._places[before]}'
            self.problems.append(Problem(place, f'the code "{entry.code}" differs from {other} {ONLY_IN_SPELLING}'))
        else:
            self.entries[entry.code] = entry
            self._places[entry.code] = place

    def check_codes(self, stored: Iterable[ReferenceEntry]) -> None:
        """Add a problem for each code that differs from a stored one only in its spelling."""
        for entry in stored:
            code = self._spellings.get(fold_code(entry.code))
            if code is not None and code != entry.code and entry.code not in self.entries:
                text = f'the code "{code}" differs from the stored "{entry.code}" {ONLY_IN_SPELLING}'
                self.problems.append(Problem(self._places[code], text))

    def check_parents(self, stored: Mapping[str, str | None]) -> None:
        """Add a problem for each parent that does not exist, and for each cycle; `stored` are codes with parents."""
        parents = {**stored, **{code: entry.parent for code, entry in self.entries.items()}}
        sound: set[str] = set()
        for code, entry in self.entries.items():
            if entry.parent is not None and entry.parent not in parents:
                self.problems.append(Problem(self._places[code], f'the parent "{entry.parent}" does not exist'))
                continue
            path: dict[str, None] = {}
            at: str | None = code
            while at is not None and at not in path and at not in sound:
                path[at] = None
                at = parents.get(at)
            if at is not None and at in path:
                self._add_cycle([*path], at)
            sound.update(path)

    def _add_cycle(self, path: list[str], start: str) -> None:
        cycle = path[path.index(start) :]
        shown = [*cycle[:SHOWN_MAX], *(["…"] if len(cycle) > SHOWN_MAX else []), start]
        place = next((self._places[code] for code in cycle if code in self._places), 0)
        self.problems.append(Problem(place, f"the parents form a cycle: {' → '.join(shown)}"))


def fold_code(code: str) -> str:
    """Return a code without what people do not see or mean: case, Unicode form, invisible characters, blanks."""
    return " ".join(INVISIBLE.sub("", unicodedata.normalize("NFKC", code)).casefold().split())
