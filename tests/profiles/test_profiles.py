"""Profiles are data: they are checked when they are loaded, and recognized by what a file shows."""

import re

import pytest

from goodsgate.engine.column_values import unpack
from goodsgate.model.batch import Kind
from goodsgate.profiles import ProfileError, load_profile, parse_profile, profile_names, recognise

INVALID = {
    "an unknown member": ("title: x\nsources: []\ncolours: {}", "colours"),
    "an unknown member of a column": ("title: x\nsources: []\ncolumns: {A: {to: title, unitt: kg}}", "unitt"),
    "an unknown field": ("title: x\nsources: []\ncolumns: {A: titel}", "no field titel"),
    "a pattern that is none": ("title: x\nsources: []\ncolumns: {A: {to: title, matching: '('}}", "pattern ("),
    "a signature of unknown columns": ("title: x\nsources: []\nsignature: [[A]]", "column A"),
    "no title": ("sources: []", "title"),
    "no mapping": ("- a", "profile x"),
    "no YAML": ("a: [", "profile x"),
}


@pytest.mark.parametrize(("text", "reason"), INVALID.values(), ids=INVALID)
def test_a_profile_that_is_wrong_is_refused_with_the_reason(text: str, reason: str) -> None:
    """A misspelled member would otherwise be a rule that nobody applies."""
    with pytest.raises(ProfileError, match=re.escape(reason)):
        parse_profile("x", text)


@pytest.mark.parametrize("name", profile_names())
def test_every_shipped_profile_is_valid_and_names_its_sources(name: str) -> None:
    """Every column name can be looked up where its vendor publishes it."""
    profile = load_profile(name)
    assert profile.title
    assert all(source.startswith("https://") for source in profile.sources)
    assert profile.sources


@pytest.mark.parametrize(("header", "kind", "name"), [
    ("Handle,Title,Body (HTML),Vendor,Option1 Name,Option1 Value,Variant SKU,Variant Price", Kind.PRODUCT, "shopify"),
    ("Handle,Title,Variant SKU,Variant Price,Variant Inventory Qty", Kind.STOCK, "shopify"),
    ("Handle,SKU,Location,Available", Kind.STOCK, "shopify_inventory"),
    ("Handle,SKU,Location,Available", Kind.PRODUCT, "generic"),
    ("ID,Type,SKU,Name,Regular price", Kind.PRODUCT, "woocommerce"),
    ("ID,Typ,Artikelnummer,Name,Veröffentlicht,Regulärer Preis", Kind.PRODUCT, "woocommerce"),
    ("ID,Type,UGS,Nom,Tarif régulier", Kind.PRODUCT, "woocommerce"),
    ("contribution_sku#1.value,product_type#1.value", Kind.PRODUCT, "amazon_flat_file"),
    ("sku,store_view_code,name,price", Kind.PRODUCT, "magento"),
    ("item_sku,item_name,standard_price", Kind.PRODUCT, "amazon_flat_file"),
    ("uuid,sku,family,name-en_US", Kind.PRODUCT, "akeneo"),
    ("sku,title,price", Kind.PRODUCT, "generic"),
    ("ID,SKU,Name,Regular price", Kind.PRODUCT, "generic"),
])
def test_a_file_is_recognized_by_its_header(header: str, kind: Kind, name: str) -> None:
    """By sets of columns that only this system writes; everything else is generic."""
    profile, confidence = recognise(header.split(","), kind=kind)
    assert (profile.name, confidence > 0.5) == (name, name != "generic")


def test_an_xml_file_is_recognized_by_its_root_and_namespaces() -> None:
    """An RSS file without Google's namespace is a news feed."""
    google = ["http://base.google.com/ns/1.0"]
    assert recognise((), root="rss", namespaces=google)[0].name == "google"
    assert recognise((), root="{http://www.w3.org/2005/Atom}feed", namespaces=google)[0].name == "google"
    assert recognise((), root="BMECAT")[0].name == "bmecat"
    assert recognise((), root="rss")[0].name == "generic"


@pytest.mark.parametrize(("name", "column", "field", "number"), [
    ("shopify", "variant  sku", "id", ""),
    ("shopify", "Google Shopping / Custom Label 3", "custom_label_{n}", "3"),
    ("shopify", "Google Shopping / Manufacturer part number (MPN)", "mpn", ""),
    ("woocommerce", "Übergeordnetes Produkt", "item_group_id", ""),
    ("woocommerce", "Tarif promo", "sale_price", ""),
    ("woocommerce", "Vorrätig?", "availability", ""),
    ("bigcommerce", "GPS Global Trade Item Number", "gtin", ""),
    ("amazon_flat_file", "item_name[marketplace_id=ATVPDKIKX0DER][language_tag=en_US]#1.value", "title", ""),
    ("generic", "Código", "id", ""),
    ("amazon_flat_file", "other_image_url4", "additional_image_link", "4"),
    ("generic", "Größe", "size", ""),
    ("generic", "GROSSE", "size", ""),
    ("generic", "designation", "title", ""),
    ("generic", "Ilosc", "quantity", ""),
    ("generic", "Preço", "price", ""),
])
def test_case_spaces_and_accents_of_a_column_do_not_matter(name: str, column: str, field: str, number: str) -> None:
    """Also in names with a number."""
    match = load_profile(name).column(column)
    assert match is not None
    assert (match.columns[0].to, match.number) == ((field,), number)


@pytest.mark.parametrize(("column", "cell", "options"), [
    ("Product Name", "[S]Color=Silver", {"Color": ["Silver"]}),
    ("Product Name", "[RB]Size=Small, [CS]Color=Deep Blue:#0000ff", {"Size": ["Small"], "Color": ["Deep Blue"]}),
    ("Product Name", "Color=Red, white,Size=L", {"Color": ["Red, white"], "Size": ["L"]}),
    ("Product Name", "[CS]Color=Duo:#ff0000|#00ff00,[S]Ratio=1:2", {"Color": ["Duo"], "Ratio": ["1:2"]}),
    ("Options", "Type=Rectangles|Name=Color|Value=Red", {"Color": ["Red"]}),
    ("Options", "Type=Swatch|Name=Color|Value=Blue[#0000ff]Type=Dropdown|Name=Size|Value=S, long",
     {"Color": ["Blue"], "Size": ["S, long"]}),
    ("Options", "Type=Swatch|Name=Color|Value=Blue[#00f,#fff];Type=Radio|Name=Size|Value=S",
     {"Color": ["Blue"], "Size": ["S"]}),
    ("Options", "no options", {}),
])
def test_bigcommerce_options_are_read_without_their_display(
    column: str, cell: str, options: dict[str, list[str]],
) -> None:
    """The kind of the control and the colour of a swatch are no part of a value."""
    match = load_profile("bigcommerce").column(column)
    assert match is not None
    packed = match.columns[0].packed
    assert packed is not None
    assert unpack(cell, packed) == [options]
