"""The contradictions of the dossier (section 10), resolved as its table and the README say.

The contradictions about orders, X12 to X14 and X21 to X24, are in `test_order_contradictions.py`.
"""

import re
from contextlib import closing
from importlib.resources import files

import httpx
import pytest

from tests.http_gate import HttpGate
from tests.protocols.konnect.client import ONE_STORE, Konnect, product, size


@pytest.fixture
def reference_seller(gate: HttpGate, seller: Konnect):
    """The same merchant with the profile `reference` and strict updates."""
    with closing(Konnect(gate, seller.merchant, profile="reference", strict="yes")) as client:
        yield client


def _partial(client: Konnect):
    acknowledged = client.create(product(1), product(2, category="Nothing"))
    return acknowledged, client.final_status(acknowledged)


def test_x1_status_describes_the_ingestion_or_the_job(seller: Konnect, reference_seller: Konnect) -> None:
    """The guide says `SUCCESS`; the reference says `completed`, also for a partial job, or `failed`."""
    acknowledged, result = _partial(seller)
    assert (result["status"], result["stage"]) == ("SUCCESS", "PARTIAL")
    assert reference_seller.final_status(acknowledged)["status"] == "completed"
    again = seller.create(product(1))
    assert seller.final_status(again)["status"] == "SUCCESS"
    repeated = reference_seller.final_status(again)
    assert (repeated["status"], repeated["stage"]) == ("failed", "FAILED")


def test_x2_the_status_has_the_members_of_both_documents(seller: Konnect, reference_seller: Konnect) -> None:
    """Both profiles have the same members."""
    acknowledged, result = _partial(seller)
    expected = {
        "trace_id", "total", "success", "failed", "status", "errors", "stage", "company_id", "batch_id", "meta",
        "last_updated_on", "message",
    }
    assert set(result) == set(reference_seller.final_status(acknowledged)) == expected
    assert re.fullmatch("[0-9a-f]{24}", result["batch_id"])


def test_x3_counts_describe_the_ingestion_or_the_results(seller: Konnect, reference_seller: Konnect) -> None:
    """The counts in `meta` are those of the results in both profiles."""
    acknowledged, result = _partial(seller)
    other = reference_seller.final_status(acknowledged)
    assert (result["success"], result["failed"]) == (2, 0)
    assert (other["success"], other["failed"]) == (1, 1)
    assert result["meta"] == other["meta"]
    assert (result["meta"]["succeed"], result["meta"]["failed"]) == (1, 1)


def test_x4_errors_are_empty_or_keyed_by_item_code(seller: Konnect, reference_seller: Konnect) -> None:
    """A product without an item code has the key `products[i]`."""
    acknowledged, result = _partial(seller)
    assert result["errors"] == {}
    assert list(reference_seller.final_status(acknowledged)["errors"]) == ["TR-002"]
    nameless = seller.create(product(3), product(4, item_code=None))
    assert list(reference_seller.final_status(nameless)["errors"]) == ["products[1]"]


def test_x5_any_text_may_be_queried_as_a_trace_id(seller: Konnect) -> None:
    """Trace ids are 16 hex digits and milliseconds; queries accept any text up to 128 characters."""
    assert re.fullmatch(r"[0-9a-f]{16}-\d{13}", seller.create(product(1)).json()["trace_id"])
    for trace, status in (("90591ba5-b88c-475d-bbca-e9cda685ed78", 404), ("x" * 128, 404), ("x" * 129, 400)):
        assert seller.get("/v3/catalog/status", params={"trace_id": trace}).status_code == status


@pytest.mark.parametrize(("value", "read"), [
    (True, True), (False, False), ("Yes", True), ("no", False), ("TRUE", True), ("false", False),
])
def test_x6_is_dependent_has_three_spellings(seller: Konnect, value: object, read: bool) -> None:
    """Create and update accept all of them; reads return a boolean."""
    seller.create_all(product(1, is_dependent=value), product(2))
    assert seller.final_status(seller.update({"item_code": "TR-002", "is_dependent": value}))["stage"] == "COMPLETED"
    assert [item["is_dependent"] for item in seller.list_items()] == [read, read]


REQUIRED = (
    "name", "slug", "departments", "category", "brand", "item_code", "country_of_origin", "tax_identifier", "hs_code",
    "sizes", "trader", "attributes", "is_dependent",
)


@ONE_STORE
@pytest.mark.parametrize("name", REQUIRED)
def test_x7_create_requires_the_members_of_the_reference(seller: Konnect, name: str) -> None:
    """`item_type` is not required."""
    assert seller.record_errors(seller.create(product(1, **{name: None}))) == [(name, "MISSING_FIELD")]


def test_x7_item_type_is_standard_by_default(seller: Konnect) -> None:
    """Reads return the default."""
    seller.create_all(product(1), product(2, item_type="set"))
    types = {item["item_code"]: item["item_type"] for item in seller.list_items()}
    assert types == {"TR-001": "standard", "TR-002": "set"}


def test_x8_stages_have_the_names_of_the_table(seller: Konnect) -> None:
    """The member is `failed_records`, not `failed_record`."""
    _, result = _partial(seller)
    assert result["stage"] in ("RUNNING", "COMPLETED", "PARTIAL", "FAILED")
    assert "failed_record" not in result["meta"]
    assert len(result["meta"]["failed_records"]) == 1


@ONE_STORE
@pytest.mark.parametrize("content_type", [None, "application/json", "text/plain"])
def test_x9_reads_accept_any_content_type(seller: Konnect, content_type: str | None) -> None:
    """They also accept none."""
    headers = {"content-type": content_type} if content_type else {}
    assert seller.get("/v3/catalog/departments", headers=headers).status_code == 200


@pytest.mark.parametrize("path", ["//v3/catalog/departments", "///v3/catalog/departments"])
def test_x10_a_base_url_may_end_with_a_slash(seller: Konnect, path: str) -> None:
    """Several slashes at the start of a path count as one."""
    url = httpx.URL(seller.gate.url).copy_with(raw_path=path.encode())
    assert seller.get(url).status_code == 200


def test_x11_ids_are_numbers_or_texts(seller: Konnect) -> None:
    """They are compared as texts and returned as numbers."""
    seller.create_all(product(1, departments=[5956]), product(2, departments=["5956"]))
    brand = seller.list_items("/v3/catalog/company-brand", brand_name="Acme")[0]["uid"]
    read = [(item["departments"], item["brand_uid"]) for item in seller.list_items()]
    assert read == [([5956], brand)] * 2
    for number, uid in ((1, 13), (2, "13")):
        result = seller.final_status(seller.remove({"item_code": f"TR-{number:03d}", "brand_uid": uid}))
        assert result["stage"] == "COMPLETED"
    assert {type(item["uid"]) for item in seller.list_items("/v3/catalog/company-brand")} == {int}


@pytest.mark.parametrize("named", [
    {"item_code": "TR-001"}, {"slug": "trail-runner-1"}, {"slug": "trail-runner-1", "brand": "Acme"},
    {"sizes": [{"primary_identifier": "TR-001-42"}]},
    {"sizes": [{"primary_identifier": "TR-001-43", "size": "43", "price": 1, "price_effective": 1,
                "identifiers": [{"gtin_value": "8901", "gtin_type": "EAN", "primary": True}]}]},
])
def test_x15_an_update_finds_its_product_by_any_identifier(seller: Konnect, named: dict[str, object]) -> None:
    """These are the item code, the slug, a SKU and a primary GTIN."""
    gtin = [{"gtin_value": "8901", "gtin_type": "EAN", "primary": True}]
    seller.create_all(product(1, sizes=[size(1, identifiers=gtin)]), product(2))
    assert seller.final_status(seller.update({**named, "name": "Another"}))["stage"] == "COMPLETED"
    assert [item["name"] for item in seller.list_items(item_code="TR-001")] == ["Another"]


@pytest.mark.parametrize("sent", [
    {"item_code": "TR-001"}, {"slug": "trail-runner-1"},
    {"name": "Trail Runner 1", "slug": "trail-runner-1", "brand": "Acme", "brand_uid": "13", "item_code": "TR-001"},
])
def test_x16_a_delete_needs_only_the_item_code_or_the_slug(seller: Konnect, sent: dict[str, object]) -> None:
    """Other members are optional but must match."""
    seller.create_all(product(1))
    for wrong in ("name", "brand", "brand_uid"):
        by_brand = wrong == "brand" and "item_code" not in sent  # then the brand is part of the identifier
        expected = [("slug", "NOT_FOUND")] if by_brand else [(wrong, "IMMUTABLE_FIELD")]
        assert seller.record_errors(seller.remove({**sent, wrong: "other"})) == expected
    assert seller.final_status(seller.remove(sent))["stage"] == "COMPLETED"


def test_x17_an_update_is_merged_unless_the_credential_is_strict(seller: Konnect, reference_seller: Konnect) -> None:
    """A strict credential must send every member that the reference lists."""
    seller.create_all(product(1))
    change = {"item_code": "TR-001", "name": "Another"}
    assert seller.final_status(seller.update(change))["stage"] == "COMPLETED"
    missing = [field for field, code in reference_seller.record_errors(reference_seller.update(change))]
    assert missing == [
        "item_type", "departments", "category", "country_of_origin", "tax_identifier", "hs_code", "sizes",
    ]


@ONE_STORE
@pytest.mark.parametrize(("code", "wrong"), [
    ("6404", None), ("640411", None), ("62034200", None), ("64041", "FORMAT_ERROR"), ("6404.11", "FORMAT_ERROR"),
    ("999999", "REFERENCE_ERROR"), ("998713", None),
])
def test_x18_hs_codes_have_four_six_or_eight_digits(seller: Konnect, code: str, wrong: str | None) -> None:
    """The code must also be in the list; SAC codes have six digits."""
    assert seller.record_errors(seller.create(product(1, hs_code=code))) == ([("hs_code", wrong)] if wrong else [])
    seller.create_all(product(2))
    changed = seller.update({"item_code": "TR-002", "hs_code": code})
    assert seller.record_errors(changed) == ([("hs_code", wrong)] if wrong else [])


@ONE_STORE
@pytest.mark.parametrize(("query", "status"), [
    ({"skus": ",".join(f"s{number}" for number in range(10))}, 200),
    ({"skus": ",".join(f"s{number}" for number in range(11))}, 400),
    ({"skus": "a-sku-of-more-than-ten-characters"}, 200), ({"page_size": "500"}, 200), ({"page_size": "501"}, 400),
])
def test_x19_bounds_of_listings_are_counts(seller: Konnect, query: dict[str, str], status: int) -> None:
    """A request may name ten SKUs and get 500 rows."""
    assert seller.get("/ims/v3/listings", params=query).status_code == status


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_x20_a_write_holds_at_most_a_hundred_products(seller: Konnect, method: str) -> None:
    """The limit is the same for create, update and delete."""
    for number, status in ((100, 200), (101, 400)):
        body = {"template": "footwear", "products": [{"item_code": "x"}] * number}
        assert seller.request(method, "/v3/catalog/product", json=body).status_code == status


def test_x25_the_variants_of_a_public_client(seller: Konnect) -> None:
    """`items` instead of `products` is refused; `batch-status` is an alias."""
    body = {"template": "footwear", "items": [product(1)]}
    assert seller.post("/v3/catalog/product", json=body).status_code == 400
    trace = seller.create(product(1)).json()["trace_id"]
    response = seller.get("/v3/catalog/batch-status", params={"trace_id": trace})
    assert (response.status_code, response.json()["trace_id"]) == (200, trace)


def test_the_readme_lists_every_contradiction() -> None:
    """Each has one row."""
    text = (files("goodsgate.protocols.konnect") / "README.md").read_text("utf-8")
    assert re.findall(r"^\| (X\d+) \|", text, re.M) == [f"X{number}" for number in range(1, 26)]
