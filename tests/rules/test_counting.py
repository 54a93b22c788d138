"""Counted nouns: one of something is singular, in helpers, messages, templates and the command line."""

import re
from pathlib import Path

import pytest

from goodsgate.model.counting import counted
from goodsgate.model.guard import CONDITIONS, Figure, figure_text
from goodsgate.model.issue import CODES, Issue
from goodsgate.model.issue_group import IssueGroup
from goodsgate.model.roles import roles_text

SOURCE = Path(__file__).parents[2] / "src" / "goodsgate"
NOUNS = "record|item|batch|row|file|price|error|warning|deletion|group|column|change|entr|message|round|week|day|hour"
PLURAL = re.compile(rf"(?<![\d.,])1 (?:more |rejected |other )?(?:{NOUNS})(?:e|ie)?s\b")


@pytest.mark.parametrize(("count", "nouns", "text"), [
    (0, ("record",), "0 records"), (1, ("record",), "1 record"), (2_000, ("record",), "2,000 records"),
    (1, ("batch", "batches"), "1 batch"), (3, ("batch", "batches"), "3 batches"), (1.5, ("week",), "1.5 weeks"),
    (1, ("record waits", "records wait"), "1 record waits"), (2, ("record waits", "records wait"), "2 records wait"),
])
def test_a_count_has_its_noun(count: float, nouns: tuple[str, ...], text: str) -> None:
    """With separators, and the plural for everything but one."""
    assert counted(count, *nouns) == text


def test_messages_about_one_of_something_are_singular() -> None:
    """Of every issue code, group, condition of a guard, role and effect in a diff."""
    texts = [Issue(code=code, value="1", expected="1", suggestion="1").message for code in CODES]
    codes = [code for code in CODES if code != "rule"]
    texts += [IssueGroup(code=code, severity="error", field="", count=1, top=[]).title for code in codes]
    texts += [
        figure_text(name, limit, Figure(count=1, whole=1))
        for name, condition in CONDITIONS.items() for limit in (["1", "1%"] if condition.of else ["1"])
    ]
    texts.append(roles_text({"products": 1, "variant": 1, "image": 1}))
    assert [text for text in texts if PLURAL.search(text)] == []


def test_nothing_that_is_counted_is_always_plural() -> None:
    """A number from data is followed by a plural noun only through `counted`; limits and rates are not counts."""
    noun = rf"(?:more |rejected |other )?(?:{NOUNS})(?:e|ie)?s\b"
    patterns = {"*.py": rf"\{{[^{{}}]*:,\}} {noun}", "*.html": rf"\| (?:number|length) \}}\}} {noun}(?! per)"}
    found = [
        f"{path.relative_to(SOURCE)}: {match[0]}" for glob, pattern in patterns.items() for path in SOURCE.rglob(glob)
        for match in re.finditer(pattern, path.read_text("utf-8")) if "_max" not in match[0].lower()
    ]
    assert found == []
