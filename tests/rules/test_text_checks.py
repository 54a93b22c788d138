"""Texts: lengths, and the damage they bring along."""

import csv
import html
import io
import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goodsgate.model.issue import SUGGESTION_CHARACTERS_MAX
from goodsgate.rules.text_checks import repair
from tests.data import sample_bytes
from tests.invented import offers, sales_lines
from tests.rules.truth import codes, document, issues_of, product, rules

TITLES = [
    # Luma
    ("Mars HeatTech&trade; Pullover-XS-Black", "text_entities", "Mars HeatTech™ Pullover-XS-Black"),
    # Open Food Facts, 2020
    ("Vinceremos Rose &quot;La Marouette&quot;", "text_entities", 'Vinceremos Rose "La Marouette"'),
    # Amazon and Google of the Leipzig set: characters lost before they came here
    ("logic express 7.2 upgrade from logic \ufffdexpress 6", "text_lost_characters", None),
    # Best Buy: the trade mark sign of Windows-1252 as a control character
    ("Insignia\u0099 - Leather Hip Case", "text_control_characters", "Insignia™ - Leather Hip Case"),
    # Online Retail
    ("POPPY'S PLAYHOUSE BEDROOM ", "text_edge_blanks", "POPPY'S PLAYHOUSE BEDROOM"),
    ("????damages????", None, None), ("SET/3 & A < B", None, None), ("R&B; AT&T", None, None),
    ("&unknown;", None, None),
    ("<p>Ideal</p> for <b>training</b>", "text_markup", "Ideal for training"), ("a <!-- x", "text_markup", None),
    ("4 < 5 > 3", None, None), ("I <3 you", None, None), ("Gear\nBags", "text_control_characters", "Gear Bags"),
    ("tab\there", "text_control_characters", "tab here"), ("\ufeffBOM", "text_control_characters", "BOM"),
    ("NUL\x00", "nul_bytes", "NUL"),
    # UTF-8 once read as Windows-1252
    ("CafÃ© crÃ¨me", "text_mojibake", "Café crème"), ("donâ€™t", "text_mojibake", "don’t"),
    ("StraÃŸe", "text_mojibake", "Straße"), ("Â£5 Â°C", "text_mojibake", "£5 °C"),
    ("ï»¿Title", "text_mojibake", "Title"),
    ("ðŸ˜€", "text_mojibake", "😀"), ("Ã‰clair", "text_mojibake", "Éclair"), ("cafÃ© “x”", "text_mojibake", "café “x”"),
    ("“AMANHÔ", None, None), ("SÃO PAULO", None, None), ("Straße für Äpfel", None, None), ("CAFÉ”", None, None),
    ("x" * 150, None, None), ("x" * 151, "text_too_long", None), ("é" * 150, None, None),
]


@pytest.mark.parametrize(("value", "code", "suggestion"), TITLES)
def test_every_defect_of_a_title_is_reported(value, code, suggestion):
    """Damage is reported with the repaired text, if that can be known."""
    found = [one for one in issues_of(product(title=value)) if one.code == code]
    assert bool(found) == bool(code)
    if code is None:
        assert not issues_of(product(title=value))
    elif suggestion is not None:
        assert found[0].suggestion == suggestion


@pytest.mark.parametrize(("field", "longest"), [
    ("title", 150), ("description", 5000), ("brand", 70), ("mpn", 70), ("color", 100), ("material", 200),
    ("product_type", 750), ("custom_label_0", 100), ("item_group_id", 50),
])
def test_lengths_are_those_of_google(field, longest):
    """At the bound nothing, above it an error."""
    assert codes(product(**{field: "x" * longest})) == []
    assert codes(product(**{field: "x" * (longest + 1)})) == [("text_too_long", f"/{field}")]


def test_a_description_may_have_lines_and_other_texts_may_not():
    """Line breaks and tabs are part of a long text."""
    assert codes(product(description="one\n\ttwo")) == []
    assert codes(product(description="one\x0btwo")) == [("text_control_characters", "/description")]
    assert codes(product(color="one\ntwo")) == [("text_control_characters", "/color")]


def test_every_issue_of_a_text_is_reported():
    """Not the first alone."""
    found = codes(product(title=" <b>A&amp;B</b>\ufffd" + "x" * 150))
    assert [code for code, _ in found] == [
        "text_too_long", "text_edge_blanks", "text_lost_characters", "text_markup", "text_entities",
    ]


def test_an_empty_text_is_an_issue():
    """A required text counts as missing; any other is reported as empty."""
    assert codes(product(title="")) == [("field_missing", "/title")]
    assert codes(product(title="  ")) == [("field_missing", "/title")]
    assert codes({"id": "A-1"}) == [("field_missing", "/title")]
    assert codes({"id": "A-1", "title": None}) == [("field_missing", "/title")]
    assert codes(product(brand="", color=" ", mpn=None)) == [("text_empty", "/brand"), ("text_empty", "/color")]


@pytest.mark.parametrize("value", [5, 1.5, True, ["x"], {"en": "x"}])
def test_a_text_must_be_a_text(value):
    """Of JSON."""
    assert codes(product(title=value)) == [("field_type", "/title")]


def test_texts_of_attributes_are_checked():
    """Under whatever name, also one that a pointer must escape."""
    found = codes(product(attributes={"a/b~c": "x ", "list": ["<b>x</b>", 5], "n": 5, "deep": {"x": " "}, "e": ""}))
    assert found == [
        ("text_edge_blanks", "/attributes/a~1b~0c"), ("text_markup", "/attributes/list/0"),
        ("text_empty", "/attributes/e"),
    ]
    assert codes(product(attributes=[])) == [("field_type", "/attributes")]


def test_long_suggestions_are_left_out():
    """A million of them would outgrow the catalogue."""
    long = "CafÃ© " * (SUGGESTION_CHARACTERS_MAX // 4)
    issues = issues_of(product(description=long.strip()))
    assert [(one.code, one.suggestion) for one in issues] == [("text_mojibake", None)]


@given(st.text("äöüßéèàçñ€–’“™œžÉÀ ÂÃabc", min_size=1, max_size=30))
def test_wrongly_decoded_text_is_repaired(text):
    """Text that was read as Windows-1252 is reported and repaired."""
    misread = text.encode().decode("cp1252", errors="replace")
    if "\ufffd" in misread or misread.isascii():
        return
    repaired = repair(misread)
    assert repaired in (text, None)


@given(st.text(max_size=40))
def test_a_suggestion_does_not_have_the_issue_that_it_repairs(text):
    """Taking it ends the issue."""
    for one in issues_of(product(title=text)):
        if one.suggestion and one.code in ("text_entities", "text_edge_blanks", "text_control_characters"):
            again = [code for code, _ in codes(product(title=one.suggestion))]
            assert one.code not in again or html.unescape(one.suggestion) != one.suggestion


def table(content):
    """The rows of a CSV file."""
    return csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""))


def counted(documents):
    """Issues by code."""
    issues = rules().check(list(documents)).issues
    return Counter(one.code for found in issues.values() for one in found)


def test_characters_lost_in_offers():
    """Every record with U+FFFD has an issue, and no other."""
    file = offers("zero")
    documents = [document(product(title=row["name"], description=row["description"])) for row in table(file.content)]
    issues = rules().check(documents).issues
    lost = [at for at, found in issues.items() if any(each.code == "text_lost_characters" for each in found)]
    assert len(lost) == file.lost_characters > 0
    assert all(b"\xef\xbf\xbd" in documents[at] for at in lost)


def test_descriptions_of_luma():
    """Every one is HTML, nearly all with entities."""
    found = counted(
        document(product(id=row["sku"], title=row["name"], description=row["description"]))
        for row in table(sample_bytes("luma-apparel/configurable-products.csv.gz"))
    )
    assert found == {"text_markup": 100, "text_entities": 104, "text_edge_blanks": 1}


def test_texts_of_best_buy():
    """Descriptions and names with entities, and the trade mark sign that became a control character."""
    rows = json.loads(sample_bytes("bestbuy/products-sample.json.gz"))
    found = counted(
        document({"id": str(at), "title": row["name"], "description": row["description"], "brand": row["brand"]})
        for at, row in enumerate(rows)
    )
    assert found == {"text_entities": 45, "text_control_characters": 4}


def test_blanks_and_missing_names_of_sales_lines():
    """Descriptions with a blank at an edge, and empty ones."""
    file = sales_lines(20_000)
    found = counted(document({"id": row["StockCode"], "title": row["Description"]}) for row in table(file.content))
    assert found == {"text_edge_blanks": file.blank_edges, "field_missing": file.blank_descriptions}
