"""The dossier's published cases as transcripts, and the published sample client as it is written."""

import json
from urllib.parse import urlsplit

import pytest
import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.protocols.justwalkout.client import item

UPLOAD, STATUS = "/v1/catalog/upload", "/v1/catalog/getCatalogUploadStatus"
EXAMPLE = (
    b'{"catalogItems":[{"item_sku":"SKU-1","external_product_id":"036000291452","external_product_id_type":"UPC",\n'
    b'"additional_external_product_information":[{"external_product_id":"4006381333931","external_product_id_type":"EAN"}],'
    b'\n"item_name":"Example Cola Zero 20oz","store_id":"STORE-1","standard_price":"2.49","brand_name":"Example",\n'
    b'"product_tax_code":"A_GEN_TAX","product_category":"Beverages","product_subcategory":"Soda"}]}'
)
"""Section 4.5, as it stands there."""
ONE = "One or more StoreID's present in the request is incorrect"
SEVERAL = "List of store ID's present in the request are either incorrect/not associated with same retailer"
BODY = "Invalid request body"
NEEDED = ("item_sku", "item_name", "store_id", "external_product_id")


def _required_members(store: str, number: int = 1) -> dict[str, str]:
    """Return the four members that the published tests send."""
    return {name: item(number, store)[name] for name in NEEDED}


def test_the_example_from_the_upload_to_the_report(retailer):
    """The answers are 201 with an id, 200 with a state and a link, and 200 with the report."""
    accepted = retailer.call(UPLOAD, EXAMPLE)
    assert (accepted.status_code, list(accepted.json())) == (201, ["ingestionId"])
    assert accepted.headers["content-type"] == "application/json"
    assert retailer.report(accepted) == {
        "ingestionId": accepted.json()["ingestionId"], "processingStatus": "DONE", "operation": "UPLOAD",
        "summary": {"itemsProcessed": 1, "itemsAccepted": 1, "itemsRejected": 0, "errors": 0, "warnings": 0},
        "issues": [],
    }


def test_the_example_of_a_report(retailer):
    """Section 8: the second of two items has a wrong check digit."""
    bad = item(2, external_product_id="036000291453")
    report = retailer.report(retailer.upload(item(1), bad))
    assert report["summary"] == {
        "itemsProcessed": 2, "itemsAccepted": 1, "itemsRejected": 1, "errors": 1, "warnings": 0,
    }
    (result,) = report["issues"]
    assert {name: result[name] for name in result if name != "message"} == {
        "index": 1, "item_sku": "SKU-2", "store_id": "STORE-1", "severity": "ERROR", "code": "INVALID_BARCODE",
        "attributeName": "external_product_id",
    }


@pytest.mark.parametrize(("body", "text"), [
    ({"catalogItems": [_required_members("WRONG")]}, ONE),
    ({"catalogItems": [_required_members("STORE-1"), _required_members("OTHER-1", 2)]}, SEVERAL),
    ({"catalogItems": [_required_members("STORE-1"), _required_members("WRONG", 2)]}, SEVERAL),
    ({"invalidField": "x"}, BODY),
    ({"catalogItems": [{"item_sku": "SKU-1"}]}, BODY),
], ids=["wrong", "two retailers", "mixed", "other object", "missing members"])
def test_the_published_refusals(retailer, stranger, body, text):
    """Status and text are exact, and nothing is stored."""
    response = retailer.call(UPLOAD, body)
    assert response.status_code == 400
    assert response.content == json.dumps({"errorMsg": text}, separators=(",", ":")).encode()


def test_the_sample_client(retailer):
    """Variant B uses `urllib3`, botocore's signer, a signed content type, and the host's first label as region."""
    url = f"{retailer.gate.url}{UPLOAD}"
    region = urlsplit(url).netloc.split(".")[0]
    request = AWSRequest("POST", url, data=EXAMPLE, headers={"Content-Type": "application/json"})
    credentials = Credentials(retailer.key.id, retailer.key.secret)
    SigV4Auth(credentials, "execute-api", region).add_auth(request)
    with urllib3.PoolManager() as pool:
        response = pool.request("POST", url, body=EXAMPLE, headers=dict(request.headers), retries=False)
        assert response.status == 201
        ingestion = response.json()["ingestionId"]
    assert retailer.status(ingestion)["processingStatus"] == "INQUEUE"


def test_a_base_url_with_a_slash_at_its_end(retailer):
    """Some clients put it before the path and sign the result."""
    headers = retailer.sign(f"/{UPLOAD}", EXAMPLE)
    assert retailer.post(f"{retailer.gate.url}/{UPLOAD}", content=EXAMPLE, headers=headers).status_code == 201
