"""The table of codes: each one occurs in a record, and has a message that says something."""

import string

import pytest
from msgspec.structs import replace

from goodsgate.model.batch import Kind, Policy
from goodsgate.model.group_titles import GROUP_TITLES
from goodsgate.model.issue import CODES, VALUE_CHARACTERS_MAX, issue
from goodsgate.model.issue_group import IssueGroup
from tests.rules.truth import EUROS, REFERENCE, document, rules
from tests.rules.values import SAMPLES, VALUES

OTHERS_TELL = {code for code, entry in CODES.items() if entry.about == "file" or code.startswith("group_")} | {
    "cell_error", "formula_without_value", "sku_number_format", "not_applied", "field_conflict", "field_repeated",
    "list_first_used",
    "text_mark", "total_row",
    "line_too_long", "line_incomplete", "cell_too_long", "row_ragged", "quotes_broken", "encoding_broken",
    "duplicate_in_batch", "key_held", "key_unknown", "key_not_held", "sku_case_twin", "row_not_rejected", "item_newer",
    "changed_since", "stock_moved_since", "reference_overdue",
    "unit_conflict", "rule",
    "platform_rejected", "platform_warned",
    "version_kind_differs", "fields_newer", "field_kept", "edit_replaced", "observed_in_future", "sku_unknown",
}
"""Told by formats, by the engine, and by the platforms that `push` sends to."""
TOLD_ELSEWHERE = {
    "internal_fault", "issues_cut", "line_unreadable", "line_too_deep", "record_not_object", "trouble_ordered",
}
"""Of documents that are no records, tested with the checker."""
SCHEMAS_TELL = {
    "text_too_short", "text_form", "list_too_short", "department_unknown", "template_unknown", "location_foreign",
    "item_unnamed", "item_ambiguous", "item_missing", "value_held", "field_fixed", "entry_unknown",
    "member_unknown",
    "bylaw_broken", "barcode_form", "item_on_planogram",
}
"""Of records in another vocabulary, tested with the schema and with the engine."""


def every_issue():
    """Issues of good records with one member spoiled, under policies with and without a currency."""
    for kind, sample in SAMPLES.items():
        names = [*sample, "location", "google_product_category", "size_type", "currency",
            "shopping_ads_excluded_country",
                 "sale_price_effective_date", "_verb"]
        documents = [document({**sample, name: value}) for name in names for value in VALUES]
        documents.append(document({**sample, "product_type": "c4", "attributes": {"wattage": "9 hp", "cups": 1}}))
        documents += [document({**sample, "product_type": "c4", "attributes": {"wattage": it}}) for it in (9, "hot")]
        documents += [document({**sample, "price": price}) for price in ("1,099", "$1,099.00")]
        documents.append(document({**sample, "product_weight": "1,250 kg"}))
        documents.append(document({**sample, "product_type": "c3", "attributes": {}, "color": None, "variants": None}))
        for policy in (EUROS, Policy()):
            for found in rules(kind, policy, REFERENCE).check(documents).issues.values():
                yield from found


@pytest.fixture(scope="module")
def issues():
    """All of them, once."""
    return list(every_issue())


def test_every_code_of_the_rules_occurs(issues):
    """No code is dead, and none is missing from the table."""
    assert {one.code for one in issues} == set(CODES) - OTHERS_TELL - TOLD_ELSEWHERE - SCHEMAS_TELL


def test_messages_name_only_existing_parts(issues):
    """A placeholder of a template is always filled."""
    for one in issues:
        assert "None" not in one.message.replace(str(one.value), ""), one
        assert len(one.value or "") <= VALUE_CHARACTERS_MAX
        assert one.suggestion is None or one.suggestion != one.value or one.code == "field_type", one  # 5 → "5"


def test_paths_are_pointers(issues):
    """From the root, to a member that is there or should be."""
    assert all(one.path.startswith("/") for one in issues)


@pytest.mark.parametrize("code", CODES)
def test_templates_name_known_parts(code):
    """And are short."""
    parts = {name for _, name, _, _ in string.Formatter().parse(CODES[code].template) if name}
    assert parts <= {"value", "expected", "field", "suggestion"}
    assert len(CODES[code].template) <= 120


def test_parts_of_an_issue_are_bounded():
    """Long values and expectations are cut off; a part of a suggestion would be wrong, so that it is left out."""
    long = issue("text_markup", value="v" * 900, expected="e" * 900, suggestion="s" * 501)
    assert (long.value, long.expected, long.suggestion) == ("v" * 199 + "…", "e" * 499 + "…", None)
    short = issue("text_markup", value="v" * 200, expected="e" * 500, suggestion="s" * 500)
    assert (short.value, short.expected, short.suggestion) == ("v" * 200, "e" * 500, "s" * 500)


def test_every_code_has_a_title_for_a_group_of_its_issues():
    """With the number and the submitter's column; a merchant's rule says its name."""
    assert [*GROUP_TITLES] == [code for code in CODES if code != "rule"]
    for one, many in GROUP_TITLES.values():
        parts = {name for text in (one, many) for _, name, _, _ in string.Formatter().parse(text) if name}
        assert parts <= {"field"}
        assert one != many
    gtin = IssueGroup(code="gtin_check_digit", severity="error", field="/gtin", column="EAN", count=1017, top=[])
    assert gtin.title == "1,017 GTINs have a wrong check digit"
    html = IssueGroup(code="text_markup", severity="warning", field="/color", column="Farbe", count=1, top=[])
    assert html.title == '1 value of "Farbe" contains HTML'
    assert replace(html, column=None).title == '1 value of "color" contains HTML'
    assert replace(html, code="rule.cheap", count=2).title == '2 records break the rule "cheap"'


def test_issues_of_a_kind_concern_only_its_own_members():
    """A price record's title is nobody's business."""
    raw = document({"id": "A", "price": 5, "quantity": "x", "title": 5, "gtin": "1"})
    assert rules(Kind.PRICE).check([raw]).issues == {}
    assert [one.path for one in rules(Kind.STOCK).check([raw]).issues[0]] == ["/quantity"]
