"""The configuration of a merchant of shirts, and products of it."""

from typing import Any

import msgspec

from goodsgate.protocols.mircate.pim.configuration import PimConfiguration

ATTRIBUTES: list[dict[str, Any]] = [
    {"code": "sku", "type": "IDENTIFIER", "group": "other", "isUnique": True, "maxCharacters": 255},
    {"code": "title", "type": "TEXT", "group": "other", "maxCharacters": 10},
    {"code": "blurb", "type": "TEXTAREA", "group": "other", "scopable": True},
    {"code": "serial", "type": "TEXT", "group": "other", "isUnique": True},
    {"code": "colour", "type": "SIMPLESELECT", "group": "other"},
    {"code": "size", "type": "TEXT", "group": "other"},
    {"code": "washable", "type": "BOOLEAN", "group": "other", "defaultValue": True},
    {"code": "photo", "type": "IMAGE", "group": "other", "allowedExtensions": ["png", "jpg", "webp"],
     "maxFileSizeInMB": 1},
    {"code": "photos", "type": "IMAGE_LIST", "group": "other", "maxFileSizeInMB": 5},
    {"code": "odd", "type": "TEXT", "group": "other"},
]
OPTIONS = [{"code": "colour", "options": [{"code": "red", "label": []}, {"code": "blue", "label": []}]}]
WAYS = [{"code": "by_colour", "label": [], "axes": ["colour", "size"], "attributes": ["serial"]}]
CATEGORIES: list[dict[str, Any]] = [
    {"code": "masterCatalog", "subCategories": [{"code": "shirts"}, {"code": "sale"}]},
    {"code": "outlet", "subCategories": [{"code": "sale"}]},
]


def family(required: dict[str, list[str]] | None = None) -> dict[str, Any]:
    """Return the family of shirts, with all attributes but the odd one."""
    attributes = [
        {"attribute": one["code"], "requiredChannels": (required or {}).get(one["code"], [])}
        for one in ATTRIBUTES if one["code"] != "odd"
    ]
    return {"code": "shirts", "label": [], "attributeAsLabel": "title", "attributes": attributes, "variants": WAYS}


def configuration(required: dict[str, list[str]] | None = None) -> PimConfiguration:
    """Return the configuration; `required` maps attributes to channels."""
    return msgspec.convert({
        "attributes": ATTRIBUTES, "attributeOptions": OPTIONS, "families": [family(required)],
        "groups": [{"code": "summer", "type": "season", "label": []}], "categories": CATEGORIES,
    }, PimConfiguration)


SHIRTS = configuration()


def product(sku: str, *, family: str = "shirts", status: str = "DRAFT", groups: list[str] | None = None,
            categories: list[str] | None = None, **attributes: Any) -> dict[str, Any]:
    """Return a product as a record: that of a request with its id."""
    data: dict[str, Any] = {"sku": sku, "family": family, "status": status}
    if groups is not None:
        data["groups"] = groups
    if categories is not None:
        data["categories"] = categories
    if attributes:
        data["attributes"] = [{"code": code, "data": [{"value": value}]} for code, value in attributes.items()]
    return {"id": sku, "dataType": "PRODUCT", "data": data}


def model(code: str, *, way: str = "by_colour") -> dict[str, Any]:
    """Return a model of shirts."""
    data = {"code": code, "family": "shirts", "variant": way, "status": "DRAFT"}
    return {"id": code, "dataType": "PRODUCT_MODEL", "data": data}


def variant(sku: str, parent: str, *, colour: str = "red", size: str = "M", family: str = "shirts") -> dict[str, Any]:
    """Return a variant of a model."""
    axes = [{"axe": "colour", "value": colour}, {"axe": "size", "value": size}]
    return {**product(sku, family=family), "parent": parent, "axesValues": axes}
