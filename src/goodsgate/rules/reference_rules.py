"""Whether what a record names exists: brand, category, tax rule, HS code, location, country.

Sources: the merchant's reference data; ISO 3166-1 for countries; the Harmonized System of the World Customs
Organization for the form of HS codes (4 digits a heading, 6 a subheading, 8 a national tariff line).
How severe it is that something is not found is the policy's to say.
"""

import re
from collections.abc import Callable
from operator import attrgetter

from goodsgate.model.fields import Field
from goodsgate.model.issue import issue
from goodsgate.rules.context import Issues, Rule, RuleContext, wrong_type
from goodsgate.rules.countries import COUNTRIES
from goodsgate.rules.identifiers import INVISIBLE
from goodsgate.rules.name_index import NameIndex
from goodsgate.rules.reference_data import PATH_SEPARATOR, ReferenceData
from goodsgate.rules.text_checks import damage, repeated

_HS_FORM = re.compile(r"\d{4}|\d{6}|\d{8}", re.ASCII)
_HS_SEPARATORS = re.compile(r"[\s.\-]")
HS_EXPECTED = "4, 6 or 8 digits"

Choose = Callable[[ReferenceData], NameIndex | None]


def brand(field: Field) -> Rule:
    """A text of at most ``characters_max`` characters, known as a brand."""
    return _known(field, "brand_unknown", attrgetter("brand"))


def tax_rule(field: Field) -> Rule:
    """The code of a tax rule."""
    return _known(field, "tax_rule_unknown", attrgetter("tax_rule"))


def location(field: Field) -> Rule:
    """The code of a location; as a part of the key it must be clean."""
    known = _known(field, "location_unknown", attrgetter("location"))

    def rule(value: object, path: str, context: RuleContext, found: Issues) -> None:
        if isinstance(value, str) and INVISIBLE.search(value):
            clean = INVISIBLE.sub("", value).strip() or None
            found.append(issue("text_control_characters", path, value=value, suggestion=clean, severity="error"))
        elif isinstance(value, str) and value.strip() and value != value.strip():
            found.append(issue("text_edge_blanks", path, value=value, suggestion=value.strip(), severity="error"))
        else:
            known(value, path, context, found)

    return rule


def category(field: Field) -> Rule:
    """The code or the full path (``A > B > C``) of a category; a list may also be the names along one path."""
    one = _known(field, "category_unknown", attrgetter("category"))
    if not field.repeated:
        return one
    each = repeated(field, one)

    def rule(value: object, path: str, context: RuleContext, found: Issues) -> None:
        if isinstance(value, list) and path_of(value, context.reference) is not None:
            return
        each(value, path, context, found)

    return rule


def path_of(value: list[object], reference: ReferenceData) -> str | None:
    """The category that a list names step by step, from the root down; None if it does not."""
    if reference.category is None or not value or not all(isinstance(step, str) for step in value):
        return None
    path = PATH_SEPARATOR.join(str(step) for step in value)
    return path if path in reference.category.codes else None


def category_of(record: dict[str, object], reference: ReferenceData) -> str | None:
    """The category whose attributes a product must have: its ``product_type``, else its ``google_product_category``."""
    value = record.get("product_type") or record.get("google_product_category")
    if isinstance(value, list):
        first = value[0] if value else None
        value = path_of(value, reference) or first
    return value if isinstance(value, str) else None


def country(field: Field) -> Rule:
    """A code of ISO 3166-1, two capital letters."""

    def one(value: object, path: str, context: RuleContext, found: Issues) -> None:
        if not isinstance(value, str):
            wrong_type(value, path, found, expected="text")
        elif not value.strip():
            found.append(issue("text_empty", path, value=value))
        elif context.lookup_severity is not None and value not in COUNTRIES.codes:
            found.append(issue("country_unknown", path, value=value, expected="two letters such as DE",
                               suggestion=_near_country(value), severity=context.lookup_severity))

    return repeated(field, one) if field.repeated else one


def _near_country(text: str) -> str | None:
    """By name, or by another code; codes that merely look alike are no help."""
    return COUNTRIES.nearest(text) if len(text) > 3 else COUNTRIES.same(text)


def hs_code(field: Field) -> Rule:  # noqa: ARG001 - rules are made alike
    """4, 6 or 8 digits, and known: itself, or its subheading where only subheadings were loaded."""

    def rule(value: object, path: str, context: RuleContext, found: Issues) -> None:
        if not isinstance(value, str):
            wrong_type(value, path, found, expected="text", suggestion=_hs_digits(str(value)))
            return
        if not value.strip():
            found.append(issue("text_empty", path, value=value))
            return
        if not _HS_FORM.fullmatch(value):
            found.append(issue("hs_code_form", path, value=value, expected=HS_EXPECTED, suggestion=_hs_digits(value)))
            return
        if hs_known(value, context):
            return
        names = context.reference.hs_code
        near = names.nearest(value) if names is not None else None
        found.append(issue("hs_code_unknown", path, value=value, suggestion=near, severity=context.lookup_severity))

    return rule


def hs_known(code: str, context: RuleContext) -> bool:
    """Whether a code, or the subheading it belongs to, is held; yes where none are held, or nobody asks."""
    names = context.reference.hs_code
    return names is None or context.lookup_severity is None or code in names.codes or code[:6] in names.codes


def is_hs_code(code: str) -> bool:
    """Whether an HS code has 4, 6 or 8 digits."""
    return _HS_FORM.fullmatch(code) is not None


def _hs_digits(text: str) -> str | None:
    """The code without its dots, with the leading zero that a spreadsheet took."""
    digits = _HS_SEPARATORS.sub("", text)
    if len(digits) in (3, 5, 7) and digits.isdigit():
        digits = f"0{digits}"
    return digits if _HS_FORM.fullmatch(digits) else None


def _known(field: Field, code: str, choose: Choose) -> Rule:
    """A text within its length that the merchant's reference data holds, where it holds any of that kind."""
    longest = field.characters_max
    expected = f"at most {longest} characters"

    def rule(value: object, path: str, context: RuleContext, found: Issues) -> None:
        if not isinstance(value, str):
            wrong_type(value, path, found, expected="text")
            return
        names = choose(context.reference) if context.lookup_severity is not None else None
        if names is not None and value in names.codes and len(value) <= longest:
            return
        if len(value) > longest:
            found.append(issue("text_too_long", path, value=value, expected=expected))
        damage(value, path, context, found)
        if names is not None and value not in names.codes and value.strip():
            found.append(issue(code, path, value=value, suggestion=names.nearest(value),
                severity=context.lookup_severity))

    return rule
