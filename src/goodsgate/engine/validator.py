"""Check the records of a chunk: rows become documents, keys, hashes and issues."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import overload

import msgspec

from goodsgate.engine.field_mapping import FieldMapping
from goodsgate.engine.freshness import future_issues, latest_version
from goodsgate.engine.group_checks import check_grouped
from goodsgate.engine.grouped_chunks import GroupedChunk
from goodsgate.engine.issue_columns import received_records, with_column
from goodsgate.engine.merchant_data import NO_MERCHANT, MerchantData
from goodsgate.engine.settings import CheckLimits
from goodsgate.formats import Chunk
from goodsgate.model.batch import Duplicates, Kind, Policy, Strictness, Verb, duplicates_of
from goodsgate.model.catalogue import digest_of
from goodsgate.model.issue import Issue, Severity, issue
from goodsgate.rules import (
    Checker,
    CheckResult,
    RecordRefs,
    ReferenceData,
    RuleSet,
    Schema,
    SchemaChecker,
    SeverityRules,
    ValidCache,
)
from goodsgate.rules.context import reference_severity
from goodsgate.store.contract import ClaimedRound, Store

CHECKERS_MAX = 32
"""Compiled rule sets that a worker keeps, one for each merchant, kind and policy."""
FIRST_RECORDS = 64
"""Records that are checked before the clock is looked at; one if they are large."""
LARGE_BYTES = 256 * 1024
"""Size from which so many records are large."""
GROWTH = 4
"""So many times more records are checked before the clock is looked at again."""
CELL_BYTES = 16
"""What a cell counts for, whatever its length."""
TOTALS = frozenset(
    f"{word}{mark}"
    for name in (
        "total", "totals", "grand total", "subtotal", "sum", "summe", "gesamt", "gesamtsumme", "zwischensumme",
        "total général", "somme", "totale", "suma", "soma", "razem", "totaal", "totalt", "celkem", "spolu", "összesen",
        "ukupno", "skupaj", "toplam", "итого", "всего", "разом", "合計", "合计", "總計", "합계",
    )
    for word in (name, name.capitalize(), name.title(), name.upper()) for mark in ("", ":")
)
"""What stands in place of a key in the line of a total."""


class ChunkKeys:
    """The keys of some records, each once, in order."""

    def __init__(self, keys: Iterable[str | None]) -> None:
        distinct = dict.fromkeys(keys)
        distinct.pop(None, None)
        self.distinct: list[str] = [*distinct]  # type: ignore[list-item]  # None was removed

    @cached_property
    def folded(self) -> set[str]:
        """The keys in lower case."""
        return set(map(str.lower, self.distinct))


class CanonicalDocuments(Sequence[bytes]):
    """Canonical documents of which some are made when they are needed.

    The hash of the canonical form of a valid document is cached. Of a feed that is unchanged, nobody needs the form.
    """

    def __init__(self, documents: list[bytes], pending: set[int], make: Callable[[bytes], tuple[bytes, bytes | None]],
                 ) -> None:
        """Take the documents, the places of those that are still as received, and how a canonical form is made."""
        self._documents = documents
        self._pending = pending
        self._make = make
        self._patches: dict[int, bytes] = {}

    def __len__(self) -> int:
        return len(self._documents)

    @overload
    def __getitem__(self, at: int) -> bytes: ...

    @overload
    def __getitem__(self, at: slice) -> list[bytes]: ...

    def __getitem__(self, at: int | slice) -> bytes | list[bytes]:
        if isinstance(at, slice):
            return [self[each] for each in range(len(self))[at]]
        if at in self._pending:
            self._documents[at], patch = self._make(self._documents[at])
            if patch is not None:
                self._patches[at] = patch
            self._pending.discard(at)
        return self._documents[at]

    def __iter__(self) -> Iterator[bytes]:
        return map(self.__getitem__, range(len(self._documents)))

    def patch(self, at: int) -> bytes | None:
        """Return a document that was pending with its nulls; None if it has none."""
        self[at]
        return self._patches.get(at)

    def first(self, count: int) -> "CanonicalDocuments":
        """Return the first documents."""
        return CanonicalDocuments(
            self._documents[:count], {at for at in self._pending if at < count}, self._make
        )


class CheckedChunk(msgspec.Struct, frozen=True, kw_only=True):
    """A chunk after the rules: what is known of its records without the catalogue."""

    chunk: Chunk
    documents: Sequence[bytes]
    """Records as the catalogue holds them: with canonical values, without nulls and metadata."""
    keys: list[str | None]
    distinct_keys: ChunkKeys
    versions: list[int | None]
    verbs: list[Verb | None] | None
    """Verbs of single records; None if all have the policy's."""
    hashes: list[bytes]
    issues: dict[int, list[Issue]]
    """Index → errors and warnings."""
    merged: frozenset[int] = frozenset()
    """Rows that are no items of their own: they gave their values to others."""
    merged_rules: Checker | SchemaChecker
    """Rules for a record after an update was merged into the current one."""
    schema: Schema | None = None
    """Schema of the records; None for the gate's own fields."""
    duplicates: Duplicates = Duplicates.MERGE
    """How a record is treated whose key an earlier record of the batch has."""
    sku_severity: Severity | None = None
    """Severity of a SKU that no product has; None if it is not looked up."""
    references: Strictness = Strictness.WARN
    """What the policy says about such a SKU."""
    reference_version: int = 0
    """Version of the reference data by which the records were checked."""
    has_groups: bool = True
    """Whether a record may have a member `item_group_id`."""
    has_variants: bool = True
    """Whether a record may have a member `variants`."""
    needs_documents: bool = False
    """Whether any record is an update, or is compared with its item by a rule: the items' documents are needed."""
    merges_upserts: bool = False
    """Whether any record may be an upsert that is merged into its item."""
    patches: dict[int, bytes] = {}
    """Index → document with its nulls, of records that have any; more may be known to `documents`."""
    refs: list[RecordRefs | None] | None = None
    """What each record of a schema refers to; None without a schema."""
    rule_set: RuleSet | None = None
    """The merchant's own rules for what the records become; None if it has none for them."""

    def patch(self, at: int) -> bytes:
        """Return a record as it is merged into an item: its document, with its nulls."""
        patch = self.patches.get(at)
        if patch is None and isinstance(self.documents, CanonicalDocuments):
            patch = self.documents.patch(at)
        return patch or self.documents[at]

    def first(self, count: int) -> "CheckedChunk":
        """Return the first records."""
        keys, documents = self.keys[:count], self.documents
        return msgspec.structs.replace(
            self, chunk=self.chunk.part(0, count), keys=keys,
            documents=documents.first(count) if isinstance(documents, CanonicalDocuments) else documents[:count],
            distinct_keys=ChunkKeys(keys), versions=self.versions[:count],
            verbs=self.verbs and self.verbs[:count], merged=frozenset(at for at in self.merged if at < count),
            hashes=self.hashes[:count],
            issues={at: found for at, found in self.issues.items() if at < count}, refs=self.refs and self.refs[:count],
        )


class Validator:
    """Checks chunks by the rules of their merchant, kind and policy, compiled anew when reference data changes."""

    def __init__(self, store: Store, limits: CheckLimits, schemas: Mapping[str, Schema], *,
                 known_issues: Mapping[int, list[Issue]] | None = None) -> None:
        """Take the `schemas` that policies may name.

        `known_issues` are what is known of records before they are checked, by record number; see `Worker`.
        """
        self._limits = limits
        self._schemas = schemas
        self._known_issues = known_issues
        self._valid_cache = ValidCache(limits.valid_cache_records)
        self.merchant_data = MerchantData(store)
        self._checkers: dict[tuple[str, Kind, str, bytes], tuple[int, Checker | SchemaChecker]] = {}

    def refresh(self) -> None:
        """Look up the version of reference data and rules again before they are used next."""
        self.merchant_data.refresh()

    def check(self, chunk: Chunk, round: ClaimedRound, mapping: FieldMapping) -> CheckedChunk:
        """Check the records of a chunk, or as many of them as the time allows: those are the chunk of the result.

        Raises KeyError if the policy names a schema that was not given.
        """
        policy = round.policy
        rules = merged_rules = self._rules_of(round, policy)
        giver_rules = self._giver_rules(round) if isinstance(chunk, GroupedChunk) else None
        latest = latest_version(round, self._limits.clock_ahead_seconds_max)
        count = len(chunk)
        end = FIRST_RECORDS if _weight(chunk, FIRST_RECORDS) < LARGE_BYTES else 1
        if count <= end:
            records = _check_records(chunk, rules, mapping, giver_rules, latest)
        else:
            began = time.thread_time()
            ends_at = began + self._limits.chunk_seconds / 2
            records = _check_records(chunk.part(0, end), rules, mapping, giver_rules, latest)
            while end < count and (left := ends_at - time.thread_time()) > 0:
                fitting = int(end * left / max(time.thread_time() - began, 1e-6))
                start, end = end, min(end + max(1, fitting), end * GROWTH, count)
                records.extend(_check_records(chunk.part(start, end), rules, mapping, giver_rules, latest))
            chunk = chunk if end >= count else chunk.part(0, end)
        schema = self._schemas[policy.schema] if policy.schema else None
        if policy.verb is not Verb.UPSERT or records.verbs is not None or (schema is not None and schema.merged_schema):
            merged_schema = schema.merged_schema if schema is not None else None
            merged_policy = msgspec.structs.replace(policy, verb=Verb.UPSERT, schema=merged_schema or policy.schema)
            merged_rules = self._rules_of(round, merged_policy)
        has_updates = policy.verb is Verb.UPDATE or (records.verbs is not None and Verb.UPDATE in records.verbs)
        own_rules = self.merchant_data.rules(round.merchant)
        rule_set = own_rules.rule_set(round.kind, round.collection) if not policy.schema else None
        documents = records.documents
        if records.pending and isinstance(rules, Checker):
            documents = CanonicalDocuments([*documents], records.pending, rules.canonical_form)
        if self._known_issues:
            _add_known_issues(records.issues, self._known_issues, chunk, mapping, first=round.total + 1)
        return CheckedChunk(
            chunk=chunk, documents=documents, keys=records.keys, distinct_keys=ChunkKeys(records.keys),
            versions=records.versions, verbs=records.verbs, merged=records.merged, hashes=records.hashes,
            issues=_with_ordered_trouble(records.issues, len(chunk), policy) if policy.trouble else records.issues,
            merged_rules=merged_rules, schema=schema, patches=records.patches, refs=records.refs,
            has_groups=records.has_groups, has_variants=records.has_variants,
            duplicates=duplicates_of(policy, round.kind), sku_severity=_sku_severity(round.kind, policy),
            needs_documents=has_updates or (rule_set is not None and rule_set.reads_current),
            rule_set=rule_set, references=policy.references or Strictness.WARN,
            reference_version=self.merchant_data.version(round.merchant),
            merges_upserts=not policy.replace and (policy.verb is Verb.UPSERT or records.verbs is not None),
        )

    def _giver_rules(self, round: ClaimedRound) -> Checker:
        """Return the rules for rows that are no items, which need not be complete: those of an update."""
        rules = self._rules_of(round, msgspec.structs.replace(round.policy, verb=Verb.UPDATE))
        assert isinstance(rules, Checker)
        return rules

    def _rules_of(self, round: ClaimedRound, policy: Policy) -> Checker | SchemaChecker:
        return self.rules(round.merchant, round.kind, policy, collection=round.collection)

    def rules(self, merchant: str, kind: Kind, policy: Policy, *, collection: str) -> Checker | SchemaChecker:
        """Return the compiled rules with the merchant's reference data as of the last `refresh`."""
        data = self.merchant_data
        version = data.version(merchant)
        severities = data.rules(merchant).severities(kind, collection)
        name = (
            merchant if version else NO_MERCHANT, kind, collection if severities is not None else "",
            msgspec.json.encode(policy),
        )
        known = self._checkers.pop(name, None)
        if known is None or known[0] != version:
            known = (version, self._compile(kind, policy, data.reference(merchant), severities))
        self._checkers[name] = known  # inserted last, so that the first is the one not used for the longest time
        if len(self._checkers) > CHECKERS_MAX:
            del self._checkers[next(iter(self._checkers))]
        return known[1]

    def _compile(self, kind: Kind, policy: Policy, reference: ReferenceData, severities: SeverityRules | None,
                 ) -> Checker | SchemaChecker:
        most, depth = self._limits.issues_per_record_max, self._limits.depth_max
        if policy.schema:
            schema = self._schemas[policy.schema]
            return SchemaChecker(schema, policy, reference, issues_per_record_max=most, depth_max=depth)
        return Checker(
            kind, policy, reference, issues_per_record_max=most, depth_max=depth, valid_cache=self._valid_cache,
            severities=severities,
        )


class _CheckedRecords(msgspec.Struct):
    """What the rules say about consecutive records; see CheckedChunk."""

    documents: Sequence[bytes]
    hashes: list[bytes]
    keys: list[str | None]
    versions: list[int | None]
    verbs: list[Verb | None] | None
    issues: dict[int, list[Issue]]
    pending: set[int]
    """Documents whose canonical form is still to be made."""
    patches: dict[int, bytes]
    refs: list[RecordRefs | None] | None
    has_groups: bool
    has_variants: bool
    merged: frozenset[int]

    def extend(self, following: "_CheckedRecords") -> None:
        """Add the records that follow."""
        count, others = len(self.keys), len(following.keys)
        if self.verbs is not None or following.verbs is not None:
            self.verbs = [*(self.verbs or [None] * count), *(following.verbs or [None] * others)]
        self.documents = [*self.documents, *following.documents]
        self.has_groups |= following.has_groups
        self.has_variants |= following.has_variants
        if following.merged:
            self.merged |= {at + count for at in following.merged}
        self.hashes += following.hashes
        self.keys += following.keys
        self.versions += following.versions
        self.issues.update((at + count, found) for at, found in following.issues.items())
        self.pending.update(at + count for at in following.pending)
        self.patches.update((at + count, patch) for at, patch in following.patches.items())
        if self.refs is not None and following.refs is not None:
            self.refs += following.refs


def _with_ordered_trouble(issues: dict[int, list[Issue]], count: int, policy: Policy) -> dict[int, list[Issue]]:
    """Return the issues with one for each record that is to be rejected: all, or every second from the first."""
    step = 2 if policy.trouble == "partly_rejected" else 1
    return {**issues, **{at: [*issues.get(at, ()), issue("trouble_ordered")] for at in range(0, count, step)}}


def _add_known_issues(issues: dict[int, list[Issue]], known: Mapping[int, list[Issue]], chunk: Chunk,
                      mapping: FieldMapping, *, first: int) -> None:
    """Add what is known of the records of a chunk, whose first record has the number `first`."""
    received = received_records(chunk)
    for at in range(len(chunk)):
        if found := known.get(first + at):
            named = (with_column(each, mapping, received[at]) for each in found)
            issues[at] = [*issues.get(at, ()), *named]


def _check_records(chunk: Chunk, rules: Checker | SchemaChecker, mapping: FieldMapping, giver_rules: Checker | None,
                   latest: int) -> _CheckedRecords:
    """Check every record of a chunk; with `giver_rules` its rows were completed by their groups."""
    of_names: dict[int, list[Issue]] = {}
    documents: Sequence[bytes]
    merged: frozenset[int] = frozenset()
    if giver_rules is not None and isinstance(chunk, GroupedChunk) and isinstance(rules, Checker):
        documents, hashes, checked, merged = check_grouped(chunk, rules, giver_rules, mapping, of_names)
    else:
        documents = mapping.documents(chunk, of_names)
        hashes = [*map(digest_of, documents)]
        if isinstance(rules, Checker):
            rename = mapping.rename if documents is chunk.lines else mapping.rename_variants
            checked = rules.check(documents, hashes, rename=rename)
            if checked.renamed:
                documents = [*documents]
                for at, (document, found) in checked.renamed.items():
                    documents[at], hashes[at] = document, digest_of(document)
                    if found:
                        of_names.setdefault(at, []).extend(found)
        else:
            checked = rules.check(documents)
    issues = checked.issues
    for at, found in of_names.items():
        known = issues.setdefault(at, [])
        words = {each.path for each in known if each.code == "value_placeholder"}  # which the rules find in JSON, too
        known.extend(each for each in found if each.code != "value_placeholder" or each.path not in words)
    if mapping.columns is not None and mapping.kind is not Kind.PRODUCT:  # whose titles tell totals from products
        for at in _totals(checked.keys):
            issues[at] = [issue("total_row", "/id", value=checked.keys[at])]
    for at, in_future in future_issues(documents, checked.versions, latest):
        issues.setdefault(at, []).append(in_future)
    for at, unreadable in chunk.unreadable.items():
        issues[at] = [unreadable]  # rules report nothing useful about a mutilated record
    records = received_records(chunk)
    issues = {at: [with_column(each, mapping, records[at]) for each in found] for at, found in issues.items()}
    for at, found in chunk.issues.items():
        cells = {each.path for each in found} - {""}  # what is wrong with them is known
        others = (each for each in issues.get(at, ()) if each.path not in cells)
        issues[at] = [*found, *others]
    documents, pending = _with_canonical_forms(documents, hashes, checked)
    return _CheckedRecords(
        documents, checked.hashes or hashes, checked.keys, checked.versions, checked.verbs, issues, pending,
        checked.patches, checked.refs, checked.has_groups, checked.has_variants, merged,
    )


def _with_canonical_forms(documents: Sequence[bytes], hashes: list[bytes], checked: CheckResult,
                          ) -> tuple[Sequence[bytes], set[int]]:
    """Return the documents in canonical form, and the places of those whose form is still to be made."""
    if not checked.hashes or checked.hashes == hashes:
        return documents, set()
    canonical = checked.canonical
    if len(canonical) == len(documents):
        return [*map(canonical.__getitem__, range(len(documents)))], set()
    pending = {at for at, hash in enumerate(checked.hashes) if hash != hashes[at] and at not in canonical}
    forms = [*documents]
    for at, form in canonical.items():
        forms[at] = form
    return forms, pending


def _sku_severity(kind: Kind, policy: Policy) -> Severity | None:
    """Return the severity of a price or stock whose SKU no product has; records of a schema name items otherwise."""
    return None if kind is Kind.PRODUCT or policy.schema else reference_severity(policy)


def _totals(keys: Sequence[str | None]) -> list[int]:
    """Return the indices of keys that are the word for a total: the last line of many lists of prices or stock."""
    if TOTALS.isdisjoint(keys):
        return []
    return [at for at, key in enumerate(keys) if key in TOTALS]


def _weight(chunk: Chunk, count: int) -> int:
    """Return the size of the first records, in bytes."""
    if chunk.lines:
        return sum(map(len, chunk.lines[:count]))
    return sum(map(len, chunk.rows[:count])) * CELL_BYTES
