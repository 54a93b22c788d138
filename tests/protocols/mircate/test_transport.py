"""Calls of methods and their refusals: verbs, arguments, keys, projects, names."""

import base64
from contextlib import closing

import orjson
import pytest

from tests.http_gate import HttpGate
from tests.protocols.mircate.client import ONE_STORE, ROOT, Mircate, message

STOCK = "MerchantAPI/receiveStock"
UNIT = {"sku": "A-1", "channel": "web", "stock": 5}
DENIED = {"code": "ACCESS_DENIED", "message": "Access Denied"}

pytestmark = ONE_STORE


@pytest.mark.parametrize("headers", [{"x-api-key": ""}, {"x-api-key": "0123456789abcdef0123456789abcdef"}])
def test_an_empty_or_wrong_key_gets_403(gate: HttpGate, headers: dict[str, str]) -> None:
    """A published sample command sends an empty one."""
    response = gate.anonymous().post(f"{ROOT}/{STOCK}/any", json={"products": [UNIT]}, headers=headers)
    assert (response.status_code, response.json()) == (403, DENIED)


def test_a_missing_key_gets_403(gate: HttpGate) -> None:
    """One table of the documentation calls it optional; other headers do not count."""
    secret = gate.secret(gate.merchant())
    headers = {"authorization": f"Bearer {secret}"}
    for response in (
        gate.anonymous().post(f"{ROOT}/{STOCK}/any", json={}),
        gate.anonymous().post(f"{ROOT}/{STOCK}/any", json={}, headers=headers),
    ):
        assert (response.status_code, response.json()) == (403, DENIED)


def test_a_key_without_the_scope_gets_403(gate: HttpGate) -> None:
    """A key for reading cannot send."""
    with closing(Mircate(gate, gate.merchant(), scopes=["read"])) as reader:
        assert reader.call(STOCK, {"products": [UNIT]}).json() == DENIED


def test_the_project_of_another_merchant_gets_403(seller: Mircate, stranger: Mircate) -> None:
    """It does not matter whether the project exists."""
    for instance in (stranger.merchant, "nobody"):
        assert seller.call(STOCK, {"products": [UNIT]}, instance=instance).json() == DENIED


def test_a_key_may_name_more_projects(gate: HttpGate) -> None:
    """The setting `project` of the key lists them."""
    merchant = gate.merchant()
    with closing(Mircate(gate, merchant)) as seller:
        seller.headers["x-api-key"] = gate.secret(merchant, settings={"project": "PRJ-1, PRJ-2"})
        for instance in ("PRJ-1", "PRJ-2", merchant):
            assert seller.call(STOCK, {"products": [UNIT]}, instance=instance).status_code == 200
        assert seller.call(STOCK, {"products": [UNIT]}, instance="PRJ-3").status_code == 403


@pytest.mark.parametrize("name", [
    "MerchantAPI/reserve", "MerchantAPI/RECEIVESTOCK", "merchantapi/receiveStock", "Nothing",
    "MerchantAPI/receiveStock/a/b",
])
@pytest.mark.parametrize("verb", ["GET", "POST"])
def test_unknown_methods_get_404(seller: Mircate, name: str, verb: str) -> None:
    """Names are case-sensitive."""
    response = seller.request(verb, seller.path(name))
    assert (response.status_code, response.json()) == (404, {"message": "Record Not Found"})


@pytest.mark.parametrize("verb", ["GET", "POST"])
def test_classes_outside_catalogue_intake_get_a_404_that_names_them(seller: Mircate, verb: str) -> None:
    """A client sees that it is not the method that is wrong."""
    for name in ("Promotion/calculate", "LoyaltyAPI/calculate", "WalletAPI/spend", "TalkingProductAPI/list"):
        response = seller.request(verb, seller.path(name))
        assert response.status_code == 404
        assert name.partition("/")[0] in response.json()["message"]


@pytest.mark.parametrize("verb", ["GET", "POST"])
def test_the_sdk_gets_an_instance_before_it_calls(seller: Mircate, verb: str) -> None:
    """Each class has one for each project; unknown classes and projects of others have none."""
    path = f"/5p1hp1d2t/INSTANCE/PIMAPI/{seller.merchant}"
    instance = seller.request(verb, path).json()
    assert (instance["newInstance"], instance["instanceId"]) == (False, seller.merchant)
    assert "upsertAttributes" in instance["methods"]
    assert seller.request(verb, path.replace("PIMAPI", "Promotion")).status_code == 404
    assert seller.request(verb, f"{path}x").status_code == 403
    assert seller.gate.anonymous().request(verb, path).status_code == 403


def test_paths_that_are_no_call_get_the_same_404(seller: Mircate) -> None:
    """The gate does not have the platform's other roots."""
    assert message(seller.get("/5p1hp1d2t/LIST/PIMAPI"), 404) == "Record Not Found"


def test_the_project_of_the_platform_may_be_any(seller: Mircate) -> None:
    """It is the same for all tenants, so it is ignored."""
    response = seller.post(f"/another1/CALL/{STOCK}/{seller.merchant}", json={"products": [UNIT]})
    assert response.status_code == 200


def test_arguments_come_in_the_query_as_well(seller: Mircate) -> None:
    """They come in base64, as the platform's client sends them, or one by one; names with `__` are ignored."""
    assert seller.call_by_get(STOCK, {"products": [UNIT], "frequency": 0}).status_code == 200
    text = orjson.dumps({"products": [{**UNIT, "name": "Süß ÿþ?"}], "bulkOperationId": "b"})
    for data in (base64.b64encode(text), base64.urlsafe_b64encode(text), base64.b64encode(text).rstrip(b"=")):
        response = seller.get(seller.path(STOCK), params={"data": data.decode(), "__isbase64": "true"})
        assert response.json()["bulkOperationId"] == "b"
    response = seller.get(seller.path(STOCK), params={
        "products": orjson.dumps([UNIT]).decode(), "frequency": "2", "bulkOperationId": "7", "__culture": "tr-tr",
    })
    assert response.json()["bulkOperationId"] == "7"


@pytest.mark.parametrize(("data", "result"), [
    ("%%%", "data"), ("e30", "VALIDATION"), ("Ww==", "JSON"), ("W10=", "VALIDATION"), ("A", "base64"),
])
def test_invalid_base64_and_json_get_400(seller: Mircate, data: str, result: str) -> None:
    """The messages differ."""
    response = seller.get(seller.path(STOCK), params={"data": data, "__isbase64": "true"})
    assert response.status_code == 400
    assert result in response.text


def test_a_request_that_violates_its_schema_gets_every_issue(seller: Mircate) -> None:
    """The texts are those of the platform's validation."""
    response = seller.call(STOCK, {"frequency": 11, "bulkOperationId": "", "products": "A-1"})
    assert response.status_code == 400
    result = response.json()
    assert (result["code"], result["message"]) == ("VALIDATION", "Model validation has been failed.")
    assert result["issues"] == [
        {"instancePath": "/frequency", "schemaPath": "#/properties/frequency/maximum", "keyword": "maximum",
         "params": {"comparison": "<=", "limit": 10}, "message": "must be <= 10"},
        {"instancePath": "/bulkOperationId", "schemaPath": "#/properties/bulkOperationId/minLength",
         "keyword": "minLength", "params": {"limit": 1}, "message": "must NOT have fewer than 1 characters"},
        {"instancePath": "/products", "schemaPath": "#/properties/products/type", "keyword": "type",
         "params": {"type": "array"}, "message": "must be array"},
    ]
    (missing,) = seller.call(STOCK, {}).json()["issues"]
    assert missing["message"] == "must have required property 'products'"


@pytest.mark.parametrize(("body", "status"), [
    (b"", 400), (b"[]", 400), (b"null", 400), (b"{", 400), (b"\xff", 400), (b'{"products": []}', 400),
    (b"[" * 100_000, 400), (b'{"products": [' + b"[" * 100_000, 400),
])
def test_a_body_that_is_not_json_gets_400(seller: Mircate, body: bytes, status: int) -> None:
    """The Content-Type does not matter."""
    for kind in ("application/json", "text/plain"):
        response = seller.post(seller.path(STOCK), content=body, headers={"content-type": kind})
        assert response.status_code == status, response.text


def test_other_verbs_get_405(seller: Mircate) -> None:
    """So does HEAD, which would run the method like GET."""
    for verb in ("PUT", "PATCH", "DELETE", "HEAD"):
        response = seller.request(verb, seller.path(STOCK))
        assert response.status_code == 405
        assert "POST" in response.headers["allow"]
