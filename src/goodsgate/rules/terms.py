"""What a rule is told beside the value it looks at."""

from collections.abc import Callable

import msgspec

from goodsgate.model.batch import Policy, Strictness
from goodsgate.model.issue import Issue, Severity, issue
from goodsgate.rules.reference import Reference

SUGGESTION_CHARACTERS_MAX = 500
"""Longer suggestions are not made: a million repaired descriptions would outgrow the catalogue."""


class Terms(msgspec.Struct, frozen=True):
    """The part of a policy that rules read, with the look-ups."""

    reference: Reference
    doubt: Severity | None
    """Severity of what a look-up does not find; None: do not look."""
    currency: str | None = None
    """Of prices that name none."""
    location: str | None = None
    """The only one that records may speak of."""
    comma: bool = False
    """Whether prices write their decimals behind a comma."""
    calm: bool = False
    """Whether the record's bytes are known to hold nothing that wording is told of; only edges remain to look at."""


Found = list[Issue]
Rule = Callable[[object, str, Terms, Found], None]
"""Looks at one value (never None) at a path and adds what is wrong with it."""


def terms_of(policy: Policy, reference: Reference) -> Terms:
    """The terms of one submission."""
    doubt: dict[Strictness, Severity] = {Strictness.REFUSE: "error", Strictness.WARN: "warning"}
    return Terms(
        reference, doubt.get(policy.references), policy.currency, policy.location, comma=policy.decimal == "comma"
    )


def pointer(path: str, member: str) -> str:
    """The path of a member below a path, as a JSON Pointer (RFC 6901)."""
    if "~" in member or "/" in member:
        member = member.replace("~", "~0").replace("/", "~1")
    return f"{path}/{member}"


def wrong_type(value: object, path: str, found: Found, *, expected: str, suggestion: str | None = None) -> None:
    """Add that a value is of another JSON type than its field takes."""
    if suggestion is None and isinstance(value, int | float) and not isinstance(value, bool) and "text" in expected:
        suggestion = str(value)
    found.append(issue("field_type", path, value=value, expected=expected, suggestion=suggestion))


def fitting(suggestion: str | None) -> str | None:
    """The suggestion, if it is short enough to be kept."""
    return suggestion if suggestion and len(suggestion) <= SUGGESTION_CHARACTERS_MAX else None
