"""Keys, scopes, merchants; and strangers, who see nothing."""

import hashlib
import time

import pytest

from goodsgate.http.endpoints import load_openapi
from goodsgate.model.audit import ACTIONS
from goodsgate.model.permissions import GRANTS, PERMISSIONS
from goodsgate.protocols.native import __name__ as protocol_package
from tests import factories
from tests.shop import ndjson

CONTRACT = load_openapi(protocol_package)
KEYED = [(path, operation) for path in CONTRACT.paths for operation in path.operations.values() if operation.permission]
KEYED_IDS = [operation.id for _, operation in KEYED]


def _address(path, **values):
    """A path of the contract with something in every place."""
    known = {"batch": "0" * 32, "collection": "products", "key": "SKU-0001", "sku": "SKU-0001", "kind": "brand",
             "name": "werk", "merchant": "nobody", "webhook": "1", "feed": "1", "signature": "0" * 64,
             "file": "products.csv"} | values
    return path.template.format(**known)


@pytest.mark.parametrize("headers", [
    {}, {"Authorization": "Bearer gg_nonsense_nonsense"}, {"Authorization": "Basic YTpi"}, {"Authorization": "Bearer"},
    {"Authorization": "Bearer gg_" + "x" * 5000}, {"X-API-Key": "gg_a_b"}, {"X-API-Key": ""},
    {"Authorization": "Bearer \x80\xff".encode("latin-1")},
], ids=range(8))
@pytest.mark.parametrize(("path", "operation"), KEYED, ids=KEYED_IDS)
def test_every_operation_with_a_scope_requires_a_valid_key(gate, anonymous, path, operation, headers):
    """Other requests receive 401 with a challenge."""
    answer = anonymous.request(operation.method, _address(path), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.fixture(scope="module")
def anonymous(gate):
    """Somebody without a key."""
    return gate.anonymous()


@pytest.fixture(scope="module")
def scoped(gate):
    """Scope → a client that has it alone."""
    return {scope: gate.client(None, scope) for scope in GRANTS}


@pytest.mark.parametrize(("path", "operation"), KEYED, ids=KEYED_IDS)
def test_a_key_without_the_permission_is_refused(scoped, path, operation):
    """Every operation needs a permission of the table, and answers 403 to keys whose scope does not grant it."""
    assert operation.permission in PERMISSIONS
    for scope, client in scoped.items():
        answer = client.request(operation.method, _address(path, merchant="nobody"))
        if operation.permission in GRANTS[scope]:
            assert answer.status_code not in (401, 403), scope
        else:
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), scope
            assert answer.json()["permission"] == operation.permission
            assert scope not in answer.json()["scopes"]


def test_the_chain_of_the_installation_is_for_operators(scoped):
    """Whoever may read the log of a merchant may not read that of the installation."""
    for scope, client in scoped.items():
        answer = client.get("/v1/audit?chain=installation")
        assert answer.status_code == (200 if scope == "admin" else 403)


NO_ACTS = {
    "submit", "inspect", "fix", "preview_fix",  # records: the list of batches tells who sent what
    "try_rule", "try_guard", "test_webhook",  # change nothing
}


@pytest.mark.parametrize("operation", [
    operation for _, operation in KEYED if operation.method not in ("GET", "HEAD") and operation.id not in NO_ACTS
], ids=lambda operation: operation.id)
def test_every_operation_that_changes_something_is_in_the_audit_log(operation):
    """With an action that is documented, or it is named above with a reason."""
    assert operation.act in ACTIONS


def test_a_key_is_accepted_in_both_headers(gate, client):
    """It may be a bearer token or X-API-Key."""
    stranger = gate.anonymous()
    assert stranger.get("/v1/batches", headers={"X-API-Key": client.secret}).status_code == 200
    assert stranger.get("/v1/batches", headers={"Authorization": f"bearer  {client.secret}"}).status_code == 200


@pytest.fixture(scope="module")
def owned(gate):
    """A merchant with something of everything, and a stranger with all scopes but admin."""
    owner, stranger = gate.client(), gate.client(None, *(set(GRANTS) - {"admin"}))
    owner.put("/v1/reference/brand", json=[{"code": "Hearth"}])
    owner.put("/v1/profiles/werk", json={"map": {"a": ["id"]}})
    owner.put("/v1/destinations/werk", json={"to": "served"}).raise_for_status()
    owner.put("/v1/sources/werk", json={"address": "https://owner.example.com/Hearth"}).raise_for_status()
    owner.post("/v1/webhooks", json={"url": "https://owner.example.com/Hearth"}).raise_for_status()
    for kind in ("stock", "price"):
        owner.submit(b'{"id": "SKU-0001", "quantity": 1, "price": "1.00 EUR"}', kind=kind)
    batch = owner.submit(ndjson([factories.product(1), factories.product(2, price="cheap")]))
    return owner, stranger, str(batch["id"])


def _sent(operation):
    if operation.id in ("submit", "inspect", "fix", "preview_fix", "load_reference"):
        return {"content": b'{"id": "SKU-0001", "code": "X", "_row": 2}', "params": {"format": "ndjson"}}
    if operation.id in ("apply_suggestions", "feed_issues"):
        return {"params": {"code": "x"} if operation.id == "apply_suggestions" else {"profile": "google"}}
    bodies = {
        "confirm": {"deletions": 1},
        "put_profile": {}, "add_merchant": {"id": "x"}, "add_key": {"scopes": ["read"]},
        "change_merchant": {"name": "x"}, "change_key": {"label": "x"},
        "add_webhook": {"url": "https://stranger.example.com/"}, "change_webhook": {},
        "replay_webhook": {"given_up": True}, "put_rule": {"expression": "true"},
        "put_guard": {"hold_if": {"rejected": "1"}}, "put_source": {"address": "https://stranger.example.com/"},
        "put_destination": {"to": "served"},
    }
    return {"json": bodies[operation.id]} if operation.id in bodies else {}


def _alike(answer):
    document = answer.json()
    document.pop("instance", None)
    return answer.status_code, document


OWN = (
    "submit", "inspect", "batches", "collections", "items", "export", "feed_issues", "changes", "reference",
    "load_reference", "profiles", "put_profile", "webhooks", "add_webhook", "rules", "put_rule", "guards", "put_guard",
    "audit", "scorecard", "sources", "put_source", "destinations", "put_destination",
)
"""Routes that name nothing of anybody: a stranger sees or changes only what is the stranger's own."""


@pytest.mark.parametrize(("path", "operation"), KEYED, ids=KEYED_IDS)
def test_no_operation_reveals_data_of_another_merchant(gate, owned, path, operation):
    """Responses are the same as for data that does not exist."""
    owner, stranger, batch = owned
    for name in ("werk", "none"):  # the stranger's own, where an earlier turn saved one
        stranger.delete(f"/v1/profiles/{name}")
        stranger.delete(f"/v1/rules/{name}")
        stranger.delete(f"/v1/guards/{name}")
        stranger.delete(f"/v1/sources/{name}")
        stranger.delete(f"/v1/destinations/{name}")
    for webhook in stranger.get("/v1/webhooks").json()["webhooks"]:
        stranger.delete(f"/v1/webhooks/{webhook['id']}")
    own = ("profiles", "webhooks", "rules", "guards", "sources", "destinations")
    read = [f"/v1/batches/{batch}", *(f"/v1/{name}" for name in own)]
    before = [owner.get(each).json() for each in read]
    seen = stranger.request(
        operation.method, _address(path, batch=batch, merchant=owner.merchant), **_sent(operation)
    )
    missing = stranger.request(
        operation.method,
        _address(path, batch="f" * 32, key="none", sku="none", name="none", merchant="none", webhook="9"),
        **_sent(operation),
    )
    if operation.id in OWN:
        assert seen.status_code in (200, 201, 202)
        assert "SKU-0002" not in seen.text
        assert "Hearth" not in seen.text
        assert batch not in seen.text
    else:
        assert seen.status_code in (403, 404)
        assert _alike(seen) == _alike(missing)
    assert [owner.get(each).json() for each in read] == before


def test_a_merchant_cannot_act_for_another_one(owned):
    """The response is 403, whether the other merchant exists or not."""
    owner, stranger, batch = owned
    for merchant in (owner.merchant, "nobody-at-all"):
        answer = stranger.get(f"/v1/batches/{batch}", headers={"Goodsgate-Merchant": merchant})
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    own = stranger.get("/v1/batches", headers={"Goodsgate-Merchant": stranger.merchant})
    assert own.status_code == 200


def test_an_admin_can_act_for_every_merchant(admin, owned):
    """The header names the merchant; an unknown one is refused."""
    owner, _, batch = owned
    assert admin.get(f"/v1/batches/{batch}").status_code == 404
    acting = admin.get(f"/v1/batches/{batch}", headers={"Goodsgate-Merchant": owner.merchant})
    assert acting.content == owner.get(f"/v1/batches/{batch}").content
    unknown = admin.get("/v1/batches", headers={"Goodsgate-Merchant": "nobody"})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "merchant_unknown")


def test_merchants_and_keys_are_created_and_revoked(gate, admin):
    """The secret is returned once; only its hash is stored."""
    made = admin.post("/v1/merchants", json={"id": "brightware", "name": "Brightware Ltd"})
    assert (made.status_code, made.headers["location"]) == (201, "/v1/merchants/brightware/keys")
    taken = admin.post("/v1/merchants", json={"id": "brightware"})
    assert (taken.status_code, taken.json()["code"]) == (409, "merchant_taken")
    assert "brightware" in [merchant["id"] for merchant in admin.get("/v1/merchants").json()["merchants"]]
    first = admin.get("/v1/merchants?limit=1").json()
    assert admin.get(first["next"]).json()["merchants"][0]["id"] > first["merchants"][0]["id"]

    key = admin.post("/v1/merchants/brightware/keys", json={"scopes": ["read"], "label": "nightly"})
    assert key.status_code == 201
    secret = key.json()["secret"]
    assert secret.startswith(f"gg_{key.json()['id']}_")
    listed = admin.get("/v1/merchants/brightware/keys")
    assert [(one["id"], one["scopes"], one["revoked_at"]) for one in listed.json()["keys"]] == [
        (key.json()["id"], ["read"], None)
    ]
    assert secret not in listed.text
    assert hashlib.sha256(secret.encode()).hexdigest() not in listed.text

    user = gate.client("brightware", secret=secret)
    assert user.get("/v1/batches").status_code == 200
    gone = admin.delete(f"/v1/merchants/brightware/keys/{key.json()['id']}")
    assert (gone.status_code, gone.content) == (204, b"")
    assert user.get("/v1/batches").status_code == 401
    assert admin.get("/v1/merchants/brightware/keys").json()["keys"][0]["revoked_at"] is not None


def test_a_key_revoked_by_another_process_stops_working_within_a_second(gate, client):
    """Cached entries expire, also those of polls."""
    batch = client.submit(ndjson(factories.products(1)))
    assert client.get(batch["links"]["self"]).status_code == 200
    (key,) = gate.shop.store.keys(client.merchant)
    assert gate.shop.store.revoke_key(client.merchant, key.id)
    time.sleep(1.05)
    assert client.get(batch["links"]["self"]).status_code == 401


@pytest.mark.parametrize(("path", "body"), [
    ("/v1/merchants", {}), ("/v1/merchants", {"id": "UPPER"}), ("/v1/merchants", {"id": "a" * 65}),
    ("/v1/merchants", {"id": "ok", "extra": 1}), ("/v1/merchants", {"id": "ok\n"}), ("/v1/merchants", []),
    ("/v1/merchants", {"id": "ok", "name": "x" * 201}),
    ("keys", {}), ("keys", {"scopes": []}), ("keys", {"scopes": ["all"]}), ("keys", {"scopes": ["read", "read"]}),
    ("keys", {"scopes": "read"}), ("keys", {"scopes": ["read"], "label": "\n"}),
])
def test_invalid_merchants_and_keys_are_refused(admin, path, body):
    """The body does not match the schema."""
    path = f"/v1/merchants/{admin.merchant}/keys" if path == "keys" else path
    answer = admin.post(path, json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "body_invalid")


@pytest.mark.parametrize(("method", "path", "code"), [
    ("GET", "/v1/merchants/nobody/keys", "merchant_unknown"), ("POST", "/v1/merchants/nobody/keys", "merchant_unknown"),
    ("DELETE", "/v1/merchants/nobody/keys/abcd", "merchant_unknown"),
    ("GET", "/v1/merchants/NOBODY/keys", "merchant_unknown"),
])
def test_an_unknown_merchant_is_not_found(admin, method, path, code):
    """Admins receive 404."""
    answer = admin.request(method, path, json={"scopes": ["read"]} if method == "POST" else None)
    assert (answer.status_code, answer.json()["code"]) == (404, code)


@pytest.mark.parametrize("key", ["abcd1234", "ABC", "a"])
def test_an_unknown_key_is_not_found(admin, key):
    """An impossible id is not found either."""
    answer = admin.delete(f"/v1/merchants/{admin.merchant}/keys/{key}")
    assert (answer.status_code, answer.json()["code"]) == (404, "credential_unknown")


def test_settings_of_keys_and_merchants_are_stored(gate):
    """They come back with the key and under the merchant; an empty value removes one."""
    admin, merchant = gate.client(None, "admin"), "with-settings"
    account, queue = "123456789012", "arn:aws:sqs:eu-west-1:123456789012:catalog"
    added = admin.post("/v1/merchants", json={"id": merchant, "settings": {"account": account}})
    assert added.status_code == 201, added.text
    path = f"/v1/merchants/{merchant}/settings"
    assert admin.get(path).json() == {"settings": {"account": account}}
    changed = admin.patch(path, json={"settings": {"queue": queue, "account": ""}})
    assert (changed.status_code, changed.json()) == (200, {"settings": {"queue": queue}})
    keys = f"/v1/merchants/{merchant}/keys"
    made = admin.post(keys, json={"scopes": ["read"], "settings": {"location": "BLR-01"}})
    assert (made.status_code, made.json()["settings"]) == (201, {"location": "BLR-01"})
    assert admin.get(keys).json()["keys"][0]["settings"] == {"location": "BLR-01"}


def test_unknown_settings_are_refused_with_the_nearest_name(gate):
    """Nothing is stored of a request with an unknown setting or a bad value."""
    admin, merchant = gate.client(None, "admin"), "refused-settings"
    refused = admin.post("/v1/merchants", json={"id": merchant, "settings": {"acount": "123456789012"}})
    problem = refused.json()
    assert (refused.status_code, problem["code"], problem["suggestion"]) == (422, "setting_unknown", "account")
    assert problem["detail"] == "Unknown setting `acount`; did you mean `account`?"
    assert admin.get(f"/v1/merchants/{merchant}/settings").status_code == 404
    assert admin.post("/v1/merchants", json={"id": merchant}).status_code == 201
    path = f"/v1/merchants/{merchant}"
    refused = admin.patch(f"{path}/settings", json={"settings": {"account": "12345"}})
    problem = refused.json()
    assert (refused.status_code, problem["code"], problem["expected"]) == (422, "setting_invalid", "12 digits")
    refused = admin.patch(f"{path}/settings", json={"settings": {"loaction": ""}})
    assert (refused.status_code, refused.json()["code"]) == (422, "setting_unknown")
    refused = admin.post(f"{path}/keys", json={"scopes": ["read"], "settings": {"loaction": "BLR-01"}})
    assert (refused.status_code, refused.json()["suggestion"]) == (422, "location")
    assert admin.get(f"{path}/keys").json() == {"keys": []}
