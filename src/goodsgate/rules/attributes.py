"""The attributes of a product, and what its category asks of them.

The category's demands are reference data of the merchant, inherited from the categories above. A demand is met by a
member of ``attributes``, by the product's own field of that name (``color``, ``size`` …), or by every variant.
"""

import re
from collections.abc import Callable

from goodsgate.model.fields import ATTRIBUTE_CHARACTERS_MAX, Field
from goodsgate.model.issue import issue
from goodsgate.rules.context import Issues, Rule, RuleContext, pointer, wrong_type
from goodsgate.rules.member_access import TypedRecord
from goodsgate.rules.reference_data import AttributeRequirement, ReferenceData, Requirements
from goodsgate.rules.text_checks import CONTROL, damage

_NUMBER_UNIT = re.compile(r"(-?\d{1,15}(?:\.\d{1,9})?)(?:\s*([^\d\s.,].{0,19}))?", re.ASCII)
_BOOLEANS = frozenset({"true", "false", "yes", "no"})
ALLOWED_SHOWN_MAX = 20
LEAF_BY = ("name",)
LEAF_LEVEL = 3
KNOWN_MAX = 10_000
"""Names of categories whose demands are remembered at once."""
NOTHING: dict[str, object] = {}
Members = dict[str, object] | TypedRecord
TOO_LONG = f"at most {ATTRIBUTE_CHARACTERS_MAX} characters"
_SPELLED_TYPES = {"text": "text", "number": "a number", "integer": "a whole number", "boolean": "yes or no"}


def attributes(field: Field) -> Rule:  # noqa: ARG001 - rules are made alike
    """An object; its texts are looked at as all wording is, at most 1,000 characters each."""

    def rule(value: object, path: str, context: RuleContext, found: Issues) -> None:
        if not isinstance(value, dict):
            wrong_type(value, path, found, expected="an object")
            return
        for name, inner in value.items():
            if isinstance(inner, str):
                _wording(inner, (path, name, ""), context, found)
            elif isinstance(inner, list):
                for at, entry in enumerate(inner):
                    if isinstance(entry, str):
                        _wording(entry, (path, name, f"/{at}"), context, found)

    return rule


def _wording(text: str, place: tuple[str, str, str], context: RuleContext, found: Issues) -> None:
    if context.ascii_only and text and text == text.strip() and len(text) <= ATTRIBUTE_CHARACTERS_MAX:
        return
    path = pointer(place[0], place[1]) + place[2]
    if len(text) > ATTRIBUTE_CHARACTERS_MAX:
        found.append(issue("text_too_long", path, value=text, expected=TOO_LONG))
    damage(text, path, context, found, control=CONTROL)


def check_requirements(record: Members, requirements: Requirements, context: RuleContext, found: Issues, *,
                       category: str | None,
             whole: bool) -> None:
    """Add where a product does not meet its category's demands; ``whole``: what is missing counts."""
    if not requirements or context.lookup_severity is None:
        return
    own = record.get("attributes")
    given = own if isinstance(own, dict) else NOTHING
    listed = record.get("variants")
    variants = listed if isinstance(listed, list) else []
    holding = [
        (at, variant) for at, variant in enumerate(variants)
        if isinstance(variant, dict) and ("attributes" in variant or not requirements.keys().isdisjoint(variant))
    ]
    for name, requirement in requirements.items():
        value = _given(given, record, name)
        if value is not None and not _plainly_meets(value, requirement):
            _meets(value, _path(given, name), requirement, context, found)
        told = 0
        for at, variant in holding:
            inner = variant.get("attributes")
            below = inner if isinstance(inner, dict) else NOTHING
            held = _given(below, variant, name)
            if held is None:
                continue
            told += 1
            if not _plainly_meets(held, requirement):
                _meets(held, f"/variants/{at}{_path(below, name)}", requirement, context, found)
        if value is None and requirement.required and whole and not (variants and told == len(variants)):
            found.append(issue("attribute_missing", pointer("/attributes", name), severity=context.lookup_severity,
                               expected=f"category {category}" if category else "every product"))


def check_leaf_requirements(record: Members, category: object, context: RuleContext, found: Issues, *,
                            whole: bool) -> None:
    """The same for a product whose category is told by the name of its leaf, at the third level of the tree."""
    code = _leaf_code(context.reference, category)
    requirements = context.reference.requirements(code)
    if requirements:
        check_requirements(record, requirements, context, found, category=str(category) if code else None, whole=whole)


def _leaf_code(reference: ReferenceData, category: object) -> str | None:
    names = reference.listed("category", by=LEAF_BY, level=LEAF_LEVEL)
    return names.codes.get(category) if names is not None and isinstance(category, str) else None


def requirements_by_name(reference: ReferenceData) -> Callable[[object], Requirements]:
    """What is demanded in the category of a name, each found out once."""
    known: dict[object, Requirements] = {}

    def requirements(category: object) -> Requirements:
        found = known.get(category)
        if found is None:
            if len(known) >= KNOWN_MAX:
                known.clear()
            found = known[category] = reference.requirements(_leaf_code(reference, category))
        return found

    return requirements


def _given(attributes: Members, record: Members, name: str) -> object:
    """The attribute, or the record's own member of that name; an empty text is no value."""
    value = attributes.get(name)
    if value is None or value == "":
        value = record.get(name)
    return None if value == "" else value


def _path(attributes: Members, name: str) -> str:
    value = attributes.get(name)
    return pointer("", name) if value is None or value == "" else pointer("/attributes", name)


def _plainly_meets(value: object, wanted: AttributeRequirement) -> bool:
    """The commonest case at once: a text, one of those allowed."""
    return wanted.expected == "text" and isinstance(value, str) and (not wanted.allowed or value in wanted.allowed)


def satisfies(value: object, wanted: AttributeRequirement, context: RuleContext) -> bool:
    """Whether one value does what is demanded of it."""
    found: Issues = []
    _meets(value, "", wanted, context, found)
    return not found


def _meets(value: object, path: str, wanted: AttributeRequirement, context: RuleContext, found: Issues) -> None:
    if isinstance(value, list):
        for at, entry in enumerate(value):
            _meets_one(entry, f"{path}/{at}", wanted, context, found)
    else:
        _meets_one(value, path, wanted, context, found)


def _meets_one(value: object, path: str, wanted: AttributeRequirement, context: RuleContext, found: Issues) -> None:
    if wanted.expected in ("number", "integer"):
        _meets_number(value, path, wanted, context, found)
        return
    text, boolean = isinstance(value, str), isinstance(value, bool)
    if (wanted.expected == "text" and not text) or (
        wanted.expected == "boolean" and not boolean and not (text and value in _BOOLEANS)
    ):
        found.append(issue("attribute_type", path, value=value, expected=_SPELLED_TYPES[wanted.expected],
                           severity=context.lookup_severity))
    elif wanted.allowed and _spelled(value) not in wanted.allowed:
        _not_allowed(value, path, wanted, context, found)


def _spelled(value: object) -> str:
    return value if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)


def _not_allowed(value: object, path: str, wanted: AttributeRequirement, context: RuleContext, found: Issues) -> None:
    shown = sorted(wanted.allowed)
    expected = ", ".join(shown[:ALLOWED_SHOWN_MAX]) + (", …" if len(shown) > ALLOWED_SHOWN_MAX else "")
    found.append(issue("attribute_not_allowed", path, value=value, expected=expected,
                       suggestion=wanted.near.nearest(_spelled(value)), severity=context.lookup_severity))


def _meets_number(value: object, path: str, wanted: AttributeRequirement, context: RuleContext, found: Issues) -> None:
    number, unit = _number(value)
    expected = _SPELLED_TYPES[wanted.expected] + (f" of {wanted.unit}" if wanted.unit else "")
    if number is None or (wanted.expected == "integer" and not number.is_integer()):
        suggestion = value.replace(",", ".") if isinstance(value, str) and value.count(",") == 1 else None
        if suggestion is not None and _number(suggestion)[0] is None:
            suggestion = None
        found.append(issue("attribute_type", path, value=value, expected=expected, suggestion=suggestion,
                           severity=context.lookup_severity))
        return
    if unit and unit != wanted.unit:
        known = unit.casefold() == wanted.unit.casefold() and wanted.unit
        found.append(issue("attribute_unit", path, value=value, expected=wanted.unit or "none",
                           suggestion=f"{number:g} {wanted.unit}" if known else None, severity=context.lookup_severity))
        return
    if wanted.allowed and _spelled(value) not in wanted.allowed:
        _not_allowed(value, path, wanted, context, found)
    low, high = wanted.minimum, wanted.maximum
    if (low is not None and number < low) or (high is not None and number > high):
        found.append(issue("attribute_out_of_range", path, value=value, severity=context.lookup_severity,
                           expected=f"{'' if low is None else f'{low:g}'} to {'' if high is None else f'{high:g}'}"))


def _number(value: object) -> tuple[float | None, str]:
    """The number and unit of an attribute: a number, a text such as ``1400 W``, or an object of value and unit."""
    if isinstance(value, dict):
        unit = value.get("unit")
        return _number(value.get("value"))[0], unit if isinstance(unit, str) else ""
    if isinstance(value, str):
        parts = _NUMBER_UNIT.fullmatch(value)
        return (float(parts[1]), parts[2] or "") if parts else (None, "")
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value), ""
    return None, ""
