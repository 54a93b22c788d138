"""Records of a stretch → documents, keys, hashes and issues."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property, partial

import msgspec
import xxhash

from goodsgate.config import Config
from goodsgate.engine.shape import Shape, without_verb
from goodsgate.engine.source import Stretch
from goodsgate.model.batch import Kind, Policy, Verb
from goodsgate.model.catalogue import REFERENCE_KINDS, ReferenceEntry
from goodsgate.model.issue import Issue
from goodsgate.rules import (
    Checker,
    MerchantRules,
    RecordRefs,
    ReferenceData,
    Schema,
    SchemaChecker,
    ValidCache,
    checker,
)
from goodsgate.store.contract import Store

REFERENCE_PAGE = 5_000
CHECKERS_MAX = 32
"""Compiled rule sets a worker keeps, one for each merchant, kind and policy."""
NOBODY = ""
"""Stands for every merchant without reference data."""


class Shown:
    """The keys of some records, each once, in order."""

    def __init__(self, keys: Iterable[str | None]) -> None:
        known = dict.fromkeys(keys)
        known.pop(None, None)
        self.keys: list[str] = [*known]  # type: ignore[list-item]  # None was taken out

    @cached_property
    def shades(self) -> set[str]:
        """The same without their case."""
        return set(map(str.lower, self.keys))

    @property
    def differ(self) -> bool:
        """Whether no two of them are alike but for their case."""
        return len(self.shades) == len(self.keys)


class Judged(msgspec.Struct, kw_only=True):
    """Every record of a stretch with what is known of it before the catalogue is asked."""

    documents: Sequence[bytes]
    keys: list[str | None]
    shown: Shown
    versions: list[int | None]
    verbs: list[Verb | None] | None
    hashes: list[bytes]
    issues: dict[int, list[Issue]]
    """Index → issues, errors or warnings."""
    refs: list[RecordRefs | None] | None = None
    """What each record of a schema refers to; None without a schema."""
    merchant_rules: MerchantRules | None = None
    """The merchant's own rules for such records, if the protocol has any."""

    def joined(self, behind: "Judged") -> "Judged":
        """These records and those behind them, judged by the same rules."""
        here = len(self.keys)
        verbs = refs = None
        if self.verbs is not None or behind.verbs is not None:
            verbs = [*(self.verbs or [None] * here), *(behind.verbs or [None] * len(behind.keys))]
        if self.refs is not None and behind.refs is not None:
            refs = [*self.refs, *behind.refs]
        return Judged(
            documents=[*self.documents, *behind.documents], keys=[*self.keys, *behind.keys],
            shown=Shown([*self.shown.keys, *behind.shown.keys]),
            versions=[*self.versions, *behind.versions], verbs=verbs, hashes=[*self.hashes, *behind.hashes],
            issues={**self.issues, **{here + at: told for at, told in behind.issues.items()}}, refs=refs,
            merchant_rules=self.merchant_rules,
        )

    def refuses(self, at: int) -> bool:
        """Whether the record has an error."""
        return any(told.severity == "error" for told in self.issues.get(at, ()))


digest_of: Callable[[bytes], bytes] = xxhash.xxh3_128_digest
"""16 bytes by which a document is known to be the one held; not a defence, a merchant can deceive but itself."""


def judge(stretch: Stretch, shape: Shape, rules: Checker | SchemaChecker) -> Judged:
    """Check every record of a stretch."""
    trims: dict[int, list[Issue]] = {}
    documents = shape.documents(stretch.lines, stretch.rows, trims)
    hashes = [*map(digest_of, documents)]
    checked = rules.check(documents, hashes) if isinstance(rules, Checker) else rules.check(documents)
    if checked.verbs is not None:
        documents = [
            document if verb is None else without_verb(document)
            for document, verb in zip(documents, checked.verbs, strict=True)
        ]
        hashes = [*map(digest_of, documents)]
    issues = checked.issues
    for at, told in trims.items():
        issues.setdefault(at, []).extend(told)
    for at, unreadable in stretch.unreadable.items():
        issues[at] = [unreadable]  # what the rules make of a mutilated record is noise
    if shape.mapping or shape.columns is not None:
        for at, told in issues.items():
            issues[at] = [_named(one, shape) for one in told]
    return Judged(
        documents=documents, keys=checked.keys, shown=Shown(checked.keys), versions=checked.versions,
        verbs=checked.verbs, hashes=hashes, issues=issues, refs=checked.refs,
        merchant_rules=rules.schema.merchant_rules if isinstance(rules, SchemaChecker) else None,
    )


def _named(one: Issue, shape: Shape) -> Issue:
    column = shape.column_of(one.path)
    return msgspec.structs.replace(one, column=column) if column is not None else one


class Rules:
    """Compiled rules for each merchant, kind and policy, made again when the reference data changes."""

    def __init__(self, store: Store, config: Config, schemas: Mapping[str, Schema]) -> None:
        self._store = store
        self._config = config
        self._schemas = schemas
        self._valid_cache = ValidCache(config.valid_cache_records)
        self._references: dict[str, tuple[int, ReferenceData]] = {}
        self._checkers: dict[tuple[str, Kind, bytes], tuple[int, Checker | SchemaChecker]] = {}
        self._versions: dict[str, int] = {}
        """Of the merchants' reference data, as asked since `anew`."""

    def anew(self) -> None:
        """Ask for the reference data once more, whoever's is needed next."""
        self._versions.clear()

    def schema(self, policy: Policy) -> Schema:
        """The schema that a policy names."""
        return self._schemas[policy.schema]

    def checker(self, merchant: str, kind: Kind, policy: Policy) -> Checker | SchemaChecker:
        """The rules as the merchant's reference data has them since `anew`; KeyError for a schema nobody gave."""
        version = self._versions.get(merchant)
        if version is None:
            version = self._versions[merchant] = self._store.reference_version(merchant)
        owner = merchant if version else NOBODY  # whoever has no reference data has the same rules as the others
        name = (owner, kind, msgspec.json.encode(policy))
        known = self._checkers.pop(name, None)
        if known is None or known[0] != version:
            known = (version, self._made(kind, policy, self._reference(owner, version)))
        self._checkers[name] = known  # last in, so that the first is the one used longest ago
        if len(self._checkers) > CHECKERS_MAX:
            del self._checkers[next(iter(self._checkers))]
        return known[1]

    def _made(self, kind: Kind, policy: Policy, reference: ReferenceData) -> Checker | SchemaChecker:
        most, depth = self._config.issues_per_record_max, self._config.depth_max
        if policy.schema:
            schema = self._schemas[policy.schema]
            return SchemaChecker(schema, policy, reference, issues_per_record_max=most, depth_max=depth)
        return checker(
            kind, policy, reference, issues_per_record_max=most, depth_max=depth, valid_cache=self._valid_cache
        )

    def _reference(self, merchant: str, version: int) -> ReferenceData:
        known = self._references.pop(merchant, None)
        if known is None or known[0] != version:
            known = (version, ReferenceData.build(
                {kind: self._entries(merchant, kind) for kind in REFERENCE_KINDS}, ask=partial(self._entries, merchant)
            ) if version else ReferenceData.build({}))
        self._references[merchant] = known
        if len(self._references) > CHECKERS_MAX:
            del self._references[next(iter(self._references))]
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
