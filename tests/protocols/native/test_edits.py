"""Edits of items by a person, over HTTP: what is locked, who has done it, and how it is undone."""

from typing import Any

import pytest

from goodsgate.model.batch import Verb
from tests.http_gate import Client, HttpGate

ITEM = "/v1/collections/products/items/A%2F1"
LOCKS = "/v1/collections/products/locks/A%2F1"
FED = b'{"id":"A/1","title":"Cup","price":"9.00 EUR","Note":[1]}'


def _edit(gate: HttpGate, client: Client, members: object, path: str = ITEM, **headers: str) -> dict[str, Any]:
    """Edit an item and return the batch when it has ended."""
    headers = {"content-type": "application/merge-patch+json", **headers}
    answer = client.patch(path, json=members, headers=headers)
    assert answer.status_code == 202, answer.text
    gate.shop.work()
    batch: dict[str, Any] = client.get(answer.headers["location"]).json()
    assert batch["id"] == answer.json()["id"]
    return batch


def test_an_edit_is_a_batch_that_locks_its_fields(gate: HttpGate, client: Client) -> None:
    """The item and its listing show the value of the supplier, and the batch says who has edited what."""
    client.submit(FED)
    assert "locked" not in client.get(ITEM).json()
    batch = _edit(gate, client, {"title": "Mug", "Note": None, "brand": "Acme"})
    assert (batch["outcome"], batch["counts"]["updated"], batch["policy"]["edit"]) == ("clean", 1, "lock")
    assert batch["label"].startswith("Edit of A/1 by ")
    item = client.get(ITEM).json()
    assert item["record"] == {"id": "A/1", "title": "Mug", "price": "9.00 EUR", "brand": "Acme"}
    assert item["locked"] == {"Note": {"supplied": [1]}, "brand": {}, "title": {"supplied": "Cup"}}
    assert client.get("/v1/collections/products/items").json()["items"] == [item]
    again = client.submit(FED)
    assert (again["counts"]["unchanged"], again["counts"]["warned"], again["outcome"]) == (1, 1, "clean")
    issues = client.get(f"/v1/batches/{again['id']}/issues").json()["issues"]
    assert {(each["path"], each["value"], each["expected"]) for each in issues if each["code"] == "field_kept"} == {
        ("/Note", "[1]", "no value"), ("/title", "Cup", "Mug"),
    }


def test_fields_are_unlocked_one_by_one_or_all(gate: HttpGate, client: Client) -> None:
    """They have the value of the supplier again, and the batch says so."""
    client.submit(FED)
    _edit(gate, client, {"title": "Mug", "brand": "Acme", "price": "8 EUR"})
    one = client.delete(LOCKS, params={"field": "title"})
    gate.shop.work()
    item = client.get(ITEM).json()
    assert (one.status_code, item["record"]["title"], sorted(item["locked"])) == (202, "Cup", ["brand", "price"])
    assert one.json()["label"].startswith("Unlock title of A/1 by ")
    assert client.delete(LOCKS).status_code == 202
    gate.shop.work()
    item = client.get(ITEM).json()
    assert (item["record"], "locked" in item) == (
        {"id": "A/1", "title": "Cup", "price": "9.00 EUR", "Note": [1]}, False
    )


def test_prices_and_stock_of_a_location_are_edited(gate: HttpGate, client: Client) -> None:
    """Named as they are read."""
    client.submit(b'{"id":"A","location":"Bonn","price":"9 EUR"}', kind="price")
    client.submit(b'{"id":"A","location":"Bonn","quantity":3}', kind="stock")
    path = "/v1/collections/products/items/A@Bonn?kind="
    assert _edit(gate, client, {"price": "8 EUR"}, path + "price")["counts"]["updated"] == 1
    assert _edit(gate, client, {"quantity": 4}, path + "stock")["counts"]["updated"] == 1
    prices = client.get("/v1/collections/products/prices/A").json()["entries"]
    assert [(each["record"]["price"], each["locked"]) for each in prices] == [
        ("8.00 EUR", {"price": {"supplied": "9.00 EUR"}})
    ]
    assert client.delete("/v1/collections/products/locks/A@Bonn?kind=stock").status_code == 202
    gate.shop.work()
    assert client.get(path + "stock").json()["record"]["quantity"] == 3


def test_an_edit_is_carried_out_once(gate: HttpGate, client: Client) -> None:
    """Under one key: the answer is repeated, also when the item has changed; another edit with it is refused."""
    client.submit(FED)
    headers = {"idempotency-key": "edit-1"}
    first = client.patch(ITEM, json={"title": "Mug"}, headers=headers)
    gate.shop.work()
    client.submit(b'{"id":"A/1"}', verb="delete")
    again = client.patch(ITEM, json={"title": "Mug"}, headers=headers)
    assert (again.status_code, again.content, again.headers["location"]) == (
        202, first.content, first.headers["location"]
    )
    assert client.patch(ITEM, json={"title": "Jug"}, headers=headers).json()["code"] == "key_reused"
    assert client.patch(ITEM, json={"title": "Jug"}).json()["code"] == "item_unknown"
    unlocked = [client.delete(LOCKS, headers={"idempotency-key": "unlock-1"}) for _ in range(2)]
    assert {each.json()["code"] for each in unlocked} == {"item_unknown"}


@pytest.mark.parametrize(("members", "status", "code"), [
    ({}, 422, "edit_invalid"), ({"sku": "B"}, 422, "edit_invalid"), ({"id": "A/1"}, 422, "edit_invalid"),
    ({"_verb": "delete"}, 422, "edit_invalid"), ({"version_number": 3, "title": "Mug"}, 422, "edit_invalid"),
    ([1], 400, "body_invalid"), ("Mug", 400, "body_invalid"), ({"title": "a\0b"}, 400, "body_invalid"),
])
def test_what_is_no_edit_is_refused(client: Client, members: object, status: int, code: str) -> None:
    """With the member that cannot be edited; nothing is submitted."""
    client.submit(FED)
    answer = client.patch(ITEM, json=members)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert len(client.get("/v1/batches").json()["batches"]) == 1


def test_a_wrong_edit_is_rejected_with_its_issues(gate: HttpGate, client: Client) -> None:
    """By the rules, which check the item that would result."""
    client.submit(FED)
    batch = _edit(gate, client, {"price": "cheap", "title": None})
    assert (batch["outcome"], "locked" in client.get(ITEM).json()) == ("rejected", False)
    assert batch["issues"][0]["field"] == "/price"


def test_items_of_a_protocol_with_a_schema_are_not_edited(gate: HttpGate, client: Client) -> None:
    """Their fields have other names, and the protocol echoes them."""
    policy = {"schema": "productsup/Product", "verb": Verb.UPDATE, "update_creates": True}
    gate.shop.run([{"id": "A/1", "x": 1}], merchant=client.merchant, **policy)
    for answer in (client.patch(ITEM, json={"x": 2}), client.delete(LOCKS)):
        assert (answer.status_code, answer.json()["code"]) == (409, "item_not_editable")
    assert client.get(ITEM).json()["record"] == {"id": "A/1", "x": 1}
