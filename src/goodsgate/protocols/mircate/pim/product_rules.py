"""Rules for products by their merchant's configuration: families, attributes, variants, groups, categories.

The rules are pure. Inputs are a record and the items that it refers to; outputs are issues with the published texts,
the record to store, and its index entries. All issues are reported, the first being the one that the ancestor would
have thrown.
"""

from collections.abc import Generator, Iterator
from hashlib import blake2b
from typing import Any

from goodsgate.model.catalogue import IndexEntry, Resource
from goodsgate.model.issue import Issue, issue
from goodsgate.model.json_text import is_number
from goodsgate.protocols.mircate.pim.configuration import (
    SELECTS,
    FamilyVariant,
    PimConfiguration,
    ProductAttribute,
    ProductFamily,
    decode,
)
from goodsgate.protocols.mircate.pim.unpublished import NO_PARENT, RESOURCE_TYPE, TYPE_FIXED
from goodsgate.protocols.mircate.pim.values import (
    check_options,
    check_values,
    js_text,
    missing_channels,
    unique_value,
)
from goodsgate.rules.merchant_rules import CatalogueLookup, Record, RuleInputs, RuleResult

MODEL, PRODUCT = "PRODUCT_MODEL", "PRODUCT"
COMPILED_MAX = 256
"""Merchants whose compiled rules are cached."""
INDEX_VALUE_CHARACTERS_MAX = 200
CODE = "bylaw_broken"


class PimRules:
    """Compiler of a merchant's configuration; keeps the result while the configuration stays the same."""

    resource_type = RESOURCE_TYPE

    def __init__(self) -> None:
        self._compiled: dict[str, tuple[bytes, ProductRules]] = {}

    def compile(self, merchant: str, resource: Resource | None) -> "ProductRules":
        """Return the merchant's compiled rules."""
        body = resource.body if resource is not None else b"{}"
        cached = self._compiled.pop(merchant, None)
        if cached is None or cached[0] != body:
            cached = (body, ProductRules(decode(body)))
        self._compiled[merchant] = cached
        if len(self._compiled) > COMPILED_MAX:
            del self._compiled[next(iter(self._compiled))]
        return cached[1]


class ProductRules:
    """Rules for the products of one merchant."""

    def __init__(self, configuration: PimConfiguration) -> None:
        self._configuration = configuration

    def inputs_for(self, key: str, record: Record, current: Record | None) -> RuleInputs:
        """Ask for its model, its children, and the owners of its unique values and axes."""
        whole = {**(current or {}), **record}
        parent = whole.get("parent")
        index_entries = [("parent", key), *self._unique_entries(_attribute_entries(_data(record)))]
        if isinstance(parent, str):
            index_entries.append(axes_entry(parent, whole.get("axesValues")))
        return RuleInputs([parent] if isinstance(parent, str) else [], index_entries)

    def check_deletion(self, key: str, lookup: CatalogueLookup) -> list[Issue]:
        """Refuse to delete a model that has variants."""
        if not lookup.owners(("parent", key)):
            return []
        return [_issue("/id", "You can not delete! This product model have a product(s).")]

    def check(self, key: str, record: Record, lookup: CatalogueLookup) -> RuleResult:
        """Check a record that matches its schema."""
        current = lookup.document(key)
        whole = {name: value for name, value in record.items() if value is not None}
        data = {name: value for name, value in whole["data"].items() if value is not None}
        whole["data"] = data
        if current is not None and current["dataType"] != whole["dataType"]:
            return RuleResult([_issue("/dataType", TYPE_FIXED)], [])
        if whole["dataType"] == MODEL:
            whole.pop("parent", None)
            whole.pop("axesValues", None)
        check = _ProductCheck(self._configuration, lookup, key, whole)
        issues = [*check.issues()]
        if issues:
            return RuleResult(issues, [])
        complete_product(data, self._configuration.family[data["family"]], self._configuration, variant=check.variant)
        return RuleResult([], self._index_entries(key, whole), whole)

    def _unique_entries(self, attributes: list[dict[str, Any]]) -> list[IndexEntry]:
        index_entries = []
        for entry in attributes:
            attribute = self._configuration.attribute.get(str(entry.get("code")))
            if attribute is not None and attribute.is_unique:
                value, _ = unique_value([datum for datum in _list(entry.get("data")) if isinstance(datum, dict)])
                if value is not None:
                    index_entries.append(unique_entry(attribute.code, value))
        return index_entries

    def _index_entries(self, key: str, record: Record) -> list[IndexEntry]:
        """Return the entries by which the product is listed, and those that keep values unique."""
        data = record["data"]
        parent = record.get("parent")
        label = product_label(key, data, self._configuration.family.get(data["family"]))
        index_entries = [
            ("id", key), ("text", key.casefold()), ("type", record["dataType"]), ("family", data["family"]),
            ("enabled", str(data["enabled"]).lower()), ("is_variant", str(parent is not None).lower()),
            ("label", _cut(js_text(label))), *(("group", group) for group in dict.fromkeys(data.get("groups", ()))),
            *self._unique_entries(_attribute_entries(data)),
        ]
        if "variant" in data:
            index_entries.append(("variant", data["variant"]))
        if parent is not None:
            index_entries += [("parent", parent), axes_entry(parent, record.get("axesValues"))]
        return index_entries


class _ProductCheck:
    """The check of one product."""

    def __init__(self, configuration: PimConfiguration, lookup: CatalogueLookup, key: str, record: Record) -> None:
        self._configuration = configuration
        self._lookup = lookup
        self._key = key
        self._record = record
        self._data: Record = record["data"]
        self.variant: FamilyVariant | None = None
        """The variant definition of the model, if the product is a variant."""

    def issues(self) -> Iterator[Issue]:
        """Yield all issues in the ancestor's order."""
        family = yield from self._check_family()
        if family is None:
            return
        if "attributes" in self._data:
            yield from self._attribute_entries(family)
        if self._record["dataType"] == PRODUCT:
            for at, group in enumerate(self._data.get("groups", ())):
                if group not in self._configuration.group_codes:
                    yield _issue(f"/data/groups/{at}", f"Group not found! ({group})")
        for at, category in enumerate(self._data.get("categories", ())):
            if category not in self._configuration.category_names:
                yield _issue(f"/data/categories/{at}", f"Category not found! ({category})")
        if self.variant is not None:
            yield from self._axes(self.variant)

    def _check_family(self) -> Generator[Issue, None, ProductFamily | None]:
        """Check the family of the product or of its model, and return it if there is one."""
        if "parent" in self._record:
            return (yield from self._inherited_family())
        family = self._configuration.family.get(self._data.get("family", ""))
        if family is None:
            yield _issue("/data/family", "Product family not found!")
            return None
        if self._record["dataType"] == MODEL and family.variant(self._data.get("variant")) is None:
            yield _issue("/data/variant", "Product family variant not found!")
            return None
        return family

    def _inherited_family(self) -> Generator[Issue, None, ProductFamily | None]:
        model = self._lookup.document(self._record["parent"]) if self._record["parent"] != self._key else None
        if model is None or model["dataType"] != MODEL:
            yield _issue("/parent", NO_PARENT)
            return None
        family = self._configuration.family.get(model["data"]["family"])
        if family is None:
            yield _issue("/parent", "Parent product family not found!")
            return None
        self.variant = family.variant(model["data"]["variant"])
        if self.variant is None:
            yield _issue("/parent", "Parent product family variant not found!")
            return None
        self._data["family"] = family.code
        return family

    def _attribute_entries(self, family: ProductFamily) -> Iterator[Issue]:
        entries = {entry["code"]: (at, entry) for at, entry in reversed([*enumerate(self._data["attributes"])])}
        codes = [entry["code"] for entry in self._data["attributes"]]
        for code in dict.fromkeys(code for code in codes if codes.count(code) > 1) if len(entries) < len(codes) else ():
            yield _issue("/data/attributes", f"Duplicated attribute detected! ({code})")
        yield from self._check_variant_attributes(entries)
        own = own_attributes(family, self.variant, self._data.get("variant"))
        for required in family.attributes:
            attribute = self._configuration.attribute.get(required.attribute)
            if attribute is None:
                text = f"Attribute property not found! ({required.attribute})"
                yield _issue("/data/attributes", text)
                continue
            at, entry = entries.get(attribute.code, (None, {}))
            data = _list(entry.get("data"))
            if attribute.code in own:
                for text in missing_channels(attribute.code, required.required_channels, data):
                    yield _issue("/data/attributes" if at is None else f"/data/attributes/{at}", text)
            if at is not None:
                yield from self._values(attribute, data, f"/data/attributes/{at}")
        yield from self._unique(entries)

    def _check_variant_attributes(self, entries: dict[str, Any]) -> Iterator[Issue]:
        """Refuse attributes that are an axis of the variant or belong to its model."""
        if self.variant is None:
            return
        for code, (at, _) in sorted(entries.items(), key=lambda entry: int(entry[1][0])):
            if code in self.variant.axes:
                yield _issue(f"/data/attributes/{at}", f"You can not edit an axe in the attributes! ({code})")
            elif code not in self.variant.attributes:
                text = f"You can not edit common attributes in a variant! ({code})"
                yield _issue(f"/data/attributes/{at}", text)

    def _values(self, attribute: ProductAttribute, data: list[dict[str, Any]], path: str) -> Iterator[Issue]:
        for below, text in check_values(attribute, data):
            yield _issue(f"{path}{below}", text)
        if attribute.type in SELECTS:
            options = self._configuration.options.get(attribute.code, frozenset())
            for at, datum in enumerate(data):
                if datum.get("value") not in (None, ""):
                    for text in check_options(attribute, datum["value"], options):
                        yield _issue(f"{path}/data/{at}/value", text)

    def _unique(self, entries: dict[str, Any]) -> Iterator[Issue]:
        for code, (at, entry) in sorted(entries.items(), key=lambda entry: int(entry[1][0])):
            attribute = self._configuration.attribute.get(code)
            if attribute is None:
                yield _issue(f"/data/attributes/{at}", f"Attribute property not found! ({code})")
            elif attribute.is_unique:
                value, text = unique_value(_list(entry.get("data")))
                if value is not None and self._lookup.owners(unique_entry(code, value)) - {self._key}:
                    text = "This unique attribute value already taken!"
                if text is not None:
                    yield _issue(f"/data/attributes/{at}/data/0/value", text)

    def _axes(self, variant: FamilyVariant) -> Iterator[Issue]:
        values = {entry["axe"]: entry["value"] for entry in self._record.get("axesValues", ())}
        for axe in variant.axes:
            if values.get(axe) in (None, ""):
                yield _issue("/axesValues", f"Axe value required! ({axe})")
        for at, entry in enumerate(self._record.get("axesValues", ())):
            axe = entry["axe"]
            attribute = self._configuration.attribute.get(axe)
            if axe not in variant.axes:
                yield _issue(f"/axesValues/{at}/axe", f"Unsupported axe! ({axe})")
            elif attribute is None:
                yield _issue(f"/axesValues/{at}/axe", "Axe attribute property not found!")
            elif attribute.type == "SIMPLESELECT" and values[axe] not in self._configuration.options.get(axe, ()):
                yield _issue(f"/axesValues/{at}/value", "Invalid axe value!")
        if self._lookup.owners(axes_entry(self._record["parent"], self._record.get("axesValues"))) - {self._key}:
            yield _issue("/axesValues", "These axes are already in use!")


def own_attributes(family: ProductFamily, variant: FamilyVariant | None, model: str | None) -> set[str]:
    """Return the attributes a product has itself: a variant those left to it, a model the others."""
    if variant is not None:
        return set(variant.attributes)
    own = {required.attribute for required in family.attributes}
    varying = family.variant(model)
    return own if varying is None else own - {*varying.axes, *varying.attributes}


def complete_product(data: Record, family: ProductFamily, configuration: PimConfiguration, *,
                     variant: FamilyVariant | None) -> None:
    """Remove attributes that the family does not have, and fill in defaults."""
    data["enabled"] = data.get("enabled", False)
    own = own_attributes(family, variant, data.get("variant"))
    allowed = {required.attribute for required in family.attributes} if variant is None else own
    entries = [entry for entry in data.get("attributes", ()) if entry["code"] in allowed]
    present = {entry["code"] for entry in entries}
    for code in (required.attribute for required in family.attributes):
        attribute = configuration.attribute.get(code)
        if attribute is not None and attribute.type == "BOOLEAN" and code in own and code not in present:
            entries.append({"code": code, "data": [*_default_values(attribute, configuration)]})
    if entries or "attributes" in data:
        data["attributes"] = entries


def _default_values(attribute: ProductAttribute, configuration: PimConfiguration) -> Iterator[dict[str, Any]]:
    """Yield the default value for each scope and locale of the attribute."""
    value = attribute.default_value
    scopes: list[tuple[str | None, list[str]]] = [(None, configuration.enabled_locales)]
    if attribute.scopable:
        scopes = [(channel.code, channel.locales) for channel in configuration.channels]
    for scope, locales in scopes:
        place = {} if scope is None else {"scope": scope}
        if not attribute.localizable:
            yield {**place, "value": value}
            continue
        for locale in locales:
            if not attribute.is_locale_specific or locale in attribute.available_locales:
                yield {**place, "locale": locale, "value": value}


def product_label(key: str, data: Record, family: ProductFamily | None) -> object:
    """Return the first value of the family's label attribute, or the id."""
    code = family.attribute_as_label if family is not None else None
    entry = next((entry for entry in _attribute_entries(data) if entry.get("code") == code), None)
    values = [datum.get("value") for datum in _list((entry or {}).get("data"))]
    label = next((value for value in values if value not in (None, "")), None)
    return label if isinstance(label, str) or is_number(label) else key


def unique_entry(code: str, value: str) -> IndexEntry:
    """Return the index entry of a unique value."""
    return ("unique", _short(f"{code}={value}"))


def axes_entry(parent: str, axes: object) -> IndexEntry:
    """Return the index entry of a variant's axes within its model."""
    values = [(str(entry.get("axe")), js_text(entry.get("value"))) for entry in _list(axes) if isinstance(entry, dict)]
    return ("axes", _short(f"{parent}|" + "|".join(f"{axe}={value}" for axe, value in sorted(values))))


def _short(text: str) -> str:
    """Return the text, or a hash of a text that is long or that a database rejects."""
    if len(text) <= INDEX_VALUE_CHARACTERS_MAX and "\0" not in text:
        return text
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=24).hexdigest()


def _cut(text: str) -> str:
    return text.replace("\0", "")[:INDEX_VALUE_CHARACTERS_MAX]


def _issue(path: str, text: str) -> Issue:
    return issue(CODE, path, expected=text)


def _data(record: Record) -> Record:
    data = record.get("data")
    return data if isinstance(data, dict) else {}


def _attribute_entries(data: Record) -> list[dict[str, Any]]:
    return [entry for entry in _list(data.get("attributes")) if isinstance(entry, dict)]


def _list(value: object) -> list[Any]:
    return [entry for entry in value if entry is not None] if isinstance(value, list) else []
