"""Check documents in Goodsgate's own fields: bytes in; keys, versions, issues and canonical documents out."""

import logging
import secrets
from array import array
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

import msgspec
import orjson

from goodsgate.model.batch import Kind, Policy, Strictness, Verb
from goodsgate.model.catalogue import digest_of, item_key
from goodsgate.model.issue import Issue, has_error, issue
from goodsgate.model.versions import time_version
from goodsgate.rules.canonical import CanonicalForm, UncanonicalError
from goodsgate.rules.context import rule_context
from goodsgate.rules.document import Record, UnreadableError, decode_document
from goodsgate.rules.fast_path import FastPath, PriceFastPath, StockFastPath, has_suspect_bytes
from goodsgate.rules.fast_path_product import ProductFastPath
from goodsgate.rules.record_mapping import RecordRefs
from goodsgate.rules.record_rules import check_record, key_of, version_of
from goodsgate.rules.reference_data import ReferenceData
from goodsgate.rules.rule_set import SeverityRules
from goodsgate.rules.typed_decoder import DEPTH, TypedDecoder
from goodsgate.rules.valid_cache import ValidCache, key_at, key_offset_of, new_salt

log = logging.getLogger(__name__)

_FAST_PATHS: dict[Kind, type[FastPath]] = {
    Kind.PRODUCT: ProductFastPath, Kind.PRICE: PriceFastPath, Kind.STOCK: StockFastPath,
}
_VERBS: dict[str, Verb] = {verb.value: verb for verb in Verb}


Rename = Callable[[bytes], tuple[bytes, list[Issue]] | None]
"""Returns a document with our field names, and issues of its names; None if it has them already."""


class CheckResult(msgspec.Struct):
    """Result of the rules for some documents; the lists have an entry for each document, in their order."""

    keys: list[str | None]
    """None if the record has no usable key; its issues say why."""
    versions: list[int | None]
    verbs: list[Verb | None] | None
    """Verbs that the records name themselves; None if none of them does."""
    issues: dict[int, list[Issue]]
    """Index → errors and warnings; a valid record has no entry."""
    refs: list[RecordRefs | None] | None = None
    """What each record of a schema refers to (None for one that cannot be read); None without a schema."""
    renamed: dict[int, tuple[bytes, list[Issue]]] = {}
    """Index → the document that was checked instead, and issues of its names."""
    canonical: dict[int, bytes] = {}
    """Index → canonical form of a record that is valid and was not in it."""
    patches: dict[int, bytes] = {}
    """Index → canonical form with its nulls, which clear members of an item; only of records that have any."""
    has_groups: bool = True
    """Whether a record may have a member `item_group_id`: one that was found in the cache may."""
    has_variants: bool = True
    """Whether a record may have a member `variants`."""
    hashes: list[bytes] = []
    """Hash of the canonical form of each document, or of the document if it is not valid; empty if none were given.

    That of a record found in the cache of valid documents is known, though its canonical form is not.
    """


class KeyFields(msgspec.Struct, gc=False, rename={"verb": "_verb"}):
    """The members of a valid record that its key, version and verb come from."""

    id: str
    location: str | None = None
    version_number: int | None = None
    observed_at: datetime | None = None
    verb: Verb | None = None


class ProductKeyFields(KeyFields, gc=False, rename={"verb": "_verb"}):
    """The same members of a product, whose location may be anything."""

    location: Any = None


class Checker:
    """Compiled rules for one kind of record under one policy; adapts to the members of a feed, not thread-safe.

    ``issues_per_record_max`` (from 1) limits the issues of one record, ``depth_max`` (from 2) its nesting, the record
    itself included. ``valid_cache`` remembers valid documents. ``severities`` are those that the merchant has set.
    """

    def __init__(
        self, kind: Kind, policy: Policy, reference: ReferenceData, *, issues_per_record_max: int = 100,
        depth_max: int = 16, valid_cache: ValidCache | None = None, severities: SeverityRules | None = None,
    ) -> None:
        self.kind = kind
        self.verb = policy.verb
        self.lets_wait = policy.references is Strictness.WAIT
        """Whether a record waits for what it refers to, if nothing else is wrong with it."""
        self._context = rule_context(policy, reference)
        self._ascii_context = msgspec.structs.replace(self._context, ascii_only=True)
        self._issues_max = issues_per_record_max
        self._depth_max = depth_max
        self._decoder = TypedDecoder(kind)
        self._fast_path = _FAST_PATHS[kind](self._context, policy.verb, self._decoder)
        self._canonical_form = CanonicalForm(kind, self._context)
        self._is_product = kind is Kind.PRODUCT
        self._valid_cache = valid_cache
        self._severities = severities
        self._salt = new_salt()
        self._has_nulls = False
        """Whether the document that was decoded last has nulls outside of lists."""
        self._decode_key_fields = msgspec.json.Decoder(ProductKeyFields if self._is_product else KeyFields).decode
        if depth_max < DEPTH:
            self._decoder.reject_all()

    def check(self, documents: Sequence[bytes], hashes: Sequence[bytes] | None = None, *,
              rename: Rename | None = None) -> CheckResult:
        """Check documents (JSON objects in our field names); never raises for what they contain.

        With `hashes` of their bytes (16 bytes each), those in the cache of valid documents are not checked again.
        `rename` is called for documents that the fast path does not know, so that others cost nothing.
        """
        count = len(documents)
        result = CheckResult([None] * count, [None] * count, None, {}, has_groups=False, has_variants=False)
        self._fast_path.has_variants = False
        if hashes is not None and self._valid_cache is not None:
            self._check_uncached(documents, hashes, self._valid_cache, result, rename)
        else:
            for at, document in enumerate(documents):
                self._check_one(document, at, result, rename)
            if hashes is not None:
                result.hashes = [*hashes]
                for at in result.renamed.keys() | result.canonical.keys():
                    result.hashes[at] = _hash_of(result, at)
        result.has_variants |= self._fast_path.has_variants
        result.has_groups |= "item_group_id" in self._decoder.members
        return result

    def _check_uncached(self, documents: Sequence[bytes], hashes: Sequence[bytes], cache: ValidCache,
                        result: CheckResult, rename: Rename | None) -> None:
        """Check the documents that the cache does not have, and add those that are valid to it."""
        salt = self._salt
        fingerprints = [half ^ salt for half in array("Q", b"".join(hashes))[::2]]
        mask, offsets = cache.mask, cache.find(fingerprints)
        is_any_cached = bool(offsets) and min(offsets) <= mask
        result.has_groups = result.has_variants = is_any_cached
        result.hashes = own_hashes = cache.canonical_hashes(fingerprints) if is_any_cached else [*hashes]
        keys, canonical, renamed = result.keys, result.canonical, result.renamed
        for at, key_offset in enumerate(offsets):
            if key_offset <= mask:
                if key_offset:
                    keys[at] = key_at(documents[at], key_offset)
                else:
                    self._add_key_fields(self._decode_key_fields(documents[at]), documents[at], at, result)
                continue
            valid_offset = self._check_one(documents[at], at, result, rename)
            own_hashes[at] = _hash_of(result, at) if at in canonical or at in renamed else hashes[at]
            if valid_offset is not None and at not in renamed:
                cache.add(fingerprints[at], valid_offset, own_hashes[at])

    def canonical_form(self, document: bytes) -> tuple[bytes, bytes | None]:
        """Return the canonical form of a valid document, and it with its nulls if it has any."""
        return self._canonical_form.of(document)

    def _check_one(self, document: bytes, at: int, result: CheckResult, rename: Rename | None = None) -> int | None:
        """Check one document; return its key offset if the fast path found it valid."""
        fast_path = self._fast_path
        try:
            self._has_nulls = False
            try:
                record = self._decoder.decode(document)
            except msgspec.ValidationError as error:
                # Decoders learn names after this, so that none that stands for another one is ever known to them.
                if rename is not None and (renamed := rename(document)) is not None:
                    result.renamed[at] = renamed
                    return self._check_one(renamed[0], at, result)
                record = self._decode_again(document, str(error))
            if record is not None and fast_path.is_valid(document, record):
                if fast_path.deviations or self._has_nulls:
                    only_price = fast_path.deviations == fast_path.price_deviations and not self._has_nulls
                    self._add_canonical_form(document, at, result, price_of=record if only_price else None)
                return self._add_key_fields(record, document, at, result)
        except Exception:  # whatever the fast path fails on, the rules decide
            log.debug("the fast path failed on a %s", self.kind, exc_info=True)
        self._apply_rules(document, at, result)
        return None

    def _decode_again(self, document: bytes, reason: str) -> Any | None:
        """Decode a document that may have nulls or new members; None, or a ValidationError, if the rules decide."""
        if "got `null`" in reason:
            self._has_nulls = True
            return self._decoder.decode_nullable(document)
        if not self._decoder.is_full and "unknown field" in reason:
            self._learn(document)
        return None

    def _add_canonical_form(self, document: bytes, at: int, result: CheckResult, *, price_of: Any = None) -> None:
        """Add the canonical form of a valid document if it differs, and the form with nulls.

        `price_of` is the decoded record if nothing but its price differs.
        """
        if price_of is not None:
            form = self._canonical_form.with_price(document, price_of.price, price_of.currency)
            if form is not None:
                result.canonical[at] = form
                return
        canonical, patch = self._canonical_form.of(document)
        if canonical is not document or patch is not None:
            result.canonical[at] = canonical
        if patch is not None:
            result.patches[at] = patch

    def _add_key_fields(self, record: Any, document: bytes, at: int, result: CheckResult) -> int:
        """Add key, version and verb to the result; return where the key stands, or 0 if it is not the only one."""
        key = result.keys[at] = record.id if self._is_product else item_key(record.id, record.location)
        if record.version_number is None and record.observed_at is None and record.verb is None:
            return key_offset_of(document, key) if self._is_product else 0
        if record.version_number is not None:
            result.versions[at] = record.version_number
        elif record.observed_at is not None:
            result.versions[at] = time_version(record.observed_at)
        if record.verb is not None:
            _add_verb(result, at, record.verb)
        return 0

    def _learn(self, document: bytes) -> None:
        """Add the members of a record that has new ones to the decoder, if the record can be read."""
        try:
            if self._decoder.learn(orjson.loads(document)):
                self._fast_path.update_members()
        except orjson.JSONDecodeError:
            return
        except Exception:
            log.exception("cannot learn the members of a %s of %d bytes", self.kind, len(document))

    def _apply_rules(self, document: bytes, at: int, result: CheckResult) -> None:
        """Apply every rule to one document; a fault of ours concerns this document only."""
        key = None
        try:
            record = decode_document(document, depth_max=self._depth_max)
            issues: list[Issue] = []
            verb = self._verb_of(record, issues, at, result)
            context = self._context if has_suspect_bytes(document) else self._ascii_context
            issues += check_record(record, self.kind, verb, context)
            if self._severities is not None:
                issues = self._severities.adjust(issues, record)
            result.has_groups |= "item_group_id" in record
            result.has_variants |= "variants" in record
            key = key_of(record, self.kind)
            result.versions[at] = version_of(record)
            if verb is not Verb.DELETE and not has_error(issues):
                with suppress(UncanonicalError):
                    self._add_canonical_form(document, at, result)
        except UnreadableError as error:
            issues = [error.issue]
        except Exception:
            name = secrets.token_hex(4)
            log.exception("fault %s in the rules for a %s of %d bytes", name, self.kind, len(document))
            issues = [issue("internal_fault", value=name)]
        result.keys[at] = key
        if issues:
            result.issues[at] = cut_issues(issues, self._issues_max)

    def _verb_of(self, record: Record, issues: list[Issue], at: int, result: CheckResult) -> Verb:
        named = record.get("_verb")
        if named is None:
            return self.verb
        if not isinstance(named, str) or named not in _VERBS:
            issues.append(issue("verb_unknown", "/_verb", value=named, expected=", ".join(_VERBS)))
            return self.verb
        _add_verb(result, at, _VERBS[named])
        return _VERBS[named]


def cut_issues(issues: list[Issue], most: int) -> list[Issue]:
    """Return at most so many issues, errors before warnings; the last one says that there were more."""
    if len(issues) <= most:
        return issues
    kept = sorted(issues, key=lambda one: one.severity)[: max(1, most - 1)]  # errors first, else in their order
    return [*kept, issue("issues_cut", value=len(issues), expected=f"at most {most}")][:most]


def _hash_of(result: CheckResult, at: int) -> bytes:
    """Return the hash of a document that was renamed or is not in its canonical form."""
    canonical = result.canonical.get(at)
    return digest_of(result.renamed[at][0] if canonical is None else canonical)


def _add_verb(result: CheckResult, at: int, verb: Verb) -> None:
    if result.verbs is None:
        result.verbs = [None] * len(result.versions)
    result.verbs[at] = verb
