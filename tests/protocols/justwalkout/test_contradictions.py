"""The contradictions of the dossier, section 10, one by one; the README has the same table."""

import json
import re
from importlib.resources import files

import pytest

from goodsgate.protocols.justwalkout import unpublished
from tests.protocols.justwalkout.client import item

UPLOAD, STATUS = "/v1/catalog/upload", "/v1/catalog/getCatalogUploadStatus"


def test_the_table_names_all_twelve():
    """In order, once each."""
    text = (files("goodsgate.protocols.justwalkout") / "README.md").read_text("utf-8")
    assert re.findall(r"^\| (A\d+) \|", text, re.M) == [f"A{number}" for number in range(1, 13)]


@pytest.mark.parametrize(("characters", "issues"), [
    (100, []), (101, [(0, "INVALID_ATTRIBUTE", "WARNING")]), (255, [(0, "INVALID_ATTRIBUTE", "WARNING")]),
])
def test_a1_the_length_of_a_name(retailer, characters, issues):
    """255 are accepted; from 101 on the report warns, and the item is held."""
    assert retailer.codes(retailer.upload(item(1, item_name="x" * characters))) == issues
    assert len(retailer.held()) == 1
    assert retailer.upload(item(1, item_name="x" * 256)).status_code == 400


def test_a2_barcodes_of_a_sku(retailer):
    """More than one, in every store; each is one SKU's."""
    more = [{"external_product_id": item(at)["external_product_id"]} for at in range(10, 60)]
    assert len(more) == 50
    one = {"additional_external_product_information": more}
    assert retailer.codes(retailer.upload(item(1, **one), item(1, "STORE-2", **one))) == []
    assert retailer.codes(retailer.upload(item(10))) == [(0, "DUPLICATE_BARCODE", "ERROR")]


def test_a3_members_of_either_list(retailer):
    """The four required alone, and all there are."""
    four = {name: item(1)[name] for name in ("item_sku", "external_product_id", "item_name", "store_id")}
    names = ("main_image_url", *(f"other_image_url{at}" for at in range(1, 9)))
    images = dict.fromkeys(names, "https://img.example.com/a.png")
    named = ("brand_name", "product_tax_code", "product_category", "product_subcategory", "color_name", "size_name")
    assert retailer.codes(retailer.upload(four, item(2, **images, **dict.fromkeys(named, "x")))) == []


def test_a4_a_link_before_there_is_a_report(retailer):
    """The member is there, and empty."""
    told = retailer.status(retailer.upload(item(1)).json()["ingestionId"])
    assert told == {"processingStatus": "INQUEUE", "reportDownloadLink": ""}


def test_a5_the_body_of_429(retailer, monkeypatch):
    """`errorMsg`, as the page says, not `message`, as the platform would."""
    headers = retailer.signed(STATUS, b"{}")
    (protocol,) = (protocol for protocol in retailer.gate.application.protocols if protocol.name == "justwalkout")
    pace = protocol.handlers["upload"].__self__._authenticator._rate_limit
    monkeypatch.setattr(pace, "_clock", lambda: 0.0)
    while pace.take(retailer.account) == 0:
        pass
    answered = retailer.post(STATUS, content=b"{}", headers=headers)
    assert (answered.status_code, answered.content) == (429, b'{"errorMsg":"Too Many Requests"}')


def test_a6_one_400(retailer):
    """Two names in the header, one form of body."""
    unknown = retailer.call(STATUS, {"ingestionId": "x"})
    misfit = retailer.call(STATUS, {})
    for answered in (unknown, misfit):
        assert (answered.status_code, list(answered.json())) == (400, ["errorMsg"])
    assert unknown.headers["x-amzn-errortype"] == "InvalidRequestException"
    assert misfit.headers["x-amzn-errortype"] == "BadRequestException"


def test_a7_names_of_states():
    """Those of the API, not those of the sample's own plan."""
    assert set(unpublished.STATUS_OF_STATE.values()) == {"INQUEUE", "INPROGRESS", "DONE", "CANCELLED", "FATAL"}


def test_a8_403_and_never_401(retailer):
    """Nothing, and something wrong."""
    for headers in ({}, {"authorization": "Bearer x"}, {"authorization": "AWS4-HMAC-SHA256 x"}):
        assert retailer.post(UPLOAD, content=b"{}", headers=headers).status_code == 403


def test_a9_statuses_of_success(retailer):
    """201, 201, 200."""
    accepted = retailer.upload(item(1))
    asked = retailer.call(STATUS, {"ingestionId": accepted.json()["ingestionId"]})
    assert (accepted.status_code, retailer.archive("SKU-1").status_code, asked.status_code) == (201, 201, 200)


def test_a10_snake_and_camel(retailer):
    """Each where it was published, and nowhere else."""
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
    prices = {key: held["standard_price"] for key, held in retailer.held().items()}
    assert prices == {"SKU-1\x1fSTORE-1": "3.99", "SKU-1\x1fSTORE-2": "2.49"}


def test_a12_the_portals_name(gate):
    """Neither is in the contract."""
    (protocol,) = (protocol for protocol in gate.application.protocols if protocol.name == "justwalkout")
    assert "Portal" not in json.dumps(protocol.openapi.document)
