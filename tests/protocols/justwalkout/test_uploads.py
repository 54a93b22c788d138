"""Uploads: what is accepted, what is refused at once, and what only the report shows."""

import json

import pytest

from goodsgate.protocols.justwalkout import unpublished
from tests.protocols.justwalkout.client import ONE_STORE, item

UPLOAD = "/v1/catalog/upload"


def _refused(response, text):
    assert (response.status_code, response.json()) == (400, {"errorMsg": text})
    assert response.headers["x-amzn-errortype"] == "BadRequestException"


def test_an_item_is_uploaded_and_stored(retailer):
    """It is stored under SKU and store byte for byte; the report counts it as accepted."""
    report = retailer.report(retailer.upload(item(1, nutrition={"kcal": 42})))
    assert report["summary"] == {
        "itemsProcessed": 1, "itemsAccepted": 1, "itemsRejected": 0, "errors": 0, "warnings": 0,
    }
    assert (report["operation"], report["processingStatus"], report["issues"]) == ("UPLOAD", "DONE", [])
    assert retailer.items() == {"SKU-1\x1fSTORE-1": item(1, nutrition={"kcal": 42})}


def test_an_item_replaces_the_stored_one(retailer):
    """Members that are not sent again are removed; the same SKU in another store stays."""
    retailer.report(retailer.upload(item(1, brand_name="Acme"), item(1, "STORE-2", brand_name="Acme")))
    retailer.report(retailer.upload(item(1, item_name="New")))
    items = retailer.items()
    assert items["SKU-1\x1fSTORE-1"] == item(1, item_name="New")
    assert items["SKU-1\x1fSTORE-2"] == item(1, "STORE-2", brand_name="Acme")


def test_the_same_upload_twice_has_two_ids(retailer):
    """There is no idempotency key; the second upload changes nothing."""
    first, second = retailer.upload(item(1)), retailer.upload(item(1))
    assert first.json()["ingestionId"] != second.json()["ingestionId"]
    assert retailer.report(second)["summary"]["itemsAccepted"] == 1


@ONE_STORE
@pytest.mark.parametrize("body", [
    b"", b"not json", b"[]", b"null", b'{"invalidField":"x"}', b'{"catalogItems":{}}', b'{"catalogItems":[]}',
    b'{"catalogItems":[1]}', b'{"catalogItems":[{"item_sku":"X"}]}', b'{"catalogItems":[' + b"[" * 2000,
    b'{"catalogItems":[{"item_sku":"\xff"}]}',
], ids=range(11))
def test_invalid_bodies_are_refused(retailer, body):
    """They get the published text."""
    _refused(retailer.call(UPLOAD, body), "Invalid request body")


@ONE_STORE
@pytest.mark.parametrize("member", ["item_sku", "external_product_id", "item_name", "store_id"])
def test_four_members_are_required(retailer, member):
    """The price is not; an empty text counts as missing, and a number is no text."""
    for value in (None, "", 5):
        _refused(retailer.upload(item(1), item(2, **{member: value})), "Invalid request body")
    assert retailer.upload({name: item(1)[name] for name in (
        "item_sku", "external_product_id", "item_name", "store_id")}).status_code == 201


@ONE_STORE
@pytest.mark.parametrize("member", ["item_sku", "item_name", "brand_name", "standard_price", "other_image_url8"])
def test_texts_have_at_most_255_characters(retailer, member):
    """Characters count, not bytes."""
    _refused(retailer.upload(item(1, **{member: "é" * 256})), "Invalid request body")
    assert retailer.upload(item(1, **{member: "é" * 255})).status_code == 201


@ONE_STORE
def test_an_item_has_at_most_fifty_further_barcodes(retailer):
    """51 barcodes refuse the request."""
    more = [{"external_product_id": f"{4000 + at}", "external_product_id_type": "PLU"} for at in range(51)]
    _refused(retailer.upload(item(1, additional_external_product_information=more)), "Invalid request body")
    accepted = retailer.upload(item(1, additional_external_product_information=more[:50]))
    assert retailer.codes(accepted) == []


@ONE_STORE
def test_an_upload_has_at_most_ten_thousand_items(retailer):
    """One more item is refused."""
    items = [{"item_sku": f"S{at}", "external_product_id": f"{at:04d}", "item_name": "x", "store_id": "STORE-1"}
             for at in range(unpublished.ITEMS_MAX + 1)]
    _refused(retailer.upload(*items), "Number of items in the request exceeds the maximum threshold")
    accepted = retailer.upload(*items[:-1])
    assert retailer.report(accepted)["summary"]["itemsProcessed"] == unpublished.ITEMS_MAX


@ONE_STORE
def test_a_body_has_at_most_ten_megabytes(retailer):
    """A larger body gets the platform's text."""
    response = retailer.call(UPLOAD, b" " * (unpublished.BODY_BYTES_MAX + 1))
    assert (response.status_code, response.json()) == (413, {"message": "Request Too Long"})
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
    """This covers the published cases and those between; nothing of the request is stored."""
    _refused(retailer.upload(*(item(at, store) for at, store in enumerate(stores, 1))), text)
    retailer.gate.shop.work()
    assert retailer.items() == {}


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
def test_errors_of_an_item_are_only_in_the_report(retailer, members, codes):
    """The call succeeds, the item beside it is applied, and all issues are reported."""
    report = retailer.report(retailer.upload(item(7), item(1, **members)))
    assert [(issue["code"], issue["severity"]) for issue in report["issues"]] == codes
    assert {issue["index"] for issue in report["issues"]} == {1}
    rejected = any(severity == "ERROR" for _, severity in codes)
    assert report["summary"]["itemsRejected"] == rejected
    assert len(retailer.items()) == 2 - rejected


def test_an_issue_says_where_and_what(retailer):
    """It has index, SKU, store, attribute and a sentence."""
    more = [{"external_product_id": "4006381333931", "external_product_id_type": "EAN"},
            {"external_product_id": "4006381333930", "external_product_id_type": "EAN"}]
    bad = item(2, "STORE-2", additional_external_product_information=more)
    (result,) = retailer.report(retailer.upload(item(1), bad))["issues"]
    assert result == {
        "index": 1, "item_sku": "SKU-2", "store_id": "STORE-2", "severity": "ERROR", "code": "INVALID_BARCODE",
        "attributeName": "additional_external_product_information/1/external_product_id",
        "message": "GTIN 4006381333930 has a wrong check digit; expected 4006381333931.",
    }


def test_a_barcode_belongs_to_one_sku(retailer):
    """This holds within and between uploads; the same SKU may have it in every store."""
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
    assert retailer.items()["SKU-9\x1fSTORE-1"]["external_product_id"] == item(6)["external_product_id"]


def test_strangers_have_barcodes_of_their_own(retailer, stranger):
    """Another merchant may use the same barcode."""
    assert retailer.codes(retailer.upload(item(1))) == []
    assert stranger.codes(stranger.upload(item(2, "OTHER-1", external_product_id=item(1)["external_product_id"]))) == []


def test_items_of_carts_are_separate(retailer):
    """They have the same form and rules, and another collection."""
    items = [item(1), item(2, item_name="\N{REGISTERED SIGN}")]
    report = retailer.report(retailer.call("/v1/catalog/cart/upload", {"catalogItems": items}))
    assert (report["operation"], report["summary"]["itemsRejected"]) == ("CART_UPLOAD", 1)
    assert list(retailer.items("justwalkout-cart")) == ["SKU-1\x1fSTORE-1"]
    assert retailer.items() == {}
    _refused(retailer.call("/v1/catalog/cart/upload", {}), "Invalid request body")


def test_one_gtin_is_one_barcode_however_many_zeros_it_has(retailer):
    """12, 13 and 14 digits are the same trade item number, also in the additional ones; names of blanks are errors."""
    gtin = item(1)["external_product_id"]
    retailer.report(retailer.upload(item(1)))
    more = [{"external_product_id": f"00{gtin}", "external_product_id_type": "GTIN"}]
    accepted = retailer.upload(
        item(2, external_product_id=f"0{gtin}", external_product_id_type="EAN"),
        item(3, additional_external_product_information=more), item(4, item_name="   "), item(5),
    )
    assert [(index, code) for index, code, _ in retailer.codes(accepted)] == [
        (0, "DUPLICATE_BARCODE"), (1, "DUPLICATE_BARCODE"), (2, "INVALID_ATTRIBUTE")
    ]


@ONE_STORE
def test_every_400_has_a_reason(retailer):
    """It says what the published text does not, in a header that no client has to know."""
    reasons = [
        (retailer.call(UPLOAD, b"{"), "truncated"), (retailer.call(UPLOAD, {"catalogItems": [{}]}), "catalogItems[0]"),
        (retailer.upload(item(1, "NOWHERE")), "NOWHERE"), (retailer.archive("SKU-1", stores=["STORE-1"]), "STORE-2"),
        (retailer.call("/v1/catalog/getCatalogUploadStatus", {"ingestionId": "none"}), "not found"),
    ]
    for response, reason in reasons:
        assert response.status_code == 400
        assert reason in response.headers["x-goodsgate-reason"], response.headers


@ONE_STORE
def test_an_ingestion_id_is_the_id_of_a_batch(retailer):
    """The native API and so the command line accept it in either form."""
    ingestion = retailer.upload(item(1)).json()["ingestionId"]
    key = {"authorization": f"Bearer {retailer.gate.secret(retailer.merchant, ('read',))}"}
    for name in (ingestion, ingestion.upper(), ingestion.replace("-", "")):
        response = retailer.get(f"/v1/batches/{name}", headers=key)
        assert (response.status_code, response.json().get("id")) == (200, ingestion.replace("-", ""))
