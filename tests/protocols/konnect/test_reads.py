"""The nine reads: filters, pages, and the members of reference data."""

import pytest

from goodsgate.model.catalogue import ReferenceEntry
from tests.protocols.konnect.client import ONE_STORE, Konnect, product, size


@pytest.mark.parametrize(("query", "names"), [
    ({}, ["Footwear", "Clothing", "Kitchen", "Electronics", "Garden"]), ({"name": "FOOT"}, ["Footwear"]),
    ({"slug": "kitchen"}, ["Kitchen"]), ({"slug": "kitch"}, []), ({"is_active": "false"}, ["Garden"]),
    ({"name": "e", "is_active": "true", "page_size": 2}, ["Footwear", "Kitchen"]),
    ({"name": "", "slug": "kitchen", "is_active": "", "page_size": ""}, ["Kitchen"]),
    ({"is_active": "False"}, ["Garden"]), ({"is_active": "0", "slug": ""}, ["Garden"]),
    ({"is_active": "TRUE", "slug": "kitchen"}, ["Kitchen"]), ({"is_active": "1", "slug": "kitchen"}, ["Kitchen"]),
    ({"page_size": 2, "page_number": 3}, ["Garden"]),
])
def test_departments_are_filtered(seller: Konnect, query: dict[str, object], names: list[str]) -> None:
    """Filters are part of the name, slug and activity, and combine."""
    assert [item["name"] for item in seller.list_items("/v3/catalog/departments", **query)][: len(names)] == names
    (first,) = seller.list_items("/v3/catalog/departments", slug="footwear")
    assert (first["id"], first["uid"], first["is_active"]) == (5956, 5956, True)


@pytest.mark.parametrize(("query", "uids"), [
    ({"slug": "mugs"}, [311]), ({"level": 1}, [100, 200, 300, 400]), ({"level": 2, "department": 5956}, [110, 120]),
    ({"cat3_id": "311,312,999"}, [311, 312]), ({"cat3_id": "110"}, []), ({"level": 1, "cat3_id": "311"}, []),
])
def test_categories_are_filtered(seller: Konnect, query: dict[str, object], uids: list[int]) -> None:
    """Filters are slug, level, department and third-level ids."""
    assert [item["uid"] for item in seller.list_items("/v3/catalog/category", page_size=200, **query)] == uids


def test_a_category_shows_its_place_in_the_tree(seller: Konnect) -> None:
    """Departments are those of the nearest ancestor that names any."""
    (item,) = seller.list_items("/v3/catalog/category", slug="mugs")
    assert (item["level"], item["departments"]) == (3, [5958])
    assert item["hierarchy"] == [{"department": 5958, "l1": 300, "l2": 310}]


def test_brands_and_templates_are_filtered(seller: Konnect) -> None:
    """Brands filter by part of the name, templates by the slug of a department."""
    (brand,) = seller.list_items("/v3/catalog/company-brand", brand_name="acm")
    assert (brand["uid"], brand["brand_uid"], brand["id"], brand["brand_name"]) == (13, 13, 13, "Acme")
    (template,) = seller.list_items("/v3/catalog/product/template", department="clothing")
    assert (template["slug"], template["categories"][0], template["is_active"]) == ("clothing", "shirts", True)
    assert seller.list_items("/v3/catalog/product/template", department="nothing") == []


def test_attributes_are_inherited_from_parent_categories(seller: Konnect) -> None:
    """An unknown category, or one of another level, has none."""
    items = seller.list_items("/v3/catalog/product-attributes", category="Mugs")
    assert {item["slug"]: item["schema"]["type"] for item in items} == {"capacity": "float", "dishwasher-safe": "bool"}
    (capacity,) = [item for item in items if item["slug"] == "capacity"]
    assert (capacity["name"], capacity["unit"]) == ("Capacity", "ml")
    assert capacity["schema"]["range"] == {"min": 20, "max": 5000}
    for name in ("mugs", "Drinkware", "Nothing"):
        assert seller.list_items("/v3/catalog/product-attributes", category=name) == []


@pytest.mark.parametrize(("query", "codes"), [
    ({"search": "6404"}, ["6404", "640411"]), ({"search": "KEYBOARDS"}, ["847160"]), ({"type": "SAC"}, ["998713"]),
    ({"type": "HS", "search": "98"}, []),
])
def test_hs_codes_are_filtered(seller: Konnect, query: dict[str, str], codes: list[str]) -> None:
    """Filters are part of the code or the description, and the type."""
    assert [item["hs_code"] for item in seller.list_items("/v3/catalog/taxes/hscodes", **query)] == codes


@pytest.mark.parametrize(("query", "names"), [
    ({"status": "INACTIVE"}, ["GST before 2025"]), ({"version_status": "FUTURE"}, ["GST Apparel"]),
    ({"rule_name": "gst s"}, ["GST Standard"]), ({"status": "ACTIVE", "version_status": "PAST"}, []),
])
def test_tax_rules_are_filtered(seller: Konnect, query: dict[str, str], names: list[str]) -> None:
    """Filters are the status of the rule or of a version, and part of the name."""
    assert [item["rule"]["name"] for item in seller.list_items("/v3/catalog/taxes/rules", **query)] == names
    (rule,) = seller.list_items("/v3/catalog/taxes/rules", rule_name="Footwear")
    assert rule["rule"]["_id"] == rule["versions"][0]["rule_id"] == "66f0c0ffee0000000000aa01"
    assert rule["versions"][0]["components"][0]["slabs"][1] == {"value": 2500, "rate": 0.18}


def test_changed_reference_data_takes_effect_at_once(seller: Konnect) -> None:
    """This covers reads and validation."""
    assert seller.record_errors(seller.create(product(1, brand="Late"))) == [("brand", "REFERENCE_ERROR")]
    seller.gate.shop.store.put_reference(seller.merchant, "brand", [ReferenceEntry(code="late-brand", name="Late")])
    (brand,) = seller.list_items("/v3/catalog/company-brand", brand_name="Late")
    seller.create_all(product(1, brand="Late"))
    removed = seller.remove({"item_code": "TR-001", "brand_uid": brand["uid"]})
    assert seller.final_status(removed)["stage"] == "COMPLETED"


def test_lists_are_empty_without_reference_data(stranger: Konnect) -> None:
    """Then products are not checked against it."""
    assert stranger.get("/v3/catalog/departments").json() == {
        "items": [], "page_number": 1, "page_size": 10, "total": 0,
    }
    stranger.create_all(product(1, brand="Anybody"))


# -- products ---------------------------------------------------------------------------------------------------------


def test_products_are_filtered_and_sorted(seller: Konnect) -> None:
    """The most recently changed is first, or products are in the order of creation."""
    seller.create_all(*(product(number) for number in range(1, 13)))
    assert seller.final_status(seller.update({"item_code": "TR-003", "name": "ÜBER runner"}))["stage"] == "COMPLETED"

    def codes(**query: object) -> list[str]:
        return [item["item_code"] for item in seller.list_items(**query)]

    assert codes(page_size=3) == ["TR-003", "TR-012", "TR-011"]
    assert codes(sort_on="created", page_size=3) == ["TR-001", "TR-002", "TR-003"]
    assert codes(sort_on="created", page_size=5, page_number=3) == ["TR-011", "TR-012"]
    assert codes(name="über") == ["TR-003"]
    assert codes(name="RUNNER 1", sort_on="created") == ["TR-001", "TR-010", "TR-011", "TR-012"]
    assert codes(slug="trail-runner-7") == ["TR-007"]
    assert codes(slug="trail-runner") == []
    assert codes(item_code="TR-002,TR-001,none", sort_on="created") == ["TR-001", "TR-002"]
    assert codes(item_code=["TR-002", "TR-001"], sort_on="created") == ["TR-001", "TR-002"]
    assert codes(item_code="TR-002,TR-001", slug="trail-runner-2") == ["TR-002"]
    assert codes(item_code="TR-002", name="nothing") == []
    assert seller.get("/v3/catalog/product", params={"name": "runner 1"}).json()["total"] == 4
    assert seller.get("/v3/catalog/product", params={"sort_on": "name"}).status_code == 400


def test_a_product_shows_when_it_was_created_and_changed(seller: Konnect) -> None:
    """The time of creation stays the same."""
    seller.create_all(product(1))
    (before,) = seller.list_items()
    assert before["created_on"] == before["modified_on"]
    assert seller.final_status(seller.update({"item_code": "TR-001", "name": "N"}))["stage"] == "COMPLETED"
    (after,) = seller.list_items()
    assert (after["created_on"], after["uid"]) == (before["created_on"], before["uid"])
    assert after["modified_on"] >= before["modified_on"]


# -- listings and stock -----------------------------------------------------------------------------------------------


def test_listings_are_pages_of_skus(seller: Konnect) -> None:
    """The last page has fewer rows than requested."""
    labels = ("41", "42")
    seller.create_all(*(product(number, sizes=[size(number, label) for label in labels]) for number in range(1, 6)))
    skus: list[str] = []
    for page in (1, 2, 3):
        rows = seller.get("/ims/v3/listings", params={"page_no": page, "page_size": 4}).json()["data"]
        skus += [row["sku"] for row in rows]
    assert skus == [f"TR-{number:03d}-{label}" for number in range(1, 6) for label in ("41", "42")]
    rows = seller.get("/ims/v3/listings", params={"skus": "TR-005-42, none ,TR-001-41"}).json()["data"]
    assert [row["sku"] for row in rows] == ["TR-001-41", "TR-005-42"]
    assert rows[0]["identifiers"] == [{"gtin_type": "SKU", "gtin_value": "TR-001-41", "primary": True}]


def test_stock_is_a_level(seller: Konnect) -> None:
    """It is not a change of the level; listings show it by location and as a sum."""
    seller.create_all(product(1))
    for quantity in (5, 7):
        records = [
            {"location_id": place, "sku": "TR-001-42", "quantity": quantity} for place in ("BLR-01", "BOM-01")
        ]
        assert seller.put("/ims/v3/inventory", json=records).json()["data"]["success_count"] == 2
    (row,) = seller.get("/ims/v3/listings").json()["data"]
    assert row["quantity"] == 14
    assert row["inventory"] == [
        {"location_id": "BLR-01", "quantity": 7}, {"location_id": "BOM-01", "quantity": 7},
    ]


@ONE_STORE
@pytest.mark.parametrize(("members", "field", "code"), [
    ({"sku": "none"}, "sku", "NOT_FOUND"), ({"sku": None}, "sku", "MISSING_FIELD"),
    ({"location_id": "X"}, "location_id", "REFERENCE_ERROR"), ({"location_id": None}, "location_id", "MISSING_FIELD"),
    ({"esp": -1}, "esp", "FORMAT_ERROR"), ({"esp": "9"}, "esp", "FORMAT_ERROR"),
    ({"mrp": None}, "mrp", "MISSING_FIELD"),
    ({"esp": 11}, "esp", "FORMAT_ERROR"), ({"currency": "rupees"}, "currency", "FORMAT_ERROR"),
    ({"currency": None}, "currency", "MISSING_FIELD"),
])
def test_an_invalid_price_fails_alone(seller: Konnect, members: dict[str, object], field: str, code: str) -> None:
    """The other prices are applied."""
    seller.create_all(product(1), product(2))
    good = {"location_id": "BLR-01", "sku": "TR-001-42", "esp": 9, "mrp": 10, "currency": "INR"}
    bad = {**good, "sku": "TR-002-42", **members}
    body = seller.put("/ims/v3/price", json=[bad, good, "no record"]).json()
    assert (body["data"]["success_count"], body["data"]["failed_count"], body["meta"]["status"]) == (1, 2, "PARTIAL")
    first, second = body["data"]["errors"]
    assert (first["code"], first["errors"][0]["field"], first["index"], second["index"]) == (code, field, 0, 2)


def test_the_last_of_two_prices_wins(seller: Konnect) -> None:
    """Both are for the same SKU and location."""
    seller.create_all(product(1))
    record = {"location_id": "BLR-01", "sku": "TR-001-42", "mrp": 100, "currency": "INR"}
    body = seller.put("/ims/v3/price", json=[{**record, "esp": 1}, {**record, "esp": 2}]).json()
    assert body["data"]["success_count"] == 2
    (row,) = seller.get("/ims/v3/listings").json()["data"]
    assert [price["esp"] for price in row["prices"]] == [2]


@ONE_STORE
@pytest.mark.parametrize("body", [b"", b"{}", b"[", b"5", b"[]", b"\xff"])
@pytest.mark.parametrize("path", ["/ims/v3/price", "/ims/v3/inventory"])
def test_a_body_that_is_no_array_is_refused(seller: Konnect, path: str, body: bytes) -> None:
    """The answer is 400 in the envelope of the family."""
    response = seller.put(path, content=body, headers={"content-type": "application/json"})
    result = response.json()
    assert (response.status_code, result["meta"]["status"], result["data"]["payload_count"]) == (400, "FAILED", 0)
