"""Merchants, keys, and the health of the gate."""

import re

import pytest

from goodsgate.console.health import compute_statistics
from goodsgate.console.metrics_history import MetricsHistory
from goodsgate.store.contract import BatchFilter
from tests.console.conftest import Person, text_of


def test_a_merchant_and_its_key_are_created(operator: Person) -> None:
    """The key has the chosen scope, can be used to sign in, and is shown only once."""
    created = operator.fill("/console/merchants", "/console/merchants", id="new-one", name="New One")
    assert created.url.path == "/console/merchants/new-one"
    assert "new-one" in operator.get("/console/merchants").text
    answer = operator.fill("/console/merchants/new-one/keys", "/console/merchants/new-one", label="clerk", scope="read")
    (secret,) = re.findall(r"gg_[0-9a-f]{12}_[\w-]{20,}", answer.text)
    with Person(operator.gate, "new-one") as person:
        person.key = secret
        person.sign_in()
        assert person.get("/console/merchants/new-one/submit").status_code == 403
    page = operator.get("/console/merchants/new-one").text
    assert secret not in page
    assert "clerk read" in text_of(page)


def test_a_key_is_revoked(operator: Person) -> None:
    """An admin revokes it; revoking it again gives an error."""
    merchant = operator.gate.merchant()
    with Person(operator.gate, merchant) as person:
        person.sign_in()
        (key,) = operator.gate.shop.store.keys(merchant)
        path = f"/console/merchants/{merchant}"
        assert "revoked" in operator.fill(f"{path}/keys/{key.id}/revoke", path).text
        assert person.get("/console/batches", follow_redirects=False).status_code == 303
        assert operator.fill(f"{path}/keys/{key.id}/revoke", path).status_code == 404


@pytest.mark.parametrize("wrong", [{"id": "No"}, {"id": ""}, {"id": "a" * 65}, {"id": "ok", "name": "x" * 201}])
def test_an_invalid_merchant_is_refused(operator: Person, wrong: dict[str, str]) -> None:
    """Both id and name are checked."""
    assert operator.fill("/console/merchants", "/console/merchants", **wrong).status_code == 400


def test_ids_are_unique_and_keys_need_a_scope(operator: Person) -> None:
    """A taken id, a missing scope and an unknown scope are refused."""
    taken = operator.fill("/console/merchants", "/console/merchants", id=operator.merchant)
    assert (taken.status_code, "merchant_taken" in taken.text) == (409, True)
    path = f"/console/merchants/{operator.merchant}"
    assert operator.fill(f"{path}/keys", path, label="x").status_code == 400
    assert operator.fill(f"{path}/keys", path, scope="everything").status_code == 400
    assert operator.get("/console/merchants/nobody").status_code == 404


def test_health_shows_lanes_and_rejection_rates(operator: Person, clerk: Person) -> None:
    """An admin sees all merchants; other users see only their own."""
    path = clerk.submit(b"sku,title\nA,\nB,Tent\n")
    with Person(operator.gate, operator.gate.merchant()) as other:
        other.sign_in()
        other.drop(f"{other.base}/submit", b"sku,title\nA,x\n", filename="x.csv")
        page = text_of(operator.get("/console/health").text)
        assert f"{other.merchant} · product · products 1" in page
        assert f"{clerk.merchant} 50.0 % 1 of 2" in page
        own = text_of(clerk.get("/console/health").text)
        assert other.merchant not in own.split()
        assert "50.0 %" in own
        assert "Workers" not in own
        operator.gate.shop.work()
    assert clerk.get(path).is_success


def test_the_charts_show_gauges_and_rates(operator: Person) -> None:
    """Gauges are shown as they are, counters as rates; there is no rate for the first sample."""
    context = operator.gate.application.context
    history = MetricsHistory(context)
    assert (history.times(), history.series()["records"]) == ([], [])
    history.add({"rounds.queued": 3, "records.created": 10, "records.rejected": 1, "bytes.intake": 1024**2})
    history.add({"rounds.queued": 1, "records.created": 20, "records.rejected": 1, "bytes.intake": 2 * 1024**2})
    series = history.series()
    assert series["queued"] == [3, 1]
    assert series["megabytes"] == [1.0, 2.0]
    assert series["records"][0] is None
    assert (series["records"][1] or 0) > 0
    assert series["rejected"] == [None, 0.0]
    served = operator.get("/console/health/figures").json()
    assert len(served["at"]) == len(served["series"]["queued"]) >= 1


def test_statistics_cover_finished_batches(clerk: Person) -> None:
    """There is one entry per merchant."""
    clerk.submit(b"sku,title\nA,\nB,Tent\n")
    clerk.drop(f"{clerk.base}/submit", b"sku,title\nA,x\n", filename="x.csv")
    (statistics,) = compute_statistics(clerk.gate.shop.store.batches(clerk.merchant, BatchFilter()).rows)
    assert (statistics.batches, statistics.records, statistics.rejected, statistics.rejection_rate) == (1, 2, 1, 0.5)
    clerk.gate.shop.work()
