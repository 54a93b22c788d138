"""Canonical values: how the catalogue holds a value, however it was written.

The rules say what is wrong with a value, and this module says what the catalogue holds of it: `7.90 EUR`, `0.25 kg`,
`in_stock`, a time as RFC 3339, a list as a list. Currency and decimal mark of the submission become part of the value,
so that two submissions that mean different things never look equal. A value without a canonical form, and every member
that is not a field, stays byte for byte as it was received.
"""

from collections.abc import Callable, Mapping

import msgspec

from goodsgate.model.batch import Kind
from goodsgate.model.fields import FIELDS, MONEY_MEMBERS, VARIANT_FIELDS, Field
from goodsgate.model.json_text import read_json, write_json
from goodsgate.rules.choices import YES_NO, fold_choice
from goodsgate.rules.context import RuleContext
from goodsgate.rules.currencies import DECIMALS, EXACTLY_TWO_DECIMALS
from goodsgate.rules.prices import read_price
from goodsgate.rules.quantities import read_measure, whole_value
from goodsgate.rules.timestamps import canonical_span, canonical_time
from goodsgate.rules.typed_decoder import Amount

Members = dict[str, msgspec.Raw]
Canonicalizer = Callable[[object, RuleContext], object]
"""Returns the canonical form of a value; the same value if it has none."""

METADATA = ("_verb", "version_number", "observed_at")
"""Members that say something about the submission of a record and are no part of the item."""

decode_members = msgspec.json.Decoder(Members).decode
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_encode = write_json


class UncanonicalError(ValueError):
    """An amount has no canonical form, so it is not valid: its number has more digits than a float holds."""


class CanonicalForm:
    """Canonical form of the records of one kind under one policy."""

    def __init__(self, kind: Kind, context: RuleContext) -> None:
        self._context = context
        self._fields = _CANONICALIZERS[kind]

    def of(self, document: bytes) -> tuple[bytes, bytes | None]:
        """Return the canonical form of a valid document, and it with its nulls if it has any.

        A null clears a member of the item that the record is merged into (RFC 7396); no item holds one. Raises
        UncanonicalError.
        """
        members = decode_members(document)
        count = len(members)
        for name in METADATA:
            members.pop(name, None)
        is_changed = len(members) < count
        context = self._context_of(members)
        is_changed |= _canonicalize(members, self._fields, context)
        if (variants := members.get("variants")) is not None:
            members["variants"] = _variants(variants, context)
            is_changed |= members["variants"] is not variants
        patch = _encode(members) if is_changed else document
        if b"null" not in patch:
            return patch, None
        canonical = without_nulls(members)
        return (patch, None) if canonical is members else (_encode(canonical), patch)

    def with_price(self, document: bytes, price: object, currency: str | None) -> bytes | None:
        """Return the canonical form of a document in which only the price is not canonical, by the place of its bytes.

        Returns None if it is not certain that the bytes are those of the price: if an object stands before it, which
        may have such a member, or if it is written in another way. `currency` is the record's own.
        """
        start = document.find(b"{", 1)  # of the first object in the record
        if type(price) is Amount:
            amount, code = price.value, price.currency
            received = f'"price":{{"value":"{amount}","currency":"{code}"}}'.encode()
            start -= len('"price":')
        elif type(price) is str:
            amount, _, code = price.partition(" ")
            code = code or currency or self._context.currency
            received = f'"price":"{price}"'.encode()
            start = document.find(received, 1, start if start > 0 else len(document))
        else:
            return None
        if type(amount) is not str or code is None or start < 1:
            return None
        if document[start - 1] not in b"{," or not document.startswith(received, start):
            return None
        has_cents = amount[-3:-2] == "." and code in EXACTLY_TWO_DECIMALS  # the commonest amount
        canonical = f"{amount} {code}" if has_cents else canonical_price(amount, code)
        return document[:start] + f'"price":"{canonical}"'.encode() + document[start + len(received) :]

    def _context_of(self, members: Members) -> RuleContext:
        """Return the context with the record's own currency."""
        code = members.get("currency")
        currency = read_json(bytes(code)) if code is not None else None
        if isinstance(currency, str) and currency in DECIMALS:
            return msgspec.structs.replace(self._context, currency=currency)
        return self._context


def without_nulls(members: Members) -> Members:
    """Return the members that are not null, also in nested objects; those of lists stay. The same dict if all stay."""
    kept: Members = {}
    for name, raw in members.items():
        value = bytes(raw)
        if value == b"null":
            continue
        if value[:1] == b"{" and b"null" in value:
            inner = decode_members(value)
            stripped = without_nulls(inner)
            if stripped is not inner:
                raw = msgspec.Raw(_encode(stripped))
        kept[name] = raw
    return members if all(kept.get(name) is raw for name, raw in members.items()) else kept


def canonical_price(plain: str, currency: str) -> str:
    """Return a price as the catalogue holds it: with the decimals of its currency, as in ``7.90 EUR``."""
    whole, _, fraction = plain.partition(".")
    decimals = DECIMALS[currency]
    fraction = fraction.rstrip("0").ljust(decimals, "0")
    whole = whole.lstrip("0") or "0"
    return f"{whole}.{fraction} {currency}" if fraction else f"{whole} {currency}"


def _canonicalize(members: Members, fields: Mapping[str, Canonicalizer], context: RuleContext) -> bool:
    """Replace the values of the fields by their canonical form; return whether any differs."""
    is_changed = False
    for name, raw in members.items():
        canonicalize = fields.get(name)
        if canonicalize is None or bytes(raw) == b"null":
            continue
        value = read_json(bytes(raw))
        canonical = canonicalize(value, context)
        if canonical is not value:
            members[name] = msgspec.Raw(_encode(canonical))
            is_changed = True
    return is_changed


def _money(value: object, context: RuleContext) -> object:
    price = read_price(value, "", context, [])
    if price is None:
        raise UncanonicalError
    canonical = canonical_price(price.plain, price.currency)
    if isinstance(value, dict):
        others = {name: inner for name, inner in value.items() if name not in MONEY_MEMBERS}
        if others:
            amount, _, currency = canonical.partition(" ")
            return {"value": amount, "currency": currency, **others}
    return value if value == canonical else canonical


def _variants(raw: msgspec.Raw, context: RuleContext) -> msgspec.Raw:
    """Return the variants with canonical values; the same bytes if all have them."""
    if bytes(raw)[:1] != b"[":
        return raw
    entries: list[msgspec.Raw | Members] = []
    is_changed = False
    for entry in _decode_list(raw):
        members = decode_members(entry) if bytes(entry)[:1] == b"{" else {}
        differs = _canonicalize(members, _VARIANT_CANONICALIZERS, context)
        entries.append(members if differs else entry)
        is_changed |= differs
    return msgspec.Raw(_encode(entries)) if is_changed else raw


def _whole(value: object, context: RuleContext) -> object:  # noqa: ARG001 - all are called alike
    number = whole_value(value)
    return value if number is None or isinstance(value, int) else number


def _yes_no(value: object, context: RuleContext) -> object:  # noqa: ARG001 - all are called alike
    folded = fold_choice(value) if isinstance(value, str) else ""
    return folded in ("yes", "true") if folded in YES_NO else value


def _time(value: object, context: RuleContext) -> object:  # noqa: ARG001 - all are called alike
    return canonical_time(value) if isinstance(value, str) else value


def _span(value: object, context: RuleContext) -> object:  # noqa: ARG001 - all are called alike
    return canonical_span(value) if isinstance(value, str) else value


def _choice(field: Field) -> Canonicalizer:
    spellings = {fold_choice(choice): choice for choice in field.choices}

    def canonicalize(value: object, context: RuleContext) -> object:  # noqa: ARG001 - all are called alike
        return spellings.get(fold_choice(value), value) if isinstance(value, str) else value

    return canonicalize


def _measure(field: Field) -> Canonicalizer:
    def canonicalize(value: object, context: RuleContext) -> object:
        canonical = read_measure(value, context, field.units)
        return value if canonical is None else canonical

    return canonicalize


def _as_received(value: object, context: RuleContext) -> object:  # noqa: ARG001 - all are called alike
    return value


def _list_of(one: Canonicalizer) -> Canonicalizer:
    def canonicalize(value: object, context: RuleContext) -> object:
        if not isinstance(value, list):
            return [one(value, context)]
        canonical = [one(entry, context) for entry in value]
        return value if canonical == value else canonical

    return canonicalize


_OF_TYPE: dict[str, Canonicalizer] = {
    "money": _money, "whole": _whole, "yes_no": _yes_no, "moment": _time, "span": _span,
}


def _canonicalizer(field: Field) -> Canonicalizer | None:
    one = _OF_TYPE.get(field.type)
    if field.type == "choice":
        one = _choice(field)
    elif field.type == "measure":
        one = _measure(field)
    if field.repeated and field.splits:
        return _list_of(one or _as_received)
    return one


def _canonicalizers(fields: Mapping[str, Field]) -> dict[str, Canonicalizer]:
    found = {name: _canonicalizer(field) for name, field in fields.items() if name not in METADATA}
    return {name: one for name, one in found.items() if one is not None}


_CANONICALIZERS = {kind: _canonicalizers(fields) for kind, fields in FIELDS.items()}
_VARIANT_CANONICALIZERS = _canonicalizers(VARIANT_FIELDS)
