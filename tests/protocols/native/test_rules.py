"""Rules of merchants over the API: saved, listed, tried on the last batches, and refused."""

import pytest

from goodsgate.engine import rule_trial
from tests import factories
from tests.shop import ndjson

CHEAP = {"expression": "amount(record.price) >= 1.0", "message": "Too cheap."}
NOTHING = {"rejected": 0, "warned": 0, "accepted": 0, "faults": 0, "fault": None, "examples": []}


def test_a_rule_is_saved_listed_and_deleted(client, gate):
    """With its versions; those of another merchant are not seen."""
    saved = client.put("/v1/rules/cheap", json=CHEAP).json()
    assert (saved["name"], saved["version"], saved["rule"], saved["recent"]) == ("cheap", 1, CHEAP, NOTHING)
    assert client.put("/v1/rules/cheap", json=CHEAP).json()["version"] == 1
    assert client.put("/v1/rules/cheap", json={**CHEAP, "severity": "warning"}).json()["version"] == 2
    assert client.get("/v1/rules/cheap").json()["version"] == 2
    assert [each["version"] for each in client.get("/v1/rules/cheap/versions").json()["versions"]] == [2, 1]
    assert [each["name"] for each in client.get("/v1/rules").json()["rules"]] == ["cheap"]
    assert gate.client().get("/v1/rules").json() == {"rules": []}
    assert client.delete("/v1/rules/cheap").status_code == 204
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/versions"), ("POST", "/trial")):
        answer = client.request(method, f"/v1/rules/cheap{path}")
        assert (answer.status_code, answer.json()["code"]) == (404, "rule_unknown")


@pytest.mark.parametrize(("rule", "status", "reason"), [
    ({"expression": "record.title =="}, 422, "at character"), ({"code": "sku_missing"}, 422, "gtin_length"),
    ({}, 422, "exactly one"), ({"schema": {"$ref": "#"}}, 422, "$ref"),
    ({"expression": "true", "mode": "x"}, 400, "mode"),
    ({"expression": "true", "sql": 1}, 400, "sql"), ({"expression": "t" * 2001}, 400, "2000"),
])
def test_a_rule_that_cannot_be_used_is_refused(client, rule, status, reason):
    """With what is wrong, when it is saved and when it is tried."""
    for answer in (client.put("/v1/rules/it", json=rule), client.post("/v1/rules/it/trial", json=rule)):
        assert answer.status_code == status
        assert reason in answer.json()["detail"]
    assert client.get("/v1/rules").json() == {"rules": []}


def test_a_trial_says_what_a_rule_would_have_done(client):
    """With the records of the last batches, without effect, whether it is saved or not."""
    client.submit(ndjson(factories.products(*range(40))))
    client.submit(ndjson([factories.product(number, price="0.50 EUR") for number in range(38, 42)]))
    before = client.get("/v1/collections/products/items", params={"limit": 100}).content
    trial = client.post("/v1/rules/cheap/trial", json=CHEAP).json()
    assert (trial["batches"], trial["records"], trial["rejected"], trial["is_cut"]) == (2, 44, 4, False)
    assert trial["examples"] == ["SKU-0038", "SKU-0039", "SKU-0040", "SKU-0041"]
    client.put("/v1/rules/cheap", json={**CHEAP, "severity": "warning", "mode": "off"})
    client.put("/v1/rules/other", json={"expression": "false"})
    trial = client.post("/v1/rules/cheap/trial").json()
    assert (trial["records"], trial["rejected"], trial["warned"]) == (44, 0, 4)
    halves = {"expression": "amount(record.price) >= amount(held.price) / 2.0"}
    assert client.post("/v1/rules/it/trial", json=halves).json()["rejected"] == 0
    failing = client.post("/v1/rules/it/trial", json={"expression": "record.color == 'red'"}).json()
    assert (failing["faults"], "color" in failing["fault"]) == (44, True)
    assert client.post("/v1/rules/it/trial", json={**CHEAP, "kind": "price"}).json()["records"] == 0
    assert client.post("/v1/rules/it/trial", json={**CHEAP, "collection": "other"}).json()["records"] == 0
    assert client.get("/v1/collections/products/items", params={"limit": 100}).content == before


def test_a_trial_of_a_severity_says_what_would_be_accepted(client):
    """Of a warning that becomes an error, what would be rejected."""
    client.submit(ndjson([factories.product(1, gtin="4006381333932"), factories.product(2, title="<b>Mug</b>")]))
    trial = client.post("/v1/rules/it/trial", json={"code": "gtin_check_digit", "severity": "warning"}).json()
    assert (trial["accepted"], trial["rejected"], trial["examples"]) == (1, 0, ["SKU-0001"])
    trial = client.post("/v1/rules/it/trial", json={"code": "text_markup"}).json()
    assert (trial["accepted"], trial["rejected"], trial["examples"]) == (0, 1, ["SKU-0002"])


def test_a_trial_is_bounded(client, monkeypatch):
    """By records and by time; it says that there is more."""
    client.submit(ndjson(factories.products(*range(30))))
    client.submit(ndjson(factories.products(*range(30))))
    monkeypatch.setattr(rule_trial, "RECORDS_MAX", 40)
    trial = client.post("/v1/rules/it/trial", json=CHEAP).json()
    assert (trial["batches"], trial["records"], trial["is_cut"]) == (2, 40, True)
    monkeypatch.setattr(rule_trial, "SECONDS_MAX", 0.0)
    trial = client.post("/v1/rules/it/trial", json=CHEAP).json()
    assert (trial["batches"], trial["records"], trial["is_cut"]) == (0, 0, True)


def test_a_batch_says_what_rules_counted_and_the_issue_links_to_its_documentation(client):
    """Shadow rules and failures with the batch, and over the last batches with the rule."""
    client.put("/v1/rules/shadow", json={**CHEAP, "mode": "shadow"})
    client.put("/v1/rules/title", json={"expression": "record.title.size() > 5", "message": "Too short."})
    batch = client.submit(ndjson([factories.product(1, price="0.50 EUR"), factories.product(2, title="Mug")]))
    assert batch["rules"] == {"shadow": {**NOTHING, "rejected": 1, "examples": ["SKU-0001"]}}
    (group,) = batch["issues"]
    assert (group["code"], group["message"], group["docs"]) == ("rule.title", "Too short.", "/docs/issues#rule")
    issues = client.get(f"/v1/batches/{batch['id']}/issues", params={"code": "rule.title"}).json()["issues"]
    assert [each["message"] for each in issues] == ["Too short."]
    assert client.get("/v1/rules/shadow").json()["recent"]["rejected"] == 1
    inspected = client.post("/v1/inspect", content=ndjson([factories.product(3, title="Cap")]),
        headers={"content-type": "application/x-ndjson"}).json()
    assert [each["message"] for each in inspected["issues"]] == ["Too short."]
