"""Typed decoding that adapts to a feed.

A decoder decodes into a msgspec Struct that has the members of this feed's records, in their order. The types accept
only values that can be valid: types, lengths, choices and depth are checked while decoding, and no member is unknown.
So a decoded record needs few further checks. A record with a new member is rejected, learned from, and fits the next
Struct. Every record that a decoder rejects goes to `record_rules`, which decide.
"""

import functools
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from goodsgate.model.batch import Kind, Verb
from goodsgate.model.fields import (
    ATTRIBUTE_CHARACTERS_MAX,
    FIELDS,
    INT64_MAX,
    URL_CHARACTERS_MAX,
    VARIANT_FIELDS,
    Field,
)
from goodsgate.rules.choices import YES_NO
from goodsgate.rules.countries import COUNTRIES
from goodsgate.rules.currencies import DECIMALS

NAMES_MAX = 400
"""Members that a decoder learns; records with others are left to the rules."""
DEPTH = 5
"""Nesting that a decoder accepts: record, variants, variant, attributes, a list in them, and unknown members."""

_DATE = r"(?:20|19)[0-9]{2}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])"
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9])?"
TIMESTAMP = rf"{_DATE}T{_TIME}(?:Z|[+-](?:0[0-9]|1[0-3]):?[0-5][0-9])"

Scalar = str | int | float | bool
Entry = Scalar | list[Scalar | None] | dict[str, Scalar | None] | None
"""Entry of a list, in which a null is a value."""
Inner = Scalar | list[Scalar | None] | dict[str, Scalar]
Shallow = Scalar | list[Entry] | dict[str, Inner]
"""An unknown member without nulls: only its depth is checked."""
NullableInner = Entry
NullableShallow = Scalar | list[Entry] | dict[str, NullableInner] | None
"""An unknown member."""

MAIN_MEMBERS: dict[Kind, tuple[str, ...]] = {
    Kind.PRODUCT: (
        "id", "title", "description", "link", "image_link", "additional_image_link", "brand", "gtin", "mpn",
        "google_product_category", "product_type", "price", "sale_price", "currency", "tax_rule", "hs_code",
        "attributes", "variants", "version_number", "observed_at",
    ),
    Kind.PRICE: ("id", "location", "price", "sale_price", "currency", "version_number", "observed_at"),
    Kind.STOCK: ("id", "location", "quantity", "version_number", "observed_at"),
}
"""Members that the fast path reads by name; every decoder has them."""
MAIN_VARIANT_MEMBERS = ("id", "price", "sale_price", "gtin", "attributes")


class Amount(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """A price as an object."""

    value: Annotated[str, Meta(min_length=1, max_length=24)] | int | float | None = None
    currency: Literal[tuple(DECIMALS)] | None = None  # type: ignore[valid-type]  # built from a table
    amount: Annotated[str, Meta(min_length=1, max_length=24)] | int | float | None = None
    currency_code: Literal[tuple(DECIMALS)] | None = None  # type: ignore[valid-type]  # built from a table


def _text_type(longest: int) -> Any:
    return Annotated[str, Meta(min_length=1, max_length=longest)]


def _value_type(field: Field, *, nullable: bool) -> Any:
    """Return the type of one value that can be valid; what the type cannot express is checked afterwards."""
    if field.type in ("sku", "location", "text", "long_text", "gtin", "brand", "category", "tax_rule", "hs_code"):
        return _text_type(field.characters_max)
    if field.type == "url":
        return _text_type(URL_CHARACTERS_MAX)
    if field.type == "choice":
        return Literal[field.choices]
    if field.type == "yes_no":
        return bool | Literal[YES_NO]
    if field.type == "money":
        return Amount | _text_type(24) | int | float
    if field.type == "currency":
        return Literal[tuple(DECIMALS)]
    if field.type == "country":
        return Literal[tuple(COUNTRIES.codes)]
    if field.type == "whole":
        return Annotated[int, Meta(ge=max(field.minimum, 0), le=field.maximum)]
    if field.type == "measure":
        units = "|".join(field.units)
        return Annotated[str, Meta(pattern=rf"^[1-3]?[0-9]?[0-9](?:\.[0-9]{{1,6}})? ?(?:{units})\Z")]
    if field.type == "moment":
        return Annotated[str, Meta(pattern=rf"^{TIMESTAMP}\Z")]
    if field.type == "span":
        return Annotated[str, Meta(pattern=rf"^{TIMESTAMP}/{TIMESTAMP}\Z")]
    if field.type == "attributes":
        text = _text_type(ATTRIBUTE_CHARACTERS_MAX)
        value = text | int | float | bool | list[text]  # type: ignore[valid-type]  # built from a table
        return dict[str, value | None] if nullable else dict[str, value]  # type: ignore[valid-type]  # built from a table
    return NullableShallow if nullable else Shallow


def _member_type(field: Field, variant: type, *, nullable: bool) -> Any:
    value: Any = _value_type(field, nullable=nullable)
    if field.type == "variants":
        value = list[variant]  # type: ignore[valid-type]  # built from a table
    elif field.name == "observed_at":
        value = Annotated[datetime, Meta(tz=True)]
    elif field.name == "version_number":
        value = Annotated[int, Meta(ge=0, le=INT64_MAX)]
    elif field.repeated:
        value |= Annotated[list[value], Meta(max_length=field.repeated)]
    return value | None if nullable else value


class TypedDecoder:
    """Decoder for the records of one kind, with the members that have occurred so far."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self._known: dict[str, None] = {}
        self._known_in_variants: dict[str, None] = {}
        self._postponed = 0
        self._builds = 0
        self._rejecting = False
        self.decode: Callable[[bytes], Any]
        """Decodes records without nulls, but for those in lists."""
        self._build()

    @property
    def is_full(self) -> bool:
        """Whether no further members can be learned."""
        return self._rejecting or (len(self._known) >= NAMES_MAX and not self._postponed)

    def learn(self, record: dict[str, object]) -> bool:
        """Add the members of a rejected record; return whether `decode` is another one now.

        The more often it was built, the more records it waits for, so that a feed in which every record has a member of
        its own does not cost a build for each.
        """
        if self._rejecting:
            return False
        before = len(self._known) + len(self._known_in_variants)
        _add_names(record, self._known)
        variants = record.get("variants")
        for variant in variants if isinstance(variants, list) else ():
            if isinstance(variant, dict):
                _add_names(variant, self._known_in_variants)
        if len(self._known) + len(self._known_in_variants) == before and not self._postponed:
            return False
        self._postponed += 1
        if self._postponed <= 4 * (self._builds - 1):
            return False
        self._postponed = 0
        self._build()
        return True

    def decode_nullable(self, document: bytes) -> Any:
        """Decode a record that may have nulls."""
        if self._rejecting:
            return _reject(document)
        return _decode_function(self._kind, self.members, self.variant_members, True)(document)

    def reject_all(self) -> None:
        """Reject every record, because the configured limits are stricter than those of a decoder."""
        self._rejecting = True
        self.decode = _reject

    def _build(self) -> None:
        self._builds += 1
        self.members = tuple(dict.fromkeys((*self._known, *MAIN_MEMBERS[self._kind])))
        self.variant_members = tuple(dict.fromkeys((*self._known_in_variants, *MAIN_VARIANT_MEMBERS)))
        self.decode = _decode_function(self._kind, self.members, self.variant_members, False)


def _reject(_document: bytes) -> Any:
    raise msgspec.ValidationError("rejected")


def _add_names(members: dict[str, object], known: dict[str, None]) -> None:
    if members.keys() <= known.keys():
        return
    for name in members:
        if name != "_verb" and len(known) < NAMES_MAX and name.isprintable() and '"' not in name and "\\" not in name:
            known.setdefault(name)


@functools.lru_cache(256)
def _decode_function(
    kind: Kind, members: tuple[str, ...], variant_members: tuple[str, ...], nullable: bool,
) -> Callable[[bytes], Any]:
    """Return the decoder for these members; checkers share it, because building one takes milliseconds."""
    variant = _struct("Variant", variant_members, VARIANT_FIELDS, msgspec.Struct, nullable=True)
    return msgspec.json.Decoder(_struct("Record", members, FIELDS[kind], variant, nullable=nullable)).decode


def _struct(title: str, names: Iterable[str], fields: dict[str, Field], variant: type, *, nullable: bool) -> type:
    """Return a Struct of these members. Unknown members get attribute names that no field has."""
    shallow: Any = NullableShallow if nullable else Shallow
    members: list[tuple[str, Any, Any]] = []
    renamed: dict[str, str] = {}
    for number, name in enumerate(names):
        if name == "id":
            members.append((name, _member_type(fields[name], variant, nullable=False), msgspec.NODEFAULT))
        elif name in fields:
            members.append((name, _member_type(fields[name], variant, nullable=nullable), None))
        else:
            renamed[attribute := f"member_{number}"] = name
            members.append((attribute, shallow, None))
    if title == "Record":
        renamed["verb"] = "_verb"
        members.append(("verb", Verb | None if nullable else Verb, None))
    return msgspec.defstruct(title, members, rename=renamed, kw_only=True, gc=False, forbid_unknown_fields=True)
