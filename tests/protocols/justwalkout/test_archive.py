"""Archives: in all stores at once, SKU by SKU, and reversed by an upload."""

import pytest

from tests.protocols.justwalkout.client import ONE_STORE, item

ARCHIVE = "/v1/catalog/archive"


def _archived(retailer):
    return {key for key, item in retailer.items().items() if item.get("catalogStatus") == "ARCHIVED"}


def test_a_sku_is_archived_in_every_store(retailer):
    """Its items stay with a mark; other SKUs do not change."""
    retailer.report(retailer.upload(item(1), item(1, "STORE-2"), item(2)))
    report = retailer.report(retailer.archive("SKU-1"))
    assert (report["operation"], report["issues"]) == ("ARCHIVE", [])
    assert report["summary"] == {
        "itemsProcessed": 1, "itemsAccepted": 1, "itemsRejected": 0, "errors": 0, "warnings": 0,
    }
    assert _archived(retailer) == {"SKU-1\x1fSTORE-1", "SKU-1\x1fSTORE-2"}
    assert retailer.items()["SKU-1\x1fSTORE-1"]["item_name"] == "Example Cola 1"


def test_errors_of_an_archive_are_only_in_its_report(retailer):
    """Unknown, archived and planogram SKUs do not make the call fail."""
    retailer.report(retailer.upload(*(item(at) for at in range(1, 5))))
    retailer.report(retailer.archive("SKU-1"))
    _put_planogram(retailer, "SKU-2")
    report = retailer.report(retailer.archive("SKU-1", "SKU-2", "SKU-3", "SKU-99", "SKU-3"))
    assert [(issue["index"], issue["item_sku"], issue["code"], issue["severity"]) for issue in report["issues"]] == [
        (0, "SKU-1", "ALREADY_ARCHIVED", "ERROR"), (1, "SKU-2", "SKU_ON_PLANOGRAM", "ERROR"),
        (3, "SKU-99", "SKU_NOT_FOUND", "ERROR"), (4, "SKU-3", "DUPLICATE_SKU_IN_REQUEST", "WARNING"),
        (4, "SKU-3", "ALREADY_ARCHIVED", "ERROR"),
    ]
    assert report["summary"] == {
        "itemsProcessed": 5, "itemsAccepted": 1, "itemsRejected": 4, "errors": 4, "warnings": 1,
    }
    assert all("store_id" not in issue for issue in report["issues"])
    assert _archived(retailer) == {"SKU-1\x1fSTORE-1", "SKU-3\x1fSTORE-1"}
    _put_planogram(retailer)
    assert retailer.codes(retailer.archive("SKU-2")) == []


def _put_planogram(retailer, *skus):
    secret = retailer.gate.secret(retailer.merchant)
    headers = {"authorization": f"Bearer {secret}"}
    response = retailer.put("/v1/catalog/planogram", json={"itemSkus": [*skus]}, headers=headers)
    assert response.status_code == 204, response.text
    assert retailer.get("/v1/catalog/planogram", headers=headers).json() == {"itemSkus": sorted(skus)}


def test_an_upload_reverses_an_archive(retailer):
    """In the meantime another SKU may use the barcode."""
    retailer.report(retailer.upload(item(1)))
    retailer.report(retailer.archive("SKU-1"))
    barcode = item(1)["external_product_id"]
    assert retailer.codes(retailer.upload(item(2, external_product_id=barcode))) == []
    assert retailer.codes(retailer.upload(item(1))) == [(0, "DUPLICATE_BARCODE", "ERROR")]
    assert retailer.codes(retailer.upload(item(1, external_product_id="4006381333931",
                                               external_product_id_type="EAN"))) == []
    assert _archived(retailer) == set()
    assert retailer.codes(retailer.archive("SKU-1")) == []


def test_batches_are_processed_in_the_order_of_acceptance(retailer):
    """An archive sees the upload before it, although neither was processed."""
    uploaded, archived, again = retailer.upload(item(1)), retailer.archive("SKU-1"), retailer.upload(item(1))
    assert [retailer.codes(accepted) for accepted in (uploaded, archived, again)] == [[], [], []]
    assert _archived(retailer) == set()


@ONE_STORE
def test_every_store_must_be_named(retailer, stranger):
    """The text lists all stores; further names are ignored."""
    text = "allApplicableStores must contain every store of the retailer. Available stores: [STORE-1, STORE-2]"
    for stores in (["STORE-1"], ["OTHER-1"]):
        response = retailer.archive("SKU-1", stores=stores)
        assert (response.status_code, response.json()) == (400, {"errorMsg": text})
    assert retailer.archive("SKU-1", stores=["STORE-2", "STORE-1"]).status_code == 201


@ONE_STORE
@pytest.mark.parametrize("document", [
    {}, {"itemSkus": [], "allApplicableStores": ["STORE-1", "STORE-2"]}, {"itemSkus": ["A"]},
    {"itemSkus": [""], "allApplicableStores": ["STORE-1", "STORE-2"]},
    {"itemSkus": ["A" * 256], "allApplicableStores": ["STORE-1", "STORE-2"]},
    {"itemSkus": "A", "allApplicableStores": ["STORE-1", "STORE-2"]},
    {"itemSkus": [1], "allApplicableStores": ["STORE-1", "STORE-2"]}, {"itemSkus": ["A"], "allApplicableStores": []},
], ids=range(8))
def test_invalid_bodies_are_refused(retailer, document):
    """This precedes the check of stores."""
    response = retailer.call(ARCHIVE, document)
    assert (response.status_code, response.json()) == (400, {"errorMsg": "Invalid request body"})


@ONE_STORE
def test_an_archive_has_at_most_ten_thousand_skus(retailer):
    """One more SKU is refused."""
    skus = [f"S{at}" for at in range(10_001)]
    response = retailer.archive(*skus)
    assert response.json() == {"errorMsg": "Number of items in the request exceeds the maximum threshold"}
    report = retailer.report(retailer.archive(*skus[:-1]))
    assert report["summary"]["itemsRejected"] == 10_000
    assert {issue["code"] for issue in report["issues"]} == {"SKU_NOT_FOUND"}
