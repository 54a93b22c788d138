"""Products held to what their merchant has settled: families, attributes, variants, groups, categories.

Pure: a record and what is held beside it go in, issues in the published words, the record as it is to be held, and the
marks by which it is found come out. Every issue is told, the one first that the ancestor would have thrown.
"""

from collections.abc import Generator, Iterator
from hashlib import blake2b
from typing import Any

from goodsgate.model.catalogue import IndexEntry, Resource
from goodsgate.model.issue import Issue, issue
from goodsgate.protocols.mircate.pim.guesses import NO_PARENT, SORT, TYPE_FIXED
from goodsgate.protocols.mircate.pim.settled import SELECTS, Attribute, Family, Settled, Variant, decode
from goodsgate.protocols.mircate.pim.values import (
    illegal_options,
    is_number,
    required_in,
    shown,
    unique_value,
    wrong_with,
)
from goodsgate.rules.merchant_rules import CatalogueLookup, Record, RuleInputs, RuleResult

MODEL, PRODUCT = "PRODUCT_MODEL", "PRODUCT"
COMPILED_MAX = 256
"""Merchants whose rules are kept compiled."""
MARK_CHARACTERS_MAX = 200
CODE = "bylaw_broken"


class PimRules:
    """Compiler of a merchant's configuration; keeps the result while the configuration stays the same."""

    resource_type = SORT

    def __init__(self) -> None:
        self._compiled: dict[str, tuple[bytes, ProductRules]] = {}

    def compile(self, merchant: str, resource: Resource | None) -> "ProductRules":
        """Return the merchant's compiled rules."""
        body = resource.body if resource is not None else b"{}"
        known = self._compiled.pop(merchant, None)
        if known is None or known[0] != body:
            known = (body, ProductRules(decode(body)))
        self._compiled[merchant] = known
        if len(self._compiled) > COMPILED_MAX:
            del self._compiled[next(iter(self._compiled))]
        return known[1]


class ProductRules:
    """Rules for the products of one merchant."""

    def __init__(self, settled: Settled) -> None:
        self._settled = settled

    def inputs_for(self, key: str, record: Record, current: Record | None) -> RuleInputs:
        """Its model, its children, and whoever has its unique values and its place among the variants."""
        whole = {**(current or {}), **record}
        parent = whole.get("parent")
        marks = [("parent", key), *self._unique_marks(_attributes(_data(record)))]
        if isinstance(parent, str):
            marks.append(axes_mark(parent, whole.get("axesValues")))
        return RuleInputs([parent] if isinstance(parent, str) else [], marks)

    def check_deletion(self, key: str, lookup: CatalogueLookup) -> list[Issue]:
        """A model stays while it has variants."""
        if not lookup.owners(("parent", key)):
            return []
        return [_broken("/id", "You can not delete! This product model have a product(s).")]

    def check(self, key: str, record: Record, lookup: CatalogueLookup) -> RuleResult:
        """The record is one that keeps its schema."""
        held = lookup.document(key)
        whole = {name: value for name, value in record.items() if value is not None}
        data = {name: value for name, value in whole["data"].items() if value is not None}
        whole["data"] = data
        if held is not None and held["dataType"] != whole["dataType"]:
            return RuleResult([_broken("/dataType", TYPE_FIXED)], [])
        if whole["dataType"] == MODEL:
            whole.pop("parent", None)
            whole.pop("axesValues", None)
        judging = _Judging(self._settled, lookup, key, whole)
        issues = [*judging.issues()]
        if issues:
            return RuleResult(issues, [])
        completed(data, self._settled.family[data["family"]], self._settled, variant=judging.variant)
        return RuleResult([], self._marks(key, whole), whole)

    def _unique_marks(self, attributes: list[dict[str, Any]]) -> list[IndexEntry]:
        marks = []
        for entry in attributes:
            attribute = self._settled.attribute.get(str(entry.get("code")))
            if attribute is not None and attribute.is_unique:
                value, _ = unique_value([datum for datum in _list(entry.get("data")) if isinstance(datum, dict)])
                if value is not None:
                    marks.append(unique_mark(attribute.code, value))
        return marks

    def _marks(self, key: str, record: Record) -> list[IndexEntry]:
        """By which it is listed, and by which it is kept from doing what others do."""
        data = record["data"]
        parent = record.get("parent")
        label = label_of(key, data, self._settled.family.get(data["family"]))
        marks = [
            ("id", key), ("text", key.casefold()), ("type", record["dataType"]), ("family", data["family"]),
            ("enabled", str(data["enabled"]).lower()), ("is_variant", str(parent is not None).lower()),
            ("label", _cut(shown(label))), *(("group", group) for group in dict.fromkeys(data.get("groups", ()))),
            *self._unique_marks(_attributes(data)),
        ]
        if "variant" in data:
            marks.append(("variant", data["variant"]))
        if parent is not None:
            marks += [("parent", parent), axes_mark(parent, record.get("axesValues"))]
        return marks


class _Judging:
    """One product."""

    def __init__(self, settled: Settled, lookup: CatalogueLookup, key: str, record: Record) -> None:
        self._settled = settled
        self._lookup = lookup
        self._key = key
        self._record = record
        self._data: Record = record["data"]
        self.variant: Variant | None = None
        """How its model's products vary, of a variant."""

    def issues(self) -> Iterator[Issue]:
        """All, in the ancestor's order."""
        family = yield from self._family()
        if family is None:
            return
        if "attributes" in self._data:
            yield from self._attributes(family)
        if self._record["dataType"] == PRODUCT:
            for at, group in enumerate(self._data.get("groups", ())):
                if group not in self._settled.group_codes:
                    yield _broken(f"/data/groups/{at}", f"Group not found! ({group})")
        for at, category in enumerate(self._data.get("categories", ())):
            if category not in self._settled.category_names:
                yield _broken(f"/data/categories/{at}", f"Category not found! ({category})")
        if self.variant is not None:
            yield from self._axes(self.variant)

    def _family(self) -> Generator[Issue, None, Family | None]:
        """Its own, or its model's; gives it back if there is one."""
        if "parent" in self._record:
            return (yield from self._inherited())
        family = self._settled.family.get(self._data.get("family", ""))
        if family is None:
            yield _broken("/data/family", "Product family not found!")
            return None
        if self._record["dataType"] == MODEL and family.variant(self._data.get("variant")) is None:
            yield _broken("/data/variant", "Product family variant not found!")
            return None
        return family

    def _inherited(self) -> Generator[Issue, None, Family | None]:
        model = self._lookup.document(self._record["parent"]) if self._record["parent"] != self._key else None
        if model is None or model["dataType"] != MODEL:
            yield _broken("/parent", NO_PARENT)
            return None
        family = self._settled.family.get(model["data"]["family"])
        if family is None:
            yield _broken("/parent", "Parent product family not found!")
            return None
        self.variant = family.variant(model["data"]["variant"])
        if self.variant is None:
            yield _broken("/parent", "Parent product family variant not found!")
            return None
        self._data["family"] = family.code
        return family

    def _attributes(self, family: Family) -> Iterator[Issue]:
        entries = {entry["code"]: (at, entry) for at, entry in reversed([*enumerate(self._data["attributes"])])}
        told = [entry["code"] for entry in self._data["attributes"]]
        for code in dict.fromkeys(code for code in told if told.count(code) > 1) if len(entries) < len(told) else ():
            yield _broken("/data/attributes", f"Duplicated attribute detected! ({code})")
        yield from self._not_its_own(entries)
        mine = own_attributes(family, self.variant, self._data.get("variant"))
        for required in family.attributes:
            attribute = self._settled.attribute.get(required.attribute)
            if attribute is None:
                text = f"Attribute property not found! ({required.attribute})"
                yield _broken("/data/attributes", text)
                continue
            at, entry = entries.get(attribute.code, (None, {}))
            data = _list(entry.get("data"))
            if attribute.code in mine:
                for text in required_in(attribute.code, required.required_channels, data):
                    yield _broken("/data/attributes" if at is None else f"/data/attributes/{at}", text)
            if at is not None:
                yield from self._values(attribute, data, f"/data/attributes/{at}")
        yield from self._unique(entries)

    def _not_its_own(self, entries: dict[str, Any]) -> Iterator[Issue]:
        """What a variant may not say, because it is an axis or its model's."""
        if self.variant is None:
            return
        for code, (at, _) in sorted(entries.items(), key=lambda entry: int(entry[1][0])):
            if code in self.variant.axes:
                yield _broken(f"/data/attributes/{at}", f"You can not edit an axe in the attributes! ({code})")
            elif code not in self.variant.attributes:
                text = f"You can not edit common attributes in a variant! ({code})"
                yield _broken(f"/data/attributes/{at}", text)

    def _values(self, attribute: Attribute, data: list[dict[str, Any]], path: str) -> Iterator[Issue]:
        for below, text in wrong_with(attribute, data):
            yield _broken(f"{path}{below}", text)
        if attribute.type in SELECTS:
            options = self._settled.options.get(attribute.code, frozenset())
            for at, datum in enumerate(data):
                if datum.get("value") not in (None, ""):
                    for text in illegal_options(attribute, datum["value"], options):
                        yield _broken(f"{path}/data/{at}/value", text)

    def _unique(self, entries: dict[str, Any]) -> Iterator[Issue]:
        for code, (at, entry) in sorted(entries.items(), key=lambda entry: int(entry[1][0])):
            attribute = self._settled.attribute.get(code)
            if attribute is None:
                yield _broken(f"/data/attributes/{at}", f"Attribute property not found! ({code})")
            elif attribute.is_unique:
                value, text = unique_value(_list(entry.get("data")))
                if value is not None and self._lookup.owners(unique_mark(code, value)) - {self._key}:
                    text = "This unique attribute value already taken!"
                if text is not None:
                    yield _broken(f"/data/attributes/{at}/data/0/value", text)

    def _axes(self, variant: Variant) -> Iterator[Issue]:
        told = {entry["axe"]: entry["value"] for entry in self._record.get("axesValues", ())}
        for axe in variant.axes:
            if told.get(axe) in (None, ""):
                yield _broken("/axesValues", f"Axe value required! ({axe})")
        for at, entry in enumerate(self._record.get("axesValues", ())):
            axe = entry["axe"]
            attribute = self._settled.attribute.get(axe)
            if axe not in variant.axes:
                yield _broken(f"/axesValues/{at}/axe", f"Unsupported axe! ({axe})")
            elif attribute is None:
                yield _broken(f"/axesValues/{at}/axe", "Axe attribute property not found!")
            elif attribute.type == "SIMPLESELECT" and told[axe] not in self._settled.options.get(axe, ()):
                yield _broken(f"/axesValues/{at}/value", "Invalid axe value!")
        if self._lookup.owners(axes_mark(self._record["parent"], self._record.get("axesValues"))) - {self._key}:
            yield _broken("/axesValues", "These axes are already in use!")


def own_attributes(family: Family, variant: Variant | None, model: str | None) -> set[str]:
    """What a product says of itself: a variant what its model leaves to it, a model the rest, others everything."""
    if variant is not None:
        return set(variant.attributes)
    mine = {required.attribute for required in family.attributes}
    way = family.variant(model)
    return mine if way is None else mine - {*way.axes, *way.attributes}


def completed(data: Record, family: Family, settled: Settled, *, variant: Variant | None) -> None:
    """Leave out what the family does not have, fill in what goes without saying."""
    data["enabled"] = data.get("enabled", False)
    mine = own_attributes(family, variant, data.get("variant"))
    held = {required.attribute for required in family.attributes} if variant is None else mine
    entries = [entry for entry in data.get("attributes", ()) if entry["code"] in held]
    told = {entry["code"] for entry in entries}
    for code in (required.attribute for required in family.attributes):
        attribute = settled.attribute.get(code)
        if attribute is not None and attribute.type == "BOOLEAN" and code in mine and code not in told:
            entries.append({"code": code, "data": [*_defaults(attribute, settled)]})
    if entries or "attributes" in data:
        data["attributes"] = entries


def _defaults(attribute: Attribute, settled: Settled) -> Iterator[dict[str, Any]]:
    """A value for each scope and locale that the attribute has."""
    value = attribute.default_value
    scopes: list[tuple[str | None, list[str]]] = [(None, settled.enabled_locales)]
    if attribute.scopable:
        scopes = [(channel.code, channel.locales) for channel in settled.channels]
    for scope, locales in scopes:
        place = {} if scope is None else {"scope": scope}
        if not attribute.localizable:
            yield {**place, "value": value}
            continue
        for locale in locales:
            if not attribute.is_locale_specific or locale in attribute.available_locales:
                yield {**place, "locale": locale, "value": value}


def label_of(key: str, data: Record, family: Family | None) -> object:
    """The first value of the attribute that the family is known by, or the id."""
    code = family.attribute_as_label if family is not None else None
    entry = next((entry for entry in _attributes(data) if entry.get("code") == code), None)
    values = [datum.get("value") for datum in _list((entry or {}).get("data"))]
    found = next((value for value in values if value not in (None, "")), None)
    return found if isinstance(found, str) or is_number(found) else key


def unique_mark(code: str, value: str) -> IndexEntry:
    """Of an attribute's value."""
    return ("unique", _short(f"{code}={value}"))


def axes_mark(parent: str, axes: object) -> IndexEntry:
    """Of a variant's place below its model."""
    told = [(str(entry.get("axe")), shown(entry.get("value"))) for entry in _list(axes) if isinstance(entry, dict)]
    return ("axes", _short(f"{parent}|" + "|".join(f"{axe}={value}" for axe, value in sorted(told))))


def _short(text: str) -> str:
    """The text, or a name for one that is long or that no database keeps."""
    if len(text) <= MARK_CHARACTERS_MAX and "\0" not in text:
        return text
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=24).hexdigest()


def _cut(text: str) -> str:
    return text.replace("\0", "")[:MARK_CHARACTERS_MAX]


def _broken(path: str, text: str) -> Issue:
    return issue(CODE, path, expected=text)


def _data(record: Record) -> Record:
    data = record.get("data")
    return data if isinstance(data, dict) else {}


def _attributes(data: Record) -> list[dict[str, Any]]:
    return [entry for entry in _list(data.get("attributes")) if isinstance(entry, dict)]


def _list(value: object) -> list[Any]:
    return [entry for entry in value if entry is not None] if isinstance(value, list) else []
