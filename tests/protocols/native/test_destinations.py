"""Destinations over the API: saved, run, held, and served at an address that nobody can guess."""

from typing import Any

import httpx
import pytest

from tests import factories
from tests.http_gate import Client, HttpGate
from tests.protocols.native.destination_jobs import work_destinations
from tests.shop import ndjson


def run(client: Client, gate: HttpGate, act: str = "run") -> dict[str, Any]:
    """Run the destination now; return the run."""
    client.post(f"/v1/destinations/feed/{act}").raise_for_status()
    work_destinations(gate)
    runs: list[dict[str, Any]] = client.get("/v1/destinations/feed/runs").json()["runs"]
    return runs[0]


def test_a_served_feed_is_fetched_by_its_address(gate: HttpGate) -> None:
    """With an entity tag; whatever is wrong with an address, there is no such feed."""
    client, anonymous = gate.client(None, "read", "submit"), gate.anonymous()
    client.submit(ndjson(factories.products(1, 2)))
    saved = client.put("/v1/destinations/feed", json={"to": "served", "format": "csv", "fields": ["id", "title"]})
    assert saved.status_code == 200, saved.text
    (url,) = saved.json()["urls"]
    path = httpx.URL(url).path
    assert anonymous.get(path).json()["code"] == "feed_unknown"
    assert run(client, gate)["state"] == "published"
    got = anonymous.get(path)
    assert (got.status_code, got.headers["content-type"].partition(";")[0]) == (200, "text/csv")
    assert got.text.splitlines() == ["id,title", "SKU-0001,Linen shirt 1", "SKU-0002,Linen shirt 2"]
    again = anonymous.get(path, headers={"If-None-Match": got.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    *before, signature, name = path.split("/")
    for wrong in (f"{'/'.join(before)}/{'0' * 64}/{name}", f"{'/'.join(before)}/{signature}/other.csv",
                  f"{'/'.join(before[:-1])}/99/{signature}/{name}", f"/v1/feeds/nobody/1/{signature}/{name}"):
        assert (anonymous.get(wrong).status_code, anonymous.get(wrong).json()["code"]) == (404, "feed_unknown")
    client.submit(ndjson(factories.products(3)))
    run(client, gate)
    assert anonymous.get(path, headers={"If-None-Match": got.headers["etag"]}).status_code == 200
    assert client.delete("/v1/destinations/feed").status_code == 204
    assert anonymous.get(path).status_code == 404


def test_a_run_says_what_falls_short(gate: HttpGate) -> None:
    """By column, with some items; the list has each item as it is now, and a corrected one no more."""
    client = gate.client(None, "read", "submit")
    client.submit(ndjson([factories.product(1, image_link="https://x.example/1.jpg"), factories.product(2)]))
    client.put("/v1/destinations/feed", json={"to": "served", "profile": "google"}).raise_for_status()
    made = run(client, gate)
    assert (made["items"], made["written"], made["incomplete"]) == (2, 1, 1)
    (group,) = made["issues"]
    assert (group["column"], group["code"], group["examples"]) == ("image_link", "field_missing", ["SKU-0002"])
    (item,) = client.get("/v1/destinations/feed/issues?only=errors").json()["items"]
    assert (item["key"], item["written"], item["issues"][0]["column"]) == ("SKU-0002", False, "image_link")
    client.submit(ndjson([factories.product(2, image_link="https://x.example/2.jpg")]))
    assert client.get("/v1/destinations/feed/issues").json()["items"] == []


def test_a_held_feed_is_approved_or_discarded(gate: HttpGate) -> None:
    """The state says that somebody must decide; without a held run there is nothing to decide."""
    client = gate.client(None, "read", "submit")
    client.submit(ndjson(factories.products(*range(1, 13))))
    client.put("/v1/destinations/feed", json={"to": "served", "hold_if_shrinks": 0.5}).raise_for_status()
    run(client, gate)
    client.submit(ndjson([{"id": f"SKU-{number:04d}", "_verb": "delete"} for number in range(2, 13)]))
    held = run(client, gate)
    assert (held["state"], held["reason"][:21]) == ("held", "The feed would shrink")
    document = client.get("/v1/destinations/feed").json()
    assert (document["state"], document["held_run"], document["items"]) == ("held", 2, 12)
    client.post("/v1/destinations/feed/discard").raise_for_status()
    for act in ("discard", "approve"):
        answer = client.post(f"/v1/destinations/feed/{act}")
        assert (answer.status_code, answer.json()["code"]) == (409, "destination_not_held")
    assert run(client, gate)["state"] == "held"
    assert run(client, gate, "approve")["state"] == "published"
    assert client.get("/v1/destinations/feed").json()["items"] == 1


@pytest.mark.parametrize(("body", "status", "code"), [
    ({"to": "served", "profile": "none"}, 422, "destination_invalid"), ({"to": "ftp://x"}, 422, "destination_invalid"),
    ({"to": "sftp://files.example.org/x.csv"}, 422, "destination_invalid"), ({}, 400, "body_invalid"),
    ({"to": "served", "extra": 1}, 400, "body_invalid"), ({"to": "served", "file_items_max": 0}, 400, "body_invalid"),
    ({"to": "served", "profile": "openai", "values": {"x": "y"}}, 400, "parameter_invalid"),
])
def test_a_destination_that_is_wrong_is_refused(gate: HttpGate, body: dict[str, Any], status: int, code: str) -> None:
    """With the reason."""
    answer = gate.client(None, "submit").put("/v1/destinations/feed", json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_secret_is_never_returned(gate: HttpGate) -> None:
    """Only that there is one; a served destination can be tested, too."""
    pytest.importorskip("cryptography")
    client = gate.client(None, "read", "submit")
    body = {"to": "served", "credential": {"password": "correct horse"}}
    saved = client.put("/v1/destinations/feed", json=body)
    assert saved.json()["credential"] == {"password": "stored"}
    assert "horse" not in saved.text
    assert client.post("/v1/destinations/feed/test").json() == {"connected": True, "host_key": None}
