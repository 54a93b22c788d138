"""Issues of a batch that are alike, as people read them."""

import re

import msgspec

from goodsgate.model.counting import counted
from goodsgate.model.group_titles import GROUP_TITLES
from goodsgate.model.issue import CODES, base_code, rule_name
from goodsgate.model.remedies import REMEDIES

DIFFERENT = "…"
"""Stands in a group's message for what differs from issue to issue."""

EXPECTATION = re.compile(r"[;,:] [^;,:]*\{(?:expected|suggestion)\}[^;,:.?]*([.?]|$)?")
"""The clause of a template that says what was expected; the message of a group leaves it out."""


class IssueGroup(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Issues of a batch with the same code, severity and field."""

    code: str
    severity: str
    field: str
    """JSON Pointer with ``*`` for array positions; empty for the whole record."""
    count: int
    """Issues, not records."""
    top: list[tuple[str, int]]
    """Most frequent values (as received, truncated) with counts, which are lower bounds past 64 distinct values."""
    column: str | None = None
    """The submitter's own column or member, if it differs from the field; that of the group's first issue."""
    rule_message: str | None = None
    """What a merchant's own rule says now, if the issues are those of one."""

    @property
    def title(self) -> str:
        """What is wrong and how often, for people: it can be read without the code and the values."""
        name = rule_name(self.code)
        if name is not None:
            return f'{counted(self.count, "record breaks", "records break")} the rule "{name}"'
        one, many = GROUP_TITLES[self.code]
        column = f'"{self.column or self.field.lstrip("/") or "the record"}"'
        return counted(self.count, one, many).replace("{field}", column)

    @property
    def message(self) -> str:
        """The message for all issues of the group; it has the value only if all of them have the same."""
        name = rule_name(self.code)
        if name is not None:
            return self.rule_message or f'The record breaks the rule "{name}".'
        template = EXPECTATION.sub(lambda match: "." if match[1] is not None else "", CODES[self.code].template)
        value = self.top[0][0] if len(self.top) == 1 and self.top[0][1] == self.count else DIFFERENT
        return template.format(
            value=value, expected=DIFFERENT, suggestion=DIFFERENT, field=self.field.lstrip("/") or "record"
        ).strip().replace(f"{DIFFERENT}.", DIFFERENT)

    @property
    def remedy(self) -> str:
        """What to do about the issues of the group."""
        return REMEDIES[base_code(self.code)]
