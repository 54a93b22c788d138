"""Attributes of a product, and the requirements of its category.

The requirements of a category are reference data of the merchant, inherited from the categories above it. A requirement
is satisfied by a member of ``attributes``, by the product's own field of that name (``color``, ``size`` …), or by every
variant.
"""

import re
from collections.abc import Callable
from decimal import Decimal

from goodsgate.model.fields import ATTRIBUTE_CHARACTERS_MAX, Field
from goodsgate.model.issue import issue
from goodsgate.rules.context import Issues, Rule, RuleContext, pointer, wrong_type
from goodsgate.rules.member_access import TypedRecord
from goodsgate.rules.numbers import exact_number, plain_number, whole_number
from goodsgate.rules.reference_data import AttributeRequirement, ReferenceData, Requirements, text_of
from goodsgate.rules.text_checks import CONTROL, check_damage

_NUMBER_UNIT = re.compile(r"(-?\d{1,15}(?:\.\d{1,9})?)(?:\s*([^\d\s.,].{0,19}))?", re.ASCII)
_BOOLEANS = frozenset({"true", "false", "yes", "no"})
ALLOWED_LISTED_MAX = 20
LEAF_BY = ("name",)
LEAF_LEVEL = 3
CACHED_CATEGORIES_MAX = 10_000
"""Categories whose requirements are cached."""
NO_ATTRIBUTES: dict[str, object] = {}
Members = dict[str, object] | TypedRecord
TOO_LONG = f"at most {ATTRIBUTE_CHARACTERS_MAX} characters"
_TYPE_NAMES = {"text": "text", "number": "a number", "integer": "a whole number", "boolean": "yes or no"}


def attributes(field: Field) -> Rule:  # noqa: ARG001 - rules are made alike
    """Make the rule of attributes: an object whose texts have at most 1,000 characters and pass the text checks."""

    def rule(value: object, path: str, context: RuleContext, issues: Issues) -> None:
        if not isinstance(value, dict):
            wrong_type(value, path, issues, expected="an object")
            return
        for name, inner in value.items():
            if isinstance(inner, str):
                _check_text(inner, (path, name, ""), context, issues)
            elif isinstance(inner, list):
                for at, entry in enumerate(inner):
                    if isinstance(entry, str):
                        _check_text(entry, (path, name, f"/{at}"), context, issues)

    return rule


def _check_text(text: str, place: tuple[str, str, str], context: RuleContext, issues: Issues) -> None:
    if context.ascii_only and text and text == text.strip() and len(text) <= ATTRIBUTE_CHARACTERS_MAX:
        return
    path = pointer(place[0], place[1]) + place[2]
    if len(text) > ATTRIBUTE_CHARACTERS_MAX:
        issues.append(issue("text_too_long", path, value=text, expected=TOO_LONG))
    check_damage(text, path, context, issues, control=CONTROL)


def check_requirements(
    record: Members, requirements: Requirements, context: RuleContext, issues: Issues, *, category: str | None,
    whole: bool,
) -> None:
    """Add where a product does not satisfy its category; ``whole``: required attributes must be there."""
    if not requirements or context.lookup_severity is None:
        return
    own = record.get("attributes")
    given = own if isinstance(own, dict) else NO_ATTRIBUTES
    listed = record.get("variants")
    variants = listed if isinstance(listed, list) else []
    relevant = [
        (at, variant) for at, variant in enumerate(variants)
        if isinstance(variant, dict) and ("attributes" in variant or not requirements.keys().isdisjoint(variant))
    ]
    for name, requirement in requirements.items():
        value = _value_of(given, record, name)
        if value is not None and not _is_allowed_text(value, requirement):
            _check_values(value, _path(given, name), requirement, context, issues)
        variants_with_value = 0
        for at, variant in relevant:
            inner = variant.get("attributes")
            below = inner if isinstance(inner, dict) else NO_ATTRIBUTES
            inner_value = _value_of(below, variant, name)
            if inner_value is None:
                continue
            variants_with_value += 1
            if not _is_allowed_text(inner_value, requirement):
                _check_values(inner_value, f"/variants/{at}{_path(below, name)}", requirement, context, issues)
        if value is None and requirement.required and whole and not (variants and variants_with_value == len(variants)):
            issues.append(issue("attribute_missing", pointer("/attributes", name), severity=context.lookup_severity,
                                expected=f"category {category}" if category else "every product"))


def check_leaf_requirements(record: Members, category: object, context: RuleContext, issues: Issues, *,
                            whole: bool) -> None:
    """Do the same for a product that names its category by the leaf at the third level of the tree."""
    code = _leaf_code(context.reference, category)
    requirements = context.reference.requirements(code)
    if requirements:
        check_requirements(record, requirements, context, issues, category=str(category) if code else None, whole=whole)


def _leaf_code(reference: ReferenceData, category: object) -> str | None:
    names = reference.index("category", by=LEAF_BY, level=LEAF_LEVEL)
    return names.codes.get(category) if names is not None and isinstance(category, str) else None


def requirements_by_name(reference: ReferenceData) -> Callable[[object], Requirements]:
    """Return a function that returns the requirements of a category by its name, cached."""
    known: dict[object, Requirements] = {}

    def requirements(category: object) -> Requirements:
        issues = known.get(category)
        if issues is None:
            if len(known) >= CACHED_CATEGORIES_MAX:
                known.clear()
            issues = known[category] = reference.requirements(_leaf_code(reference, category))
        return issues

    return requirements


def _value_of(attributes: Members, record: Members, name: str) -> object:
    """Return the attribute, or the record's own member of that name; an empty text counts as no value."""
    value = attributes.get(name)
    if value is None or value == "":
        value = record.get(name)
    return None if value == "" else value


def _path(attributes: Members, name: str) -> str:
    value = attributes.get(name)
    return pointer("", name) if value is None or value == "" else pointer("/attributes", name)


def _is_allowed_text(value: object, wanted: AttributeRequirement) -> bool:
    """Return whether the commonest case applies: a text that is allowed."""
    return wanted.expected == "text" and isinstance(value, str) and (not wanted.allowed or value in wanted.allowed)


def satisfies(value: object, wanted: AttributeRequirement, context: RuleContext) -> bool:
    """Return whether one value satisfies a requirement."""
    issues: Issues = []
    _check_values(value, "", wanted, context, issues)
    return not issues


def _check_values(value: object, path: str, wanted: AttributeRequirement, context: RuleContext, issues: Issues) -> None:
    if isinstance(value, list):
        for at, entry in enumerate(value):
            _check_value(entry, f"{path}/{at}", wanted, context, issues)
    else:
        _check_value(value, path, wanted, context, issues)


def _check_value(value: object, path: str, wanted: AttributeRequirement, context: RuleContext, issues: Issues) -> None:
    if wanted.expected in ("number", "integer"):
        _check_number(value, path, wanted, context, issues)
        return
    text, boolean = isinstance(value, str), isinstance(value, bool)
    if (wanted.expected == "text" and not text) or (
        wanted.expected == "boolean" and not boolean and not (text and value in _BOOLEANS)
    ):
        issues.append(issue("attribute_type", path, value=value, expected=_TYPE_NAMES[wanted.expected],
                            severity=context.lookup_severity))
    elif wanted.allowed and text_of(value) not in wanted.allowed:
        _not_allowed(value, path, wanted, context, issues)



def _not_allowed(value: object, path: str, wanted: AttributeRequirement, context: RuleContext, issues: Issues) -> None:
    allowed = sorted(wanted.allowed)
    expected = ", ".join(allowed[:ALLOWED_LISTED_MAX]) + (", …" if len(allowed) > ALLOWED_LISTED_MAX else "")
    issues.append(issue("attribute_not_allowed", path, value=value, expected=expected,
                        suggestion=wanted.near.nearest(text_of(value)), severity=context.lookup_severity))


def _check_number(value: object, path: str, wanted: AttributeRequirement, context: RuleContext, issues: Issues) -> None:
    number, unit = _number(value)
    expected = _TYPE_NAMES[wanted.expected] + (f" of {wanted.unit}" if wanted.unit else "")
    if number is None or (wanted.expected == "integer" and whole_number(number) is None):
        suggestion = value.replace(",", ".") if isinstance(value, str) and value.count(",") == 1 else None
        if suggestion is not None and _number(suggestion)[0] is None:
            suggestion = None
        issues.append(issue("attribute_type", path, value=value, expected=expected, suggestion=suggestion,
                            severity=context.lookup_severity))
        return
    if unit and unit != wanted.unit:
        known = unit.casefold() == wanted.unit.casefold() and wanted.unit
        issues.append(issue("attribute_unit", path, value=value, expected=wanted.unit or "none",
                            severity=context.lookup_severity,
                            suggestion=f"{plain_number(number)} {wanted.unit}" if known else None))
        return
    if wanted.allowed and text_of(value) not in wanted.allowed:
        _not_allowed(value, path, wanted, context, issues)
    low, high = wanted.minimum, wanted.maximum
    if (low is not None and number < low) or (high is not None and number > high):
        issues.append(issue("attribute_out_of_range", path, value=value, severity=context.lookup_severity,
                            expected=f"{_bound_text(low)} to {_bound_text(high)}"))


def _bound_text(bound: Decimal | None) -> str:
    return "" if bound is None else plain_number(bound)


def _number(value: object) -> tuple[Decimal | None, str]:
    """Return number and unit of an attribute: a number, a text such as ``1400 W``, or an object of value and unit."""
    if isinstance(value, dict):
        unit = value.get("unit")
        return _number(value.get("value"))[0], unit if isinstance(unit, str) else ""
    if isinstance(value, str):
        parts = _NUMBER_UNIT.fullmatch(value)
        return (Decimal(parts[1]), parts[2] or "") if parts else (None, "")
    return exact_number(value), ""
