"""Products that are sent one by one and in bulk, deleted, and rejected."""

import re
from typing import Any

import pytest

from tests.protocols.mircate.client import message
from tests.protocols.mircate.pim.client import Manager
from tests.protocols.mircate.pim.shirts import model, product, variant

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def test_a_product_is_created_and_changed(manager: Manager) -> None:
    """Members of its data replace the stored ones; a list of attributes replaces all of them."""
    response = manager.put(product("s1", title="Shirt", serial="A", categories=["shirts"]))
    assert response.status_code == 200, response.text
    meta = response.json()["meta"]
    assert TIME.fullmatch(meta["createdAt"])
    assert re.fullmatch(r"[A-Za-z0-9]{10}", meta["updateToken"])
    changed = manager.put(product("s1", status="ACTIVE", title="Better")).json()["meta"]
    assert changed["createdAt"] == meta["createdAt"]
    assert changed["updatedAt"] > meta["updatedAt"]
    assert changed["updateToken"] != meta["updateToken"]
    again = manager.put(product("s1", status="ACTIVE", title="Better")).json()["meta"]
    assert again["updatedAt"] > changed["updatedAt"], "an identical upsert is one, too"
    assert again["updateToken"] != changed["updateToken"]
    changed = again
    source = manager.source("s1")
    assert source["attributeAsLabel"] == "Better"
    assert source["meta"] == {name: changed[name] for name in ("createdAt", "updatedAt")}
    data = source["data"]
    assert (data["status"], data["categories"], data["enabled"]) == ("ACTIVE", ["shirts"], False)
    assert [entry["code"] for entry in data["attributes"]] == ["title", "washable"]
    assert set(source) == {"attributeAsLabel", "dataType", "data", "meta"}


@pytest.mark.parametrize(("arguments", "text"), [
    ({"dataType": "PRODUCT", "data": {"status": "DRAFT"}}, "Error: Product sku is not defined!"),
    ({"dataType": "PRODUCT", "data": {"sku": "", "status": "DRAFT"}}, "Error: Product sku is not defined!"),
    ({"dataType": "PRODUCT_MODEL", "data": {"sku": "x"}}, "Error: Product model code is not defined!"),
    ({"dataType": "PRODUCT", "data": {"sku": "a-b", "status": "DRAFT"}}, "Error: Invalid product sku or code!"),
    ({"dataType": "PRODUCT", "data": {"sku": "a" * 101, "status": "DRAFT"}}, "Error: Invalid product sku or code!"),
    ({"dataType": "PRODUCT", "data": {"sku": "x", "status": "DRAFT"}}, "Error: Product family not found!"),
    ({"dataType": "PRODUCT", "data": {"sku": "x", "family": "none", "status": "DRAFT"}},
     "Error: Product family not found!"),
    ({"dataType": "PRODUCT", "parent": "none", "data": {"sku": "x", "status": "DRAFT"}},
     "Error: Parent product not found!"),
])
def test_invalid_products_are_rejected(manager: Manager, arguments: dict[str, Any], text: str) -> None:
    """The texts are the ancestor's, and nothing is stored."""
    assert message(manager.pim("upsertProduct", arguments), 400) == text
    assert manager.ids() == []


@pytest.mark.parametrize(("arguments", "issue"), [
    ({"dataType": "BUNDLE", "data": {"sku": "x", "family": "shirts", "status": "DRAFT"}},
     {"code": "invalid_enum_value", "path": ["dataType"], "options": ["PRODUCT", "PRODUCT_MODEL"]}),
    ({"dataType": "PRODUCT", "data": {"sku": "x", "family": "shirts"}},
     {"code": "invalid_type", "path": ["data", "status"], "message": "Required"}),
    ({"dataType": "PRODUCT", "data": {"sku": "x", "family": "shirts", "status": "GONE"}},
     {"code": "invalid_enum_value", "path": ["data", "status"]}),
    ({"dataType": "PRODUCT", "data": {"sku": "x", "family": 5, "status": "DRAFT"}},
     {"code": "invalid_type", "path": ["data", "family"], "expected": "string"}),
    ({"dataType": "PRODUCT", "data": {"sku": "x", "family": "a b", "status": "DRAFT"}},
     {"code": "invalid_string", "path": ["data", "family"], "validation": "regex"}),
    ({"dataType": "PRODUCT", "data": {"sku": "x", "family": "shirts", "status": "DRAFT"}, "products": [
        {"sku": "y", "quantity": 0}]}, {"code": "too_small", "path": ["products", 0, "quantity"]}),
])
def test_model_errors(manager: Manager, arguments: dict[str, Any], issue: dict[str, Any]) -> None:
    """They have the form of the ancestor's model errors."""
    response = manager.pim("upsertProduct", arguments)
    assert message(response, 400) == "Model validation error!"
    assert response.json()["error"]["name"] == "ZodError"
    result = response.json()["error"]["issues"][0]
    assert issue.items() <= result.items()


def test_invalid_requests_are_refused_at_once(manager: Manager) -> None:
    """The texts are the platform's."""
    response = manager.pim("upsertProduct", {"dataType": "PRODUCT"})
    assert message(response, 400) == "Model validation has been failed."
    assert response.json()["code"] == "VALIDATION"
    assert response.json()["issues"][0]["params"] == {"missingProperty": "data"}


def test_many_products_are_processed_in_order(manager: Manager) -> None:
    """A model precedes its variants, and errors are reported by id."""
    good = [model("m1"), variant("v1", "m1"), product("s1", title="x")]
    products = [*good[:2], variant("v2", "m1"), good[2], {"dataType": "PRODUCT"}]
    accepted = manager.pim("bulkProductUpsert", {"products": products}).json()
    manager.idle()
    result = manager.pim("checkBatchStatus", accepted).json()
    assert result == {
        "batchStatus": "DONE", "failCount": 2, "successCount": 3, "ratio": "5/5", "pushPriceFrequency": 0,
        "bulkOperationType": "PRODUCT", "failedProducts": [
            {"sku": "v2", "channel": "", "message": "These axes are already in use!"},
            {"sku": "", "channel": "", "message": "data is missing; Product sku is not defined!", "index": 4},
        ],
    }
    assert manager.ids() == ["m1", "s1", "v1"]
    assert manager.final_status(accepted["batchId"]) == result  # the same by the other class


def test_an_array_is_a_bulk_request_too(manager: Manager) -> None:
    """It has at most 500 products."""
    assert manager.pim("bulkProductUpsert", [product("s1")]).status_code == 200
    manager.idle()
    assert manager.ids() == ["s1"]
    for arguments in ([product("s")] * 501, [], {"products": []}, {}):
        assert manager.pim("bulkProductUpsert", arguments).json()["code"] == "VALIDATION"


def test_a_batch_belongs_to_one_merchant(manager: Manager, beginner: Manager) -> None:
    """Batches of other merchants and of stock are unknown."""
    accepted = manager.pim("bulkProductUpsert", [product("s1")]).json()
    assert message(beginner.pim("checkBatchStatus", accepted), 404) == "Record Not Found"
    assert beginner.pim("checkBatchStatus", {"batchId": "none"}).status_code == 404
    stock = manager.call("MerchantAPI/receiveStock", {"products": [{"sku": "s1", "channel": "web", "stock": 1}]})
    assert manager.pim("checkBatchStatus", {"batchId": stock.json()["batchId"]}).status_code == 404


def test_a_product_is_deleted(manager: Manager) -> None:
    """Its unique values are free again."""
    manager.put_all(product("s1", serial="A"), model("m1"), variant("v1", "m1"))
    assert message(manager.put(product("s2", serial="A")), 400) == (
        "Error: This unique attribute value already taken!"
    )
    assert manager.pim("deleteProduct", {"id": "s1"}).status_code == 204
    manager.put_all(product("s2", serial="A"))
    text = "You can not delete! This product model have a product(s)."
    assert message(manager.pim("deleteProduct", {"id": "m1"}), 400) == text
    assert manager.pim("deleteProduct", {"sku": "v1"}).status_code == 204
    assert manager.pim("deleteProduct", {"id": "m1"}).status_code == 204
    assert manager.pim("deleteProduct", {"id": "m1"}).status_code == 404
    assert message(manager.pim("deleteProduct", {"id": ""}), 400) == "'id' required!"
    assert manager.ids() == ["s2"]


@pytest.mark.parametrize(("before", "after"), [
    (before, after) for before in ("DRAFT", "ACTIVE", "ARCHIVED") for after in ("DRAFT", "ACTIVE", "ARCHIVED")
])
def test_every_status_may_follow_every_status(manager: Manager, before: str, after: str) -> None:
    """The last upsert decides, whether the product is enabled or not."""
    manager.put_all(product("s1", status=before), product("s1", status=after))
    assert manager.source("s1")["data"]["status"] == after


def test_further_members_are_stored(manager: Manager) -> None:
    """These are bundles, translation requests, and unpublished members."""
    record = {
        **product("s1"), "bundles": ["b1"], "products": [{"sku": "s2", "quantity": 2}], "translateWithAI": True,
        "other": {"x": [1, 2.50, "é"]},
    }
    manager.put_all(record)
    source = manager.source("s1")
    assert {name: source[name] for name in ("bundles", "products", "translateWithAI", "other")} == {
        name: record[name] for name in ("bundles", "products", "translateWithAI", "other")
    }


def test_a_product_is_processed_in_its_turn(manager: Manager) -> None:
    """Products that were accepted before are stored before."""
    for at in range(3):
        manager.pim("bulkProductUpsert", [product(f"s{at}{number}") for number in range(50)])
    manager.put_all(product("last"))
    assert manager.pim("getProducts", {"pageSize": 0}).json()["totalProducts"] == 151


def test_a_key_may_do_what_its_scopes_say(manager: Manager) -> None:
    """A key for reading sends nothing, and no key acts for another project."""
    with Manager(manager.gate, manager.merchant, configuration=None, scopes=("read",)) as reader:
        assert reader.ids() == []
        assert message(reader.put(product("s1")), 403) == "Access Denied"
        assert reader.call("PIMAPI/getProducts", instance="another").status_code == 403
        del reader.headers["x-api-key"]
        assert reader.pim("getProducts").status_code == 403
