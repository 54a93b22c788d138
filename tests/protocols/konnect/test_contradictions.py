"""The contradictions of the dossier, section 10, each resolved as its table says; the README has the same table.

Those of orders, X12 to X14 and X21 to X24, are in `test_order_contradictions.py`.
"""

import re
from contextlib import closing
from importlib.resources import files

import httpx
import pytest

from tests.protocols.konnect.client import ONE_STORE, Konnect, product, size
from tests.served import Served


@pytest.fixture
def reference_seller(gate: Served, seller: Konnect):
    """The same merchant, worded after the API reference."""
    with closing(Konnect(gate, seller.merchant, profile="reference", strict="yes")) as client:
        yield client


def _partial(client: Konnect):
    acknowledged = client.create(product(1), product(2, category="Nothing"))
    return acknowledged, client.outcome(acknowledged)


def test_x1_status_is_of_the_ingestion_or_of_the_job(seller: Konnect, reference_seller: Konnect) -> None:
    """`SUCCESS` in the guide; `completed`, also of a partial one, or `failed` in the reference."""
    acknowledged, told = _partial(seller)
    assert (told["status"], told["stage"]) == ("SUCCESS", "PARTIAL")
    assert reference_seller.outcome(acknowledged)["status"] == "completed"
    again = seller.create(product(1))
    assert seller.outcome(again)["status"] == "SUCCESS"
    assert (reference_seller.outcome(again)["status"], reference_seller.outcome(again)["stage"]) == ("failed", "FAILED")


def test_x2_all_members_of_both_are_sent(seller: Konnect, reference_seller: Konnect) -> None:
    """In either profile."""
    acknowledged, told = _partial(seller)
    wanted = {
        "trace_id", "total", "success", "failed", "status", "errors", "stage", "company_id", "batch_id", "meta",
        "last_updated_on", "message",
    }
    assert set(told) == set(reference_seller.outcome(acknowledged)) == wanted
    assert re.fullmatch("[0-9a-f]{24}", told["batch_id"])


def test_x3_counts_are_of_the_ingestion_or_of_the_results(seller: Konnect, reference_seller: Konnect) -> None:
    """The truth is in `meta` in both."""
    acknowledged, told = _partial(seller)
    other = reference_seller.outcome(acknowledged)
    assert (told["success"], told["failed"]) == (2, 0)
    assert (other["success"], other["failed"]) == (1, 1)
    assert told["meta"] == other["meta"]
    assert (told["meta"]["succeed"], told["meta"]["failed"]) == (1, 1)


def test_x4_errors_are_empty_or_by_item_code(seller: Konnect, reference_seller: Konnect) -> None:
    """`products[i]` where there is none."""
    acknowledged, told = _partial(seller)
    assert told["errors"] == {}
    assert list(reference_seller.outcome(acknowledged)["errors"]) == ["TR-002"]
    nameless = seller.create(product(3), product(4, item_code=None))
    assert list(reference_seller.outcome(nameless)["errors"]) == ["products[1]"]


def test_x5_trace_ids_are_opaque(seller: Konnect) -> None:
    """16 hex digits and milliseconds; anything up to 128 characters may be asked for."""
    assert re.fullmatch(r"[0-9a-f]{16}-\d{13}", seller.create(product(1)).json()["trace_id"])
    for trace, status in (("90591ba5-b88c-475d-bbca-e9cda685ed78", 404), ("x" * 128, 404), ("x" * 129, 400)):
        assert seller.get("/v3/catalog/status", params={"trace_id": trace}).status_code == status


@pytest.mark.parametrize(("value", "read"), [
    (True, True), (False, False), ("Yes", True), ("no", False), ("TRUE", True), ("false", False),
])
def test_x6_dependence_has_three_spellings(seller: Konnect, value: object, read: bool) -> None:
    """In create and update; it is read as a boolean."""
    seller.made(product(1, is_dependent=value), product(2))
    assert seller.outcome(seller.update({"item_code": "TR-002", "is_dependent": value}))["stage"] == "COMPLETED"
    assert [item["is_dependent"] for item in seller.listed()] == [read, read]


REQUIRED = (
    "name", "slug", "departments", "category", "brand", "item_code", "country_of_origin", "tax_identifier", "hs_code",
    "sizes", "trader", "attributes", "is_dependent",
)


@ONE_STORE
@pytest.mark.parametrize("name", REQUIRED)
def test_x7_a_create_needs_what_the_reference_lists(seller: Konnect, name: str) -> None:
    """`item_type` is not among it: it is `standard`."""
    assert seller.failed(seller.create(product(1, **{name: None}))) == [(name, "MISSING_FIELD")]


def test_x7_item_type_is_standard_unless_told(seller: Konnect) -> None:
    """In reads."""
    seller.made(product(1), product(2, item_type="set"))
    assert {item["item_code"]: item["item_type"] for item in seller.listed()} == {"TR-001": "standard", "TR-002": "set"}


def test_x8_stages_are_those_of_the_table(seller: Konnect) -> None:
    """The key is `failed_records`."""
    _, told = _partial(seller)
    assert told["stage"] in ("RUNNING", "COMPLETED", "PARTIAL", "FAILED")
    assert "failed_record" not in told["meta"]
    assert len(told["meta"]["failed_records"]) == 1


@ONE_STORE
@pytest.mark.parametrize("content_type", [None, "application/json", "text/plain"])
def test_x9_a_read_may_have_any_content_type(seller: Konnect, content_type: str | None) -> None:
    """Or none."""
    headers = {"content-type": content_type} if content_type else {}
    assert seller.get("/v3/catalog/departments", headers=headers).status_code == 200


@pytest.mark.parametrize("path", ["//v3/catalog/departments", "///v3/catalog/departments"])
def test_x10_a_base_url_may_end_with_a_slash(seller: Konnect, path: str) -> None:
    """Slashes at the start of a path are one."""
    url = httpx.URL(seller.gate.url).copy_with(raw_path=path.encode())
    assert seller.get(url).status_code == 200


def test_x11_ids_are_numbers_or_texts(seller: Konnect) -> None:
    """Compared as text, read as numbers."""
    seller.made(product(1, departments=[5956]), product(2, departments=["5956"]))
    for number, uid in ((1, 13), (2, "13")):
        told = seller.outcome(seller.remove({"item_code": f"TR-{number:03d}", "brand_uid": uid}))
        assert told["stage"] == "COMPLETED"
    assert {type(item["uid"]) for item in seller.listed("/v3/catalog/company-brand")} == {int}


@pytest.mark.parametrize("named", [
    {"item_code": "TR-001"}, {"slug": "trail-runner-1"}, {"slug": "trail-runner-1", "brand": "Acme"},
    {"sizes": [{"primary_identifier": "TR-001-42"}]},
    {"sizes": [{"primary_identifier": "TR-001-43", "size": "43", "price": 1, "price_effective": 1,
                "identifiers": [{"gtin_value": "8901", "gtin_type": "EAN", "primary": True}]}]},
])
def test_x15_an_update_finds_its_product(seller: Konnect, named: dict[str, object]) -> None:
    """By item code, slug, SKU or primary GTIN."""
    gtin = [{"gtin_value": "8901", "gtin_type": "EAN", "primary": True}]
    seller.made(product(1, sizes=[size(1, identifiers=gtin)]), product(2))
    assert seller.outcome(seller.update({**named, "name": "Another"}))["stage"] == "COMPLETED"
    assert [item["name"] for item in seller.listed(item_code="TR-001")] == ["Another"]


@pytest.mark.parametrize("sent", [
    {"item_code": "TR-001"}, {"slug": "trail-runner-1"},
    {"name": "Trail Runner 1", "slug": "trail-runner-1", "brand": "Acme", "brand_uid": "13", "item_code": "TR-001"},
])
def test_x16_a_delete_needs_item_code_or_slug_alone(seller: Konnect, sent: dict[str, object]) -> None:
    """What else is sent must be right."""
    seller.made(product(1))
    for wrong in ("name", "brand", "brand_uid"):
        by_brand = wrong == "brand" and "item_code" not in sent  # then the brand is a part of what it is found by
        told = [("slug", "NOT_FOUND")] if by_brand else [(wrong, "IMMUTABLE_FIELD")]
        assert seller.failed(seller.remove({**sent, wrong: "other"})) == told
    assert seller.outcome(seller.remove(sent))["stage"] == "COMPLETED"


def test_x17_an_update_is_merged_unless_the_credential_is_strict(seller: Konnect, reference_seller: Konnect) -> None:
    """Then it must hold what the reference lists."""
    seller.made(product(1))
    change = {"item_code": "TR-001", "name": "Another"}
    assert seller.outcome(seller.update(change))["stage"] == "COMPLETED"
    missing = [field for field, code in reference_seller.failed(reference_seller.update(change))]
    assert missing == [
        "item_type", "departments", "category", "country_of_origin", "tax_identifier", "hs_code", "sizes",
    ]


@ONE_STORE
@pytest.mark.parametrize(("code", "wrong"), [
    ("6404", None), ("640411", None), ("62034200", None), ("64041", "FORMAT_ERROR"), ("6404.11", "FORMAT_ERROR"),
    ("999999", "REFERENCE_ERROR"), ("998713", None),
])
def test_x18_hs_codes_have_four_six_or_eight_digits(seller: Konnect, code: str, wrong: str | None) -> None:
    """In create and update, and must be in the list; SAC codes have six."""
    assert seller.failed(seller.create(product(1, hs_code=code))) == ([("hs_code", wrong)] if wrong else [])
    seller.made(product(2))
    changed = seller.update({"item_code": "TR-002", "hs_code": code})
    assert seller.failed(changed) == ([("hs_code", wrong)] if wrong else [])


@ONE_STORE
@pytest.mark.parametrize(("query", "status"), [
    ({"skus": ",".join(f"s{number}" for number in range(10))}, 200),
    ({"skus": ",".join(f"s{number}" for number in range(11))}, 400),
    ({"skus": "a-sku-of-more-than-ten-characters"}, 200), ({"page_size": "500"}, 200), ({"page_size": "501"}, 400),
])
def test_x19_bounds_of_listings_are_numbers(seller: Konnect, query: dict[str, str], status: int) -> None:
    """At most ten SKUs, at most 500 rows."""
    assert seller.get("/ims/v3/listings", params=query).status_code == status


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_x20_a_request_holds_a_hundred_products(seller: Konnect, method: str) -> None:
    """Of every kind."""
    for number, status in ((100, 200), (101, 400)):
        body = {"template": "footwear", "products": [{"item_code": "x"}] * number}
        assert seller.request(method, "/v3/catalog/product", json=body).status_code == status


def test_x25_a_client_of_another_making(seller: Konnect) -> None:
    """`items` in place of `products` is refused; its name for the status is understood."""
    body = {"template": "footwear", "items": [product(1)]}
    assert seller.post("/v3/catalog/product", json=body).status_code == 400
    trace = seller.create(product(1)).json()["trace_id"]
    answered = seller.get("/v3/catalog/batch-status", params={"trace_id": trace})
    assert (answered.status_code, answered.json()["trace_id"]) == (200, trace)


def test_every_contradiction_is_in_the_table() -> None:
    """One row each."""
    text = (files("goodsgate.protocols.konnect") / "README.md").read_text("utf-8")
    assert re.findall(r"^\| (X\d+) \|", text, re.M) == [f"X{number}" for number in range(1, 26)]
