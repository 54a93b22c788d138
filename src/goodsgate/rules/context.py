"""What a rule knows besides the value it checks."""

from collections.abc import Callable

import msgspec

from goodsgate.model.batch import Policy, Strictness
from goodsgate.model.issue import Issue, Severity, if_short, issue
from goodsgate.model.json_text import is_number
from goodsgate.rules.reference_data import ReferenceData


class RuleContext(msgspec.Struct, frozen=True):
    """The part of a policy that rules read, with the reference data."""

    reference: ReferenceData
    lookup_severity: Severity | None
    """Severity of a value that the reference data does not hold; None: values are not looked up."""
    currency: str | None = None
    """Currency of prices that name none."""
    location: str | None = None
    """The only location that records may name; None: any."""
    decimal_comma: bool = False
    """Whether prices are written with a decimal comma."""
    ascii_only: bool = False
    """Whether the record is known to be plain ASCII without control characters, escapes and markup.

    Then the only defect left for the text checks is a blank at an edge.
    """


Issues = list[Issue]
Rule = Callable[[object, str, RuleContext, Issues], None]
"""Checks one value (never None) at a path and adds its issues."""


def reference_severity(policy: Policy) -> Severity | None:
    """Return the severity of a value that refers to nothing; None if references are not looked up."""
    severities: dict[Strictness, Severity] = {
        Strictness.REFUSE: "error", Strictness.WAIT: "error", Strictness.WARN: "warning"
    }
    return severities.get(policy.references or Strictness.WARN)


def rule_context(policy: Policy, reference: ReferenceData) -> RuleContext:
    """Return the context for the records of one submission."""
    if policy.references is Strictness.WAIT:
        reference = reference.awaited()
    return RuleContext(
        reference, reference_severity(policy), policy.currency, policy.location,
        decimal_comma=policy.decimal == "comma",
    )


def pointer(path: str, member: str) -> str:
    """Return the path of a member below a path, as a JSON Pointer (RFC 6901), without NUL: issues are counted by it."""
    if "\0" in member:
        member = member.replace("\0", "\ufffd")
    if "~" in member or "/" in member:
        member = member.replace("~", "~0").replace("/", "~1")
    return f"{path}/{member}"


def wrong_type(value: object, path: str, issues: Issues, *, expected: str, suggestion: str | None = None) -> None:
    """Add that a value has another JSON type than its field takes."""
    if suggestion is None and is_number(value) and "text" in expected:
        suggestion = if_short(str(value))
    issues.append(issue("field_type", path, value=value, expected=expected, suggestion=suggestion))
