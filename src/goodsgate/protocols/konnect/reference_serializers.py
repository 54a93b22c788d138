"""Entries of reference data as Konnect's reads show them; the names are those of the platform's open SDK."""

import re
from typing import Any

from goodsgate.model.catalogue import ReferenceEntry
from goodsgate.protocols.konnect.reference_data import CATEGORY_LEVELS, CategoryTree

Words = dict[str, Any]
_NOT_SLUG = re.compile(r"[^a-z0-9]+")
TYPES = {"integer": "int", "int": "int", "number": "float", "boolean": "bool"}
"""Of attributes; any other is ``str``."""


def entry_slug(entry: ReferenceEntry) -> str:
    """What the entry says, or one made from its name."""
    told = entry.data.get("slug")
    return str(told) if told else _NOT_SLUG.sub("-", (entry.name or entry.code).lower()).strip("-")


def parse_flag(value: object, *, missing: bool) -> bool:
    """A truth, also from the cell of a table."""
    if value is None or value == "":
        return missing
    return value if isinstance(value, bool) else str(value).strip().casefold() in ("true", "yes", "1", "y")


def parse_list(value: object) -> list[str]:
    """A list, also from a cell with bars between its values."""
    if isinstance(value, list):
        return [str(one) for one in value]
    return [part.strip() for part in str(value).split("|") if part.strip()] if value not in (None, "") else []


def _more(entry: ReferenceEntry, *known: str) -> Words:
    """Members of the entry that have no place of their own."""
    return {name: value for name, value in entry.data.items() if name not in known}


def serialize_department(entry: ReferenceEntry) -> Words:
    """A department."""
    return {
        **_more(entry), "id": entry.number, "uid": entry.number, "name": entry.name or entry.code,
        "slug": entry_slug(entry), "is_active": parse_flag(entry.data.get("is_active"), missing=True),
        "description": str(entry.data.get("description", "")), "logo": str(entry.data.get("logo", "")),
        "synonyms": parse_list(entry.data.get("synonyms")),
    }


def serialize_category(entry: ReferenceEntry, tree: CategoryTree) -> Words:
    """A category of any level."""
    level, ancestry, departments = tree.level(entry), tree.ancestry(entry), tree.departments(entry)
    hierarchy = []
    if level == CATEGORY_LEVELS and len(ancestry) >= CATEGORY_LEVELS:
        l1, l2 = ancestry[-3].number, ancestry[-2].number
        hierarchy = [{"department": department, "l1": l1, "l2": l2} for department in departments]
    return {
        **_more(entry, "department"), "uid": entry.number, "id": str(entry.number), "name": entry.name or entry.code,
        "slug": entry_slug(entry), "level": level, "departments": departments, "hierarchy": hierarchy,
        "is_active": parse_flag(entry.data.get("is_active"), missing=True), "media": entry.data.get("media", {}),
        "priority": entry.data.get("priority", 0), "synonyms": parse_list(entry.data.get("synonyms")),
        "tryouts": parse_list(entry.data.get("tryouts")), "marketplaces": entry.data.get("marketplaces", {}),
    }


def serialize_brand(entry: ReferenceEntry) -> Words:
    """A brand, its number under every name that somebody may look for."""
    name = entry.name or entry.code
    return {
        **_more(entry), "uid": entry.number, "brand_uid": entry.number, "id": entry.number, "name": name,
        "brand_name": name, "slug": entry_slug(entry), "logo": str(entry.data.get("logo", "")),
        "is_active": parse_flag(entry.data.get("is_active"), missing=True),
    }


def serialize_template(entry: ReferenceEntry) -> Words:
    """A template; its slug is the ``template`` of writes."""
    data = entry.data
    return {
        **_more(entry), "id": str(entry.number), "slug": entry.code, "name": entry.name or entry.code,
        "tag": str(data.get("tag", "")), "description": str(data.get("description", "")),
        "departments": parse_list(data.get("departments")), "categories": parse_list(data.get("categories")),
        "attributes": parse_list(data.get("attributes")), "is_active": parse_flag(data.get("is_active"), missing=True),
        "is_archived": parse_flag(data.get("is_archived"), missing=False),
        "is_expirable": parse_flag(data.get("is_expirable"), missing=False),
        "is_physical": parse_flag(data.get("is_physical"), missing=True), "logo": str(data.get("logo", "")),
    }


def serialize_attribute(slug: str, entry: ReferenceEntry) -> Words:
    """An attribute as its category asks for it."""
    data = entry.data
    bounds = {"min": data.get("minimum"), "max": data.get("maximum")}
    schema = {
        "type": TYPES.get(str(data.get("type", "")).casefold(), "str"),
        "mandatory": parse_flag(data.get("required"), missing=False), "multi": parse_flag(data.get("multi"),
        missing=False),
        "allowed_values": parse_list(data.get("allowed")), "format": str(data.get("format", "")),
        "range": {name: bound for name, bound in bounds.items() if bound is not None},
    }
    return {
        "name": entry.name or slug, "slug": slug, "description": str(data.get("description", "")),
        "departments": parse_list(data.get("departments")), "unit": str(data.get("unit", "")),
        "variant": parse_flag(data.get("variant"), missing=False), "is_nested": False,
        "enabled_for_end_consumer": parse_flag(data.get("enabled_for_end_consumer"), missing=True),
        "details": {"display_type": "text"}, "filters": {"indexing": parse_flag(data.get("indexing"), missing=False)},
        "schema": schema,
    }


def serialize_hs_code(entry: ReferenceEntry, company: int) -> Words:
    """An HS or SAC code."""
    return {
        **_more(entry), "_id": entry.code, "hs_code": entry.code, "description": entry.name,
        "type": str(entry.data.get("type", "HS")), "country_iso": str(entry.data.get("country_iso", "IN")),
        "company_id": company,
    }


def serialize_tax_rule(entry: ReferenceEntry, company: int) -> Words:
    """A tax rule with its versions; one that says only its rate has one version, of one slab."""
    data = entry.data
    rule = {
        "_id": entry.code, "name": entry.name or entry.code, "description": str(data.get("description", "")),
        "is_default": parse_flag(data.get("is_default"), missing=False), "company_id": company,
        "status": str(data.get("status", "ACTIVE")),
    }
    told = data.get("versions")
    listed = told if isinstance(told, list) else [{"components": [
        {"name": str(data.get("component", "GST")), "slabs": [{"value": 0, "rate": _rate(data.get("rate"))}]}
    ]}]
    versions = [
        {
            "_id": f"{entry.code}-{at}", "rule_id": entry.code, "applicable_date": "", "company_id": company,
            "status": "ACTIVE", "version_status": "CURRENT", "scope": "COUNTRY", "components": [],
            **(version if isinstance(version, dict) else {}),
        }
        for at, version in enumerate(listed, 1)
    ]
    return {"rule": rule, "versions": versions}


def _rate(value: object) -> float:
    try:
        return float(str(value)) if value not in (None, "") else 0.0
    except ValueError:
        return 0.0
