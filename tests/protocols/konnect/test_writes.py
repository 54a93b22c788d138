"""Products created, updated and deleted: every constraint, every error, and what is held afterwards."""

import orjson
import pytest

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
def test_a_constraint_is_checked(seller: Konnect, members: dict[str, object], field: str, code: str) -> None:
    """One error, with its field."""
    assert seller.failed(seller.create(product(1, **members))) == [(field, code)]
    assert seller.listed() == []


def test_everything_that_may_be_sent_is_taken(seller: Konnect) -> None:
    """And given back as it was."""
    full = product(
        1, item_type="standard", net_quantity={"unit": "kg", "value": 0.8}, no_of_boxes=0, short_description="x" * 50,
        description="y" * 5000, highlights=["light"], tags=["new"],
        media=[{"url": "https://a.example/b", "type": "video"}],
        sizes=[size(1, price=0, price_effective=0, item_length=1, item_width=2.5, item_height=3, item_weight=400,
                    track_inventory=True, identifiers=[{"gtin_value": "8901", "gtin_type": "EAN", "primary": True}])],
        product_publish={"product_online_date": "2026-01-31T08:15:00Z", "is_set": "Yes"},
        return_config={"returnable": True, "time": 7, "unit": "days"}, attributes={"sole-material": "EVA", "own": [1]},
        custom_order={"is_custom_order": "No", "manufacturing_time": 3, "manufacturing_time_unit": "days"},
        their_own={"kept": None},
    )
    seller.made(full)
    (read,) = seller.listed()
    sizes = [{name: value for name, value in entry.items() if name != "seller_identifier"} for entry in read["sizes"]]
    assert {**{name: read[name] for name in full}, "sizes": sizes} == full
    assert read["all_identifiers"] == ["TR-001-42", "8901"]


def test_every_error_of_every_product_is_told(seller: Konnect) -> None:
    """And the good ones in between are applied."""
    bad = product(2, name="", slug="A B", sizes=[size(1, price=-1), size(1, price=-2)])
    told = seller.outcome(seller.create(product(1), bad, product(3), product(4, brand="Nobody")))
    assert (told["stage"], told["meta"]["succeed"], told["meta"]["failed"]) == ("PARTIAL", 2, 2)
    first, second = told["meta"]["failed_records"]
    assert (first["index"], second["index"]) == (1, 3)
    assert {(error["field"], error["code"]) for error in first["errors"]} == {
        ("name", "MISSING_FIELD"), ("slug", "FORMAT_ERROR"), ("sizes[0].price", "FORMAT_ERROR"),
        ("sizes[1].price", "FORMAT_ERROR"), ("sizes[0].primary_identifier", "DUPLICATE_IDENTIFIER"),
        ("sizes[1].primary_identifier", "DUPLICATE_IDENTIFIER"),
    }
    assert all(error["message"] and "None" not in error["message"] for error in first["errors"])
    assert {item["item_code"] for item in seller.listed()} == {"TR-001", "TR-003"}


def test_the_template_is_of_all_products(seller: Konnect) -> None:
    """One that is not known fails them all; what a product says itself does not count."""
    assert seller.failed(seller.create(product(1), template="hats")) == [("template", "REFERENCE_ERROR")]
    seller.made(product(1, template="hats"))
    assert [item["template"] for item in seller.listed()] == ["footwear"]


@ONE_STORE
@pytest.mark.parametrize("body", [
    b"", b"[", b"[]", b"5", b"{}", b'{"template": "footwear"}', b'{"products": [{}]}',
    b'{"template": "", "products": [{}]}', b'{"template": 5, "products": [{}]}', b'{"template": "a", "products": {}}',
    b'{"template": "a", "products": []}', b'{"template": "a", "products": [5]}', b'{"template": "a", "products": [{}}',
    b"\xff\xfe", b'{"template": "' + b"x" * 201 + b'", "products": [{}]}',
])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_what_is_no_request_is_refused_as_a_whole(seller: Konnect, method: str, body: bytes) -> None:
    """400, in the words of an acknowledgement, without a trace."""
    headers = {"content-type": "application/json"}
    answered = seller.request(method, "/v3/catalog/product", content=body, headers=headers)
    told = answered.json()
    assert (answered.status_code, told["trace_id"], told["status"], told["stage"]) == (400, "", "FAILED", "FAILED")
    assert told["message"] in told["errors"].values()


def test_a_request_is_json(seller: Konnect) -> None:
    """415 for what says that it is something else; nothing said is fine."""
    body = orjson.dumps({"template": "footwear", "products": [product(1)]})
    for content_type, status in (("text/csv", 415), ("application/json; charset=utf-8", 200), (None, 200)):
        headers = {"content-type": content_type} if content_type else {}
        assert seller.post("/v3/catalog/product", content=body, headers=headers).status_code == status


# -- what must be unique ----------------------------------------------------------------------------------------------


def test_slugs_are_unique_within_a_brand(seller: Konnect) -> None:
    """Another brand may have the same one."""
    seller.made(product(1))
    other = product(2, slug="trail-runner-1")
    assert seller.failed(seller.create(other)) == [("slug", "DUPLICATE_IDENTIFIER")]
    seller.made({**other, "brand": "Northpath"})


def test_skus_are_unique_in_all_products(seller: Konnect) -> None:
    """Whoever has them, and free again when they are deleted."""
    seller.made(product(1))
    thief = product(2, brand="Northpath", sizes=[size(1)])
    assert seller.failed(seller.create(thief)) == [("sizes[0].primary_identifier", "DUPLICATE_IDENTIFIER")]
    assert seller.outcome(seller.remove({"item_code": "TR-001"}))["stage"] == "COMPLETED"
    seller.made(thief)


def test_inside_a_batch_the_first_wins(seller: Konnect) -> None:
    """By item code, slug and SKU."""
    told = seller.outcome(seller.create(
        product(1), product(1), product(2, slug="trail-runner-1"), product(3, sizes=[size(1)]), product(4),
    ))
    assert [record["index"] for record in told["meta"]["failed_records"]] == [1, 2, 3]
    assert {item["item_code"] for item in seller.listed()} == {"TR-001", "TR-004"}


def test_what_is_anothers_is_no_matter(seller: Konnect, stranger: Konnect) -> None:
    """Each merchant has a catalogue of its own."""
    seller.made(product(1))
    stranger.made(product(1))
    assert len(seller.listed()) == len(stranger.listed()) == 1


# -- updates ----------------------------------------------------------------------------------------------------------


def test_an_update_changes_what_it_names(seller: Konnect) -> None:
    """Attributes are merged, sizes by their SKU, the rest is replaced or stays; null removes."""
    seller.made(product(1, tags=["a", "b"], attributes={"x": 1, "y": 2}, net_quantity={"unit": "kg", "value": 1},
                        short_description="gone", sizes=[size(1, "42"), size(1, "43", price=5000)]))
    told = seller.outcome(seller.update({
        "item_code": "TR-001", "name": "New", "tags": ["c"], "attributes": {"y": 3, "z": 4},
        "net_quantity": {"value": 2}, "short_description": None,
        "sizes": [{"primary_identifier": "TR-001-43", "price_effective": 1}, size(1, "44")],
    }))
    assert told["stage"] == "COMPLETED", told
    (read,) = seller.listed()
    assert (read["name"], read["tags"], read["attributes"]) == ("New", ["c"], {"x": 1, "y": 3, "z": 4})
    assert read["net_quantity"] == {"value": 2}
    assert "short_description" not in read
    assert [(entry["size"], entry["price"], entry["price_effective"]) for entry in read["sizes"]] == [
        ("42", 4999, 3999), ("43", 5000, 1), ("44", 4999, 3999),
    ]
    assert read["slug"] == "trail-runner-1"


@pytest.mark.parametrize(("change", "told"), [
    ({"slug": "x"}, ("slug", "IMMUTABLE_FIELD")), ({"brand": "Northpath"}, ("brand", "IMMUTABLE_FIELD")),
    ({"brand_uid": 99}, ("brand_uid", "IMMUTABLE_FIELD")),
    ({"name": "x" * 301}, ("name", "FORMAT_ERROR")), ({"category": "Nothing"}, ("category", "REFERENCE_ERROR")),
    ({"sizes": [{"price": 1}]}, ("sizes[0].primary_identifier", "MISSING_FIELD")),
    ({"sizes": [{"primary_identifier": "new"}]}, ("sizes[1].size", "MISSING_FIELD")),
    ({"sizes": [size(2)]}, ("sizes[1].primary_identifier", "DUPLICATE_IDENTIFIER")),
    ({"hs_code": None}, ("hs_code", "MISSING_FIELD")),
    ({"category": "Hiking Boots"}, ("attributes.closure", "MISSING_FIELD")),
    ({"sizes": [{"primary_identifier": "TR-001-42", "identifiers": [{"gtin_value": "2", "primary": True}]}]},
     ("sizes[0].identifiers[0].gtin_value", "IMMUTABLE_FIELD")),
])
def test_an_update_that_breaks_something_fails(
    seller: Konnect, change: dict[str, object], told: tuple[str, str],
) -> None:
    """And changes nothing."""
    gtin = [{"gtin_value": "1", "gtin_type": "EAN", "primary": True}]
    seller.made(product(1, sizes=[size(1, identifiers=gtin)]), product(2))
    before = seller.listed(item_code="TR-001")
    failed = seller.failed(seller.update({"item_code": "TR-001", **change}))
    assert failed[0] == told
    assert seller.listed(item_code="TR-001") == before


def test_an_update_must_mean_one_product(seller: Konnect) -> None:
    """None is not found, several are ambiguous, and one that names nothing is told so."""
    seller.made(product(1), product(2, brand="Northpath", slug="trail-runner-1"))
    assert seller.failed(seller.update({"item_code": "TR-009"})) == [("item_code", "NOT_FOUND")]
    assert seller.failed(seller.update({"slug": "trail-runner-1"})) == [("slug", "NOT_FOUND")]
    both = [{"primary_identifier": "TR-001-42"}, {"primary_identifier": "TR-002-42"}]
    assert seller.failed(seller.update({"sizes": both})) == [("sizes[0].primary_identifier", "NOT_FOUND")]
    assert seller.failed(seller.update({"name": "x"})) == [("item_code", "MISSING_FIELD")]
    assert seller.outcome(seller.update({"slug": "trail-runner-1", "brand": "Northpath", "name": "N"}))["success"] == 1
    assert seller.listed(item_code="TR-002")[0]["name"] == "N"


def test_another_item_code_for_a_slug_is_an_immutable_field(seller: Konnect) -> None:
    """The product is found by its slug, and its item code stays."""
    seller.made(product(1))
    changed = seller.update({"item_code": "TR-009", "slug": "trail-runner-1", "brand": "Acme"})
    assert seller.failed(changed) == [("item_code", "IMMUTABLE_FIELD")]


def test_the_template_cannot_be_changed(seller: Konnect) -> None:
    """Nor by a delete."""
    seller.made(product(1))
    for write in (seller.update, seller.remove):
        assert seller.failed(write({"item_code": "TR-001"}, template="clothing")) == [("template", "IMMUTABLE_FIELD")]


def test_an_update_that_changes_nothing_succeeds(seller: Konnect) -> None:
    """And is not a modification."""
    seller.made(product(1))
    before = seller.listed()
    assert seller.outcome(seller.update({"item_code": "TR-001", "name": "Trail Runner 1"}))["stage"] == "COMPLETED"
    assert seller.listed() == before


# -- deletes ----------------------------------------------------------------------------------------------------------


def test_no_sizes_are_not_all_sizes(seller: Konnect) -> None:
    """An empty list is an error; so is one that the product does not have; neither deletes anything."""
    seller.made(product(1, sizes=[size(1, "42"), size(1, "43")]))
    assert seller.failed(seller.remove({"item_code": "TR-001", "sizes": []})) == [("sizes", "MISSING_FIELD")]
    named = [{"primary_identifier": "TR-001-42"}, {"primary_identifier": "TR-001-99"}]
    assert seller.failed(seller.remove({"item_code": "TR-001", "sizes": named})) == [
        ("sizes[1].primary_identifier", "NOT_FOUND"),
    ]
    assert len(seller.listed()[0]["sizes"]) == 2


@pytest.mark.parametrize("by", ["primary_identifier", "size"])
def test_the_last_size_takes_the_product_with_it(seller: Konnect, by: str) -> None:
    """Sizes are named by SKU or label."""
    seller.made(product(1, sizes=[size(1, "42"), size(1, "43")]))
    for label in ("42", "43"):
        named = {by: f"TR-001-{label}" if by == "primary_identifier" else label}
        assert seller.outcome(seller.remove({"item_code": "TR-001", "sizes": [named]}))["stage"] == "COMPLETED"
    assert seller.listed() == []
    assert seller.get("/ims/v3/listings/count").json()["data"]["listing_count"] == 0


def test_a_delete_of_nothing_fails(seller: Konnect) -> None:
    """Twice the same is once too often."""
    seller.made(product(1))
    told = seller.outcome(seller.remove({"item_code": "TR-001"}, {"item_code": "TR-001"}, {"slug": "none"}))
    assert [record["index"] for record in told["meta"]["failed_records"]] == [1, 2]
    assert told["stage"] == "PARTIAL"


def test_batches_of_a_seller_are_worked_in_order(seller: Konnect) -> None:
    """Create, change, delete and create again, sent without waiting."""
    acknowledged = []
    for number in range(5):
        acknowledged += [
            seller.create(product(1, name=f"Round {number}")),
            seller.update({"slug": "trail-runner-1", "short_description": f"{number}"}),
            seller.remove({"sizes": [{"size": "42"}], "item_code": "TR-001"}),
        ]
    acknowledged.append(seller.create(product(1, name="Last")))
    assert [seller.outcome(one)["stage"] for one in acknowledged] == ["COMPLETED"] * 16
    assert [item["name"] for item in seller.listed()] == ["Last"]
