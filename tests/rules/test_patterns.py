"""Regular expressions of merchants: those that RE2 accepts match in linear time, others are refused with a reason."""

import contextlib
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goodsgate.rules.patterns import MEMORY_BYTES_MAX, PATTERN_CHARACTERS_MAX, PatternError, compile_pattern
from tests import effort


@pytest.mark.parametrize("expression", [
    "^([A-Za-z0-9_])*$", "^[A-Z]{2}-[0-9]{4,6}$", "^\\d+$", "a|b|^$", "^(foo|bar)[0-9]?$", "^\\w+\\.\\w+$", "",
    "^(?:ab)+$", "(foo|)?", "^\\S+\\s\\S+$", "[^\\W_]", "a\\-b\\/c", "^.$", "\\bfoo\\b", "{", "a{2}",
])
def test_ordinary_expressions_mean_what_they_mean_in_python(expression: str) -> None:
    """For ASCII classes."""
    pattern = compile_pattern(expression)
    for text in ("", "a", "AB-1234", "foo1", "x.y", "abab", "ü", "a b", "a-b/c", "foo", "aa", "{"):
        assert pattern.search(text) == bool(re.search(expression, text, re.ASCII)), text
        assert pattern.fullmatch(text) == bool(re.fullmatch(expression, text, re.ASCII)), text


@pytest.mark.parametrize("expression", [
    "(a+)+$", "(a|a)*$", "((a+))+$", "(a*)*b", "([a-z]+[0-9])*$", "a*a*a*a*a*a*a*a*b$", "^(a?){30}a{30}$",
])
def test_an_expression_that_would_backtrack_for_years_takes_linear_time(expression: str) -> None:
    """Python's own matcher takes longer than the age of the universe for some of these."""
    begin = time.thread_time()
    compile_pattern(expression).search("a" * 2_000 + "!")
    assert time.thread_time() - begin < 10


@pytest.mark.parametrize(("expression", "reason"), [
    ("(", r"missing \)"), ("[", r"missing \]"), ("a{5,2}", "invalid repetition size"),
    ("(?=a)b", r"invalid perl operator"),
    ("(a)\\1", "invalid escape sequence"), ("a**", "bad repetition operator"), ("x{1001}", "invalid repetition size"),
    ("x" * (PATTERN_CHARACTERS_MAX + 1), "longer than 500 characters"), ("\ud800", "not valid Unicode"),
    ("((a{100}){100}){100}", "invalid repetition size|too large"), ("(\\pL{500}){2}", "too large"),
])
def test_an_expression_that_cannot_be_used_is_refused_with_the_reason(expression: str, reason: str) -> None:
    """Malformed, with look-around or back references, or too large."""
    with pytest.raises(PatternError, match=reason):
        compile_pattern(expression)


def test_a_text_that_is_not_unicode_does_not_match() -> None:
    """A lone surrogate is no character."""
    pattern = compile_pattern(".*")
    assert (pattern.search("\ud800"), pattern.fullmatch("\ud800")) == (False, False)


@settings(deadline=None, max_examples=effort.examples(300))
@given(st.text("a|*+?(){}[]^$\\d1,b.", max_size=12), st.sampled_from(["a" * 500 + "!", "b" * 500, "ab" * 250 + "!"]))
def test_every_expression_answers_or_is_refused(expression: str, text: str) -> None:
    """One that took for ever would hang this test."""
    with contextlib.suppress(PatternError):
        assert compile_pattern(expression).search(text) in (True, False)


def test_memory_is_bounded() -> None:
    """An expression with a large automaton still answers within its memory."""
    assert MEMORY_BYTES_MAX <= 2**20
    assert not compile_pattern("(a|b)*a(a|b){12}c").search("ab" * 5_000)
