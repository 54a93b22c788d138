"""Serializers of reference data; member names come from the platform's open SDK."""

import re

from goodsgate.model.catalogue import ReferenceEntry
from goodsgate.protocols.konnect.reference_data import CATEGORY_LEVELS, CategoryTree
from goodsgate.protocols.konnect.responses import JsonObject

_NOT_SLUG = re.compile(r"[^a-z0-9]+")
ATTRIBUTE_TYPES = {"integer": "int", "int": "int", "number": "float", "boolean": "bool"}
"""Type of an attribute → its name here; every other type is ``str``."""


def entry_slug(entry: ReferenceEntry) -> str:
    """Return the slug that the entry states, else one derived from its name."""
    slug = entry.data.get("slug")
    return str(slug) if slug else _NOT_SLUG.sub("-", (entry.name or entry.code).lower()).strip("-")


def parse_flag(value: object, *, default: bool) -> bool:
    """Return a boolean, also from the text of a table cell; `default` for an empty one."""
    if value is None or value == "":
        return default
    return value if isinstance(value, bool) else str(value).strip().casefold() in ("true", "yes", "1", "y")


def parse_list(value: object) -> list[str]:
    """Return a list of texts, also from a table cell with values separated by bars."""
    if isinstance(value, list):
        return [str(item) for item in value]
    return [part.strip() for part in str(value).split("|") if part.strip()] if value not in (None, "") else []


def _extra_members(entry: ReferenceEntry, *known: str) -> JsonObject:
    """Return the members of the entry that are not in `known`."""
    return {name: value for name, value in entry.data.items() if name not in known}


def serialize_department(entry: ReferenceEntry) -> JsonObject:
    """Return a department."""
    return {
        **_extra_members(entry), "id": entry.number, "uid": entry.number, "name": entry.name or entry.code,
        "slug": entry_slug(entry), "is_active": parse_flag(entry.data.get("is_active"), default=True),
        "description": str(entry.data.get("description", "")), "logo": str(entry.data.get("logo", "")),
        "synonyms": parse_list(entry.data.get("synonyms")),
    }


def serialize_category(entry: ReferenceEntry, tree: CategoryTree) -> JsonObject:
    """Return a category of any level."""
    level, ancestry, departments = tree.level(entry), tree.ancestry(entry), tree.departments(entry)
    hierarchy = []
    if level == CATEGORY_LEVELS and len(ancestry) >= CATEGORY_LEVELS:
        l1, l2 = ancestry[-3].number, ancestry[-2].number
        hierarchy = [{"department": department, "l1": l1, "l2": l2} for department in departments]
    return {
        **_extra_members(entry, "department"),
        "uid": entry.number, "id": str(entry.number), "name": entry.name or entry.code, "slug": entry_slug(entry),
        "level": level, "departments": departments, "hierarchy": hierarchy,
        "is_active": parse_flag(entry.data.get("is_active"), default=True), "media": entry.data.get("media", {}),
        "priority": entry.data.get("priority", 0), "synonyms": parse_list(entry.data.get("synonyms")),
        "tryouts": parse_list(entry.data.get("tryouts")), "marketplaces": entry.data.get("marketplaces", {}),
    }


def serialize_brand(entry: ReferenceEntry) -> JsonObject:
    """Return a brand, with its number under each name that a client may read."""
    name = entry.name or entry.code
    return {
        **_extra_members(entry), "uid": entry.number, "brand_uid": entry.number, "id": entry.number, "name": name,
        "brand_name": name, "slug": entry_slug(entry), "logo": str(entry.data.get("logo", "")),
        "is_active": parse_flag(entry.data.get("is_active"), default=True),
    }


def serialize_template(entry: ReferenceEntry) -> JsonObject:
    """Return a template; its slug is the ``template`` of product writes."""
    data = entry.data
    return {
        **_extra_members(entry), "id": str(entry.number), "slug": entry.code, "name": entry.name or entry.code,
        "tag": str(data.get("tag", "")), "description": str(data.get("description", "")),
        "departments": parse_list(data.get("departments")), "categories": parse_list(data.get("categories")),
        "attributes": parse_list(data.get("attributes")), "is_active": parse_flag(data.get("is_active"), default=True),
        "is_archived": parse_flag(data.get("is_archived"), default=False),
        "is_expirable": parse_flag(data.get("is_expirable"), default=False),
        "is_physical": parse_flag(data.get("is_physical"), default=True), "logo": str(data.get("logo", "")),
    }


def serialize_attribute(slug: str, entry: ReferenceEntry) -> JsonObject:
    """Return an attribute of a category."""
    data = entry.data
    bounds = {"min": data.get("minimum"), "max": data.get("maximum")}
    schema = {
        "type": ATTRIBUTE_TYPES.get(str(data.get("type", "")).casefold(), "str"),
        "mandatory": parse_flag(data.get("required"), default=False),
        "multi": parse_flag(data.get("multi"), default=False),
        "allowed_values": parse_list(data.get("allowed")), "format": str(data.get("format", "")),
        "range": {name: bound for name, bound in bounds.items() if bound is not None},
    }
    return {
        "name": entry.name or slug, "slug": slug, "description": str(data.get("description", "")),
        "departments": parse_list(data.get("departments")), "unit": str(data.get("unit", "")),
        "variant": parse_flag(data.get("variant"), default=False), "is_nested": False,
        "enabled_for_end_consumer": parse_flag(data.get("enabled_for_end_consumer"), default=True),
        "details": {"display_type": "text"}, "filters": {"indexing": parse_flag(data.get("indexing"), default=False)},
        "schema": schema,
    }


def serialize_hs_code(entry: ReferenceEntry, company: int) -> JsonObject:
    """Return an HS or SAC code."""
    return {
        **_extra_members(entry), "_id": entry.code, "hs_code": entry.code, "description": entry.name,
        "type": str(entry.data.get("type", "HS")), "country_iso": str(entry.data.get("country_iso", "IN")),
        "company_id": company,
    }


def serialize_tax_rule(entry: ReferenceEntry, company: int) -> JsonObject:
    """Return a tax rule with its versions; a rule that states only a rate has one version with one slab."""
    data = entry.data
    rule = {
        "_id": entry.code, "name": entry.name or entry.code, "description": str(data.get("description", "")),
        "is_default": parse_flag(data.get("is_default"), default=False), "company_id": company,
        "status": str(data.get("status", "ACTIVE")),
    }
    stated = data.get("versions")
    versions = stated if isinstance(stated, list) else [{"components": [
        {"name": str(data.get("component", "GST")), "slabs": [{"value": 0, "rate": _parse_rate(data.get("rate"))}]}
    ]}]
    serialized = [
        {
            "_id": f"{entry.code}-{number}", "rule_id": entry.code, "applicable_date": "", "company_id": company,
            "status": "ACTIVE", "version_status": "CURRENT", "scope": "COUNTRY", "components": [],
            **(version if isinstance(version, dict) else {}),
        }
        for number, version in enumerate(versions, 1)
    ]
    return {"rule": rule, "versions": serialized}


def _parse_rate(value: object) -> float:
    try:
        return float(str(value)) if value not in (None, "") else 0.0
    except ValueError:
        return 0.0
