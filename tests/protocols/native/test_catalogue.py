"""What is held: items, prices, stock; reference data; mappings of profiles."""

import pytest

from tests import factories
from tests.shop import ndjson


def test_a_record_is_returned_byte_for_byte(client):
    """Numbers, unknown members and blanks are as submitted."""
    record = b'{"id":"A/1 %C3","title":"Cup  \\u00e9","price":"7.90 EUR","grams":1e2,"x":{"b":1, "a":[1.50]}}'
    client.submit(record)
    answer = client.get("/v1/collections/products/items/A%2F1%20%25C3")
    assert answer.status_code == 200, answer.text
    assert b'"record":' + record + b"}" in answer.content
    assert answer.json()["key"] == "A/1 %C3"
    assert client.get("/v1/collections/products/items/A/1%20%25C3").json() == answer.json()


def test_an_item_has_versions_by_group_where_they_differ(client):
    """In a list as well; `version` is the newest."""
    client.submit(b'{"id":"A","title":"Cup","version_number":3}\n{"id":"B","title":"Cup","version_number":3}')
    assert "versions" not in client.get("/v1/collections/products/items/A").json()
    client.submit(b'{"id":"A","price":"7.90 EUR","version_number":5}', verb="update")
    item = client.get("/v1/collections/products/items/A").json()
    assert (item["version"], item["versions"]) == (5, {"price": 5, "availability": None, "content": 3})
    client.submit(b'{"id":"A","title":"Mug","price":"8.00 EUR","version_number":4}')
    listed = client.get("/v1/collections/products/items").json()["items"]
    assert [(each["version"], each.get("versions")) for each in listed] == [
        (5, {"price": 5, "availability": None, "content": 4}), (3, None),
    ]
    assert listed[0]["record"] == {"id": "A", "title": "Mug", "price": "7.90 EUR"}


def test_items_are_listed_in_pages_by_key(client):
    """They can be filtered by a prefix."""
    batch = client.submit(ndjson(factories.products(*range(1, 8))))
    seen, path = [], "/v1/collections/products/items?limit=3"
    while path:
        page = client.get(path).json()
        seen += page["items"]
        path = page["next"]
    assert [item["key"] for item in seen] == [f"SKU-000{number}" for number in range(1, 8)]
    assert {item["batch"] for item in seen} == {batch["id"]}
    found = client.get("/v1/collections/products/items", params={"prefix": "SKU-0007"}).json()["items"]
    assert [item["key"] for item in found] == ["SKU-0007"]


def test_the_variants_of_one_product_are_listed_by_its_group(client):
    """In pages by key, and only as long as they are in the group."""
    group = [{"id": f"V{number}", "title": "Cap", "item_group_id": "cap"} for number in range(1, 4)]
    client.submit(ndjson([*group, {"id": "W", "title": "Cup", "item_group_id": "cup"}, {"id": "X", "title": "Mug"}]))
    client.submit(ndjson([{"id": "V2", "title": "Cap", "item_group_id": "cup"}]))
    seen, path = [], "/v1/collections/products/items?item_group_id=cap&limit=1"
    while path:
        page = client.get(path).json()
        seen += [item["key"] for item in page["items"]]
        path = page["next"]
    assert seen == ["V1", "V3"]
    listed = client.get("/v1/collections/products/items", params={"item_group_id": "cup"}).json()["items"]
    assert [item["key"] for item in listed] == ["V2", "W"]
    both = client.get("/v1/collections/products/items", params={"item_group_id": "cup", "prefix": "W"})
    assert (both.status_code, both.json()["code"]) == (400, "parameter_invalid")


def test_collections_are_listed_with_their_size(client):
    """There is one entry for each kind and name."""
    client.submit(ndjson(factories.products(1, 2)), collection="spring")
    client.submit(b'{"id": "A", "quantity": 3}', kind="stock", collection="spring")
    assert client.get("/v1/collections").json()["collections"] == [
        {"kind": "product", "collection": "spring", "items": 2}, {"kind": "stock", "collection": "spring", "items": 1},
    ]
    assert client.get("/v1/collections/nothing/items").json() == {"items": [], "next": None}


def test_stock_and_prices_are_listed_by_location(client):
    """The entry without a location comes first; each names the batch that last wrote it."""
    stock = client.submit(
        ndjson([
            {"id": "A-1", "quantity": 1}, {"id": "A-1", "location": "Leipzig", "quantity": 2},
            {"id": "A-1", "location": "Halle", "quantity": 3}, {"id": "A-10", "location": "Halle", "quantity": 4},
        ]),
        kind="stock",
    )
    assert stock["counts"]["created"] == 4, stock
    answer = client.get("/v1/collections/products/stock/A-1").json()
    assert (answer["sku"], answer["next"]) == ("A-1", None)
    places = [(entry["location"], entry["record"]["quantity"]) for entry in answer["entries"]]
    assert places == [(None, 1), ("Halle", 3), ("Leipzig", 2)]
    assert {entry["batch"] for entry in answer["entries"]} == {stock["id"]}
    one = client.get("/v1/collections/products/stock/A-1", params={"location": "Halle"}).json()
    assert [entry["key"] for entry in one["entries"]] == ["A-1@Halle"]
    first = client.get("/v1/collections/products/stock/A-1", params={"limit": 1}).json()
    assert [entry["location"] for entry in client.get(first["next"]).json()["entries"]] == ["Leipzig"]
    same = client.get("/v1/collections/products/items/A-1@Halle", params={"kind": "stock"})
    assert same.json() == one["entries"][0]
    prices = client.submit(b'{"id": "A-1", "price": "5.00 EUR"}', kind="price")
    assert prices["counts"]["created"] == 1, prices
    assert len(client.get("/v1/collections/products/prices/A-1").json()["entries"]) == 1


@pytest.mark.parametrize("path", [
    "items/none", "items/A%0A", "items/%FF", "prices/none", "stock/none", "stock/none?location=Halle", "items/",
    "items/none?kind=stock",
])
def test_an_unknown_item_is_not_found(client, path):
    """The response is 404 for any key."""
    assert client.get(f"/v1/collections/products/{path}").status_code == 404


def test_a_collection_with_an_invalid_name_is_not_found(client):
    """No collection can have such a name."""
    answer = client.get("/v1/collections/a%20b/items")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


CATEGORIES = b"code,name,parent\nhome,Home,\nhome/cups,Cups & Mugs,home\nhome/jugs,Jugs,home\n"


@pytest.mark.parametrize(("media_type", "body"), [
    ("text/csv", CATEGORIES),
    ("application/json", b'[{"code": "home"}, {"code": "home/cups", "name": "Cups & Mugs"}, {"code": "home/jugs"}]'),
    ("application/x-ndjson", b'{"code": "home"}\n{"code": "home/cups", "name": "Cups & Mugs"}\n{"code": "home/jugs"}'),
])
def test_reference_data_is_loaded_and_listed(client, media_type, body):
    """It is listed in pages, and searched."""
    loaded = client.put("/v1/reference/category", content=body, headers={"Content-Type": media_type})
    assert (loaded.status_code, loaded.json()) == (200, {"kind": "category", "entries": 3})
    found = client.get("/v1/reference/category", params={"q": "MUGS"}).json()["entries"]
    assert [entry["code"] for entry in found] == ["home/cups"]
    first = client.get("/v1/reference/category", params={"limit": 2}).json()
    assert [entry["code"] for entry in client.get(first["next"]).json()["entries"]] == ["home/jugs"]


def test_replace_removes_entries_that_are_absent(client):
    """Without it, entries are added."""
    client.put("/v1/reference/brand", json=[{"code": "A"}, {"code": "B"}])
    assert client.put("/v1/reference/brand", json=[{"code": "C"}]).json()["entries"] == 3
    assert client.put("/v1/reference/brand?replace=true", json=[{"code": "C"}]).json()["entries"] == 1


@pytest.mark.parametrize("kind", ["currency", "country", "unit"])
def test_built_in_reference_data_is_read_only(client, kind):
    """It comes from maintained libraries."""
    page = client.get(f"/v1/reference/{kind}", params={"limit": 3}).json()
    assert len(page["entries"]) == 3
    assert client.get(page["next"]).json()["entries"]
    refused = client.put(f"/v1/reference/{kind}", json=[{"code": "X"}])
    assert (refused.status_code, refused.json()["code"]) == (409, "reference_read_only")


@pytest.mark.parametrize(("path", "body", "status", "code"), [
    ("nonsense", b'[{"code": "A"}]', 404, "reference_kind_unknown"),
    ("brand", b"", 400, "payload_empty"),
    ("brand", b'[{"name": ""}]', 422, "reference_invalid"),
    ("brand", b'[{"code": "A"}, 7]', 422, "reference_invalid"),
    ("brand", b'[{"code": "A"}', 422, "reference_invalid"),
    ("brand?format=pdf", b"<a/>", 400, "parameter_invalid"),
    ("brand?replace=1", b'[{"code": "A"}]', 400, "parameter_invalid"),
])
def test_invalid_reference_data_is_refused_as_a_whole(client, path, body, status, code):
    """Either all entries are stored or none."""
    answer = client.put(f"/v1/reference/{path}", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert client.get("/v1/reference/brand").json()["entries"] == []


@pytest.mark.parametrize("mapping", [
    [], {"a": "b"}, {"a": [""]}, {"": ["a"]}, {"a": ["b"] * 21}, {"a" * 201: ["b"]},
    {str(number): [] for number in range(2001)}, {"a": [1]}, None,
])
def test_an_invalid_mapping_is_refused(client, mapping):
    """Its form or its size is wrong."""
    answer = client.put("/v1/profiles/bad", json={"map": mapping})
    assert (answer.status_code, answer.json()["code"]) == (400, "body_invalid")


SHOES = [
    {"id": "S-1", "title": "Trail shoe", "brand": "Nordic Trail", "gtin": "4006381333931", "item_group_id": "trail"},
    {"id": "S-2", "title": "Träil boots", "brand": "Acme", "item_group_id": "trail"},
    {"id": "T-1", "title": "Tent", "brand": "nordic-trail"},
]


def _keys(client, **wanted):
    answer = client.get("/v1/collections/products/items", params=wanted)
    assert answer.status_code == 200, answer.text
    return [item["key"] for item in answer.json()["items"]]


def test_items_are_searched_by_words_and_filters(client):
    """All of what is asked for must hold; pages lead to each other."""
    first = client.submit(ndjson(SHOES))
    second = client.submit(b'{"id": "T-1", "title": "Tent, green", "brand": "Nordic Trail"}')
    written_at = client.get("/v1/collections/products/items/T-1").json()["written_at"]
    for wanted, keys in (
        ({"q": "trail"}, ["S-1", "S-2", "T-1"]), ({"q": "TRAI sho"}, ["S-1"]), ({"q": "s-"}, ["S-1", "S-2"]),
        ({"q": "??"}, []),
        ({"gtin": "04006381333931"}, ["S-1"]), ({"brand": "NORDIC trail"}, ["S-1", "T-1"]), ({"group": "trail"},
        ["S-1", "S-2"]), ({"batch": first["id"]}, ["S-1", "S-2"]), ({"batch": second["id"], "q": "green"}, ["T-1"]),
        ({"since": written_at}, ["T-1"]), ({"brand": "nordictrail", "prefix": "S"}, ["S-1"]),
        ({"group": "trail", "q": "boots"}, ["S-2"]), ({"q": "s", "kind": "stock"}, []),
    ):
        assert _keys(client, **wanted) == keys, wanted
    page = client.get("/v1/collections/products/items", params={"q": "trail", "limit": 2}).json()
    assert "examined" not in page
    assert [item["key"] for item in client.get(page["next"]).json()["items"]] == ["T-1"]


@pytest.mark.parametrize(("wanted", "status", "code"), [
    ({"q": "a b c d e f g h i j k l m"}, 400, "parameter_invalid"), ({"batch": "0" * 32}, 404, "batch_unknown"),
    ({"brand": "Acme", "kind": "price"}, 400, "parameter_invalid"), ({"since": "yesterday"}, 400, "parameter_invalid"),
    ({"gtin": "x"}, 400, "parameter_invalid"), ({"item_group_id": "a", "q": "b"}, 400, "parameter_invalid"),
])
def test_what_cannot_be_searched_for_is_refused(client, wanted, status, code):
    """With the parameter at fault."""
    answer = client.get("/v1/collections/products/items", params=wanted)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_stock_is_searched_by_the_beginning_of_its_key(client):
    """In any case."""
    client.submit(b'{"id": "A-1", "quantity": 3, "location": "Halle"}\n{"id": "B-1", "quantity": 3}', kind="stock")
    answer = client.get("/v1/collections/products/items", params={"kind": "stock", "q": "a-"}).json()
    assert [item["key"] for item in answer["items"]] == ["A-1@Halle"]
