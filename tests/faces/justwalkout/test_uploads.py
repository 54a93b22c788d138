"""Uploads: what is accepted, what is refused at once, what is told in the report."""

from tests.faces.justwalkout.client import item


def test_an_item_is_uploaded_and_held(retailer):
    """Under SKU and store, byte for byte; the report says it was accepted."""
    report = retailer.report(retailer.upload(item(1, nutrition={"kcal": 42})))
    assert report["summary"] == {
        "itemsProcessed": 1, "itemsAccepted": 1, "itemsRejected": 0, "errors": 0, "warnings": 0,
    }
    assert (report["operation"], report["processingStatus"], report["issues"]) == ("UPLOAD", "DONE", [])
    assert retailer.held() == {"SKU-1\x1fSTORE-1": item(1, nutrition={"kcal": 42})}
