"""What became of a write: while it runs, when it has ended, after a restart, and for strangers."""

import threading
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goodsgate.model.batch import Kind
from goodsgate.protocols.konnect.trace_ids import new_batch_id, to_batch_id, to_object_id, to_trace_id
from tests.protocols.konnect.client import Konnect, product
from tests.served import Served
from tests.shop import Shop, ndjson

STATUS = "/v3/catalog/status"


@pytest.fixture
def idle(tmp_path, kind: str):
    """A gate whose worker is stepped by hand, and a client."""
    with Shop(tmp_path, kind=kind) as shop:
        served = Served(shop)
        with closing(Konnect(served, "acme")) as client:
            yield client
        served.close()


@pytest.mark.parametrize("profile", ["guide", "reference"])
def test_until_it_is_worked_it_runs(idle: Konnect, profile: str) -> None:
    """RUNNING and pending, with zero counts and no batch id."""
    acknowledged = idle.create(product(1), product(2, name=""))
    with closing(Konnect(idle.gate, "acme", profile=profile)) as client:
        told = client.get(STATUS, params={"trace_id": acknowledged.json()["trace_id"]}).json()
        assert (told["stage"], told["meta"]["stage"]) == ("RUNNING", "pending")
        assert (told["meta"]["succeed"], told["meta"]["failed"], told["total"], told["batch_id"]) == (0, 0, 2, "")
        assert told["status"] == ("SUCCESS" if profile == "guide" else "pending")
        assert (told["success"], told["failed"], told["errors"]) == (2, 0, {})
        idle.gate.shop.work()
        told = client.get(STATUS, params={"trace_id": acknowledged.json()["trace_id"]}).json()
        assert (told["stage"], told["meta"]["stage"]) == ("PARTIAL", "partial")


def test_it_answers_the_same_after_a_restart(tmp_path, kind: str) -> None:
    """Byte for byte."""
    with Shop(tmp_path, kind=kind) as shop:
        served = Served(shop)
        with closing(Konnect(served, "acme")) as client:
            token = client.headers["x-access-token"]
            trace = client.create(product(1), product(2, name="")).json()["trace_id"]
            shop.work()
            before = client.get(STATUS, params={"trace_id": trace})
        served.close()
    with Shop(tmp_path, "other") as shop:
        served = Served(shop)
        after = served.anonymous().get(STATUS, params={"trace_id": trace}, headers={"x-access-token": token})
        assert (after.status_code, after.content) == (200, before.content)
        assert after.json()["stage"] == "PARTIAL"
        served.close()


def test_strangers_and_unknown_ids_are_answered_alike(seller: Konnect, stranger: Konnect) -> None:
    """404; without an id 400."""
    trace = seller.create(product(1)).json()["trace_id"]
    answers = {
        client.get(STATUS, params={"trace_id": asked}).text
        for client, asked in (
            (stranger, trace), (seller, f"{'0' * 16}-1760266497372"), (seller, "x"), (seller, trace[:-1] + "x"),
            (seller, trace.upper()), (seller, f"{trace[:16]}-9999999999999"),
        )
    }
    assert len(answers) == 1
    assert stranger.get(STATUS, params={"trace_id": trace}).status_code == 404
    assert seller.get(STATUS).status_code == 400
    assert seller.get(STATUS, params={"trace_id": ""}).status_code == 400


def test_only_writes_of_products_have_a_status(idle: Konnect) -> None:
    """A batch that came in otherwise has no trace, whatever its id."""
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


def test_what_the_operator_cancels_is_failed(idle: Konnect) -> None:
    """With its counts."""
    acknowledged = idle.create(product(1), product(2))
    idle.gate.shop.engine.cancel("acme", str(to_batch_id(acknowledged.json()["trace_id"])))
    idle.gate.shop.work()
    told = idle.outcome(acknowledged)
    assert (told["stage"], told["meta"]["stage"], told["meta"]["cancelled"]) == ("FAILED", "failed", 2)


def test_many_may_poll_at_once(seller: Konnect) -> None:
    """While others submit: no error, and in the end the same answer for everyone."""
    acknowledged = seller.create(*(product(number) for number in range(1, 101)))
    seen: list[tuple[int, str]] = []

    def poll() -> None:
        with closing(seller.gate.anonymous()) as client:
            headers = {"x-access-token": seller.headers["x-access-token"]}
            for _ in range(50):
                query = {"trace_id": acknowledged.json()["trace_id"]}
                answered = client.get(STATUS, params=query, headers=headers)
                seen.append((answered.status_code, answered.json()["stage"]))

    threads = [threading.Thread(target=poll) for _ in range(10)]
    for thread in threads:
        thread.start()
    for number in range(101, 121):
        assert seller.create(product(number)).status_code == 200
    for thread in threads:
        thread.join()
    assert {status for status, _ in seen} == {200}
    assert {stage for _, stage in seen} <= {"RUNNING", "COMPLETED"}
    assert seller.outcome(acknowledged)["meta"]["succeed"] == 100


@given(st.integers(0, 2**63), st.binary(min_size=8, max_size=8))
def test_a_trace_id_is_its_batch_in_other_clothes(milliseconds: int, digits: bytes) -> None:
    """There and back, for every batch that was made for it."""
    trace = f"{digits.hex()}-{milliseconds % 10**13:013d}"
    batch = to_batch_id(trace)
    assert batch is not None
    assert to_trace_id(batch) == trace
    assert len(to_object_id(batch)) == 24


def test_ids_of_batches_still_sort_by_time() -> None:
    """As those that the engine makes."""
    made = [new_batch_id() for _ in range(5)]
    assert [to_batch_id(to_trace_id(batch)) for batch in made] == made
    assert [batch[:12] for batch in made] == sorted(batch[:12] for batch in made)


@given(st.text())
def test_no_text_at_all_is_a_failure(text: str) -> None:
    """A batch or none."""
    assert to_batch_id(text) is None or to_trace_id(str(to_batch_id(text))) == text


def test_a_served_gate_is_needed_for_nothing_else(gate: Served) -> None:
    """The contract is to be had without a token."""
    assert gate.anonymous().get("/v3/openapi.json").json()["info"]["title"] == "Fynd Konnect"
    assert gate.anonymous().get("/v3/openapi.yaml").text.startswith("openapi:")
