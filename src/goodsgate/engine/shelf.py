"""What is held of a schema's items, by key and by mark: looked up once a portion, kept up while it is applied."""

from collections import Counter
from collections.abc import Iterable, Sequence, Set

from goodsgate.engine.apply import Shelf
from goodsgate.engine.check import Judged
from goodsgate.engine.merging import plain
from goodsgate.model.batch import Kind
from goodsgate.model.catalogue import CurrentItem, Delete, IndexEntry, Write
from goodsgate.rules import CompiledRules
from goodsgate.store.contract import ClaimedRound, Store

NOBODY: Set[str] = frozenset()


class IndexedView(Shelf):
    """What is held, by key and by mark."""

    def __init__(self, held: dict[str, CurrentItem], owners: dict[IndexEntry, set[str]], known: set[tuple[Kind,
                 IndexEntry]], *,
                 rules: dict[str, CompiledRules]) -> None:
        super().__init__(held, {})
        self._owners = owners
        self.known = known
        """Of the marks that records need elsewhere, those that somebody has."""
        self.rules = rules
        """By the type of the resource that holds their configuration."""

    def owners(self, mark: IndexEntry) -> Set[str]:
        """Keys of the items that have it now."""
        return self._owners.get(mark, NOBODY)

    def are_owned(self, marks: Iterable[IndexEntry]) -> bool:
        """Whether somebody has one of these, or had it before; mostly nobody."""
        return not self._owners.keys().isdisjoint(marks)

    def live(self, key: str) -> CurrentItem | Write | None:
        """What is held under the key, if it is no tombstone."""
        was = self.held.get(key)
        return was if was is not None and was.hash is not None else None

    def members(self, key: str) -> dict[str, object]:
        """The document, decoded."""
        was = self.held[key]
        return plain(was.document or b"{}")

    def document(self, key: str) -> dict[str, object] | None:
        """The document, decoded, if one is held."""
        was = self.live(key)
        return plain(was.document or b"{}") if was is not None else None

    def put(self, key: str, document: bytes, digest: bytes, marks: Iterable[IndexEntry],
            dates: tuple[IndexEntry, ...] = (), *, version: int | None = None) -> None:
        """Hold a document from now on; it keeps the version that is held where it has none.

        `dates` are marks by which nobody looks for an owner.
        """
        was = self.held.get(key)
        if version is None and was is not None:
            version = was.version
        kept = tuple(dict.fromkeys(marks))
        self._remark(key, was, kept)
        kept += dates
        self.held[key] = self.writes[key] = Write(key, digest, document, version, kept)
        if self.deletes:
            self.deletes.pop(key, None)

    def drop(self, key: str, *, version: int | None = None) -> None:
        """Hold nothing under the key any more; with a version, nothing older comes after."""
        self._remark(key, self.held.get(key), ())
        self.held[key] = CurrentItem(None, version)
        self.writes.pop(key, None)
        self.deletes[key] = Delete(key, version)

    def _remark(self, key: str, was: CurrentItem | Write | None, marks: tuple[IndexEntry, ...]) -> None:
        for mark in was.index_entries if was is not None else ():
            if had := self._owners.get(mark):
                had.discard(key)
        for mark in marks:
            owners = self._owners.get(mark)
            if owners is None:
                self._owners[mark] = {key}
            else:
                owners.add(key)


def load_shelf(store: Store, work: ClaimedRound, keys: Sequence[str], judged: Sequence[Judged]) -> IndexedView:
    """All that the records of some stretches could touch."""
    refs = [one for told in judged for one in told.refs or () if one is not None]
    # In the order of the records, which is often nearly that of the index.
    asked = dict.fromkeys(mark for one in refs for mark in one.unique_entries)
    asked.update(dict.fromkeys(mark for one in refs for entries in one.find_by for mark in entries))
    found = store.find_by_index(work.merchant, work.kind, work.collection, [*asked]) if asked else {}
    wanted = dict.fromkeys([*keys, *(key for owners in found.values() for key in owners)])
    held = store.current_items(work.merchant, work.kind, work.collection, [*wanted], documents=True)
    needs: dict[Kind, set[IndexEntry]] = {}
    for one in refs:
        for kind, mark, _ in one.required:
            needs.setdefault(kind, set()).add(mark)
    known = {
        (kind, mark) for kind, marks in needs.items()
        for mark in store.find_by_index(work.merchant, kind, work.collection, [*marks])
    }
    rules = _look_around(store, work, judged, held=held, found=found)
    return IndexedView(held, {mark: set(owners) for mark, owners in found.items()}, known, rules=rules)


def _look_around(store: Store, work: ClaimedRound, judged: Sequence[Judged], *, held: dict[str, CurrentItem],
                 found: dict[IndexEntry, list[str]]) -> dict[str, CompiledRules]:
    """Return the merchant rules of the records, after looking up the catalogue entries that they need."""
    rules: dict[str, CompiledRules] = {}
    if not any(told.merchant_rules for told in judged):
        return rules
    times = Counter(key for told in judged for key in told.keys)
    coming: dict[str, dict[str, object]] = {}  # what may be held by then under keys that come several times
    keys: dict[str, None] = {}
    marks: set[IndexEntry] = set()
    for told in judged:
        if told.merchant_rules is None:
            continue
        sort = told.merchant_rules.resource_type
        if sort not in rules:
            settled = store.resources(work.merchant, sort, limit=1)
            rules[sort] = told.merchant_rules.compile(work.merchant, settled[0] if settled else None)
        for key, document, refs in zip(told.keys, told.documents, told.refs or (), strict=True):
            if key is not None and refs is not None:
                was = held.get(key)
                before = coming.get(key) or (plain(was.document) if was and was.document else None)
                record = plain(document)
                asked = rules[sort].inputs_for(key, record, before)
                keys.update(dict.fromkeys(asked.keys))
                marks.update(asked.index_entries)
                if times[key] > 1:
                    coming[key] = {**(before or {}), **record}
    more = [key for key in keys if key not in held]
    if more:
        held.update(store.current_items(work.merchant, work.kind, work.collection, more, documents=True))
    unknown = [mark for mark in marks if mark not in found]
    if unknown:
        found.update(store.find_by_index(work.merchant, work.kind, work.collection, unknown))
    return rules
