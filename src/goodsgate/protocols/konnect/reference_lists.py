"""The seven reads of reference data: entries filtered, counted and serialized, a page at a time."""

from collections.abc import Callable
from typing import Any

from starlette.responses import Response

from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import ApiRequest, Handler
from goodsgate.model.catalogue import ReferenceEntry
from goodsgate.protocols.konnect.reference_data import CATEGORY_LEVELS, CategoryTree, ReferenceCache
from goodsgate.protocols.konnect.reference_serializers import (
    entry_slug,
    parse_flag,
    parse_list,
    serialize_attribute,
    serialize_brand,
    serialize_category,
    serialize_department,
    serialize_hs_code,
    serialize_tax_rule,
    serialize_template,
)
from goodsgate.protocols.konnect.responses import json_response
from goodsgate.protocols.konnect.unpublished import company_id

EntryFilter = Callable[[ReferenceEntry], bool]
EntrySerializer = Callable[[ReferenceEntry], dict[str, Any]]


class ReferenceListHandlers:
    """Handlers of the reads that reference data answers."""

    def __init__(self, context: ServerContext, reference: ReferenceCache) -> None:
        self._context = context
        self._reference = reference

    def handlers(self) -> dict[str, Handler]:
        """Return the handlers by operation id."""
        return {
            "departments": self.departments, "category": self.category, "company_brand": self.company_brand,
            "template": self.template, "product_attributes": self.product_attributes, "hscodes": self.hscodes,
            "tax_rules": self.tax_rules,
        }

    async def departments(self, request: ApiRequest) -> Response:
        """Handle GET /v3/catalog/departments."""
        name, slug, active = _folded(request.query["name"]), request.query["slug"], request.query["is_active"]

        def matches(entry: ReferenceEntry) -> bool:
            return (
                name in entry.name.casefold() and slug in (None, entry_slug(entry))
                and active in (None, parse_flag(entry.data.get("is_active"), default=True))
            )

        return await self._list(request, "department", matches, serialize_department)

    async def category(self, request: ApiRequest) -> Response:
        """Handle GET /v3/catalog/category."""
        tree = await self._category_tree(request.merchant)
        query = request.query

        def matches(entry: ReferenceEntry) -> bool:
            level = tree.level(entry)
            return (
                query["slug"] in (None, entry_slug(entry)) and query["level"] in (None, level)
                and (query["department"] is None or query["department"] in tree.departments(entry))
                and (query["cat3_id"] is None or (entry.number in query["cat3_id"] and level == CATEGORY_LEVELS))
            )

        return await self._list(request, "category", matches, lambda entry: serialize_category(entry, tree))

    async def company_brand(self, request: ApiRequest) -> Response:
        """Handle GET /v3/catalog/company-brand."""
        name = _folded(request.query["brand_name"])
        return await self._list(
            request, "brand", lambda entry: name in (entry.name or entry.code).casefold(), serialize_brand
        )

    async def template(self, request: ApiRequest) -> Response:
        """Handle GET /v3/catalog/product/template."""
        department = request.query["department"]
        return await self._list(
            request, "template",
            lambda entry: department is None or department in parse_list(entry.data.get("departments")),
            serialize_template,
        )

    async def product_attributes(self, request: ApiRequest) -> Response:
        """Handle GET /v3/catalog/product-attributes."""
        tree = await self._category_tree(request.merchant)
        entries = await self._context.run_in_thread(self._reference.all, request.merchant, "attribute")
        attributes = tree.attributes(request.query["category"], entries)
        return json_response({"items": [serialize_attribute(name, entry) for name, entry in attributes.items()]})

    async def hscodes(self, request: ApiRequest) -> Response:
        """Handle GET /v3/catalog/taxes/hscodes."""
        search, type = _folded(request.query["search"]), request.query["type"]

        def matches(entry: ReferenceEntry) -> bool:
            text = f"{entry.code}\n{entry.name}".casefold()
            return search in text and type in (None, str(entry.data.get("type", "HS")))

        company = company_id(request.caller)
        return await self._list(request, "hs_code", matches, lambda entry: serialize_hs_code(entry, company))

    async def tax_rules(self, request: ApiRequest) -> Response:
        """Handle GET /v3/catalog/taxes/rules."""
        name = _folded(request.query["rule_name"])
        status, version = request.query["status"], request.query["version_status"]
        company = company_id(request.caller)

        def matches(entry: ReferenceEntry) -> bool:
            document = serialize_tax_rule(entry, company)
            rule, versions = document["rule"], document["versions"]
            return (
                name in rule["name"].casefold() and status in (None, rule["status"])
                and (version is None or any(each["version_status"] == version for each in versions))
            )

        return await self._list(request, "tax_rule", matches, lambda entry: serialize_tax_rule(entry, company))

    async def _category_tree(self, merchant: str) -> CategoryTree:
        categories = await self._context.run_in_thread(self._reference.all, merchant, "category")
        departments = await self._context.run_in_thread(self._reference.all, merchant, "department")
        return CategoryTree(categories, departments)

    async def _list(self, request: ApiRequest, kind: str, matches: EntryFilter, serialize: EntrySerializer) -> Response:
        number, size = int(request.query["page_number"]), int(request.query["page_size"])

        def page() -> dict[str, Any]:
            entries = [entry for entry in self._reference.all(request.merchant, kind) if matches(entry)]
            rows = entries[(number - 1) * size : number * size]
            return {
                "items": [serialize(entry) for entry in rows], "page_number": number, "page_size": size,
                "total": len(entries),
            }

        return json_response(await self._context.run_in_thread(page))


def _folded(text: str | None) -> str:
    return text.casefold() if text else ""
