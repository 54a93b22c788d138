"""What the rules say without the fast path, and builders for their tests."""

import orjson

from goodsgate.model.batch import Kind, Policy, Strictness, Verb
from goodsgate.model.catalogue import ReferenceEntry
from goodsgate.model.issue import Issue
from goodsgate.rules import Checker, ReferenceData
from goodsgate.rules.context import rule_context
from goodsgate.rules.document import decode_document
from goodsgate.rules.record_rules import check_record, key_of, version_of

EUROS = Policy(currency="EUR")
STRICT = Policy(currency="EUR", references=Strictness.REFUSE)
NOTHING = ReferenceData.build({})

COLORS = ["black", "white", "navy"]

REFERENCE = ReferenceData.build({
    "brand": [ReferenceEntry(code="Sony"), ReferenceEntry(code="LINKSYS"), ReferenceEntry(code="Best & Sons",
    name="Best and Sons")],
    "category": [
        ReferenceEntry(code="c1", name="Apparel"), ReferenceEntry(code="c2", name="Shirts", parent="c1"),
        ReferenceEntry(code="c3", name="Linen shirts", parent="c2"), ReferenceEntry(code="c4", name="Kettles"),
    ],
    "attribute": [
        ReferenceEntry(code="c1/color", data={"type": "text", "required": True, "allowed": COLORS}),
        ReferenceEntry(code="c1/washable", data={"type": "boolean"}),
        ReferenceEntry(code="c3/weave", data={"type": "text"}),
        ReferenceEntry(code="c4/wattage", data={"type": "number", "unit": "W", "minimum": 500, "maximum": 3000}),
        ReferenceEntry(code="c4/cups", data={"type": "integer", "allowed": [4, 6, 8]}),
    ],
    "tax_rule": [ReferenceEntry(code="standard", name="Standard rate")],
    "hs_code": [ReferenceEntry(code="6205", name="Shirts"), ReferenceEntry(code="620520", name="of cotton")],
    "location": [ReferenceEntry(code="ALB", name="Albuquerque"), ReferenceEntry(code="AUS", name="Austin")],
})


def rules(kind: Kind = Kind.PRODUCT, policy: Policy = EUROS, reference: ReferenceData = NOTHING) -> Checker:
    """A fresh checker that has learned nothing."""
    return Checker(kind, policy, reference)


def document(record: object) -> bytes:
    """A record as it is received."""
    return orjson.dumps(record)


def issues_of(record: object, *, kind: Kind = Kind.PRODUCT, policy: Policy = EUROS, reference: ReferenceData = NOTHING,
         ) -> list[Issue]:
    """The issues of one record, by way of the checker."""
    return rules(kind, policy, reference).check([document(record)]).issues.get(0, [])


def codes(record: object, *, kind: Kind = Kind.PRODUCT, policy: Policy = EUROS, reference: ReferenceData = NOTHING,
          ) -> list[tuple[str, str]]:
    """Code and path of each issue."""
    return [(one.code, one.path) for one in issues_of(record, kind=kind, policy=policy, reference=reference)]


def product(**members: object) -> dict[str, object]:
    """Return a valid product; members replace or, with None, remove."""
    record: dict[str, object] = {"id": "A-1", "title": "Linen shirt", "price": "19.99 EUR", **members}
    return {name: value for name, value in record.items() if value is not None}


def truth(raw: bytes, kind: Kind, policy: Policy, reference: ReferenceData,
          ) -> tuple[str | None, int | None, list[Issue]]:
    """Key, version and issues of a readable document by every rule, the fast path left out."""
    record = decode_document(raw, depth_max=16)
    named = record.get("_verb")
    verb = Verb(named) if isinstance(named, str) else policy.verb
    return key_of(record, kind), version_of(record), check_record(record, kind, verb, rule_context(policy, reference))
