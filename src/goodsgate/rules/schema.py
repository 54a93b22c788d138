"""Records in a protocol's own vocabulary, checked against a schema that the protocol supplies as data.

A schema is a node of JSON Schema (2020-12). Supported are ``type``, ``properties``, ``required``, ``items``,
``minItems``, ``minLength``, ``maxLength``, ``pattern``, ``enum``, ``minimum``, ``maximum``,
``additionalProperties: false``, and these extensions:

``x-form``            ``identity`` (a part of a key), ``name`` (the same, freer, or a number), ``hs_code``, ``url``,
                      ``moment``, ``yes_no`` (true, "Yes" …)
``x-reference``       ``kind`` of reference data that must hold it, ``by`` code, name or number; a tree's ``level``
``x-attributes-of``   the member that names the category whose attributes are demanded
``x-at-most``         the member of the same object that a number may not exceed
``x-own-location``    the value must be the location of the policy, if that has one
``x-expected``        a pattern in plain words
``x-record``          how the record maps to items; see `record_mapping`

A required text that is empty is missing; a member that is null is absent. Members that the schema does not name are not
checked, unless it allows no others.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from goodsgate.model.fields import Field
from goodsgate.model.issue import issue
from goodsgate.model.json_text import Number, is_number
from goodsgate.rules import identifiers, reference_rules, urls
from goodsgate.rules.attributes import check_leaf_requirements
from goodsgate.rules.context import Issues, Rule, RuleContext, pointer, wrong_type
from goodsgate.rules.merchant_rules import MerchantRules
from goodsgate.rules.numbers import whole_number
from goodsgate.rules.record_mapping import KEY_CHARACTERS_MAX, RecordMapping
from goodsgate.rules.schema_fast_path import SchemaFastPath
from goodsgate.rules.timestamps import parse as parse_moment

Node = Mapping[str, Any]
Record = dict[str, object]
Check = Callable[[Any, str, RuleContext, Issues], None]

YES_NO = frozenset({"yes", "no", "true", "false"})

_TYPE_NAMES = {
    "string": "text", "integer": "a whole number", "number": "a number", "boolean": "true or false", "array": "a list",
    "object": "an object",
}
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,), "integer": (int,), "number": (int, float, Number), "boolean": (bool,), "array": (list,),
    "object": (dict,),
}
"""Type of JSON Schema → types of decoded values."""
_NUMBERS = frozenset({int, float, Number})


class Schema:
    """The rules for one kind of record, and how it maps to items."""

    def __init__(self, node: Node, *, merchant_rules: MerchantRules | None = None) -> None:
        self.merchant_rules = merchant_rules
        self.check_record = _rule(node)
        """Adds the issues of a decoded record."""
        self.members = frozenset(node["properties"])
        mapping = node["x-record"]
        self.mapping = RecordMapping(mapping)
        self.fast_path = SchemaFastPath(node)
        self.merged_schema: str | None = mapping.get("merged_schema")
        """Name of the schema that the result of a merge must satisfy."""


def _rule(node: Node) -> Rule:
    kinds = node.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    form = node.get("x-form")
    if form is not None:
        return _form_rule(FORMS[form](node), node)
    return _typed_rule(kinds, [make(node) for word, make in CHECKS.items() if word in node])


def _form_rule(form: Check, node: Node) -> Rule:
    """Return the rule of a form, followed by the other checks of the value."""
    more = [make(node) for word, make in CHECKS_AFTER_FORM.items() if word in node]
    if not more:
        return form

    def rule(value: object, path: str, context: RuleContext, issues: Issues) -> None:
        before = len(issues)
        form(value, path, context, issues)
        if len(issues) == before:
            for check in more:
                check(value, path, context, issues)

    return rule


def _typed_rule(kinds: list[str], checks: list[Check]) -> Rule:
    """Return the rule of a value that has one of the types and passes the checks."""
    expected = " or ".join(_TYPE_NAMES[kind] for kind in kinds)
    types = frozenset(one for kind in kinds for one in _TYPES[kind])
    whole = "integer" in kinds

    def rule(value: object, path: str, context: RuleContext, issues: Issues) -> None:
        if type(value) not in types and not (whole and type(value) in _NUMBERS and whole_number(value) is not None):
            wrong_type(value, path, issues, expected=expected)
            return
        for check in checks:
            check(value, path, context, issues)

    return rule


# -- objects and lists ------------------------------------------------------------------------------------------------


def _properties(node: Node) -> Check:
    rules = {name: _rule(inner) for name, inner in node["properties"].items()}
    paths = {name: pointer("", name) for name in rules}
    required = frozenset(node.get("required", ()))
    in_order = tuple(node.get("required", ()))
    pairs = [(name, inner["x-at-most"]) for name, inner in node["properties"].items() if "x-at-most" in inner]
    categories = [
        (name, inner["x-attributes-of"]) for name, inner in node["properties"].items() if "x-attributes-of" in inner
    ]
    rule_of = rules.get
    closed = node.get("additionalProperties") is False

    def check(value: Record, path: str, context: RuleContext, issues: Issues) -> None:
        if not required <= value.keys():
            missing = [name for name in in_order if name not in value]
            issues += [issue("field_missing", pointer(path, name)) for name in missing]
        for name, inner in value.items():
            if (inner is None or inner == "") and name in required:
                issues.append(issue("field_missing", pointer(path, name), value=inner))
                continue
            rule = rule_of(name)
            if rule is not None and inner is not None:
                rule(inner, path + paths[name], context, issues)
            elif rule is None and closed:
                issues.append(issue("member_unknown", pointer(path, name), value=inner))
        for name, other in pairs:
            _at_most(value, name, other, path, issues)
        for name, category in categories:
            check_leaf_requirements(value, value.get(category), context, issues, whole=name in required)

    return check


def _at_most(members: Record, name: str, other: str, path: str, issues: Issues) -> None:
    value, bound = members.get(name), members.get(other)
    if type(value) in _NUMBERS and type(bound) in _NUMBERS and value > bound:  # type: ignore[operator]  # numbers
        issues.append(issue("sale_price_above_price", pointer(path, name), value=value, expected=str(bound)))


def _items(node: Node) -> Check:
    rule = _rule(node["items"])

    def check(value: list[object], path: str, context: RuleContext, issues: Issues) -> None:
        for at, entry in enumerate(value):
            rule(entry, f"{path}/{at}", context, issues)

    return check


def _min_items(node: Node) -> Check:
    minimum = node["minItems"]

    def check(value: list[object], path: str, _context: RuleContext, issues: Issues) -> None:
        if len(value) < minimum:
            issues.append(issue("list_too_short", path, value=value, expected=f"at least {minimum}"))

    return check


# -- texts and numbers ------------------------------------------------------------------------------------------------


def _min_length(node: Node) -> Check:
    minimum = node["minLength"]

    def check(value: str, path: str, _context: RuleContext, issues: Issues) -> None:
        if len(value) < minimum:
            issues.append(issue("text_too_short", path, value=value, expected=f"at least {minimum} characters"))

    return check


def _max_length(node: Node) -> Check:
    maximum = node["maxLength"]

    def check(value: str, path: str, _context: RuleContext, issues: Issues) -> None:
        if len(value) > maximum:
            issues.append(issue("text_too_long", path, value=value, expected=f"at most {maximum} characters"))

    return check


def _pattern(node: Node) -> Check:
    pattern = node["pattern"]
    fits = re.compile(pattern[:-1] + r"\Z" if pattern.endswith("$") else pattern).search
    expected = node.get("x-expected", node["pattern"])

    def check(value: str, path: str, _context: RuleContext, issues: Issues) -> None:
        if not fits(value):
            issues.append(issue("text_form", path, value=value, expected=expected))

    return check


def _enum(node: Node) -> Check:
    allowed = frozenset(node["enum"])
    expected = ", ".join(map(str, node["enum"]))

    def check(value: object, path: str, _context: RuleContext, issues: Issues) -> None:
        if value not in allowed:
            issues.append(issue("value_not_allowed", path, value=value, expected=expected))

    return check


def _minimum(node: Node) -> Check:
    minimum = node["minimum"]

    def check(value: float, path: str, _context: RuleContext, issues: Issues) -> None:
        if value < minimum:
            if minimum == 0:
                issues.append(issue("number_negative", path, value=value))
            else:
                issues.append(issue("number_out_of_range", path, value=value, expected=f"at least {minimum}"))

    return check


def _maximum(node: Node) -> Check:
    maximum = node["maximum"]

    def check(value: float, path: str, _context: RuleContext, issues: Issues) -> None:
        if value > maximum:
            issues.append(issue("number_out_of_range", path, value=value, expected=f"at most {maximum}"))

    return check


# -- references --------------------------------------------------------------------------------------------------------


def _reference(node: Node) -> Check:
    reference = node["x-reference"]
    kind, by, level = reference["kind"], tuple(reference["by"]), reference.get("level")
    code = f"{kind}_unknown"

    def check(value: object, path: str, context: RuleContext, issues: Issues) -> None:
        names = context.reference.index(kind, by=by, level=level) if context.lookup_severity is not None else None
        text = value if isinstance(value, str) else str(value)
        if names is not None and text not in names.codes:
            issues.append(issue(code, path, value=value, suggestion=names.nearest(text),
                severity=context.lookup_severity))

    return check


def _own_location(_node: Node) -> Check:
    def check(value: object, path: str, context: RuleContext, issues: Issues) -> None:
        if context.location is not None and value != context.location:
            issues.append(issue("location_foreign", path, value=value, expected=context.location))

    return check


# -- forms ------------------------------------------------------------------------------------------------------------


def _identity(_node: Node) -> Rule:
    return identifiers.sku(Field(name="key", type="sku", characters_max=KEY_CHARACTERS_MAX))


def _name(_node: Node) -> Rule:
    def rule(value: object, path: str, _context: RuleContext, issues: Issues) -> None:
        if not isinstance(value, str) and not is_number(value):
            wrong_type(value, path, issues, expected="text or a number")
            return
        text = str(value)
        if not text.strip():
            issues.append(issue("sku_missing", path, value=value))
        elif len(text) > KEY_CHARACTERS_MAX:
            issues.append(issue("sku_too_long", path, value=value, expected=f"at most {KEY_CHARACTERS_MAX} characters"))
        elif identifiers.INVISIBLE.search(text):
            issues.append(issue("sku_characters", path, value=value))

    return rule


def _hs_code(_node: Node) -> Rule:
    return reference_rules.hs_code(Field(name="hs_code", type="hs_code"))


def _url(_node: Node) -> Rule:
    return urls.lenient_url


def _moment(_node: Node) -> Rule:
    def rule(value: object, path: str, _context: RuleContext, issues: Issues) -> None:
        if not isinstance(value, str) or parse_moment(value) is None:
            issues.append(issue("date_unreadable", path, value=value, expected="a time like 2026-01-31T08:15:00Z"))

    return rule


def _yes_no(_node: Node) -> Rule:
    def rule(value: object, path: str, _context: RuleContext, issues: Issues) -> None:
        if isinstance(value, bool) or (isinstance(value, str) and value.lower() in YES_NO):
            return
        issues.append(issue("value_not_allowed", path, value=value, expected="true, false, Yes or No"))

    return rule


FORMS: dict[str, Callable[[Node], Rule]] = {
    "identity": _identity, "name": _name, "hs_code": _hs_code, "url": _url, "moment": _moment, "yes_no": _yes_no,
}
CHECKS_AFTER_FORM: dict[str, Callable[[Node], Check]] = {"x-own-location": _own_location, "x-reference": _reference}
CHECKS: dict[str, Callable[[Node], Check]] = {
    "minLength": _min_length, "maxLength": _max_length, "pattern": _pattern, "enum": _enum, "minimum": _minimum,
    "maximum": _maximum, "minItems": _min_items, **CHECKS_AFTER_FORM, "properties": _properties, "items": _items,
}
"""Keyword → function that makes its check, in the order in which a value is checked."""
