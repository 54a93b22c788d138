"""A merchant's configuration: attributes with options, families, groups, categories, channels, currencies, locales.

Names and defaults are those of the ancestor of this interface, which drops unknown members, too.
"""

from collections import Counter
from functools import cached_property
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType, field

from goodsgate.model.json_text import write_json
from goodsgate.protocols.mircate.responses import bad_request

IDENTIFIER = "sku"
"""Code of the attribute that every project has and nobody can change."""
GROUP = "other"
TREE = "masterCatalog"
PATH = "#"
"""Separator between the codes of a category's path."""

AttributeType = Literal[
    "TEXT", "TEXTAREA", "BOOLEAN", "IDENTIFIER", "NUMBER", "PRICE", "IMAGE", "IMAGE_LIST", "SIMPLESELECT",
    "MULTISELECT", "DATE",
]
SPECIFIC: dict[AttributeType, dict[str, Any]] = {
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
"""Type → members of its attributes beside the common ones, with defaults."""
UNIQUE_TYPES = ("TEXT", "IDENTIFIER", "NUMBER")
SELECTS = ("SIMPLESELECT", "MULTISELECT")
IMAGES = ("IMAGE", "IMAGE_LIST")


class LocalizedText(msgspec.Struct, frozen=True):
    """A text in one locale."""

    locale: str
    value: str


class ProductAttribute(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The definition of an attribute."""

    code: str
    type: AttributeType
    group: str
    localizable: bool = False
    scopable: bool = False
    label: list[LocalizedText] = []
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


COMMON = {member.encode_name for member in msgspec.structs.fields(ProductAttribute)} - {
    name for specific in SPECIFIC.values() for name in specific
}


class SelectOption(msgspec.Struct, frozen=True):
    """One value of a select attribute."""

    code: str
    label: list[LocalizedText] = []


class SelectOptions(msgspec.Struct, frozen=True):
    """The values of one select attribute."""

    code: str
    """The code of the attribute."""
    options: list[SelectOption] = []


class FamilyAttribute(msgspec.Struct, frozen=True, rename="camel"):
    """One attribute of a family."""

    attribute: str
    required_channels: list[str] = []


class FamilyVariant(msgspec.Struct, frozen=True):
    """One way in which the products of a family vary."""

    code: str
    label: list[LocalizedText] = []
    axes: list[str] = []
    attributes: list[str] = []
    """Attributes that each variant has itself; all others belong to its model."""


class ProductFamily(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=False):
    """The attributes and variants that products have in common."""

    code: str
    label: list[LocalizedText] = []
    attribute_as_label: str = IDENTIFIER
    attribute_as_image: str | UnsetType = UNSET
    attributes: list[FamilyAttribute] = []
    variants: list[FamilyVariant] = []

    def variant(self, code: object) -> FamilyVariant | None:
        """Return the variant with this code."""
        return next((variant for variant in self.variants if variant.code == code), None)


class LabelledCode(msgspec.Struct, frozen=True):
    """An attribute group, or a type of groups."""

    code: str
    label: list[LocalizedText] = []


class ProductGroup(msgspec.Struct, frozen=True):
    """A group of products."""

    code: str
    type: str
    label: list[LocalizedText] = []


class SalesChannel(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A channel in which products are sold."""

    code: str
    currencies: list[str]
    locales: list[str]
    category_tree: str
    label: list[LocalizedText] | UnsetType = UNSET


class ProductCategory(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A category with its subcategories."""

    code: str
    label: Any = UNSET
    image: str | UnsetType | None = UNSET
    description: Any = UNSET
    meta: dict[str, Any] | UnsetType | None = UNSET
    sub_categories: list["ProductCategory"] = []


OWN_IDENTIFIER = ProductAttribute(
    code=IDENTIFIER, type="IDENTIFIER", group=GROUP, is_unique=True, max_characters=255, validation_rule="REGEXP",
    validation_regexp="^([A-Za-z0-9_])*$",
)
OWN_CHANNEL = SalesChannel(code="eCommerce", currencies=["USD"], locales=["en_US"], category_tree=TREE)


class PimConfiguration(msgspec.Struct, frozen=True, kw_only=True, rename="camel", dict=True):
    """The whole configuration, as it is stored."""

    attributes: list[ProductAttribute] = field(default_factory=lambda: [OWN_IDENTIFIER])
    attribute_options: list[SelectOptions] = []
    families: list[ProductFamily] = []
    attribute_groups: list[LabelledCode] = field(default_factory=lambda: [LabelledCode(GROUP)])
    group_types: list[LabelledCode] = []
    groups: list[ProductGroup] = []
    categories: list[ProductCategory] = field(default_factory=lambda: [ProductCategory(code=TREE)])
    enabled_currencies: list[str] = field(default_factory=lambda: ["USD"])
    enabled_locales: list[str] = field(default_factory=lambda: ["en_US"])
    channels: list[SalesChannel] = field(default_factory=lambda: [OWN_CHANNEL])

    @cached_property
    def attribute(self) -> dict[str, ProductAttribute]:
        """The attributes by code."""
        return {attribute.code: attribute for attribute in self.attributes}

    @cached_property
    def family(self) -> dict[str, ProductFamily]:
        """The families by code."""
        return {family.code: family for family in self.families}

    @cached_property
    def options(self) -> dict[str, frozenset[str]]:
        """The codes of options by attribute."""
        return {select.code: frozenset(option.code for option in select.options) for select in self.attribute_options}

    @cached_property
    def group_codes(self) -> frozenset[str]:
        """The codes of all groups."""
        return frozenset(group.code for group in self.groups)

    @cached_property
    def category_paths(self) -> tuple[str, ...]:
        """The paths of all categories: codes with ``#`` between them."""
        paths: list[str] = []
        pending = [(category, category.code) for category in self.categories]
        while pending:
            category, path = pending.pop()
            paths.append(path)
            pending += [(child, f"{path}{PATH}{child.code}") for child in category.sub_categories]
        return tuple(paths)

    @cached_property
    def category_names(self) -> frozenset[str]:
        """The names of categories that a product may use: paths, and codes that only one category has."""
        counts = Counter(path.rpartition(PATH)[2] for path in self.category_paths)
        return frozenset(self.category_paths) | {code for code, count in counts.items() if count == 1}

    @property
    def axes(self) -> set[str]:
        """The attributes that are an axis of some variant."""
        return {axe for family in self.families for variant in family.variants for axe in variant.axes}


def build_attribute(definition: dict[str, Any]) -> ProductAttribute:
    """Return a valid definition with its defaults, without members that its type does not have."""
    specific = SPECIFIC[definition["type"]]
    members = {
        name: value for name, value in definition.items() if value is not None and (name in COMMON or name in specific)
    }
    defaults = {name: value for name, value in specific.items() if value is not UNSET}
    attribute: ProductAttribute = build({**defaults, **members}, ProductAttribute, strict=False)
    return attribute


def build(definition: object, type: Any, *, strict: bool = True) -> Any:
    """Return a valid definition as a type; refuse one with a number that is too large for it."""
    try:
        return msgspec.json.decode(write_json(definition), type=type, strict=strict)
    except msgspec.ValidationError as fault:
        raise bad_request(f"Invalid definition: {fault}.") from fault


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(PimConfiguration).decode
