"""The audit log over HTTP, and keys that expire, rotate and say when they were used."""

import json
from datetime import timedelta

import msgspec
import pytest

from goodsgate.http.endpoints import load_openapi
from goodsgate.model.audit import ACTIONS, read_audit_document, verify_chain
from goodsgate.model.batch import now
from tests import factories
from tests.shop import ndjson


@pytest.fixture(scope="module")
def operator(gate):
    """A key with the scope admin, of a merchant of its own."""
    return gate.client(None, "admin")


def _log(client, merchant=None, **params):
    headers = {"Goodsgate-Merchant": merchant} if merchant else {}
    answer = client.get("/v1/audit", params=params, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()["entries"]


def test_what_changes_a_merchant_is_in_its_log(gate, operator):
    """With who did it, from where, in which request; and no secret."""
    merchant = gate.merchant()
    client, keys = gate.client(merchant), f"/v1/merchants/{merchant}/keys"
    added = operator.post(keys, json={"scopes": ["read"], "label": "nightly"}, headers={"X-Request-Id": "r-77"}).json()
    rotated = operator.post(f"{keys}/{added['id']}/rotate").json()
    operator.patch(f"{keys}/{added['id']}", json={"label": "weekly"})
    operator.delete(f"{keys}/{added['id']}")
    operator.delete(f"{keys}/{added['id']}")  # has no effect any more
    operator.patch(f"/v1/merchants/{merchant}", json={"name": "New", "settings": {"account": "123456789012"}})
    assert client.put("/v1/rules/cheap", json={"expression": "true"}).status_code in (200, 201)
    client.delete("/v1/rules/cheap")
    hook = client.post("/v1/webhooks", json={"url": "https://owner.example.com/?token=hush"}).json()
    client.put("/v1/reference/brand", json=[{"code": "Hearth"}])
    batch = client.submit(ndjson(factories.products(1)))["id"]
    edited = client.patch("/v1/collections/products/items/SKU-0001", json={"title": "By hand"})
    gate.shop.work()
    client.post(f"/v1/batches/{batch}/revert")
    gate.shop.work()

    entries = _log(operator, merchant)
    assert [(entry["action"], entry["subject"]) for entry in entries] == [
        *((f"key.{verb}", added["id"]) for verb in ("add", "rotate", "change", "revoke")),
        ("merchant.change", merchant), ("rule.put", "cheap"), ("rule.delete", "cheap"),
        ("webhook.add", "owner.example.com"), ("reference.load", "brand"),
        ("item.edit", "products/SKU-0001"), ("batch.revert", batch),
    ]
    assert edited.status_code == 202
    first = entries[0]
    actor = operator.get(f"/v1/merchants/{operator.merchant}/keys").json()["keys"][0]["id"]
    assert (first["actor"], first["address"], first["request"]) == (
        f"key:{actor}@{operator.merchant}", "127.0.0.1", "r-77"
    )
    assert first["detail"] == {"scopes": "read", "label": "nightly", "expires_at": "never"}
    assert entries[4]["detail"] == {"changed": "name account"}
    text = json.dumps(entries)
    for secret in (added["secret"], rotated["secret"], "hush", hook["secret"], "123456789012"):
        assert secret not in text


def test_the_log_is_paged_filtered_and_verified(gate, operator):
    """As JSON in pages, as NDJSON whole; each merchant reads its own with the permission."""
    auditor = gate.client(None, "audit")
    writer = gate.client(auditor.merchant)
    for number in range(5):
        writer.put(f"/v1/profiles/p{number}", json={"map": {"a": ["id"]}})
    assert writer.get("/v1/audit").status_code == 403
    page = auditor.get("/v1/audit?limit=2").json()
    assert [entry["number"] for entry in page["entries"]] == [1, 2]
    assert [entry["number"] for entry in auditor.get(page["next"]).json()["entries"]] == [3, 4]
    assert [entry["number"] for entry in _log(auditor, order="newest", limit=2)] == [5, 4]
    assert _log(auditor, action="rule") == _log(auditor, since="2099-01-01T00:00:00Z") == []
    assert len(_log(auditor, action="profile", actor="key:")) == 5
    lines = auditor.get("/v1/audit", headers={"Accept": "application/x-ndjson"})
    assert lines.headers["content-type"] == "application/x-ndjson"
    documents = [json.loads(line) for line in lines.text.splitlines()]
    assert verify_chain(map(read_audit_document, documents)).number == 5
    assert operator.get("/v1/audit", headers={"Goodsgate-Merchant": "nobody"}).status_code == 404


def test_a_repeated_request_is_recorded_once(gate, operator):
    """And a refused one not at all."""
    merchant = gate.merchant()
    for body in ({"scopes": ["read"]}, {"scopes": ["read"]}, {"scopes": []}):
        operator.post(f"/v1/merchants/{merchant}/keys", json=body, headers={"Idempotency-Key": '"once"'})
    assert [entry["action"] for entry in _log(operator, merchant)] == ["key.add"]
    for _ in range(2):
        operator.post("/v1/merchants", json={"id": f"{merchant}-new"}, headers={"Idempotency-Key": '"new"'})
    entries = _log(operator, chain="installation", action="merchant.add")
    assert [entry["subject"] for entry in entries if entry["subject"].startswith(merchant)] == [f"{merchant}-new"]


def test_submissions_are_not_in_the_log(gate):
    """Nor fixes: the list of batches tells who sent what."""
    client = gate.client(None, "submit", "read", "audit")
    batch = client.submit(ndjson([factories.product(1, price="cheap"), factories.product(2)]))["id"]
    client.post(f"/v1/batches/{batch}/fix?format=ndjson", content=ndjson([{**factories.product(1), "_row": 1}]))
    assert _log(client) == []


def test_a_merchant_is_read_and_changed(gate, operator):
    """What the body does not name stays."""
    merchant = gate.merchant()
    path = f"/v1/merchants/{merchant}"
    operator.patch(path, json={"settings": {"account": "123456789012"}})
    changed = operator.patch(path, json={"name": "Brightware International"})
    assert (changed.status_code, changed.json()) == (200, operator.get(path).json())
    assert (changed.json()["name"], changed.json()["settings"]) == (
        "Brightware International", {"account": "123456789012"}
    )
    for method, body, status in (("GET", None, 404), ("PATCH", {"name": "x"}, 404)):
        assert operator.request(method, "/v1/merchants/nobody", json=body).status_code == status
    assert operator.patch(path, json={"id": "other"}).status_code == 400
    assert operator.patch(path, json={"settings": {"acount": "1"}}).status_code == 422


def test_a_rotated_key_works_with_both_secrets_until_the_overlap_ends(gate, operator):
    """The one from before an earlier rotation does not."""
    merchant = gate.merchant()
    keys = f"/v1/merchants/{merchant}/keys"
    key = operator.post(keys, json={"scopes": ["read"]}).json()
    secrets = [key["secret"]]
    for overlap in (60, 60, 0):
        answer = operator.post(f"{keys}/{key['id']}/rotate", json={"overlap_seconds": overlap})
        assert answer.status_code == 200, answer.text
        secrets.append(answer.json()["secret"])
        works = [gate.client(merchant, secret=secret).get("/v1/batches").status_code for secret in secrets]
        assert works == [401] * (len(secrets) - 2) + ([200] if overlap else [401]) + [200]
    (listed,) = operator.get(keys).json()["keys"]
    assert (listed["kind"], listed["used_on"]) == ("secret", str(now().date()))
    assert operator.post(f"{keys}/{key['id']}/rotate", json={"overlap_seconds": -1}).status_code == 400
    assert operator.post(f"{keys}/none1/rotate").status_code == 404
    operator.delete(f"{keys}/{key['id']}")
    assert operator.post(f"{keys}/{key['id']}/rotate").status_code == 404


def test_a_key_ends(gate, operator):
    """At its end, which can be changed, and never in the past."""
    merchant = gate.merchant()
    keys = f"/v1/merchants/{merchant}/keys"
    end = now() + timedelta(hours=1)
    key = operator.post(keys, json={"scopes": ["read"], "expires_at": end.isoformat()}).json()
    user = gate.client(merchant, secret=key["secret"])
    assert user.get("/v1/batches").status_code == 200
    stored = gate.shop.store.keys(merchant)[0]
    assert stored.expires_at == end
    gate.shop.store.change_key(
        merchant, key["id"], scopes=stored.scopes, label="", expires_at=now() - timedelta(seconds=1)
    )
    gate.application.context.authenticator.forget()
    assert user.get("/v1/batches").status_code == 401
    assert operator.patch(f"{keys}/{key['id']}", json={"expires_at": None}).json()["expires_at"] is None
    assert user.get("/v1/batches").status_code == 200
    narrowed = operator.patch(f"{keys}/{key['id']}", json={"scopes": ["audit"]})
    assert (narrowed.json()["scopes"], user.get("/v1/batches").status_code) == (["audit"], 403)
    past = msgspec.to_builtins(now() - timedelta(days=1))
    for body in ({"expires_at": past}, {"expires_at": "2030-01-01T00:00:00"}, {"scopes": []}):
        assert operator.patch(f"{keys}/{key['id']}", json=body).status_code == 400
    assert operator.post(keys, json={"scopes": ["read"], "expires_at": past}).status_code == 400


def test_the_use_of_a_key_is_stored_once_a_day(gate, monkeypatch):
    """Not with each request."""
    store, calls = gate.shop.store, []
    client, mark = gate.client(), store.mark_key_used
    monkeypatch.setattr(store, "mark_key_used", lambda *given: calls.append(given) or mark(*given))
    for _ in range(3):
        gate.application.context.authenticator.forget()
        assert client.get("/v1/batches").status_code == 200
    assert [(merchant, day) for merchant, _, day in calls] == [(client.merchant, now().date())]


TEST_DATA = {"place_orders", "simulate_event"}
"""Operations that make up orders, for tests of clients."""


@pytest.mark.parametrize("name", ["konnect", "productsup", "justwalkout", "mircate", "native"])
def test_what_operators_change_through_any_protocol_is_in_the_log(name):
    """Its action is in the contract of the protocol."""
    paths = load_openapi(f"goodsgate.protocols.{name}").paths
    operations = [each for path in paths for each in path.operations.values()]
    changes = [each for each in operations if each.permission == "admin" and each.method != "GET"]
    assert [each.id for each in changes if each.act not in ACTIONS and each.id not in TEST_DATA] == []


def test_access_keys_are_in_the_log_without_their_secrets(gate, operator):
    """Also those that sign requests, by the id of the key."""
    merchant = gate.merchant()
    made = operator.post(
        "/v1/catalog/accessKeys", json={"label": "till", "session": True}, headers={"Goodsgate-Merchant": merchant}
    )
    assert made.status_code == 201, made.text
    (entry,) = _log(operator, merchant)
    assert (entry["action"], entry["subject"], entry["detail"]["label"]) == ("key.add", made.json()["keyId"], "till")
    assert made.json()["secretAccessKey"] not in json.dumps(entry)
    assert made.json()["sessionToken"] not in json.dumps(entry)
