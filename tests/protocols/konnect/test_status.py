"""The status of a write: while it runs, after its end, after a restart, and for strangers."""

import threading
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goodsgate.engine.saved_guards import save_guard
from goodsgate.model.batch import Kind
from goodsgate.model.guard import Guard
from goodsgate.protocols.konnect.trace_ids import new_batch_id, to_batch_id, to_object_id, to_trace_id
from tests.http_gate import HttpGate
from tests.protocols.konnect.client import Konnect, product
from tests.shop import Shop, ndjson

STATUS = "/v3/catalog/status"


@pytest.fixture
def idle(tmp_path, kind: str):
    """A client of a gate whose worker is run by hand."""
    with Shop(tmp_path, kind=kind) as shop:
        served = HttpGate(shop)
        with closing(Konnect(served, "acme")) as client:
            yield client
        served.close()


@pytest.mark.parametrize("profile", ["guide", "reference"])
def test_a_waiting_write_is_running(idle: Konnect, profile: str) -> None:
    """The counts are zero, and there is no batch id."""
    acknowledged = idle.create(product(1), product(2, name=""))
    with closing(Konnect(idle.gate, "acme", profile=profile)) as client:
        result = client.get(STATUS, params={"trace_id": acknowledged.json()["trace_id"]}).json()
        assert (result["stage"], result["meta"]["stage"]) == ("RUNNING", "pending")
        assert (result["meta"]["succeed"], result["meta"]["failed"]) == (0, 0)
        assert (result["total"], result["batch_id"]) == (2, "")
        assert result["status"] == ("SUCCESS" if profile == "guide" else "pending")
        assert (result["success"], result["failed"], result["errors"]) == (2, 0, {})
        idle.gate.shop.work()
        result = client.get(STATUS, params={"trace_id": acknowledged.json()["trace_id"]}).json()
        assert (result["stage"], result["meta"]["stage"]) == ("PARTIAL", "partial")


def test_the_status_is_the_same_after_a_restart(tmp_path, kind: str) -> None:
    """It is equal byte for byte."""
    with Shop(tmp_path, kind=kind) as shop:
        served = HttpGate(shop)
        with closing(Konnect(served, "acme")) as client:
            token = client.headers["x-access-token"]
            trace = client.create(product(1), product(2, name="")).json()["trace_id"]
            shop.work()
            before = client.get(STATUS, params={"trace_id": trace})
        served.close()
    with Shop(tmp_path, "other") as shop:
        served = HttpGate(shop)
        after = served.anonymous().get(STATUS, params={"trace_id": trace}, headers={"x-access-token": token})
        assert (after.status_code, after.content) == (200, before.content)
        assert after.json()["stage"] == "PARTIAL"
        served.close()


def test_strangers_and_unknown_ids_get_the_same_answer(seller: Konnect, stranger: Konnect) -> None:
    """It is 404; without an id it is 400."""
    trace = seller.create(product(1)).json()["trace_id"]
    answers = {
        client.get(STATUS, params={"trace_id": trace_id}).text
        for client, trace_id in (
            (stranger, trace), (seller, f"{'0' * 16}-1760266497372"), (seller, "x"), (seller, trace[:-1] + "x"),
            *((seller, each) for each in {trace.upper()} - {trace}),  # one in two thousand has no letters
            (seller, f"{trace[:16]}-9999999999999"),
        )
    }
    assert len(answers) == 1
    assert stranger.get(STATUS, params={"trace_id": trace}).status_code == 404
    assert seller.get(STATUS).status_code == 400
    assert seller.get(STATUS, params={"trace_id": ""}).status_code == 400


def test_only_product_writes_have_a_status(idle: Konnect) -> None:
    """A batch that was submitted otherwise has no trace, whatever its id."""
    shop = idle.gate.shop
    submission = shop.engine.submit(
        merchant="acme", kind=Kind.PRODUCT, collection="konnect", policy=shop.engine.batch(
            "acme", str(to_batch_id(idle.create(product(1)).json()["trace_id"]))
        ).policy, format="ndjson", id=new_batch_id(),
    )
    submission.write(ndjson([product(2)]))
    batch = submission.finish().batch
    assert batch is not None
    assert idle.get(STATUS, params={"trace_id": to_trace_id(batch.id)}).status_code == 404


def test_a_batch_that_the_operator_cancels_has_failed(idle: Konnect) -> None:
    """The counts show it."""
    acknowledged = idle.create(product(1), product(2))
    idle.gate.shop.engine.cancel("acme", str(to_batch_id(acknowledged.json()["trace_id"])))
    idle.gate.shop.work()
    result = idle.final_status(acknowledged)
    assert (result["stage"], result["meta"]["stage"], result["meta"]["cancelled"]) == ("FAILED", "failed", 2)


def test_many_clients_may_poll_at_once(seller: Konnect) -> None:
    """Others submit meanwhile; there is no error, and in the end all get the same answer."""
    acknowledged = seller.create(*(product(number) for number in range(1, 101)))
    answers: list[tuple[int, str]] = []

    def poll() -> None:
        with closing(seller.gate.anonymous()) as client:
            headers = {"x-access-token": seller.headers["x-access-token"]}
            for _ in range(50):
                query = {"trace_id": acknowledged.json()["trace_id"]}
                response = client.get(STATUS, params=query, headers=headers)
                answers.append((response.status_code, response.json()["stage"]))

    threads = [threading.Thread(target=poll) for _ in range(10)]
    for thread in threads:
        thread.start()
    for number in range(101, 121):
        assert seller.create(product(number)).status_code == 200
    for thread in threads:
        thread.join()
    assert {status for status, _ in answers} == {200}
    assert {stage for _, stage in answers} <= {"RUNNING", "COMPLETED"}
    assert seller.final_status(acknowledged)["meta"]["succeed"] == 100


@given(st.integers(0, 2**63), st.binary(min_size=8, max_size=8))
def test_trace_ids_convert_to_batch_ids_and_back(milliseconds: int, digits: bytes) -> None:
    """This holds for every batch that was created with a trace id."""
    trace = f"{digits.hex()}-{milliseconds % 10**13:013d}"
    batch = to_batch_id(trace)
    assert batch is not None
    assert to_trace_id(batch) == trace
    assert len(to_object_id(batch)) == 24


def test_batch_ids_sort_by_time() -> None:
    """They sort like the engine's own."""
    ids = [new_batch_id() for _ in range(5)]
    assert [to_batch_id(to_trace_id(batch)) for batch in ids] == ids
    assert [batch[:12] for batch in ids] == sorted(batch[:12] for batch in ids)


@given(st.text())
def test_any_text_converts_to_a_batch_id_or_none(text: str) -> None:
    """No text raises an error."""
    assert to_batch_id(text) is None or to_trace_id(str(to_batch_id(text))) == text


def test_the_contract_needs_no_token(gate: HttpGate) -> None:
    """It is served as JSON and as YAML."""
    assert gate.anonymous().get("/v3/openapi.json").json()["info"]["title"] == "Fynd Konnect"
    assert gate.anonymous().get("/v3/openapi.yaml").text.startswith("openapi:")


def test_a_held_write_is_running(idle: Konnect) -> None:
    """What its trial has found is not shown; approved, it ends as any write."""
    save_guard(idle.gate.shop.store, "acme", "new", Guard(hold_if={"created": "1"}))
    trace = idle.create(product(1), product(2, name="")).json()["trace_id"]
    idle.gate.shop.work()
    result = idle.get(STATUS, params={"trace_id": trace}).json()
    assert (result["stage"], result["meta"]["succeed"], result["meta"]["failed"]) == ("RUNNING", 0, 0)
    assert result["meta"]["failed_records"] == []
    idle.gate.shop.engine.approve("acme", to_batch_id(trace))
    idle.gate.shop.work()
    assert idle.get(STATUS, params={"trace_id": trace}).json()["stage"] == "PARTIAL"
