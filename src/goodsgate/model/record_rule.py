"""Rules that a merchant adds to those of the gate, as data."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from goodsgate.model.batch import Kind
from goodsgate.model.issue import Severity

Mode = Literal["on", "shadow", "off"]
"""``shadow`` counts what the rule would do, and does nothing."""
EXPRESSION_CHARACTERS_MAX = 2_000
_Text = Annotated[str, Meta(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f]*\Z")]


class RecordRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One rule: exactly one of `expression`, `schema` and `code`, and the records that it is about."""

    kind: Kind = Kind.PRODUCT
    collection: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")] | None = None
    """The only collection whose records it checks; None: all."""
    category: Annotated[str, Meta(min_length=1, max_length=750)] | None = None
    """The category whose records it checks, with those below it; None: all."""
    expression: Annotated[str, Meta(min_length=1, max_length=EXPRESSION_CHARACTERS_MAX)] | None = None
    """CEL that is true for a good record."""
    schema: dict[str, Any] | None = None
    """JSON Schema (2020-12) of a good record."""
    code: str | None = None
    """Issue code of the gate that gets the severity of this rule."""
    severity: Severity = "error"
    mode: Mode = "on"
    field: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    """The member that the issue is about; None: the only member that the expression reads, or the whole record."""
    message: _Text | None = None
    """What the issue says; None: that the record breaks the rule."""
    suggestion: _Text | None = None
    """Value that a program can use instead of the one of the field."""


class RuleVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A rule as it was saved."""

    version: int
    """Counted from 1 for each name."""
    saved_at: datetime
    rule: RecordRule
