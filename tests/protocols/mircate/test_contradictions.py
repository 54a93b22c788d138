"""The contradictions of the dossier, section 10, one test for each; the README has the table."""

import re
from collections.abc import Iterator
from contextlib import closing
from importlib.resources import files

import pytest

from tests.http_gate import HttpGate
from tests.protocols.mircate.client import ONE_STORE, ROOT, Mircate, message
from tests.protocols.mircate.pim.client import Manager
from tests.protocols.mircate.pim.shirts import product

pytestmark = ONE_STORE

UNIT = {"sku": "A-1", "channel": "web", "stock": 5, "price": 2}


@pytest.fixture
def manager(gate: HttpGate) -> Iterator[Manager]:
    """Return the client of a merchant with a configuration for shirts."""
    with closing(Manager(gate, gate.merchant())) as client:
        yield client


def test_the_table_names_all_fifteen(gate: HttpGate) -> None:
    """The README lists each contradiction once and in order."""
    lines = (files("goodsgate.protocols.mircate") / "README.md").read_text("utf-8").splitlines()
    rows = [line.split("|")[1].strip() for line in lines if re.match(r"\| C\d", line)]
    assert rows == [f"C{number}" for number in range(1, 16)]


def test_c1_the_key_is_optional_by_one_table(seller: Mircate) -> None:
    """The key is required."""
    path = seller.path("MerchantAPI/receiveStock")
    assert seller.gate.anonymous().post(path, json={"products": [UNIT]}).status_code == 403


def test_c2_the_label_of_403(seller: Mircate) -> None:
    """A wrong key never gets 401."""
    for headers in ({}, {"x-api-key": ""}, {"x-api-key": "nobody"}, {"authorization": "Bearer nobody"}):
        for verb, name in (("GET", "MerchantImportJob/checkBatchStatus"), ("POST", "PIMAPI/getProducts")):
            response = seller.gate.anonymous().request(verb, f"{ROOT}/{name}/x", headers=headers)
            assert (response.status_code, "www-authenticate" in response.headers) == (403, False)


def test_c3_the_verb_of_check_batch_status(manager: Manager) -> None:
    """Both verbs work in both places."""
    id = manager.call("MerchantAPI/receiveStock", {"products": [UNIT]}).json()["batchId"]
    assert manager.final_status(id) == manager.call("MerchantImportJob/checkBatchStatus", instance=id).json()
    bulk = manager.pim("bulkProductUpsert", {"products": [{**product("S1"), "id": "S1"}]}).json()["batchId"]
    manager.idle()
    result = manager.pim("checkBatchStatus", {"batchId": bulk}).json()
    assert (result["batchStatus"], result["ratio"]) == ("DONE", "1/1")
    assert manager.call_by_get("PIMAPI/checkBatchStatus", {"batchId": bulk}).json() == result


def test_c4_an_unknown_batch(manager: Manager) -> None:
    """It gets 404, although the page of errors does not list it."""
    response = manager.call("MerchantImportJob/checkBatchStatus", instance="0" * 32)
    assert message(response, 404) == "Record Not Found"
    assert message(manager.pim("checkBatchStatus", {"batchId": "0" * 32}), 404) == "Record Not Found"


def test_c5_receive_price_speaks_of_stock(seller: Mircate) -> None:
    """It accepts prices."""
    response = seller.call("MerchantAPI/receivePrice", {"products": [{**UNIT, "stock": -1}]})
    result = seller.final_status(response.json()["batchId"])
    assert (result["bulkOperationType"], result["successCount"]) == ("PRICE", 1)


def test_c6_frequency_has_two_names(seller: Mircate) -> None:
    """The request has one and the status the other, for stock as well."""
    id = seller.call("MerchantAPI/receiveStock", {"products": [UNIT], "frequency": 3}).json()["batchId"]
    assert seller.final_status(id)["pushPriceFrequency"] == 3


def test_c7_page_from_is_a_row(manager: Manager) -> None:
    """It is not the number of a page."""
    manager.put_all(*(product(f"S{at}") for at in range(4)))
    assert manager.ids(pageFrom=1, pageSize=2, sorts={"id": "asc"}) == ["S1", "S2"]


def test_c8_enabled_is_text_or_boolean(manager: Manager) -> None:
    """A filter accepts either."""
    one = product("S1")
    one["data"]["enabled"] = True
    manager.put_all(one, product("S2"))
    for enabled in ("true", True):
        assert manager.ids(filters={"enabled": enabled}) == ["S1"]
    for enabled in ("false", False):
        assert manager.ids(filters={"enabled": enabled}) == ["S2"]


def test_c9_a_category_is_a_code_or_a_path(manager: Manager) -> None:
    """Both are accepted and stored as sent; a code that two categories have is unknown."""
    manager.put_all(product("S1", categories=["shirts"]), product("S2", categories=["masterCatalog#shirts"]))
    assert manager.source("S1")["data"]["categories"] == ["shirts"]
    assert manager.source("S2")["data"]["categories"] == ["masterCatalog#shirts"]


def test_c10_a_category_needs_only_its_code(manager: Manager) -> None:
    """The documentation marks more members as required."""
    assert manager.pim("upsertCategory", {"category": {"code": "drinks"}}).status_code == 200
    assert manager.pim("upsertCategory", {"category": {"label": []}}).status_code == 400


def test_c11_the_length_of_a_sku(manager: Manager) -> None:
    """The limit is 100, which the key can hold, not 255."""
    assert manager.put(product("S" * 100)).status_code == 200
    assert manager.put(product("S" * 101)).status_code == 400


def test_c12_the_id_of_a_model(manager: Manager) -> None:
    """A product has a sku, a model a code."""
    model = {"dataType": "PRODUCT_MODEL", "data": {"code": "M1", "family": "shirts", "variant": "by_colour",
                                                   "status": "DRAFT"}}
    assert manager.pim("upsertProduct", model).status_code == 200
    for kind, name in (("PRODUCT", "code"), ("PRODUCT_MODEL", "sku")):
        arguments = {"dataType": kind, "data": {name: "X1", "family": "shirts", "variant": "by_colour",
            "status": "DRAFT"}}
        assert manager.pim("upsertProduct", arguments).status_code == 400


def test_c13_status_and_enabled_do_not_depend_on_each_other(manager: Manager) -> None:
    """Every combination is valid."""
    for at, (status, enabled) in enumerate([("DRAFT", True), ("ACTIVE", False), ("ARCHIVED", True)]):
        one = product(f"S{at}", status=status)
        one["data"]["enabled"] = enabled
        manager.put_all(one)
        data = manager.source(f"S{at}")["data"]
        assert (data["status"], data["enabled"]) == (status, enabled)


def test_c14_a_project_has_many_names(manager: Manager) -> None:
    """The path has one place for it, and it is one project in every class."""
    manager.headers["x-api-key"] = manager.gate.secret(manager.merchant, settings={"project": "PRJ"})
    for name, arguments in (("MerchantAPI/receiveStock", {"products": [UNIT]}), ("PIMAPI/getProducts", {})):
        for instance in ("PRJ", manager.merchant):
            assert manager.call(name, arguments, instance=instance).status_code == 200


def test_c15_batch_id_or_batch_ids(seller: Mircate) -> None:
    """The answer has both."""
    units = [{**UNIT, "sku": f"A-{at}"} for at in range(501)]
    result = seller.call("MerchantAPI/receivePrice", {"products": units}).json()
    assert len(result["batchIds"]) == 2
    assert result["batchId"] == result["batchIds"][0]
