"""Tokens: who gets one, how long it is valid, and that no password is logged."""

import io
import json
import logging
from contextlib import closing

import msgspec
import pytest

from goodsgate import auth
from goodsgate.model.catalogue import Scope
from goodsgate.observe import JsonLines
from tests.http_gate import HttpGate
from tests.protocols.konnect.client import Konnect, product
from tests.shop import Shop

TOKEN = "/aggregator/v1/token"


@pytest.mark.parametrize("name", ["merchant", "key"])
def test_the_user_name_is_the_merchant_or_the_key_id(seller: Konnect, name: str) -> None:
    """The password is the key."""
    user = seller.merchant if name == "merchant" else seller.key.id
    assert seller.get(TOKEN, params={"username": user, "password": seller.password}).status_code == 200


def test_wrong_credentials_get_the_same_answer(seller: Konnect, stranger: Konnect) -> None:
    """It is 401 for a wrong user name or password, and 400 if one is missing."""
    bodies = set()
    for user, password in (
        (seller.merchant, "gg_wrong"), ("nobody", seller.password), (stranger.merchant, seller.password),
        (seller.merchant, seller.new_token()), (seller.merchant, "x" * 500),
    ):
        response = seller.get(TOKEN, params={"username": user, "password": password})
        assert response.status_code == 401
        bodies.add(response.text)
    assert len(bodies) == 1
    assert seller.get(TOKEN, params={"username": seller.merchant}).status_code == 400
    assert seller.get(TOKEN).json() == {
        "status": "FAILED", "message": "The parameter username is missing.", "errors": [],
    }


def test_earlier_tokens_stay_valid(seller: Konnect) -> None:
    """Token answers must not be cached."""
    tokens = {seller.new_token() for _ in range(3)}
    assert len(tokens) == 3
    for token in tokens:
        assert seller.get("/v3/catalog/departments", headers={"x-access-token": token}).status_code == 200
    response = seller.get(TOKEN, params={"username": seller.merchant, "password": seller.password})
    assert response.headers["cache-control"] == "no-store"


def test_a_token_expires(gate: HttpGate, seller: Konnect) -> None:
    """It expires after the configured hours, or with its key."""
    authenticator = gate.application.context.authenticator
    caller = authenticator.caller(seller.password.encode())
    assert caller is not None
    ended = authenticator.create_token(caller, seconds=1e-6)
    assert seller.get("/v3/catalog/departments", headers={"x-access-token": ended}).status_code == 401
    token = seller.new_token()
    assert authenticator.revoke(seller.merchant, seller.key.id)
    assert seller.get("/v3/catalog/departments", headers={"x-access-token": token}).status_code == 401
    assert seller.get(TOKEN, params={"username": seller.merchant, "password": seller.password}).status_code == 401


def test_a_token_has_the_scopes_of_its_key(gate: HttpGate, seller: Konnect) -> None:
    """Other requests are answered with 403."""
    with closing(Konnect(gate, seller.merchant, scopes=("read",))) as reader:
        assert reader.get("/v3/catalog/departments").status_code == 200
        refused = reader.create(product(1))
        assert (refused.status_code, refused.json()["status"]) == (403, "FAILED")


def test_a_location_level_token_is_limited_to_its_location(gate: HttpGate, seller: Konnect) -> None:
    """A price of another location fails."""
    seller.create_all(product(1))
    record = {"sku": "TR-001-42", "esp": 9, "mrp": 10, "currency": "INR"}
    with closing(Konnect(gate, seller.merchant, location="BOM-01")) as store:
        body = store.put("/ims/v3/price", json=[
            {**record, "location_id": "BOM-01"}, {**record, "location_id": "BLR-01"},
        ]).json()
        assert (body["data"]["success_count"], body["meta"]["status"]) == (1, "PARTIAL")
        assert "BOM-01" in body["data"]["errors"][0]["message"]
        (row,) = store.get("/ims/v3/listings").json()["data"]
        assert (row["mrp"], row["esp"]) == (10, 9)
    (row,) = seller.get("/ims/v3/listings").json()["data"]
    assert (row["mrp"], row["esp"]) == (4999, 3999)
    assert row["prices"] == [{"location_id": "BOM-01", "esp": 9, "mrp": 10, "currency": "INR"}]


@pytest.mark.parametrize(("settings", "company"), [
    ({"company_id": "6900"}, 6900), ({"company_id": "x"}, None), ({}, None),
])
def test_a_company_has_a_constant_number(gate: HttpGate, settings: dict[str, str], company: int | None) -> None:
    """It is the setting of the key, or derived from the merchant."""
    merchant = gate.merchant()
    with closing(Konnect(gate, merchant, **settings)) as client:
        numbers = {client.create(product(number)).json()["company_id"] for number in (1, 2)}
        assert numbers == ({company} if company else numbers)
        assert len(numbers) == 1
        assert isinstance(numbers.pop(), int)


def test_passwords_appear_in_no_log_or_metric(
    gate: HttpGate, seller: Konnect, caplog: pytest.LogCaptureFixture
) -> None:
    """This covers every log level and valid, wrong and malformed requests; httpx is only the client."""
    lines = io.StringIO()
    handler = logging.StreamHandler(lines)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        with caplog.at_level(logging.DEBUG):
            for path in (TOKEN, f"//{TOKEN[1:]}", "/aggregator/v1/tokens", "/v3/catalog/departments"):
                for password in (seller.password, "gg_wr0ng-secret", "gt_wr0ng-secret"):
                    query = {"username": seller.merchant, "password": password}
                    seller.get(path, params=query)
                    seller.post(path, params=query)
            seller.get(f"{TOKEN}?username=%ff&password=gg_wr0ng-secret")
            seller.get(TOKEN, params={"username": "x" * 300, "password": "gg_wr0ng-secret"})
    finally:
        root.removeHandler(handler)
    ours = [line for line in lines.getvalue().splitlines() if not json.loads(line)["logger"].startswith("http")]
    assert any(json.loads(line).get("path") == TOKEN for line in ours)
    assert not [record for record in caplog.records if record.name == "uvicorn.access"]
    figures = gate.metrics()
    for text in ("\n".join(ours), figures):
        assert seller.password not in text
        assert "wr0ng" not in text
        assert "password" not in text


def test_tokens_stay_valid_after_a_restart(tmp_path, kind: str) -> None:
    """The store holds them as hashes."""
    with Shop(tmp_path, kind=kind) as shop:
        served = HttpGate(shop)
        with closing(Konnect(served, "acme")) as client:
            token = client.headers["x-access-token"]
        served.close()
    with Shop(tmp_path, "other") as shop:
        served = HttpGate(shop)
        response = served.anonymous().get("/v3/catalog/departments", headers={"x-access-token": token})
        assert response.status_code == 200
        served.close()
    if kind == "sqlite":
        content = b"".join(path.read_bytes() for path in (tmp_path / "store").iterdir() if path.is_file())
        assert token.encode() not in content


def test_settings_of_a_key_are_stored(gate: HttpGate) -> None:
    """The store returns them with the key."""
    key, _ = auth.new_key(gate.merchant(), [Scope.READ], settings={"location": "BLR-01", "profile": "reference"})
    gate.shop.store.add_key(key)
    (stored,) = gate.shop.store.keys(key.merchant)
    assert stored == msgspec.structs.replace(key, created_at=stored.created_at)
