"""What is answered when the fault is ours, and what is gone."""

import logging

import apsw
import pytest

from goodsgate.http.endpoints import REQUEST_ID, Endpoint
from goodsgate.http.problems import STATUSES, problem, refuse
from goodsgate.model.extras import ExtraMissingError
from goodsgate.store.contract import Retention, StoreBusyError, StoreFullError
from tests import factories
from tests.http_gate import HttpGate
from tests.shop import Shop, ndjson


def test_an_internal_fault_reveals_only_its_request_id(tmp_path, caplog):
    """The response is a problem document with status 500; the traceback is logged under the id."""
    shop = Shop(tmp_path)
    served = HttpGate(shop)
    client = served.client()
    assert client.get("/v1/collections").status_code == 200
    file = apsw.Connection(str(next((tmp_path / "store").glob("catalogue.db"))))
    tables = (
        "select name from sqlite_master where type = 'table'"
        " and name not like 'sqlite%' and name not like 'item_terms%'"
    )
    for name in [row[0] for row in file.execute(tables).fetchall()]:
        file.execute(f'alter table "{name}" rename to "gone_{name}"')
    with caplog.at_level(logging.ERROR):
        answer = client.get("/v1/collections")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_fault")
    assert "SQL" not in answer.text
    assert "gone" not in answer.text
    records = [record for record in caplog.records if getattr(record, "request", None) == answer.json()["instance"]]
    assert any(record.exc_info for record in records)
    assert client.get("/healthz").status_code == 200
    file.close()
    served.close()
    shop.store.close()


def test_a_payload_is_gone_after_its_retention(gate, client):
    """The complete report is answered with 410; the rejected records are still available."""
    batch = client.submit(ndjson([factories.product(1), factories.product(2, price="cheap")]))
    past = Retention(
        payload_seconds=0, report_seconds=10**6, batch_seconds=10**7, answer_seconds=10**6, tombstone_seconds=10**6
    )
    while gate.shop.store.sweep(past, steps_max=100).payloads:
        pass
    gone = client.get(batch["links"]["report"], params={"only": "all"})
    assert (gone.status_code, gone.json()["code"]) == (410, "payload_gone")
    assert client.get(batch["links"]["report"]).status_code == 200


@pytest.mark.parametrize(("fault", "status", "code", "after"), [
    (StoreFullError(), 507, "store_full", "60"), (StoreBusyError(), 503, "store_busy", "1"),
    (ValueError("secret"), 500, "internal_fault", None), (ExtraMissingError("pdf"), 501, "extra_missing", None),
])
def test_errors_of_the_store_become_refusals(gate, fault, status, code, after):
    """A full or busy store can be retried; everything else is an internal fault."""
    endpoint = next(route.endpoint for route in gate.application.router.routes if isinstance(route.endpoint, Endpoint))
    response = endpoint.refusal(fault, {REQUEST_ID: "r-1"})
    assert response.status_code == status
    assert f'"code":"{code}"'.encode() in response.body
    assert b"secret" not in response.body
    assert response.headers.get("retry-after") == after


@pytest.mark.parametrize("code", STATUSES)
def test_every_refusal_becomes_a_problem_document(code):
    """It has all members of RFC 9457 and a status of HTTP."""
    status, headers, body = problem(refuse(code, allow="GET"), "r-1")
    assert 400 <= status < 600
    assert headers["content-type"] == "application/problem+json"
    for member in ("type", "title", "status", "detail", "instance"):
        assert f'"{member}":'.encode() in body
