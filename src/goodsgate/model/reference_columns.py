"""The columns of each kind of reference data, as a table's header or a record's members name them.

`docs/reference/reference-data.md` is made from this table, and a test reads entries through every reader of the code: a
column that code reads and this table lacks, or the other way round, fails it.
"""

from collections.abc import Mapping

import msgspec


class ReferenceColumn(msgspec.Struct, frozen=True):
    """One column of a kind of reference data."""

    name: str
    description: str
    example: str = ""


class ReferenceKind(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of reference data."""

    description: str
    """What records are checked against it, or what shows it."""
    columns: tuple[ReferenceColumn, ...]
    """Columns besides `code`, `name` and `parent`; others are stored, and added to the entry where it is returned."""
    code: str
    """What the code is."""
    has_parent: bool = False


def _column(name: str, description: str, example: str = "") -> ReferenceColumn:
    return ReferenceColumn(name, description, example)


_SLUG = _column("slug", "Name in URLs. Default: the name in lower case, with dashes.", "sports-shoes")
_ACTIVE = _column("is_active", "`true` or `false`; clients can filter by it. Default: `true`.", "true")
_LOGO = _column("logo", "URL of a picture.")
_TEXT = _column("description", "A text.")
_SYNONYMS = _column("synonyms", "Other names, separated by `|`.", "boots|shoes")
_DEPARTMENTS = _column("departments", "Slugs of departments, separated by `|`.", "footwear|clothing")

REFERENCE_COLUMNS: Mapping[str, ReferenceKind] = {
    "brand": ReferenceKind(
        description="A brand of a product must be one of these, by code or name.", code="Id of the brand.",
        columns=(_SLUG, _ACTIVE, _LOGO),
    ),
    "category": ReferenceKind(
        description="A category of a product must be one of these, by code or by the path of names "
        "(`Shoes > Outdoor Shoes`).",
        code="Id of the category.", has_parent=True,
        columns=(
            _column("department", "Codes of departments, separated by `|`; below, those of the parent.", "5956"),
            _column("departments", "The same under another name; it comes first.", "5956|5957"),
            _column("level", "Level in the tree, from 1. Default: the number of parents plus one.", "3"),
            _SLUG, _ACTIVE, _SYNONYMS,
            _column("media", "Object with pictures; JSON only."),
            _column("priority", "Number for sorting.", "0"),
            _column("tryouts", "Texts, separated by `|`."),
            _column("marketplaces", "Object with categories of marketplaces; JSON only."),
        ),
    ),
    "attribute": ReferenceKind(
        description="Attributes of a product are checked by the requirements of its category and the parents of that.",
        code="`category/attribute`, or give `category` and `attribute` instead. The category `*`, or none, means every "
        "product.",
        has_parent=True,
        columns=(
            _column("category", "Code of the category, or `*`.", "112"),
            _column("attribute", "Name of the attribute in records.", "closure"),
            _column("type", "`text`, `number`, `integer`, `boolean` or `enum`. Default: any.", "text"),
            _column("required", "Whether products must have it. Default: `false`.", "true"),
            _column("allowed", "Allowed values, separated by `|`.", "Laces|Velcro"),
            _column("unit", "Unit of numbers without one.", "cm"),
            _column("minimum", "Least number.", "0"),
            _column("maximum", "Greatest number.", "200"),
            _column("multi", "Whether it may have several values; shown to clients.", "false"),
            _column("format", "Format of values; shown to clients."),
            _TEXT, _DEPARTMENTS,
            _column("variant", "Whether variants differ by it; shown to clients.", "false"),
            _column("enabled_for_end_consumer", "Whether shoppers see it; shown to clients.", "true"),
            _column("indexing", "Whether shoppers can filter by it; shown to clients.", "false"),
        ),
    ),
    "location": ReferenceKind(
        description="A location of a price or a stock must be one of these, by code.",
        code="Id of the shop or warehouse, as feeds name it.", columns=(),
    ),
    "tax_rule": ReferenceKind(
        description="A tax rule of a product must be one of these, by code. Orders compute taxes with it.",
        code="Id of the rule.",
        columns=(
            _TEXT,
            _column("status", "`ACTIVE` or `INACTIVE`. Default: `ACTIVE`.", "ACTIVE"),
            _column("is_default", "Whether it is the default. Default: `false`.", "false"),
            _column("rate", "The rate as a fraction, of a rule without `versions`.", "0.18"),
            _column("component", "Name of the tax, of a rule without `versions`. Default: `GST`.", "GST"),
            _column("versions", "List of versions with `version_status`, `applicable_date` and `components`, each with "
                    "`name` and `slabs` (`value`, from which price on, and `rate`); JSON only."),
        ),
    ),
    "hs_code": ReferenceKind(
        description="An HS or SAC code of a product must be one of these.", code="The code, only digits.",
        columns=(
            _column("type", "`HS` or `SAC`. Default: `HS`.", "HS"),
            _column("country_iso", "Country of the code. Default: `IN`.", "IN"),
        ),
    ),
    "department": ReferenceKind(
        description="A department of a product must be one of these, by code.", code="Id of the department, a number.",
        has_parent=True, columns=(_SLUG, _ACTIVE, _TEXT, _LOGO, _SYNONYMS),
    ),
    "template": ReferenceKind(
        description="A template of a request with products must be one of these, by code.",
        code="Slug of the template.",
        columns=(
            _DEPARTMENTS,
            _column("categories", "Slugs of categories, separated by `|`.", "sports-shoes"),
            _column("attributes", "Slugs of attributes, separated by `|`.", "closure"),
            _column("tag", "A text."), _TEXT, _ACTIVE, _LOGO,
            _column("is_archived", "Default: `false`.", "false"),
            _column("is_expirable", "Default: `false`.", "false"),
            _column("is_physical", "Default: `true`.", "true"),
        ),
    ),
}
"""Kind → its columns."""
