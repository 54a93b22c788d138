"""What a client sees of records that wait."""

from tests.factories import product
from tests.http_gate import Client, HttpGate
from tests.shop import ndjson


def test_a_client_sees_what_its_records_wait_for(gate: HttpGate, client: Client) -> None:
    """In the batch, not in lists; the load that brings it ends the wait."""
    batch = client.submit(
        ndjson([product(1, brand="Acme"), product(2, brand="Acme", product_type="Shoes"), product(3)]),
        references="wait", waiting_hours=2,
    )
    assert (batch["state"], batch["outcome"], batch["counts"]["waiting"]) == ("finished", "partial", 2)  # type: ignore[index]
    waiting = [{name: each[name] for name in ("kind", "code", "records")} for each in batch["waiting_for"]]  # type: ignore[attr-defined]
    assert waiting == [
        {"kind": "brand", "code": "Acme", "records": 2}, {"kind": "category", "code": "Shoes", "records": 1},
    ]
    assert (batch["policy"]["references"], batch["policy"]["waiting_hours"]) == ("wait", 2)  # type: ignore[index]
    assert "waiting_for" not in client.get("/v1/batches").json()["batches"][0]
    path = f"/v1/batches/{batch['id']}"
    page = client.get(f"{path}/results", params={"result": "waiting"}).json()
    assert [row["record"] for row in page["results"]] == [1, 2]
    assert len(client.get(f"{path}/report", params={"only": "waiting"}).content.splitlines()) == 2
    assert client.put("/v1/reference/brand", content=b"code\nAcme\n", params={"format": "csv"}).status_code == 200
    gate.shop.work()
    current = client.get(path).json()
    assert (current["counts"]["created"], current["counts"]["waiting"], current["rounds"]) == (2, 1, 2)
    assert client.post(f"{path}/cancel").status_code == 202
    gate.shop.work()
    assert client.get(path).json()["state"] == "cancelled"


def test_a_saved_profile_lets_records_wait(client: Client) -> None:
    """Unless the submission says otherwise."""
    assert client.put("/v1/profiles/late", json={"references": "wait", "waiting_hours": 3}).status_code in (200, 204)
    body = ndjson([product(1, brand="Acme")])
    batch = client.submit(body, profile="late")
    assert (batch["policy"]["references"], batch["policy"]["waiting_hours"]) == ("wait", 3)  # type: ignore[index]
    assert batch["counts"]["waiting"] == 1  # type: ignore[index]
    assert client.submit(body, profile="late", references="off")["outcome"] == "clean"
