"""What each profile makes of a file of its system; every value is invented."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from goodsgate import formats
from goodsgate.engine.mapping_resolution import resolve_mapping
from goodsgate.engine.reader import read_options
from goodsgate.engine.settings import CheckLimits
from goodsgate.engine.validator import Validator
from goodsgate.model.batch import Kind, Policy, RoundKind, Verb, now
from goodsgate.profiles import profile_names
from goodsgate.store.contract import ClaimedRound
from tests.profiles.reference_page import PAGE, reference_page

SAMPLES = Path(__file__).parent / "samples"
FORMATS = {".csv": "csv", ".txt": "tsv", ".xml": "xml"}
WITH_VERBS = (Verb.UPSERT, Verb.UPDATE)
LINK = "https://cdn.example.com/"

WANTED: dict[str, tuple[Kind, dict[str, Any], list[dict[str, Any]]]] = {
    "shopify": (Kind.PRODUCT, {"currency": "EUR"}, [{
        "id": "CAP-R", "item_group_id": "cap", "title": "Cap", "description": "Soft", "brand": "Pohja",
        "google_product_category": "Apparel & Accessories", "product_type": "Hats", "price": "30.00 EUR",
        "sale_price": "25.00 EUR", "color": "Red", "attributes": {"frame_shape": "Round"}, "product_weight": "80 g",
        "gtin": "4006381333931", "image_link": f"{LINK}1.jpg", "availability": "out_of_stock",
        "cost_of_goods_sold": "9.50 EUR", "Tags": "wool, winter",
    }]),
    "shopify_inventory": (Kind.STOCK, {}, [{"id": "CAP-R", "location": "Helsinki", "quantity": 6}]),
    "woocommerce": (Kind.PRODUCT, {"currency": "EUR"}, [{
        "id": "LAMP-R", "item_group_id": "LAMP", "title": "Lamp", "availability": "out_of_stock", "price": "24.90 EUR",
        "sale_price": "19.90 EUR", "product_weight": "1.2 kg", "product_length": "20 cm", "color": "Red",
        "product_type": ["Home > Light", "Sale"], "image_link": f"{LINK}1.jpg", "brand": "Vista",
        "additional_image_link": [f"{LINK}2.jpg"], "gtin": "4006381333931", "Type": "variation", "Meta: _x": "y",
    }]),
    "magento": (Kind.PRODUCT, {"currency": "EUR"}, [{
        "id": "ANO", "title": "Anorak", "price": "125.00 EUR", "sale_price": "99.99 EUR", "color": "Blue", "size": "M",
        "product_type": ["Women > Jackets", "Sale"], "material": "Cotton / Elastane", "availability": "out_of_stock",
        "attributes": {"care": "cold, gentle", "season": "SS"}, "base_image": "/a/n/1.jpg",
        "x_product_type": "simple",
    }]),
    "bigcommerce": (Kind.PRODUCT, {"currency": "USD"}, [{
        "id": "TOW", "title": "Towel", "price": "49.00 USD", "maximum_retail_price": "59.00 USD", "brand": "Lino",
        "product_type": ["Shop All", "Home > Bath"], "image_link": f"{LINK}1.jpg", "condition": "new",
        "additional_image_link": [f"{LINK}2.jpg"], "gtin": "4006381333931",
    }, {"id": "TOW-S", "color": "Silver", "size": "M"}]),
    "spree": (Kind.PRODUCT, {}, [{
        "id": "MUG", "item_group_id": "mug", "title": "Mug", "price": "12.90 USD", "sale_price": "9.90 USD",
        "product_type": "Kitchen > Mugs", "color": "Red", "image_link": f"{LINK}1.jpg", "product_width": "10 cm",
        "additional_image_link": [f"{LINK}2.jpg"], "product_weight": "0.5 lb",
    }]),
    "prestashop": (Kind.PRODUCT, {"currency": "EUR"}, [{
        "id": "MUG", "title": "Mug", "price": "9.90 EUR", "product_type": ["Home", "Kitchen"], "brand": "Hella",
        "gtin": "4006381333931", "product_width": "10 cm", "product_weight": "0.5 kg", "image_link": f"{LINK}1.jpg",
        "additional_image_link": [f"{LINK}2.jpg"], "condition": "new",
    }]),
    "prestashop_combinations": (Kind.PRODUCT, {"currency": "EUR", "verb": Verb.UPDATE}, [{
        "id": "MUG-M-RED", "item_group_id": "MUG", "size": "M", "color": "Red", "attributes": {"glaze": "Matt"},
        "gtin": "4006381333931", "cost_of_goods_sold": "5.00 EUR", "image_link": f"{LINK}1.jpg",
        "additional_image_link": [f"{LINK}2.jpg"],
    }]),
    "amazon_flat_file": (Kind.PRODUCT, {"currency": "USD"}, [{
        "id": "BOWL", "item_group_id": "BOW", "title": "Bowl", "brand": "Hella", "price": "19.99 USD", "color": "Red",
        "product_highlight": ["Round", "Deep"], "product_weight": "1.5 lb", "external_product_id": "B00ABCDEFG",
        "image_link": "https://img.example.com/1.jpg",
        "additional_image_link": ["https://img.example.com/2.jpg", "https://img.example.com/3.jpg"],
    }, {"id": "BOWL2", "gtin": "4006381333931", "color": "Blue"}]),
    "google": (Kind.PRODUCT, {}, [{
        "id": "MUG", "title": "Mug", "availability": "in_stock", "price": "9.90 EUR", "product_type": "Home > Mugs",
        "additional_image_link": [f"{LINK}2.jpg", f"{LINK}3.jpg"],
    }]),
    "akeneo": (Kind.PRODUCT, {}, [{
        "id": "MUG", "item_group_id": "mug_model", "product_type": ["kitchen", "mugs"], "title": "Mug",
        "description": "Large", "price": "9.90 EUR", "product_weight": "500 g", "gtin": "4006381333931",
    }]),
    "cif": (Kind.PRODUCT, {}, [
        {"id": "34A11", "title": "Eames chair", "description": "Eames chair", "price": "400.00 USD", "brand": "Hella"},
        {"id": "34A12", "title": "Chair", "description": "Black leather chair"},
    ]),
    "bmecat": (Kind.PRODUCT, {}, [
        {"id": "MUG", "title": "Mug", "description": "Large", "gtin": "4006381333931", "brand": "Hella",
         "price": "9.90 EUR", "image_link": f"{LINK}1.jpg"},
        {"id": "CUP", "title": "Cup", "price": "4.90 EUR"},
    ]),
    "generic": (Kind.PRODUCT, {"decimal": "comma"}, [{
        "id": "4711", "title": "Becher", "price": "7.90 EUR", "product_weight": "0.25 kg", "color": "rot",
        "brand": "Hella", "gtin": "4006381333931", "availability": "in_stock", "Bemerkung": "x",
    }]),
}
"""Profile → kind, options, and members of each record. Which rows belong together is not looked at here."""


class NoReferenceData:
    """A store of a merchant without reference data."""

    def reference_version(self, merchant: str) -> int:
        """Return 0: there is none."""
        return 0


def test_the_reference_page_is_made_from_the_profiles() -> None:
    """`python -m tests.profiles.reference_page` writes it."""
    assert PAGE.read_text("utf-8") == reference_page()


@pytest.mark.parametrize("name", profile_names())
def test_a_sample_is_recognized_and_read_by_its_profile(name: str) -> None:
    """Every shipped profile has a sample, without any error."""
    (path,) = SAMPLES.glob(f"{name}.*")
    kind, options, wanted = WANTED[name]
    policy = Policy(**options)
    file = formats.open_reader(
        iter([path.read_bytes()]), format=FORMATS[path.suffix], content_encoding="identity", limits=formats.Limits(),
        options=read_options(kind, policy),
    )
    chunk = next(filter(len, file.chunks()))
    mapping, issues = resolve_mapping(
        kind, policy, columns=file.header, root=file.root, namespaces=tuple(file.namespaces)
    )
    assert mapping.profile.name == name
    assert not [each for each in issues if each.severity == "error"]
    round = ClaimedRound(
        merchant="m", batch="", number=0, round_kind=RoundKind.SUBMISSION, kind=kind, collection="products",
        policy=policy, format="csv", content_encoding="identity", bytes_total=0, received_at=now(), started_at=now(),
        cancelling=False, chunks=0, records=0, total=0, columns=None, mapping=None,
    )
    checked = Validator(NoReferenceData(), CheckLimits(), {}).check(chunk, round, mapping)  # type: ignore[arg-type]
    for at, members in enumerate(wanted):
        document = orjson.loads(checked.documents[at])
        assert {member: document.get(member) for member in members} == members
    verbs = {"bmecat": [None, None, Verb.DELETE], "cif": [None, Verb.DELETE], "amazon_flat_file": [*WITH_VERBS]}
    assert checked.verbs == verbs.get(name)
    if name != "bigcommerce":  # whose rows of variants take their title from the product
        assert not [each for found in checked.issues.values() for each in found if each.severity == "error"]
