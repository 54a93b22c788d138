"""Targets are data: they are checked when they are loaded, and documented on a page that is made from them."""

import datetime
import re

import pytest

from goodsgate.engine.export import EXPORT_FORMATS
from goodsgate.targets import TargetError, load_target, parse_target, target_names
from tests.targets.reference_page import PAGE, reference_page

INVALID = {
    "an unknown member": ("title: x\nsources: []\nformats: []\ncolour: 1", "colour"),
    "an unknown member of a column": ("title: x\nsources: []\nformats: []\ncolumns: {id: {must: true}}", "must"),
    "an unknown field": ("title: x\nsources: []\nformats: []\ncolumns: {titel: {}}", "no field titel"),
    "an unknown condition": ("title: x\nsources: []\nformats: []\ncolumns: {id: {required_if: {a: [b]}}}", "field a"),
    "an unknown column": ("title: x\nsources: []\nformats: []\ncolumns: {id: {}}\none_of: [[gtin]]", "column gtin"),
    "no columns": ("title: x\nsources: []", "formats"),
    "no YAML": ("a: [", "target x"),
}


@pytest.mark.parametrize(("text", "reason"), INVALID.values(), ids=INVALID)
def test_a_target_that_is_wrong_is_refused_with_the_reason(text: str, reason: str) -> None:
    """A misspelled member would otherwise be a rule that nobody applies."""
    with pytest.raises(TargetError, match=re.escape(reason)):
        parse_target("x", text)


@pytest.mark.parametrize("name", target_names())
def test_every_shipped_target_names_its_sources_and_their_day(name: str) -> None:
    """Every rule can be looked up, and how old it is."""
    target = load_target(name)
    assert target.sources
    assert all(source.url.startswith("https://") for source in target.sources)
    assert all(datetime.date.fromisoformat(source.read) for source in target.sources)
    assert {*target.formats} <= {*EXPORT_FORMATS}


def test_the_reference_page_is_made_from_the_targets() -> None:
    """`python -m tests.targets.reference_page` writes it."""
    assert PAGE.read_text("utf-8") == reference_page()
