"""What merchants have stored that rules depend on: reference data and rules of their own, cached by version."""

from collections.abc import Mapping
from functools import partial

from goodsgate.engine.saved_guards import saved_guards
from goodsgate.engine.saved_rules import saved_rules
from goodsgate.model.catalogue import REFERENCE_KINDS, ReferenceEntry
from goodsgate.model.guard import Guard
from goodsgate.rules import PassedDocuments, RecordRules, ReferenceData
from goodsgate.store.contract import Store

REFERENCE_PAGE = 5_000
MERCHANTS_MAX = 32
NO_MERCHANT = ""
"""Stands for every merchant without reference data and rules: all of them share the compiled ones."""
NO_GUARDS: Mapping[str, Guard] = {}
NO_RULES = RecordRules({}, PassedDocuments())


class MerchantData:
    """Reference data and rules of merchants, as of the last `refresh`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._references: dict[str, tuple[int, ReferenceData]] = {}
        self._rules: dict[str, tuple[int, RecordRules]] = {}
        self._guards: dict[str, tuple[int, Mapping[str, Guard]]] = {}
        self._passed_documents = PassedDocuments()
        self._versions: dict[str, int] = {}
        """Merchant → version, since the last `refresh`."""

    def refresh(self) -> None:
        """Look up versions again before they are used next."""
        self._versions.clear()

    def version(self, merchant: str) -> int:
        """Return the version of a merchant's reference data and rules; 0 if it has none."""
        version = self._versions.get(merchant)
        if version is None:
            version = self._versions[merchant] = self._store.reference_version(merchant)
        return version

    def reference(self, merchant: str) -> ReferenceData:
        """Return the reference data of a merchant."""
        version = self.version(merchant)
        owner = merchant if version else NO_MERCHANT
        known = self._references.pop(owner, None)
        if known is None or known[0] != version:
            known = (version, ReferenceData.build(
                {kind: self._entries(merchant, kind) for kind in REFERENCE_KINDS}, ask=partial(self._entries, merchant)
            ) if version else ReferenceData.build({}))
        self._references[owner] = known  # inserted last, so that the first is the one not used for the longest time
        if len(self._references) > MERCHANTS_MAX:
            del self._references[next(iter(self._references))]
        return known[1]

    def rules(self, merchant: str) -> RecordRules:
        """Return the rules of a merchant, compiled."""
        version = self.version(merchant)
        if not version:
            return NO_RULES
        known = self._rules.pop(merchant, None)
        if known is None or known[0] != version:
            rules = {name: saved.rule for name, saved in saved_rules(self._store, merchant).items()}
            known = (version, RecordRules(rules, self._passed_documents) if rules else NO_RULES)
        self._rules[merchant] = known
        if len(self._rules) > MERCHANTS_MAX:
            del self._rules[next(iter(self._rules))]
        return known[1]

    def guards(self, merchant: str) -> Mapping[str, Guard]:
        """Return the guards of a merchant by name."""
        version = self.version(merchant)
        if not version:
            return NO_GUARDS
        known = self._guards.pop(merchant, None)
        if known is None or known[0] != version:
            known = (version, saved_guards(self._store, merchant))
        self._guards[merchant] = known
        if len(self._guards) > MERCHANTS_MAX:
            del self._guards[next(iter(self._guards))]
        return known[1]

    def _entries(self, merchant: str, kind: str) -> list[ReferenceEntry]:
        entries: list[ReferenceEntry] = []
        after = None
        while True:
            page = self._store.reference(merchant, kind, after=after, limit=REFERENCE_PAGE)
            entries.extend(page.rows)
            after = page.next
            if after is None:
                return entries
