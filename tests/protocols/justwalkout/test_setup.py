"""The merchant's setup: read by the merchant, changed by admins only."""

from contextlib import closing

import pytest

from tests.protocols.justwalkout.client import ONE_STORE, JustWalkOut, item

SETUP, KEYS, PLANOGRAM = "/v1/catalog/setup", "/v1/catalog/accessKeys", "/v1/catalog/planogram"
ARN = "arn:aws:sqs:eu-west-1:123456789012:catalog-status"


@pytest.fixture
def admin(gate):
    """Return the client of an admin who acts for a merchant."""
    merchant = gate.merchant()
    with closing(gate.client(None, "admin")) as client:
        client.headers["goodsgate-merchant"] = merchant
        client.acts_for = merchant
        yield client


def test_a_merchant_is_set_up_by_an_admin(admin, gate):
    """The calls lead from nothing to an accepted upload, without the command line."""
    empty = admin.get(SETUP).json()
    assert empty == {
        "merchant": admin.acts_for, "awsAccountId": "", "sqsQueueArn": "", "stores": [], "accessKeys": [],
        "connectivityStatus": "Unknown", "sqsSubscriptionStatus": "Unknown",
    }
    wanted = {"awsAccountId": "123456789012", "sqsQueueArn": ARN, "stores": ["S-2", "S-1"]}
    changed = admin.put(SETUP, json=wanted)
    assert changed.status_code == 200
    assert changed.json() == {**empty, **wanted, "stores": ["S-1", "S-2"]}
    created = admin.post(KEYS, json={"label": "gate", "session": True})
    assert created.status_code == 201
    assert set(created.json()) == {"keyId", "accessKeyId", "secretAccessKey", "sessionToken"}
    assert admin.get(SETUP).json()["accessKeys"] == [created.json()["accessKeyId"]]
    with closing(JustWalkOut(gate, admin.acts_for, "S-1", account="123456789012")) as client:
        client.key = _access_key(created.json())
        assert client.upload(item(1, "S-1")).status_code == 201
    assert admin.get(SETUP).json()["connectivityStatus"] == "Success"
    revoked = admin.delete(f"/v1/merchants/{admin.acts_for}/keys/{created.json()['keyId']}")
    assert revoked.status_code == 204
    assert len(admin.get(SETUP).json()["accessKeys"]) == 1


def _access_key(result):
    from goodsgate.auth import AccessKey

    return AccessKey(id=result["accessKeyId"], secret=result["secretAccessKey"], token=result["sessionToken"])


def test_members_that_are_not_named_stay(admin):
    """An empty text removes a setting; stores are replaced as a whole."""
    admin.put(SETUP, json={"awsAccountId": "123456789012", "stores": ["S-1", "S-2"]})
    assert admin.put(SETUP, json={"sqsQueueArn": ARN}).json()["awsAccountId"] == "123456789012"
    changed = admin.put(SETUP, json={"sqsQueueArn": "", "stores": ["S-3"]}).json()
    assert (changed["sqsQueueArn"], changed["stores"]) == ("", ["S-3"])
    assert admin.put(SETUP, json={}).json() == changed


@ONE_STORE
@pytest.mark.parametrize("wanted", [
    {"awsAccountId": "1234"}, {"awsAccountId": 123456789012}, {"sqsQueueArn": "https://sqs.example.com/1/q"},
    {"sqsQueueArn": "arn:aws:sqs:evil.example.com/:123456789012:q"}, {"stores": ["A B"]}, {"stores": ["A", "A"]},
    {"stores": "A"}, {"other": 1}, {"sqsQueueArn": f"{ARN}\n"}, [],
], ids=range(10))
def test_invalid_setups_are_refused(admin, wanted):
    """An address in place of an ARN is the most important case."""
    response = admin.put(SETUP, json=wanted)
    assert (response.status_code, response.json()["code"]) == (400, "body_invalid")


@ONE_STORE
def test_only_admins_change_the_setup(gate):
    """Other keys can read it; the planogram belongs to the merchant."""
    with closing(gate.client(None, "submit", "read")) as client:
        assert client.get(SETUP).status_code == 200
        assert client.put(SETUP, json={}).status_code == 403
        assert client.post(KEYS, json={}).status_code == 403
        assert client.put(PLANOGRAM, json={"itemSkus": ["B", "A", "A"]}).status_code == 204
        assert client.get(PLANOGRAM).json() == {"itemSkus": ["A", "B"]}
        assert client.put(PLANOGRAM, json={"itemSkus": [""]}).json()["code"] == "body_invalid"
    anonymous = gate.anonymous()
    for method, path in (("GET", SETUP), ("PUT", SETUP), ("POST", KEYS), ("GET", PLANOGRAM), ("PUT", PLANOGRAM)):
        response = anonymous.request(method, path)
        assert (response.status_code, response.json()["code"]) == (401, "unauthorized")


@ONE_STORE
def test_strangers_see_only_their_own(gate, admin):
    """This holds for setup and planogram."""
    admin.put(SETUP, json={"awsAccountId": "123456789012"})
    admin.put(PLANOGRAM, json={"itemSkus": ["A"]})
    with closing(gate.client()) as client:
        assert client.get(SETUP).json()["awsAccountId"] == ""
        assert client.get(PLANOGRAM).json() == {"itemSkus": []}
