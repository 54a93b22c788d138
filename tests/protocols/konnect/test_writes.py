"""Product creates, updates and deletes: every constraint, every error, and the stored result."""

import codecs
import gzip
import zlib
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from goodsgate.model.catalogue import ReferenceEntry
from tests.protocols.konnect.client import ONE_STORE, Konnect, product, size


def _size(**members):
    return {"sizes": [size(1, **members)]}


@ONE_STORE
@pytest.mark.parametrize(("members", "field", "code"), [
    ({"item_type": "thing"}, "item_type", "INVALID_ENUM"), ({"name": ""}, "name", "MISSING_FIELD"),
    ({"name": "x" * 301}, "name", "FORMAT_ERROR"), ({"name": 5}, "name", "FORMAT_ERROR"),
    ({"slug": "Upper"}, "slug", "FORMAT_ERROR"), ({"slug": "a--b"}, "slug", "FORMAT_ERROR"),
    ({"slug": "-a"}, "slug", "FORMAT_ERROR"), ({"departments": []}, "departments", "MISSING_FIELD"),
    ({"departments": ["1"]}, "departments[0]", "REFERENCE_ERROR"),
    ({"category": "Shoes"}, "category", "REFERENCE_ERROR"),
    ({"brand": "Nobody"}, "brand", "REFERENCE_ERROR"), ({"item_code": ""}, "item_code", "MISSING_FIELD"),
    ({"net_quantity": {"unit": "kg", "value": "1"}}, "net_quantity.value", "FORMAT_ERROR"),
    ({"tax_identifier": {}}, "tax_identifier.tax_rule_id", "MISSING_FIELD"),
    ({"tax_identifier": {"tax_rule_id": "x"}}, "tax_identifier.tax_rule_id", "REFERENCE_ERROR"),
    ({"no_of_boxes": -1}, "no_of_boxes", "FORMAT_ERROR"), ({"no_of_boxes": 1.5}, "no_of_boxes", "FORMAT_ERROR"),
    ({"media": [{"url": "x", "type": "image"}]}, "media[0].url", "FORMAT_ERROR"),
    ({"media": [{"url": "https://a.example/b", "type": "song"}]}, "media[0].type", "INVALID_ENUM"),
    ({"short_description": "x" * 51}, "short_description", "FORMAT_ERROR"),
    ({"description": "x" * 5001}, "description", "FORMAT_ERROR"),
    ({"highlights": [1]}, "highlights[0]", "FORMAT_ERROR"), ({"sizes": []}, "sizes", "MISSING_FIELD"),
    (_size(primary_identifier=None), "sizes[0].primary_identifier", "MISSING_FIELD"),
    (_size(size=None), "sizes[0].size", "MISSING_FIELD"), (_size(price=None), "sizes[0].price", "MISSING_FIELD"),
    (_size(price=-1), "sizes[0].price", "FORMAT_ERROR"), (_size(price="9"), "sizes[0].price", "FORMAT_ERROR"),
    (_size(price_effective=-0.01), "sizes[0].price_effective", "FORMAT_ERROR"),
    (_size(item_weight=-1), "sizes[0].item_weight", "FORMAT_ERROR"),
    (_size(track_inventory="maybe"), "sizes[0].track_inventory", "INVALID_ENUM"),
    (_size(identifiers=[{"gtin_value": "", "gtin_type": "EAN"}]), "sizes[0].identifiers[0].gtin_value", "FORMAT_ERROR"),
    ({"trader": [{"type": "Maker", "name": "A", "address": []}]}, "trader[0].type", "INVALID_ENUM"),
    ({"trader": [{"type": "Seller", "address": []}]}, "trader[0].name", "MISSING_FIELD"),
    ({"attributes": []}, "attributes", "FORMAT_ERROR"), ({"tags": "new"}, "tags", "FORMAT_ERROR"),
    ({"product_publish": {"product_online_date": "soon"}}, "product_publish.product_online_date", "FORMAT_ERROR"),
    ({"return_config": {"returnable": "maybe"}}, "return_config.returnable", "INVALID_ENUM"),
    ({"custom_order": {"manufacturing_time": -1}}, "custom_order.manufacturing_time", "FORMAT_ERROR"),
    ({"is_dependent": "maybe"}, "is_dependent", "INVALID_ENUM"),
    ({"category": "Hiking Boots"}, "attributes.closure", "MISSING_FIELD"),
    ({"category": "Hiking Boots", "attributes": {"closure": "Glue"}}, "attributes.closure", "FORMAT_ERROR"),
])
def test_a_violated_constraint_is_one_error_of_its_field(
    seller: Konnect, members: dict[str, object], field: str, code: str,
) -> None:
    """Nothing is stored."""
    assert seller.record_errors(seller.create(product(1, **members))) == [(field, code)]
    assert seller.list_items() == []


def test_every_member_is_accepted_and_returned(seller: Konnect) -> None:
    """Values are returned as submitted, and ids as numbers."""
    full = product(
        1, departments=[5956], item_type="standard",
        net_quantity={"unit": "kg", "value": 0.8}, no_of_boxes=0, short_description="x" * 50,
        description="y" * 5000, highlights=["light"], tags=["new"],
        media=[{"url": "https://a.example/b", "type": "video"}],
        sizes=[size(1, price=0, price_effective=0, item_length=1, item_width=2.5, item_height=3, item_weight=400,
                    track_inventory=True, identifiers=[{"gtin_value": "8901", "gtin_type": "EAN", "primary": True}])],
        product_publish={"product_online_date": "2026-01-31T08:15:00Z", "is_set": "Yes"},
        return_config={"returnable": True, "time": 7, "unit": "days"}, attributes={"sole-material": "EVA", "own": [1]},
        custom_order={"is_custom_order": "No", "manufacturing_time": 3, "manufacturing_time_unit": "days"},
        their_own={"kept": None},
    )
    seller.create_all(full)
    (read,) = seller.list_items()
    sizes = [{name: value for name, value in entry.items() if name != "seller_identifier"} for entry in read["sizes"]]
    assert {**{name: read[name] for name in full}, "sizes": sizes} == full
    assert read["all_identifiers"] == ["TR-001-42", "8901"]


def test_every_error_of_every_product_is_reported(seller: Konnect) -> None:
    """The valid products in between are applied."""
    bad = product(2, name="", slug="A B", sizes=[size(1, price=-1), size(1, price=-2)])
    result = seller.final_status(seller.create(product(1), bad, product(3), product(4, brand="Nobody")))
    assert (result["stage"], result["meta"]["succeed"], result["meta"]["failed"]) == ("PARTIAL", 2, 2)
    first, second = result["meta"]["failed_records"]
    assert (first["index"], second["index"]) == (1, 3)
    assert {(error["field"], error["code"]) for error in first["errors"]} == {
        ("name", "MISSING_FIELD"), ("slug", "FORMAT_ERROR"), ("sizes[0].price", "FORMAT_ERROR"),
        ("sizes[1].price", "FORMAT_ERROR"), ("sizes[0].primary_identifier", "DUPLICATE_IDENTIFIER"),
        ("sizes[1].primary_identifier", "DUPLICATE_IDENTIFIER"),
    }
    assert all(error["message"] and "None" not in error["message"] for error in first["errors"])
    assert {item["item_code"] for item in seller.list_items()} == {"TR-001", "TR-003"}


def test_the_template_applies_to_all_products(seller: Konnect) -> None:
    """An unknown template fails them all; a template inside a product is ignored."""
    assert seller.record_errors(seller.create(product(1), template="hats")) == [("template", "REFERENCE_ERROR")]
    seller.create_all(product(1, template="hats"))
    assert [item["template"] for item in seller.list_items()] == ["footwear"]


@ONE_STORE
@pytest.mark.parametrize("body", [
    b"", b"[", b"[]", b"5", b"{}", b'{"template": "footwear"}', b'{"products": [{}]}',
    b'{"template": "", "products": [{}]}', b'{"template": 5, "products": [{}]}', b'{"template": "a", "products": {}}',
    b'{"template": "a", "products": []}', b'{"template": "a", "products": [5]}', b'{"template": "a", "products": [{}}',
    b"\xff\xfe", b'{"template": "' + b"x" * 201 + b'", "products": [{}]}',
])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_a_malformed_request_is_refused_as_a_whole(seller: Konnect, method: str, body: bytes) -> None:
    """The answer is 400 with the members of an acknowledgement and without a trace id."""
    headers = {"content-type": "application/json"}
    response = seller.request(method, "/v3/catalog/product", content=body, headers=headers)
    result = response.json()
    assert (response.status_code, result["trace_id"]) == (400, "")
    assert (result["status"], result["stage"]) == ("FAILED", "FAILED")
    assert result["message"] in result["errors"].values()


@ONE_STORE
@pytest.mark.parametrize(("coding", "encode", "status"), [
    ("gzip", gzip.compress, 200), ("x-gzip", lambda body: gzip.compress(body[:9]) + gzip.compress(body[9:]), 200),
    ("deflate", zlib.compress, 200), ("deflate", lambda body: zlib.compress(body)[2:-4], 200),
    ("identity", lambda body: codecs.BOM_UTF8 + body, 200), ("gzip", lambda body: gzip.compress(body)[:-9], 400),
    ("gzip", lambda body: body, 400), ("gzip", lambda body: gzip.compress(body + b" " * 16 * 1024**2), 413),
    ("br", lambda body: body, 415), ("zstd", lambda body: body, 415),
])
def test_coded_bodies_are_read(seller: Konnect, coding: str, encode: Callable[[bytes], bytes], status: int) -> None:
    """Gzip in one or several members and both forms of deflate; whatever cannot be read is refused."""
    for method, path, body in (
        ("POST", "/v3/catalog/product", {"template": "footwear", "products": [product(1)]}),
        ("PUT", "/ims/v3/price", [{"sku": "none"}]),
    ):
        answer = seller.request(
            method, path, content=encode(orjson.dumps(body)),
            headers={"content-type": "application/json", "content-encoding": coding},
        )
        assert answer.status_code == status, answer.text


def test_errors_of_an_update_have_places_in_the_list_that_was_sent(seller: Konnect) -> None:
    """The stored product has other sizes before them."""
    seller.create_all(product(1, sizes=[size(1, label) for label in ("41", "42", "43")]), product(2))
    for sent, expected in (
        ([size(1, "43"), size(2)], ("sizes[1].primary_identifier", "DUPLICATE_IDENTIFIER")),
        ([size(1, "43"), size(1, "44", price_effective=None)], ("sizes[1].price_effective", "MISSING_FIELD")),
    ):
        assert seller.record_errors(seller.update({"item_code": "TR-001", "sizes": sent})) == [expected]
    (failed,) = seller.final_status(seller.update({"item_code": "TR-001", "sizes": sent}))["meta"]["failed_records"]
    assert failed["errors"][0]["message"] == "sizes[1].price_effective is missing.", "and messages name them so"


def test_other_content_types_are_refused(seller: Konnect) -> None:
    """The answer is 415; a missing content type is accepted."""
    body = orjson.dumps({"template": "footwear", "products": [product(1)]})
    for content_type, status in (("text/csv", 415), ("application/json; charset=utf-8", 200), (None, 200)):
        headers = {"content-type": content_type} if content_type else {}
        assert seller.post("/v3/catalog/product", content=body, headers=headers).status_code == status


# -- what must be unique ----------------------------------------------------------------------------------------------


def test_slugs_are_unique_within_a_brand(seller: Konnect) -> None:
    """Another brand may have the same slug."""
    seller.create_all(product(1))
    other = product(2, slug="trail-runner-1")
    assert seller.record_errors(seller.create(other)) == [("slug", "DUPLICATE_IDENTIFIER")]
    seller.create_all({**other, "brand": "Northpath"})


def test_skus_are_unique_among_all_products(seller: Konnect) -> None:
    """A deleted product releases its SKUs."""
    seller.create_all(product(1))
    thief = product(2, brand="Northpath", sizes=[size(1)])
    assert seller.record_errors(seller.create(thief)) == [("sizes[0].primary_identifier", "DUPLICATE_IDENTIFIER")]
    assert seller.final_status(seller.remove({"item_code": "TR-001"}))["stage"] == "COMPLETED"
    seller.create_all(thief)


def test_the_first_of_two_duplicates_in_a_batch_wins(seller: Konnect) -> None:
    """Duplicates are compared by item code, slug and SKU."""
    result = seller.final_status(seller.create(
        product(1), product(1), product(2, slug="trail-runner-1"), product(3, sizes=[size(1)]), product(4),
    ))
    assert [record["index"] for record in result["meta"]["failed_records"]] == [1, 2, 3]
    assert {item["item_code"] for item in seller.list_items()} == {"TR-001", "TR-004"}


def test_merchants_have_separate_catalogues(seller: Konnect, stranger: Konnect) -> None:
    """The same product may exist for both."""
    seller.create_all(product(1))
    stranger.create_all(product(1))
    assert len(seller.list_items()) == len(stranger.list_items()) == 1


# -- updates ----------------------------------------------------------------------------------------------------------


def test_an_update_changes_only_what_it_names(seller: Konnect) -> None:
    """Attributes are merged, sizes are merged by SKU, other members are replaced, and null removes a member."""
    seller.create_all(product(1, tags=["a", "b"], attributes={"x": 1, "y": 2}, net_quantity={"unit": "kg", "value": 1},
                        short_description="gone", sizes=[size(1, "42"), size(1, "43", price=5000)]))
    result = seller.final_status(seller.update({
        "item_code": "TR-001", "name": "New", "tags": ["c"], "attributes": {"y": 3, "z": 4},
        "net_quantity": {"value": 2}, "short_description": None,
        "sizes": [{"primary_identifier": "TR-001-43", "price_effective": 1}, size(1, "44")],
    }))
    assert result["stage"] == "COMPLETED", result
    (read,) = seller.list_items()
    assert (read["name"], read["tags"], read["attributes"]) == ("New", ["c"], {"x": 1, "y": 3, "z": 4})
    assert read["net_quantity"] == {"value": 2}
    assert "short_description" not in read
    assert [(entry["size"], entry["price"], entry["price_effective"]) for entry in read["sizes"]] == [
        ("42", 4999, 3999), ("43", 5000, 1), ("44", 4999, 3999),
    ]
    assert read["slug"] == "trail-runner-1"


@pytest.mark.parametrize(("change", "expected"), [
    ({"slug": "x"}, ("slug", "IMMUTABLE_FIELD")), ({"brand": "Northpath"}, ("brand", "IMMUTABLE_FIELD")),
    ({"brand_uid": 99}, ("brand_uid", "IMMUTABLE_FIELD")),
    ({"name": "x" * 301}, ("name", "FORMAT_ERROR")), ({"category": "Nothing"}, ("category", "REFERENCE_ERROR")),
    ({"sizes": [{"price": 1}]}, ("sizes[0].primary_identifier", "MISSING_FIELD")),
    ({"sizes": [{"primary_identifier": "new"}]}, ("sizes[0].size", "MISSING_FIELD")),
    ({"sizes": [size(2)]}, ("sizes[0].primary_identifier", "DUPLICATE_IDENTIFIER")),
    ({"hs_code": None}, ("hs_code", "MISSING_FIELD")),
    ({"category": "Hiking Boots"}, ("attributes.closure", "MISSING_FIELD")),
    ({"sizes": [{"primary_identifier": "TR-001-42", "identifiers": [{"gtin_value": "2", "primary": True}]}]},
     ("sizes[0].identifiers[0].gtin_value", "IMMUTABLE_FIELD")),
])
def test_an_invalid_update_fails(
    seller: Konnect, change: dict[str, object], expected: tuple[str, str],
) -> None:
    """It changes nothing."""
    gtin = [{"gtin_value": "1", "gtin_type": "EAN", "primary": True}]
    seller.create_all(product(1, sizes=[size(1, identifiers=gtin)]), product(2))
    before = seller.list_items(item_code="TR-001")
    failed = seller.record_errors(seller.update({"item_code": "TR-001", **change}))
    assert failed[0] == expected
    assert seller.list_items(item_code="TR-001") == before


def test_an_update_must_identify_one_product(seller: Konnect) -> None:
    """An unknown, ambiguous or missing identifier is an error."""
    seller.create_all(product(1), product(2, brand="Northpath", slug="trail-runner-1"))
    assert seller.record_errors(seller.update({"item_code": "TR-009"})) == [("item_code", "NOT_FOUND")]
    assert seller.record_errors(seller.update({"slug": "trail-runner-1"})) == [("slug", "NOT_FOUND")]
    both = [{"primary_identifier": "TR-001-42"}, {"primary_identifier": "TR-002-42"}]
    assert seller.record_errors(seller.update({"sizes": both})) == [("sizes[0].primary_identifier", "NOT_FOUND")]
    assert seller.record_errors(seller.update({"name": "x"})) == [("item_code", "MISSING_FIELD")]
    changed = seller.update({"slug": "trail-runner-1", "brand": "Northpath", "name": "N"})
    assert seller.final_status(changed)["success"] == 1
    assert seller.list_items(item_code="TR-002")[0]["name"] == "N"


def test_the_item_code_of_a_product_cannot_be_changed(seller: Konnect) -> None:
    """The product is found by its slug."""
    seller.create_all(product(1))
    changed = seller.update({"item_code": "TR-009", "slug": "trail-runner-1", "brand": "Acme"})
    assert seller.record_errors(changed) == [("item_code", "IMMUTABLE_FIELD")]


def test_the_template_of_a_product_cannot_be_changed(seller: Konnect) -> None:
    """Deletes check it, too."""
    seller.create_all(product(1))
    for write in (seller.update, seller.remove):
        changed = write({"item_code": "TR-001"}, template="clothing")
        assert seller.record_errors(changed) == [("template", "IMMUTABLE_FIELD")]


def test_an_update_without_a_change_succeeds(seller: Konnect) -> None:
    """It does not count as a modification."""
    seller.create_all(product(1))
    before = seller.list_items()
    assert seller.final_status(seller.update({"item_code": "TR-001", "name": "Trail Runner 1"}))["stage"] == "COMPLETED"
    assert seller.list_items() == before


# -- deletes ----------------------------------------------------------------------------------------------------------


def test_a_delete_with_an_empty_list_of_sizes_fails(seller: Konnect) -> None:
    """So does one with an unknown size; nothing is deleted."""
    seller.create_all(product(1, sizes=[size(1, "42"), size(1, "43")]))
    assert seller.record_errors(seller.remove({"item_code": "TR-001", "sizes": []})) == [("sizes", "MISSING_FIELD")]
    named = [{"primary_identifier": "TR-001-42"}, {"primary_identifier": "TR-001-99"}]
    assert seller.record_errors(seller.remove({"item_code": "TR-001", "sizes": named})) == [
        ("sizes[1].primary_identifier", "NOT_FOUND"),
    ]
    assert len(seller.list_items()[0]["sizes"]) == 2


@pytest.mark.parametrize("by", ["primary_identifier", "size"])
def test_deleting_the_last_size_deletes_the_product(seller: Konnect, by: str) -> None:
    """Sizes are named by SKU or label."""
    seller.create_all(product(1, sizes=[size(1, "42"), size(1, "43")]))
    for label in ("42", "43"):
        named = {by: f"TR-001-{label}" if by == "primary_identifier" else label}
        assert seller.final_status(seller.remove({"item_code": "TR-001", "sizes": [named]}))["stage"] == "COMPLETED"
    assert seller.list_items() == []
    assert seller.get("/ims/v3/listings/count").json()["data"]["listing_count"] == 0


def test_a_delete_that_is_not_fully_understood_deletes_nothing(seller: Konnect) -> None:
    """It cannot be undone: null, misspelled members, contradictory sizes and labels of several sizes are errors."""
    labels = [size(1), size(1, "43"), size(1, "44", size="43")]
    seller.create_all(product(1, sizes=labels))
    sku = "TR-001-42"
    deletes: list[tuple[dict[str, Any], tuple[str, str]]] = [
        ({"sizes": None}, ("sizes", "MISSING_FIELD")),
        ({"Sizes": [{"size": "42"}]}, ("Sizes", "FORMAT_ERROR")),
        ({"size": "42"}, ("size", "FORMAT_ERROR")),
        ({"sizes": [{"primary_identifier": sku, "mrp": 1}]}, ("sizes[0].mrp", "FORMAT_ERROR")),
        ({"sizes": [{"primary_identifier": sku, "size": "43"}]}, ("sizes[0].size", "IMMUTABLE_FIELD")),
        ({"sizes": [{"size": "43"}]}, ("sizes[0].size", "NOT_FOUND")),
    ]
    answer = seller.remove(*({"item_code": "TR-001", **members} for members, _ in deletes))
    assert seller.record_errors(answer) == [error for _, error in deletes]
    (kept,) = seller.list_items()
    assert [each["size"] for each in kept["sizes"]] == ["42", "43", "43"]
    named = {"primary_identifier": sku, "size": "42", "identifiers": None}
    removed = seller.remove({"item_code": "TR-001", "name": None, "sizes": [named]})
    assert seller.final_status(removed)["stage"] == "COMPLETED"
    assert len(seller.list_items()[0]["sizes"]) == 2


def test_a_brand_is_the_same_by_name_and_by_code(seller: Konnect) -> None:
    """Its slugs stay unique, and updates and deletes find their product; the stored spelling is kept."""
    seller.gate.shop.store.put_reference(seller.merchant, "brand", [ReferenceEntry(code="77", name="Zenith")])
    seller.create_all(product(1, brand="Zenith", slug="s"), product(2, slug="s"))
    twin = product(3, brand="77", slug="s")
    assert seller.record_errors(seller.create(twin)) == [("slug", "DUPLICATE_IDENTIFIER")]
    change = {"slug": "s", "brand": "77", "name": "New name"}
    assert seller.final_status(seller.update(change))["stage"] == "COMPLETED"
    (changed,) = seller.list_items(item_code="TR-001")
    assert (changed["name"], changed["brand"]) == ("New name", "Zenith")
    assert seller.record_errors(seller.update({"item_code": "TR-002", "brand": "77"})) == [("brand", "IMMUTABLE_FIELD")]
    assert seller.final_status(seller.remove({"slug": "s", "brand": "77"}))["stage"] == "COMPLETED"
    assert [each["item_code"] for each in seller.list_items()] == ["TR-002"]


def test_a_primary_gtin_belongs_to_one_product(seller: Konnect) -> None:
    """Another identifier may occur anywhere."""

    def identified(number: int, *, primary: bool) -> dict[str, Any]:
        gtin = {"gtin_value": "4006381333931", "gtin_type": "EAN", "primary": primary}
        return product(number, sizes=[size(number, identifiers=[gtin])])

    seller.create_all(identified(1, primary=True), identified(2, primary=False))
    field = "sizes[0].identifiers[0].gtin_value"
    assert seller.record_errors(seller.create(identified(3, primary=True))) == [(field, "DUPLICATE_IDENTIFIER")]
    change = {"item_code": "TR-002", "sizes": identified(2, primary=True)["sizes"]}
    assert seller.record_errors(seller.update(change)) == [(field, "DUPLICATE_IDENTIFIER")]


def test_deleting_an_unknown_product_fails(seller: Konnect) -> None:
    """The second of two equal deletes is one."""
    seller.create_all(product(1))
    result = seller.final_status(seller.remove({"item_code": "TR-001"}, {"item_code": "TR-001"}, {"slug": "none"}))
    assert [record["index"] for record in result["meta"]["failed_records"]] == [1, 2]
    assert result["stage"] == "PARTIAL"


def test_batches_of_a_seller_are_processed_in_order(seller: Konnect) -> None:
    """Create, change, delete and create again are sent without waiting."""
    acknowledged = []
    for number in range(5):
        acknowledged += [
            seller.create(product(1, name=f"Round {number}")),
            seller.update({"slug": "trail-runner-1", "short_description": f"{number}"}),
            seller.remove({"sizes": [{"size": "42"}], "item_code": "TR-001"}),
        ]
    acknowledged.append(seller.create(product(1, name="Last")))
    assert [seller.final_status(one)["stage"] for one in acknowledged] == ["COMPLETED"] * 16
    assert [item["name"] for item in seller.list_items()] == ["Last"]
