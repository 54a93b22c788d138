"""The contradictions of the dossier, section 10, one test for each; the README has the same table."""

import json
import re
from importlib.resources import files

import pytest

from goodsgate.protocols.justwalkout import unpublished
from tests.protocols.justwalkout.client import item

UPLOAD, STATUS = "/v1/catalog/upload", "/v1/catalog/getCatalogUploadStatus"


def test_the_table_names_all_twelve():
    """The README lists each contradiction once and in order."""
    text = (files("goodsgate.protocols.justwalkout") / "README.md").read_text("utf-8")
    assert re.findall(r"^\| (A\d+) \|", text, re.M) == [f"A{number}" for number in range(1, 13)]


@pytest.mark.parametrize(("characters", "issues"), [
    (100, []), (101, [(0, "INVALID_ATTRIBUTE", "WARNING")]), (255, [(0, "INVALID_ATTRIBUTE", "WARNING")]),
])
def test_a1_the_length_of_a_name(retailer, characters, issues):
    """255 characters are accepted; above 100 the report warns, and the item is stored."""
    assert retailer.codes(retailer.upload(item(1, item_name="x" * characters))) == issues
    assert len(retailer.items()) == 1
    assert retailer.upload(item(1, item_name="x" * 256)).status_code == 400


def test_a2_barcodes_of_a_sku(retailer):
    """A SKU has several, in every store; a barcode belongs to one SKU."""
    more = [{"external_product_id": item(at)["external_product_id"]} for at in range(10, 60)]
    assert len(more) == 50
    one = {"additional_external_product_information": more}
    assert retailer.codes(retailer.upload(item(1, **one), item(1, "STORE-2", **one))) == []
    assert retailer.codes(retailer.upload(item(10))) == [(0, "DUPLICATE_BARCODE", "ERROR")]


def test_a3_members_of_either_list(retailer):
    """The four required members are enough, and all others are accepted."""
    four = {name: item(1)[name] for name in ("item_sku", "external_product_id", "item_name", "store_id")}
    names = ("main_image_url", *(f"other_image_url{at}" for at in range(1, 9)))
    images = dict.fromkeys(names, "https://img.example.com/a.png")
    named = ("brand_name", "product_tax_code", "product_category", "product_subcategory", "color_name", "size_name")
    assert retailer.codes(retailer.upload(four, item(2, **images, **dict.fromkeys(named, "x")))) == []


def test_a4_a_link_before_there_is_a_report(retailer):
    """The member is there, and empty."""
    result = retailer.status(retailer.upload(item(1)).json()["ingestionId"])
    assert result == {"processingStatus": "INQUEUE", "reportDownloadLink": ""}


def test_a5_the_body_of_429(retailer, monkeypatch):
    """It has `errorMsg`, as the page says, not `message`, as the platform does."""
    headers = retailer.sign(STATUS, b"{}")
    (protocol,) = (protocol for protocol in retailer.gate.application.protocols if protocol.name == "justwalkout")
    pace = protocol.handlers["upload"].__self__._authenticator._rate_limit
    monkeypatch.setattr(pace, "_clock", lambda: 0.0)
    while pace.take(retailer.account) == 0:
        pass
    response = retailer.post(STATUS, content=b"{}", headers=headers)
    assert (response.status_code, response.content) == (429, b'{"errorMsg":"Too Many Requests"}')


def test_a6_one_400(retailer):
    """The header has two names, the body one form."""
    unknown = retailer.call(STATUS, {"ingestionId": "x"})
    misfit = retailer.call(STATUS, {})
    for response in (unknown, misfit):
        assert (response.status_code, list(response.json())) == (400, ["errorMsg"])
    assert unknown.headers["x-amzn-errortype"] == "InvalidRequestException"
    assert misfit.headers["x-amzn-errortype"] == "BadRequestException"


def test_a7_names_of_states():
    """They are those of the API, not those of the sample's plan."""
    assert set(unpublished.STATUS_OF_STATE.values()) == {"INQUEUE", "INPROGRESS", "DONE", "CANCELLED", "FATAL"}


def test_a8_403_and_never_401(retailer):
    """This holds for a missing and for a wrong signature."""
    for headers in ({}, {"authorization": "Bearer x"}, {"authorization": "AWS4-HMAC-SHA256 x"}):
        assert retailer.post(UPLOAD, content=b"{}", headers=headers).status_code == 403


def test_a9_statuses_of_success(retailer):
    """They are 201, 201 and 200."""
    accepted = retailer.upload(item(1))
    status = retailer.call(STATUS, {"ingestionId": accepted.json()["ingestionId"]})
    assert (accepted.status_code, retailer.archive("SKU-1").status_code, status.status_code) == (201, 201, 200)


def test_a10_snake_and_camel(retailer):
    """Each spelling is accepted only where it was published."""
    stores = retailer.stores()
    for body in ({"catalog_items": [item(1)]}, {"catalogItems": [{"itemSku": "A", **item(1), "item_sku": None}]}):
        assert retailer.call(UPLOAD, body).status_code == 400
    for skus, places in (("item_skus", "allApplicableStores"), ("itemSkus", "all_applicable_stores")):
        assert retailer.call("/v1/catalog/archive", {skus: ["A"], places: stores}).status_code == 400
    assert list(retailer.upload(item(1)).json()) == ["ingestionId"]


def test_a11_a_sku_twice(retailer):
    """In two stores it is two items; in one store the last wins, and the report warns."""
    accepted = retailer.upload(item(1), item(1, "STORE-2"), item(1, standard_price="3.99"))
    assert retailer.codes(accepted) == [(2, "DUPLICATE_SKU_IN_REQUEST", "WARNING")]
    prices = {key: item["standard_price"] for key, item in retailer.items().items()}
    assert prices == {"SKU-1\x1fSTORE-1": "3.99", "SKU-1\x1fSTORE-2": "2.49"}


def test_a12_the_portals_name(gate):
    """Neither is in the contract."""
    (protocol,) = (protocol for protocol in gate.application.protocols if protocol.name == "justwalkout")
    assert "Portal" not in json.dumps(protocol.openapi.document)
