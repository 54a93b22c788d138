"""Typed decoding that fits itself to a feed.

A form is a msgspec Struct with exactly the members that this feed's records have, in their order, each with bounds
that only spotless values satisfy. What a form decodes has known types, lengths, choices and depth, and holds no
member nobody has looked at; that is why a decoded record needs so few looks more. A record with a new member is
refused, learned from, and fits the next form. Everything a form refuses goes to `record`, which knows the truth.
"""

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
"""Members a form learns; records with others are looked at one rule after the other."""
DEPTH = 5
"""Nesting that a form can let pass: record, variants, variant, attributes, a list in them, and what is unknown."""

_DATE = r"(?:20|19)[0-9]{2}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])"
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9])?"
MOMENT = rf"{_DATE}T{_TIME}(?:Z|[+-](?:0[0-9]|1[0-3]):?[0-5][0-9])"

Scalar = str | int | float | bool | None
Inner = Scalar | list[Scalar] | dict[str, Scalar]
Shallow = Scalar | list[Inner] | dict[str, Inner]
"""An unknown member; nothing of it is looked at, but its depth is known."""

HOT: dict[Kind, tuple[str, ...]] = {
    Kind.PRODUCT: (
        "id", "title", "description", "link", "image_link", "additional_image_link", "brand", "gtin", "mpn",
        "google_product_category", "product_type", "price", "sale_price", "currency", "tax_rule", "hs_code",
        "attributes", "variants", "version_number", "observed_at",
    ),
    Kind.PRICE: ("id", "location", "price", "sale_price", "currency", "version_number", "observed_at"),
    Kind.STOCK: ("id", "location", "quantity", "version_number", "observed_at"),
}
"""Members that the looks after decoding read by name; those of the first form."""
HOT_OF_VARIANT = ("id", "price", "sale_price", "gtin", "attributes")


class Amount(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """A price as an object."""

    value: Annotated[str, Meta(min_length=1, max_length=24)] | int | float | None = None
    currency: Literal[tuple(DECIMALS)] | None = None  # type: ignore[valid-type]  # made from a table
    amount: Annotated[str, Meta(min_length=1, max_length=24)] | int | float | None = None
    currency_code: Literal[tuple(DECIMALS)] | None = None  # type: ignore[valid-type]  # made from a table


def _text(longest: int) -> Any:
    return Annotated[str, Meta(min_length=1, max_length=longest)]


def _one(field: Field) -> Any:
    """The type of one value that could be spotless; what it cannot tell is looked at afterwards."""
    if field.type in ("sku", "location", "text", "long_text", "gtin", "brand", "category", "tax_rule", "hs_code"):
        return _text(field.characters_max)
    if field.type == "url":
        return _text(URL_CHARACTERS_MAX)
    if field.type == "choice":
        return Literal[field.choices]
    if field.type == "yes_no":
        return bool | Literal[YES_NO]
    if field.type == "money":
        return Amount | _text(24) | int | float
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
        return Annotated[str, Meta(pattern=rf"^{MOMENT}\Z")]
    if field.type == "span":
        return Annotated[str, Meta(pattern=rf"^{MOMENT}/{MOMENT}\Z")]
    if field.type == "attributes":
        text = _text(ATTRIBUTE_CHARACTERS_MAX)
        return dict[str, text | int | float | bool | list[text] | None]  # type: ignore[valid-type]  # made from a table
    return Shallow


def _type(field: Field, variant: type) -> Any:
    if field.type == "variants":
        return list[variant]  # type: ignore[valid-type]  # made from a table
    if field.name == "observed_at":
        return Annotated[datetime, Meta(tz=True)]
    if field.name == "version_number":
        return Annotated[int, Meta(ge=0, le=INT64_MAX)]
    one: Any = _one(field)
    return one | Annotated[list[one], Meta(max_length=field.repeated)] if field.repeated else one


class Form:
    """The typed shape of the records of one kind, as they have been seen so far."""

    def __init__(self, kind: Kind) -> None:
        self._fields = FIELDS[kind]
        self._hot = HOT[kind]
        self._seen: dict[str, None] = {}
        self._seen_in_variants: dict[str, None] = {}
        self._unbuilt = 0
        self._builds = 0
        self._refusing = False
        self.decode: Callable[[bytes], Any] = self._build()

    @property
    def seen(self) -> Iterable[str]:
        """Members of the built form."""
        return self._names(self._seen, self._hot)

    @property
    def seen_in_variants(self) -> Iterable[str]:
        """Members of a variant of the built form."""
        return self._names(self._seen_in_variants, HOT_OF_VARIANT)

    def learn(self, record: dict[str, object]) -> bool:
        """Take in the members of a record that the form refused; true if the form is another now.

        The more often it was built, the more records it waits for, so that a feed whose every record has a member
        of its own does not cost a build for each.
        """
        if self._refusing:
            return False
        before = len(self._seen) + len(self._seen_in_variants)
        _note(record, self._seen)
        variants = record.get("variants")
        for variant in variants if isinstance(variants, list) else ():
            if isinstance(variant, dict):
                _note(variant, self._seen_in_variants)
        if len(self._seen) + len(self._seen_in_variants) == before and not self._unbuilt:
            return False
        self._unbuilt += 1
        if self._unbuilt <= 4 * (self._builds - 1):
            return False
        self._unbuilt = 0
        self.decode = self._build()
        return True

    def refuse_all(self) -> None:
        """Let no record pass: the bounds asked for are narrower than a form's."""
        self._refusing = True
        self.decode = _refuse

    def _build(self) -> Callable[[bytes], Any]:
        self._builds += 1
        variant = _struct("Variant", self.seen_in_variants, VARIANT_FIELDS, msgspec.Struct)
        record = _struct("Record", self.seen, self._fields, variant)
        return msgspec.json.Decoder(record).decode

    @staticmethod
    def _names(seen: dict[str, None], hot: tuple[str, ...]) -> list[str]:
        """What was seen; before anything was, what most feeds have, so that many a feed needs no other form."""
        return list(dict.fromkeys(("id", *(seen or hot))))


def _refuse(_document: bytes) -> Any:
    raise msgspec.ValidationError("refused")


def _note(members: dict[str, object], seen: dict[str, None]) -> None:
    if members.keys() <= seen.keys():
        return
    for name in members:
        if name != "_verb" and len(seen) < NAMES_MAX and name.isprintable() and '"' not in name and "\\" not in name:
            seen.setdefault(name)


def _struct(title: str, names: Iterable[str], fields: dict[str, Field], variant: type) -> type:
    """A Struct of these members. Unknown ones get attribute names that no field has."""
    members: list[tuple[str, Any, Any]] = []
    renamed: dict[str, str] = {}
    for number, name in enumerate(names):
        if name == "id":
            members.append((name, _type(fields[name], variant), msgspec.NODEFAULT))
        elif name in fields:
            members.append((name, _type(fields[name], variant) | None, None))
        else:
            renamed[attribute := f"member_{number}"] = name
            members.append((attribute, Shallow, None))
    if title == "Record":
        renamed["verb"] = "_verb"
        members.append(("verb", Verb | None, None))
    return msgspec.defstruct(title, members, rename=renamed, kw_only=True, gc=False, forbid_unknown_fields=True)
