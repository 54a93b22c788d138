"""Guards over the API: tried on what the last batches measured, saved or not."""

import pytest

from goodsgate.engine import guard_trial
from tests import factories
from tests.shop import ndjson

HALVED = {"hold_if": {"prices_halved": "50%"}, "collection": "cups"}


def submit(client, price, label, **options):
    """Submit two cups, of which one has a price."""
    records = [factories.product(1, price=price), factories.product(2)]
    return client.submit(ndjson(records), collection="cups", label=label, **options)


def test_a_trial_says_for_each_batch_whether_it_would_have_been_held_and_why(client, gate):
    """With the figures that its own trial measured, whether the guard is saved or not, and without effect."""
    submit(client, "4.00 EUR", "first")
    nothing = client.post("/v1/guards/half/trial", json=HALVED).json()
    assert (nothing["batches"], nothing["held"], nothing["unmeasured"], nothing["highest"]) == ([], 0, 1, {})
    client.put("/v1/guards/half", json={**HALVED, "hold_if": {"prices_halved": "100%"}}).raise_for_status()
    submit(client, "3.00 EUR", "second")
    cheap = submit(client, "1.00 EUR", "third")
    submit(client, "0.01 EUR", "dry", dry_run=True)
    before = client.get("/v1/batches").content
    trial = client.post("/v1/guards/half/trial", json=HALVED).json()
    assert trial["guard"] == {
        "name": "half", "kind": None, "records_min": 0, "hold": "wait", "hold_hours": None, **HALVED
    }
    assert [(each["label"], each["held"], each["records"]) for each in trial["batches"]] == [
        ("third", True, 2), ("second", False, 2)
    ]
    assert (trial["held"], trial["unmeasured"]) == (1, 1)
    assert trial["highest"] == {"prices_halved": {"count": 1, "share": 0.5}}
    third = trial["batches"][0]
    assert (third["id"], third["kind"], third["collection"]) == (cheap["id"], "product", "cups")
    (reason,) = third["reasons"]
    assert (reason["condition"], reason["limit"], reason["count"], reason["share"]) == ("prices_halved", "50%", 1, 0.5)
    assert reason["text"].startswith("1 price falls by more than half, 50 % of 2 records;")
    saved = client.post("/v1/guards/half/trial").json()
    assert ([each["held"] for each in saved["batches"]], saved["held"]) == ([False, False], 0)
    assert client.post("/v1/guards/half/trial", json={**HALVED, "records_min": 3}).json()["held"] == 0
    assert client.post("/v1/guards/half/trial", json={**HALVED, "collection": "x"}).json()["unmeasured"] == 0
    assert client.get("/v1/batches").content == before
    stranger = gate.client()
    assert stranger.post("/v1/guards/half/trial").json()["code"] == "guard_unknown"
    assert stranger.post("/v1/guards/half/trial", json=HALVED).json()["batches"] == []


def test_a_trial_is_bounded(client, monkeypatch):
    """It is about the last batches that have figures."""
    monkeypatch.setattr(guard_trial, "BATCHES_MAX", 2)
    client.put("/v1/guards/half", json=HALVED).raise_for_status()
    for label in ("a", "b", "c"):
        submit(client, "4.00 EUR", label)
    trial = client.post("/v1/guards/half/trial").json()
    assert [each["label"] for each in trial["batches"]] == ["c", "b"]


@pytest.mark.parametrize(("guard", "status", "reason"), [
    ({"hold_if": {}}, 422, "at least one condition"), ({"hold_if": {"rejectd": "1"}}, 422, "did you mean rejected"),
    ({"hold_if": {"rejected": "often"}}, 422, "is no limit"), ({"hold_if": {"rejected": "1"}, "x": 1}, 400, "x"),
])
def test_a_guard_that_cannot_be_used_is_refused(client, guard, status, reason):
    """When it is saved and when it is tried."""
    for answer in (client.put("/v1/guards/it", json=guard), client.post("/v1/guards/it/trial", json=guard)):
        assert (answer.status_code, reason in answer.json()["detail"]) == (status, True)
