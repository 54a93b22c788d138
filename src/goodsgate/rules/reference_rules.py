"""Whether the reference data holds what a record names: brand, category, tax rule, HS code, location, country.

Sources: the merchant's reference data; ISO 3166-1 for countries; the Harmonized System of the World Customs
Organization for the form of HS codes (4 digits a heading, 6 a subheading, 8 a national tariff line).
The policy decides how severe it is that something is not found.
"""

import re
from collections.abc import Callable
from operator import attrgetter

from goodsgate.model.fields import Field
from goodsgate.model.issue import Severity, issue
from goodsgate.rules.context import Issues, Rule, RuleContext, wrong_type
from goodsgate.rules.countries import COUNTRIES
from goodsgate.rules.identifiers import INVISIBLE
from goodsgate.rules.name_index import NameIndex
from goodsgate.rules.placeholders import PLACEHOLDERS
from goodsgate.rules.reference_data import PATH_SEPARATOR, ReferenceData
from goodsgate.rules.text_checks import check_damage, repeated

_HS_FORM = re.compile(r"\d{4}|\d{6}|\d{8}", re.ASCII)
_HS_SEPARATORS = re.compile(r"[\s.\-]")
HS_EXPECTED = "4, 6 or 8 digits"

SelectIndex = Callable[[ReferenceData], NameIndex | None]


def brand(field: Field) -> Rule:
    """Make the rule of a brand: a text of limited length that is a known brand."""
    return _lookup_rule(field, "brand_unknown", attrgetter("brand"))


def tax_rule(field: Field) -> Rule:
    """Make the rule of the code of a tax rule."""
    return _lookup_rule(field, "tax_rule_unknown", attrgetter("tax_rule"))


def location(field: Field) -> Rule:
    """Make the rule of the code of a location, which is part of the key."""
    known = _lookup_rule(field, "location_unknown", attrgetter("location"), "error")

    def rule(value: object, path: str, context: RuleContext, issues: Issues) -> None:
        if isinstance(value, str) and INVISIBLE.search(value):
            clean = INVISIBLE.sub("", value).strip() or None
            issues.append(issue("text_control_characters", path, value=value, suggestion=clean, severity="error"))
        elif isinstance(value, str) and value.strip() and value != value.strip():
            issues.append(issue("text_edge_blanks", path, value=value, suggestion=value.strip(), severity="error"))
        else:
            known(value, path, context, issues)

    return rule


def category(field: Field) -> Rule:
    """Make the rule of a category: its code or path (``A > B > C``); a list may also be the names along one path."""
    if not field.repeated:  # of Google's taxonomy, which merchants need not load
        return _lookup_rule(field, "category_unknown", _loaded_category)
    one = _lookup_rule(field, "category_unknown", attrgetter("category"))
    each = repeated(field, one)

    def rule(value: object, path: str, context: RuleContext, issues: Issues) -> None:
        if isinstance(value, list) and path_of(value, context.reference) is not None:
            return
        each(value, path, context, issues)

    return rule


def _loaded_category(reference: ReferenceData) -> NameIndex | None:
    """Return the categories, unless none was loaded."""
    return reference.category if reference.category is not None and reference.category.codes else None


def path_of(value: list[object], reference: ReferenceData) -> str | None:
    """Return the path that a list names step by step from the root; None if it names no category."""
    if reference.category is None or not value or not all(isinstance(step, str) for step in value):
        return None
    path = PATH_SEPARATOR.join(str(step) for step in value)
    return path if path in reference.category.codes else None


def category_of(record: dict[str, object], reference: ReferenceData) -> str | None:
    """Return the category that sets a product's requirements: ``product_type``, else ``google_product_category``."""
    value = record.get("product_type") or record.get("google_product_category")
    if isinstance(value, list):
        first = value[0] if value else None
        value = path_of(value, reference) or first
    return value if isinstance(value, str) else None


def country(field: Field) -> Rule:
    """Make the rule of a country: a code of ISO 3166-1, two capital letters."""

    def one(value: object, path: str, context: RuleContext, issues: Issues) -> None:
        if not isinstance(value, str):
            wrong_type(value, path, issues, expected="text")
        elif not value.strip():
            issues.append(issue("text_empty", path, value=value))
        elif context.lookup_severity is not None and value not in COUNTRIES.codes:
            issues.append(issue("country_unknown", path, value=value, expected="two letters such as DE",
                                suggestion=_near_country(value), severity=context.lookup_severity))

    return repeated(field, one) if field.repeated else one


def _near_country(text: str) -> str | None:
    """Suggest a country by its name or another code; a code that only looks similar would not help."""
    return COUNTRIES.nearest(text) if len(text) > 3 else COUNTRIES.equivalent(text)


def hs_code(field: Field) -> Rule:  # noqa: ARG001 - rules are made alike
    """Make the rule of an HS code: 4, 6 or 8 digits, and known itself or by its subheading."""

    def rule(value: object, path: str, context: RuleContext, issues: Issues) -> None:
        if not isinstance(value, str):
            wrong_type(value, path, issues, expected="text", suggestion=_hs_digits(str(value)))
            return
        if not value.strip():
            issues.append(issue("text_empty", path, value=value))
            return
        if not _HS_FORM.fullmatch(value):
            issues.append(issue("hs_code_form", path, value=value, expected=HS_EXPECTED, suggestion=_hs_digits(value)))
            return
        if is_known_hs_code(value, context):
            return
        names = context.reference.hs_code
        near = names.nearest(value) if names is not None else None
        issues.append(issue("hs_code_unknown", path, value=value, suggestion=near, severity=context.lookup_severity))

    return rule


def is_known_hs_code(code: str, context: RuleContext) -> bool:
    """Return whether the reference data holds a code or its subheading, or codes are not looked up."""
    names = context.reference.hs_code
    return names is None or context.lookup_severity is None or code in names.codes or code[:6] in names.codes


def is_hs_code(code: str) -> bool:
    """Return whether an HS code has 4, 6 or 8 digits."""
    return _HS_FORM.fullmatch(code) is not None


def _hs_digits(text: str) -> str | None:
    """Return the code without its dots, and with the leading zero that a spreadsheet has removed."""
    digits = _HS_SEPARATORS.sub("", text)
    if len(digits) in (3, 5, 7) and digits.isdigit():
        digits = f"0{digits}"
    return digits if _HS_FORM.fullmatch(digits) else None


def _lookup_rule(field: Field, code: str, select: SelectIndex, severity: Severity = "warning") -> Rule:
    """Make the rule of a text that the reference data must hold, if it holds any of that kind.

    `severity` is that of a word for nothing where values are not looked up.
    """
    longest = field.characters_max
    expected = f"at most {longest} characters"

    def rule(value: object, path: str, context: RuleContext, issues: Issues) -> None:
        if not isinstance(value, str):
            wrong_type(value, path, issues, expected="text")
            return
        names = select(context.reference) if context.lookup_severity is not None else None
        if names is not None and value in names.codes and len(value) <= longest:
            return
        if len(value) > longest:
            issues.append(issue("text_too_long", path, value=value, expected=expected))
        check_damage(value, path, context, issues)
        if names is not None and value not in names.codes and value.strip():
            issues.append(issue(code, path, value=value, suggestion=names.nearest(value),
                severity=context.lookup_severity))
        elif value in PLACEHOLDERS:
            issues.append(issue("value_placeholder", path, value=value, severity=severity))

    return rule
