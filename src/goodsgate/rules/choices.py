"""Values from a short list, and yes or no.

Source: Google Merchant product data specification, the supported values of each field.
"""

import re

from goodsgate.model.fields import Field
from goodsgate.model.issue import issue
from goodsgate.model.nearest import nearest_name
from goodsgate.rules.context import Issues, Rule, RuleContext, wrong_type
from goodsgate.rules.text_checks import repeated

SIMILARITY_MIN = 70
_SPACING = re.compile(r"[\s_\-]+")
YES_NO = ("yes", "no", "true", "false")


def choice(field: Field) -> Rule:
    """Make the rule of one of the field's choices; also lists of them if the field is repeated."""
    one = _one_of(field.choices)
    return repeated(field, one) if field.repeated else one


def yes_no(field: Field) -> Rule:  # noqa: ARG001 - rules are made alike
    """Make the rule of a boolean, or of yes, no, true or false as text."""
    spelled = _one_of(YES_NO)

    def rule(value: object, path: str, context: RuleContext, issues: Issues) -> None:
        if not isinstance(value, bool):
            spelled(value, path, context, issues)

    return rule


def _one_of(choices: tuple[str, ...]) -> Rule:
    known = frozenset(choices)
    folded = {fold_choice(choice): choice for choice in choices}
    expected = ", ".join(choices)

    def rule(value: object, path: str, context: RuleContext, issues: Issues) -> None:  # noqa: ARG001 - all rules are called alike
        if not isinstance(value, str):
            wrong_type(value, path, issues, expected="text")
            return
        if value in known:
            return
        if not value.strip():
            issues.append(issue("text_empty", path, value=value))
            return
        wrong = fold_choice(value[:100])
        if wrong in folded and len(value) <= 100:
            issues.append(issue("value_spelling", path, value=value, suggestion=folded[wrong]))
            return
        near = nearest_name(wrong, folded, similarity_min=SIMILARITY_MIN)
        issues.append(issue("value_not_allowed", path, value=value, expected=expected,
                            suggestion=folded[near] if near is not None else None))

    return rule


def fold_choice(text: str) -> str:
    """Return a choice without case, blanks, dashes and underscores."""
    return _SPACING.sub("", text.casefold())
