"""Archives: in all stores at once, one SKU at a time, and back again."""

import pytest

from tests.protocols.justwalkout.client import ONE_STORE, item

ARCHIVE = "/v1/catalog/archive"


def _archived(retailer):
    return {key for key, held in retailer.held().items() if held.get("catalogStatus") == "ARCHIVED"}


def test_a_sku_is_archived_in_every_store(retailer):
    """Its items stay, marked; other SKUs are untouched."""
    retailer.report(retailer.upload(item(1), item(1, "STORE-2"), item(2)))
    report = retailer.report(retailer.archive("SKU-1"))
    assert (report["operation"], report["issues"]) == ("ARCHIVE", [])
    assert report["summary"] == {
        "itemsProcessed": 1, "itemsAccepted": 1, "itemsRejected": 0, "errors": 0, "warnings": 0,
    }
    assert _archived(retailer) == {"SKU-1\x1fSTORE-1", "SKU-1\x1fSTORE-2"}
    assert retailer.held()["SKU-1\x1fSTORE-1"]["item_name"] == "Example Cola 1"


def test_what_cannot_be_archived_is_in_the_report_alone(retailer):
    """Unknown, archived already, on the planogram: the call succeeds, and so does the rest."""
    retailer.report(retailer.upload(*(item(at) for at in range(1, 5))))
    retailer.report(retailer.archive("SKU-1"))
    _put_planogram(retailer, "SKU-2")
    report = retailer.report(retailer.archive("SKU-1", "SKU-2", "SKU-3", "SKU-99", "SKU-3"))
    assert [(told["index"], told["item_sku"], told["code"], told["severity"]) for told in report["issues"]] == [
        (0, "SKU-1", "ALREADY_ARCHIVED", "ERROR"), (1, "SKU-2", "SKU_ON_PLANOGRAM", "ERROR"),
        (3, "SKU-99", "SKU_NOT_FOUND", "ERROR"), (4, "SKU-3", "DUPLICATE_SKU_IN_REQUEST", "WARNING"),
        (4, "SKU-3", "ALREADY_ARCHIVED", "ERROR"),
    ]
    assert report["summary"] == {
        "itemsProcessed": 5, "itemsAccepted": 1, "itemsRejected": 4, "errors": 4, "warnings": 1,
    }
    assert all("store_id" not in told for told in report["issues"])
    assert _archived(retailer) == {"SKU-1\x1fSTORE-1", "SKU-3\x1fSTORE-1"}
    _put_planogram(retailer)
    assert retailer.codes(retailer.archive("SKU-2")) == []


def _put_planogram(retailer, *skus):
    secret = retailer.gate.secret(retailer.merchant)
    headers = {"authorization": f"Bearer {secret}"}
    answered = retailer.put("/v1/catalog/planogram", json={"itemSkus": [*skus]}, headers=headers)
    assert answered.status_code == 204, answered.text
    assert retailer.get("/v1/catalog/planogram", headers=headers).json() == {"itemSkus": sorted(skus)}


def test_an_upload_makes_it_active_again(retailer):
    """And an archived SKU's barcode is free meanwhile."""
    retailer.report(retailer.upload(item(1)))
    retailer.report(retailer.archive("SKU-1"))
    barcode = item(1)["external_product_id"]
    assert retailer.codes(retailer.upload(item(2, external_product_id=barcode))) == []
    assert retailer.codes(retailer.upload(item(1))) == [(0, "DUPLICATE_BARCODE", "ERROR")]
    assert retailer.codes(retailer.upload(item(1, external_product_id="4006381333931",
                                               external_product_id_type="EAN"))) == []
    assert _archived(retailer) == set()
    assert retailer.codes(retailer.archive("SKU-1")) == []


def test_batches_are_worked_in_the_order_of_acceptance(retailer):
    """An archive right behind an upload finds what that has brought, before either was worked."""
    uploaded, archived, again = retailer.upload(item(1)), retailer.archive("SKU-1"), retailer.upload(item(1))
    assert [retailer.codes(accepted) for accepted in (uploaded, archived, again)] == [[], [], []]
    assert _archived(retailer) == set()


@ONE_STORE
def test_every_store_has_to_be_named(retailer, stranger):
    """The text lists them; more than these are no matter."""
    text = "allApplicableStores must contain every store of the retailer. Available stores: [STORE-1, STORE-2]"
    for stores in (["STORE-1"], ["OTHER-1"]):
        answered = retailer.archive("SKU-1", stores=stores)
        assert (answered.status_code, answered.json()) == (400, {"errorMsg": text})
    assert retailer.archive("SKU-1", stores=["STORE-2", "STORE-1"]).status_code == 201


@ONE_STORE
@pytest.mark.parametrize("document", [
    {}, {"itemSkus": [], "allApplicableStores": ["STORE-1", "STORE-2"]}, {"itemSkus": ["A"]},
    {"itemSkus": [""], "allApplicableStores": ["STORE-1", "STORE-2"]},
    {"itemSkus": ["A" * 256], "allApplicableStores": ["STORE-1", "STORE-2"]},
    {"itemSkus": "A", "allApplicableStores": ["STORE-1", "STORE-2"]},
    {"itemSkus": [1], "allApplicableStores": ["STORE-1", "STORE-2"]}, {"itemSkus": ["A"], "allApplicableStores": []},
], ids=range(8))
def test_a_body_that_is_none_is_refused(retailer, document):
    """Before the stores are looked at."""
    answered = retailer.call(ARCHIVE, document)
    assert (answered.status_code, answered.json()) == (400, {"errorMsg": "Invalid request body"})


@ONE_STORE
def test_an_archive_has_at_most_ten_thousand_skus(retailer):
    """At the limit and above."""
    skus = [f"S{at}" for at in range(10_001)]
    answered = retailer.archive(*skus)
    assert answered.json() == {"errorMsg": "Number of items in the request exceeds the maximum threshold"}
    report = retailer.report(retailer.archive(*skus[:-1]))
    assert report["summary"]["itemsRejected"] == 10_000
    assert {told["code"] for told in report["issues"]} == {"SKU_NOT_FOUND"}
