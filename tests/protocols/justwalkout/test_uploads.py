"""Uploads: what is accepted, what is refused at once, what is told in the report."""

import json

import pytest

from goodsgate.protocols.justwalkout import unpublished
from tests.protocols.justwalkout.client import ONE_STORE, item

UPLOAD = "/v1/catalog/upload"


def _refused(answered, text):
    assert (answered.status_code, answered.json()) == (400, {"errorMsg": text})
    assert answered.headers["x-amzn-errortype"] == "BadRequestException"


def test_an_item_is_uploaded_and_held(retailer):
    """Under SKU and store, byte for byte; the report says it was accepted."""
    report = retailer.report(retailer.upload(item(1, nutrition={"kcal": 42})))
    assert report["summary"] == {
        "itemsProcessed": 1, "itemsAccepted": 1, "itemsRejected": 0, "errors": 0, "warnings": 0,
    }
    assert (report["operation"], report["processingStatus"], report["issues"]) == ("UPLOAD", "DONE", [])
    assert retailer.held() == {"SKU-1\x1fSTORE-1": item(1, nutrition={"kcal": 42})}


def test_an_item_replaces_what_was_held(retailer):
    """As a whole: what is not sent again is gone; the same SKU elsewhere stays."""
    retailer.report(retailer.upload(item(1, brand_name="Acme"), item(1, "STORE-2", brand_name="Acme")))
    retailer.report(retailer.upload(item(1, item_name="New")))
    held = retailer.held()
    assert held["SKU-1\x1fSTORE-1"] == item(1, item_name="New")
    assert held["SKU-1\x1fSTORE-2"] == item(1, "STORE-2", brand_name="Acme")


def test_the_same_upload_twice_has_two_ids(retailer):
    """There is no key of idempotency; the second changes nothing."""
    first, second = retailer.upload(item(1)), retailer.upload(item(1))
    assert first.json()["ingestionId"] != second.json()["ingestionId"]
    assert retailer.report(second)["summary"]["itemsAccepted"] == 1


@ONE_STORE
@pytest.mark.parametrize("body", [
    b"", b"not json", b"[]", b"null", b'{"invalidField":"x"}', b'{"catalogItems":{}}', b'{"catalogItems":[]}',
    b'{"catalogItems":[1]}', b'{"catalogItems":[{"item_sku":"X"}]}', b'{"catalogItems":[' + b"[" * 2000,
    b'{"catalogItems":[{"item_sku":"\xff"}]}',
], ids=range(11))
def test_a_body_that_is_none_is_refused(retailer, body):
    """In the published words."""
    _refused(retailer.call(UPLOAD, body), "Invalid request body")


@ONE_STORE
@pytest.mark.parametrize("member", ["item_sku", "external_product_id", "item_name", "store_id"])
def test_four_members_are_required(retailer, member):
    """Not the price; an empty text is none, and a number is no text."""
    for value in (None, "", 5):
        _refused(retailer.upload(item(1), item(2, **{member: value})), "Invalid request body")
    assert retailer.upload({name: item(1)[name] for name in (
        "item_sku", "external_product_id", "item_name", "store_id")}).status_code == 201


@ONE_STORE
@pytest.mark.parametrize("member", ["item_sku", "item_name", "brand_name", "standard_price", "other_image_url8"])
def test_texts_have_at_most_255_characters(retailer, member):
    """Characters, not bytes."""
    _refused(retailer.upload(item(1, **{member: "é" * 256})), "Invalid request body")
    assert retailer.upload(item(1, **{member: "é" * 255})).status_code == 201


@ONE_STORE
def test_an_item_has_at_most_fifty_further_barcodes(retailer):
    """51 refuse the request."""
    more = [{"external_product_id": f"{4000 + at}", "external_product_id_type": "PLU"} for at in range(51)]
    _refused(retailer.upload(item(1, additional_external_product_information=more)), "Invalid request body")
    accepted = retailer.upload(item(1, additional_external_product_information=more[:50]))
    assert retailer.codes(accepted) == []


@ONE_STORE
def test_an_upload_has_at_most_ten_thousand_items(retailer):
    """At the limit and above."""
    items = [{"item_sku": f"S{at}", "external_product_id": f"{at:04d}", "item_name": "x", "store_id": "STORE-1"}
             for at in range(unpublished.ITEMS_MAX + 1)]
    _refused(retailer.upload(*items), "Number of items in the request exceeds the maximum threshold")
    accepted = retailer.upload(*items[:-1])
    assert retailer.report(accepted)["summary"]["itemsProcessed"] == unpublished.ITEMS_MAX


@ONE_STORE
def test_a_body_has_at_most_ten_megabytes(retailer):
    """The platform's own words."""
    answered = retailer.call(UPLOAD, b" " * (unpublished.BODY_BYTES_MAX + 1))
    assert (answered.status_code, answered.json()) == (413, {"message": "Request Too Long"})
    padded = json.dumps({"catalogItems": [item(1)]}).encode().ljust(unpublished.BODY_BYTES_MAX)
    assert retailer.call(UPLOAD, padded).status_code == 201


@ONE_STORE
@pytest.mark.parametrize(("stores", "text"), [
    (["STORE-9"], "One or more StoreID's present in the request is incorrect"),
    (["STORE-9", "STORE-9"], "One or more StoreID's present in the request is incorrect"),
    (["OTHER-1"], "One or more StoreID's present in the request is incorrect"),
    (["STORE-1", "OTHER-1"],
     "List of store ID's present in the request are either incorrect/not associated with same retailer"),
    (["STORE-1", "STORE-9"],
     "List of store ID's present in the request are either incorrect/not associated with same retailer"),
    (["STORE-8", "STORE-9"],
     "List of store ID's present in the request are either incorrect/not associated with same retailer"),
])
def test_stores_must_be_the_merchants(retailer, stranger, stores, text):
    """The three published cases, and what lies between them; nothing of the request is kept."""
    _refused(retailer.upload(*(item(at, store) for at, store in enumerate(stores, 1))), text)
    retailer.gate.shop.work()
    assert retailer.held() == {}


BAD = [
    ({"external_product_id": "036000291453"}, [("INVALID_BARCODE", "ERROR")]),
    ({"external_product_id": "03600029145"}, [("INVALID_BARCODE", "ERROR")]),
    ({"external_product_id": "x"}, [("INVALID_BARCODE", "ERROR")]),
    ({"external_product_id": "036000291452", "external_product_id_type": "EAN"}, [("INVALID_BARCODE", "ERROR")]),
    ({"external_product_id_type": "ASIN"}, [("INVALID_BARCODE", "WARNING")]),
    ({"item_name": "Cola\N{REGISTERED SIGN}"}, [("UNSUPPORTED_CHARACTERS", "ERROR")]),
    ({"item_sku": "SKU\N{TRADE MARK SIGN}1"}, [("UNSUPPORTED_CHARACTERS", "ERROR")]),
    ({"item_sku": "SKU 1"}, [("UNSUPPORTED_CHARACTERS", "ERROR")]),
    ({"item_sku": " SKU1"}, [("UNSUPPORTED_CHARACTERS", "ERROR")]),
    ({"item_sku": "S\u200bKU"}, [("UNSUPPORTED_CHARACTERS", "ERROR")]),
    ({"standard_price": "9,99"}, [("INVALID_PRICE", "ERROR")]),
    ({"standard_price": "$9.99"}, [("INVALID_PRICE", "ERROR")]),
    ({"standard_price": "-1"}, [("INVALID_PRICE", "ERROR")]),
    ({"standard_price": "free", "item_name": "\N{COPYRIGHT SIGN}", "external_product_id": "1"}, [
        ("UNSUPPORTED_CHARACTERS", "ERROR"), ("INVALID_PRICE", "ERROR"), ("INVALID_BARCODE", "ERROR")]),
    ({"item_name": "x" * 101}, [("INVALID_ATTRIBUTE", "WARNING")]),
]


@pytest.mark.parametrize(("members", "codes"), BAD, ids=range(len(BAD)))
@ONE_STORE
def test_what_is_wrong_with_an_item_is_in_the_report_alone(retailer, members, codes):
    """The call succeeds, the item's neighbour is applied, and everything that is wrong is told."""
    report = retailer.report(retailer.upload(item(7), item(1, **members)))
    assert [(told["code"], told["severity"]) for told in report["issues"]] == codes
    assert {told["index"] for told in report["issues"]} == {1}
    rejected = any(severity == "ERROR" for _, severity in codes)
    assert report["summary"]["itemsRejected"] == rejected
    assert len(retailer.held()) == 2 - rejected


def test_an_issue_says_where_and_what(retailer):
    """Index, SKU, store, attribute and a sentence."""
    more = [{"external_product_id": "4006381333931", "external_product_id_type": "EAN"},
            {"external_product_id": "4006381333930", "external_product_id_type": "EAN"}]
    bad = item(2, "STORE-2", additional_external_product_information=more)
    (told,) = retailer.report(retailer.upload(item(1), bad))["issues"]
    assert told == {
        "index": 1, "item_sku": "SKU-2", "store_id": "STORE-2", "severity": "ERROR", "code": "INVALID_BARCODE",
        "attributeName": "additional_external_product_information/1/external_product_id",
        "message": "GTIN 4006381333930 has a wrong check digit; expected 4006381333931.",
    }


def test_a_barcode_is_one_skus(retailer):
    """In one upload or several, as first or further barcode; the same SKU may have it in every store."""
    more = [{"external_product_id": item(5)["external_product_id"]}]
    assert retailer.codes(retailer.upload(
        item(1), item(1, "STORE-2"), item(2, additional_external_product_information=more),
    )) == []
    taken = retailer.upload(
        item(3, external_product_id=item(1)["external_product_id"]), item(5), item(6), item(8, item_sku="SKU-6"),
        item(9, external_product_id=item(6)["external_product_id"]),
    )
    assert retailer.codes(taken) == [
        (0, "DUPLICATE_BARCODE", "ERROR"), (1, "DUPLICATE_BARCODE", "ERROR"),
        (3, "DUPLICATE_SKU_IN_REQUEST", "WARNING"),
    ]
    assert retailer.held()["SKU-9\x1fSTORE-1"]["external_product_id"] == item(6)["external_product_id"]


def test_strangers_have_barcodes_of_their_own(retailer, stranger):
    """One merchant's catalogue is nothing to another."""
    assert retailer.codes(retailer.upload(item(1))) == []
    assert stranger.codes(stranger.upload(item(2, "OTHER-1", external_product_id=item(1)["external_product_id"]))) == []


def test_items_of_carts_are_held_apart(retailer):
    """The same form and rules, another catalogue."""
    items = [item(1), item(2, item_name="\N{REGISTERED SIGN}")]
    report = retailer.report(retailer.call("/v1/catalog/cart/upload", {"catalogItems": items}))
    assert (report["operation"], report["summary"]["itemsRejected"]) == ("CART_UPLOAD", 1)
    assert list(retailer.held("justwalkout-cart")) == ["SKU-1\x1fSTORE-1"]
    assert retailer.held() == {}
    _refused(retailer.call("/v1/catalog/cart/upload", {}), "Invalid request body")
