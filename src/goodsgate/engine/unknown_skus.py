"""Report prices and stock of SKUs that no product of their collection has.

Variants inside products have SKUs, too, which the store cannot look up. Nothing is said of a collection with such
products, nor of one without any product, because a merchant may keep only stock here; unless records are to wait for
their products.
"""

from collections.abc import Mapping, Sequence, Set

import msgspec

from goodsgate.engine.validator import CheckedChunk
from goodsgate.model.batch import Kind, Policy, Strictness, Verb
from goodsgate.model.catalogue import KEY_SEPARATOR, Write, Writes, split_key
from goodsgate.model.issue import issue
from goodsgate.store.contract import ClaimedRound, Store

UnknownSkus = Mapping[Strictness, Set[str]]
"""Unknown SKUs by what the policy of a record says about them."""

PRODUCTS_FIRST_SECONDS = 300.0
"""How long prices and stock wait for products that were sent before them, if unknown SKUs are errors."""

class _Product(msgspec.Struct):
    variants: msgspec.Raw = msgspec.Raw(b"null")


_decode = msgspec.json.Decoder(_Product).decode


def have_variants(writes: Sequence[Write], round: ClaimedRound) -> bool:
    """Return whether a product among the writes of a chunk has variants; items of a schema do not count."""
    if round.kind is not Kind.PRODUCT or round.policy.schema:
        return False
    if isinstance(writes, Writes):
        return writes.has_variants and any(map(_has_variants, writes.documents))
    return any(_has_variants(write.document) for write in writes)


def _has_variants(document: bytes) -> bool:
    raw = bytes(_decode(document).variants)
    return raw[:1] == b"[" and raw[1:].lstrip()[:1] != b"]"


def with_wait_for_products(kind: Kind, policy: Policy) -> Policy:
    """Return the policy with a wait for earlier products if a SKU that no product has rejects a price or stock."""
    if kind is Kind.PRODUCT or policy.schema or policy.references is not Strictness.REFUSE:
        return policy
    return msgspec.structs.replace(policy, products_first_seconds=PRODUCTS_FIRST_SECONDS)


def find_unknown_skus(store: Store, round: ClaimedRound, chunks: Sequence[CheckedChunk]) -> UnknownSkus:
    """Look up the SKUs of prices or stock for which their policies ask.

    Where unknown SKUs are warnings, none is unknown while earlier products of the collection wait to be applied. Where
    they are errors, the round has waited for those, or its records can wait.
    """
    asking = {checked.references for checked in chunks if checked.sku_severity is not None}
    if not asking:
        return {}
    is_early = Strictness.WARN in asking and store.has_open_products(
        round.merchant, round.collection, before=round.received_at
    )
    if is_early and len(asking) == 1:
        return {}
    keys = [key for checked in chunks if checked.sku_severity is not None for key in checked.distinct_keys.distinct]
    if len(chunks) > 1 or KEY_SEPARATOR in "".join(keys):
        keys = [*dict.fromkeys(key.partition(KEY_SEPARATOR)[0] for key in keys)]  # in order, which sorts fast
    unknown: dict[Strictness, Set[str]] = {}
    if asking != {Strictness.WAIT}:
        found = store.unknown_skus(round.merchant, round.collection, keys)
        unknown = {Strictness.REFUSE: found, Strictness.WARN: frozenset() if is_early else found}
    if Strictness.WAIT in asking:
        unknown[Strictness.WAIT] = store.unknown_skus(round.merchant, round.collection, keys, if_empty=True)
    return unknown


def report_unknown_skus(checked: CheckedChunk, unknown: Set[str], policy: Policy) -> CheckedChunk:
    """Return the chunk with an issue at each record whose SKU is unknown, unless it deletes or says more of its SKU."""
    issues = {**checked.issues}
    for at, key in enumerate(checked.keys):
        if key is None or at in checked.merged:
            continue
        sku, _ = split_key(key)
        verb = (checked.verbs[at] if checked.verbs is not None else None) or policy.verb
        if sku not in unknown or verb is Verb.DELETE:
            continue
        found = issues.get(at, [])
        if not any(each.path == "/id" and each.severity == "error" for each in found):
            issues[at] = [*found, issue("sku_unknown", "/id", value=sku, severity=checked.sku_severity)]
    return msgspec.structs.replace(checked, issues=issues)
