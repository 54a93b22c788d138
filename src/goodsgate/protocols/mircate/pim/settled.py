"""What a merchant has settled: attributes with options, families, groups; categories, channels, currencies, locales.

Names and defaults are those of the ancestor of this interface; members that it does not know are left out, as there.
"""

from collections import Counter
from functools import cached_property
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType, field

IDENTIFIER = "sku"
"""Code of the attribute that every project has from the beginning and that nobody changes."""
GROUP = "other"
TREE = "masterCatalog"
PATH = "#"
"""Between the codes of a category's path."""

Type = Literal[
    "TEXT", "TEXTAREA", "BOOLEAN", "IDENTIFIER", "NUMBER", "PRICE", "IMAGE", "IMAGE_LIST", "SIMPLESELECT",
    "MULTISELECT", "DATE",
]
SPECIFIC: dict[Type, dict[str, Any]] = {
    "TEXT": {"maxCharacters": UNSET, "validationRule": UNSET, "validationRegexp": UNSET},
    "TEXTAREA": {"maxCharacters": UNSET},
    "BOOLEAN": {"defaultValue": False},
    "IDENTIFIER": {"maxCharacters": UNSET, "validationRule": UNSET, "validationRegexp": UNSET},
    "NUMBER": {"negativeAllowed": False, "decimalsAllowed": False, "minNumber": UNSET, "maxNumber": UNSET},
    "PRICE": {"decimalsAllowed": True, "minNumber": UNSET, "maxNumber": UNSET},
    "IMAGE": {"maxFileSizeInMB": 5, "allowedExtensions": UNSET},
    "IMAGE_LIST": {"maxFileSizeInMB": 5, "allowedExtensions": UNSET},
    "SIMPLESELECT": {}, "MULTISELECT": {},
    "DATE": {"minDate": UNSET, "maxDate": UNSET},
}
"""Type → members that its attributes have beside the common ones, with defaults."""
UNIQUE_TYPES = ("TEXT", "IDENTIFIER", "NUMBER")
SELECTS = ("SIMPLESELECT", "MULTISELECT")
IMAGES = ("IMAGE", "IMAGE_LIST")


class Told(msgspec.Struct, frozen=True):
    """A text in one locale."""

    locale: str
    value: str


class Attribute(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One attribute as it is defined."""

    code: str
    type: Type
    group: str
    localizable: bool = False
    scopable: bool = False
    label: list[Told] = []
    is_locale_specific: bool = False
    available_locales: list[str] = []
    is_unique: bool = False
    max_characters: int | UnsetType = UNSET
    validation_rule: str | UnsetType = UNSET
    validation_regexp: str | UnsetType = UNSET
    default_value: bool | UnsetType = UNSET
    negative_allowed: bool | UnsetType = UNSET
    decimals_allowed: bool | UnsetType = UNSET
    min_number: float | UnsetType = UNSET
    max_number: float | UnsetType = UNSET
    max_file_size_in_mb: float | UnsetType = field(default=UNSET, name="maxFileSizeInMB")
    allowed_extensions: list[str] | UnsetType = UNSET
    min_date: str | UnsetType = UNSET
    max_date: str | UnsetType = UNSET


COMMON = {told.encode_name for told in msgspec.structs.fields(Attribute)} - {
    name for specific in SPECIFIC.values() for name in specific
}


class Option(msgspec.Struct, frozen=True):
    """One value of a select."""

    code: str
    label: list[Told] = []


class Options(msgspec.Struct, frozen=True):
    """The values of one select."""

    code: str
    """Of the attribute."""
    options: list[Option] = []


class Required(msgspec.Struct, frozen=True, rename="camel"):
    """One attribute of a family."""

    attribute: str
    required_channels: list[str] = []


class Variant(msgspec.Struct, frozen=True):
    """One way in which products of a family vary."""

    code: str
    label: list[Told] = []
    axes: list[str] = []
    attributes: list[str] = []
    """Those that each variant has for itself; all others are its model's."""


class Family(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=False):
    """What products have in common."""

    code: str
    label: list[Told] = []
    attribute_as_label: str = IDENTIFIER
    attribute_as_image: str | UnsetType = UNSET
    attributes: list[Required] = []
    variants: list[Variant] = []

    def variant(self, code: object) -> Variant | None:
        """The one of this code."""
        return next((variant for variant in self.variants if variant.code == code), None)


class Named(msgspec.Struct, frozen=True):
    """An attribute group, or a type of groups."""

    code: str
    label: list[Told] = []


class Group(msgspec.Struct, frozen=True):
    """A group of products."""

    code: str
    type: str
    label: list[Told] = []


class Channel(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Where products are sold."""

    code: str
    currencies: list[str]
    locales: list[str]
    category_tree: str
    label: list[Told] | UnsetType = UNSET


class Category(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A node of a tree."""

    code: str
    label: Any = UNSET
    image: str | UnsetType | None = UNSET
    description: Any = UNSET
    meta: dict[str, Any] | UnsetType | None = UNSET
    sub_categories: list["Category"] = []


OWN_IDENTIFIER = Attribute(
    code=IDENTIFIER, type="IDENTIFIER", group=GROUP, is_unique=True, max_characters=255, validation_rule="REGEXP",
    validation_regexp="^([A-Za-z0-9_])*$",
)
OWN_CHANNEL = Channel(code="eCommerce", currencies=["USD"], locales=["en_US"], category_tree=TREE)


class Settled(msgspec.Struct, frozen=True, kw_only=True, rename="camel", dict=True):
    """All of it, as it is kept."""

    attributes: list[Attribute] = field(default_factory=lambda: [OWN_IDENTIFIER])
    attribute_options: list[Options] = []
    families: list[Family] = []
    attribute_groups: list[Named] = field(default_factory=lambda: [Named(GROUP)])
    group_types: list[Named] = []
    groups: list[Group] = []
    categories: list[Category] = field(default_factory=lambda: [Category(code=TREE)])
    enabled_currencies: list[str] = field(default_factory=lambda: ["USD"])
    enabled_locales: list[str] = field(default_factory=lambda: ["en_US"])
    channels: list[Channel] = field(default_factory=lambda: [OWN_CHANNEL])

    @cached_property
    def attribute(self) -> dict[str, Attribute]:
        """By code."""
        return {attribute.code: attribute for attribute in self.attributes}

    @cached_property
    def family(self) -> dict[str, Family]:
        """By code."""
        return {family.code: family for family in self.families}

    @cached_property
    def options(self) -> dict[str, frozenset[str]]:
        """Attribute → codes of its options."""
        return {one.code: frozenset(option.code for option in one.options) for one in self.attribute_options}

    @cached_property
    def group_codes(self) -> frozenset[str]:
        """Of all groups."""
        return frozenset(group.code for group in self.groups)

    @cached_property
    def category_paths(self) -> tuple[str, ...]:
        """Of all categories, codes with ``#`` between them."""
        found: list[str] = []
        waiting = [(category, category.code) for category in self.categories]
        while waiting:
            category, path = waiting.pop()
            found.append(path)
            waiting += [(below, f"{path}{PATH}{below.code}") for below in category.sub_categories]
        return tuple(found)

    @cached_property
    def category_names(self) -> frozenset[str]:
        """By which a product may name its categories: paths, and codes that only one category has."""
        counts = Counter(path.rpartition(PATH)[2] for path in self.category_paths)
        return frozenset(self.category_paths) | {code for code, count in counts.items() if count == 1}

    @property
    def axes(self) -> set[str]:
        """Attributes by which variants of any family differ."""
        return {axe for family in self.families for variant in family.variants for axe in variant.axes}


def attribute_of(definition: dict[str, Any]) -> Attribute:
    """A definition that keeps its schema, with its defaults and without what its type does not know."""
    specific = SPECIFIC[definition["type"]]
    given = {
        name: value for name, value in definition.items() if value is not None and (name in COMMON or name in specific)
    }
    defaults = {name: value for name, value in specific.items() if value is not UNSET}
    return msgspec.convert({**defaults, **given}, Attribute, strict=False)


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Settled).decode
