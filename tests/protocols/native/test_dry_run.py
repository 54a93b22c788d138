"""Dry runs over HTTP."""

import csv
import io

from tests import factories
from tests.shop import ndjson


def test_a_dry_run_shows_what_would_change(client):
    """In groups and pages, filtered, and as CSV; nothing is applied."""
    client.submit(ndjson(factories.products(1, 2, 3)), collection="dry")
    sent = ndjson([
        factories.product(1, price="1.00 EUR"), factories.product(2, title="=1+1"), factories.product(3),
        factories.product(4),
    ])
    batch = client.submit(sent, collection="dry", dry_run="true")
    assert (batch["policy"]["dry_run"], batch["counts"]["updated"], batch["counts"]["created"]) == (True, 2, 1)
    path = batch["links"]["diff"]
    diff = client.get(path).json()
    assert [group["text"] for group in diff["groups"]] == [
        "1 item would be created", "2 items would be updated", "price falls in 1 item, by −95 %; 1 by more than half",
        "title changes in 1 item",
    ]
    changes = [(change["key"], change["operation"], change["source_row"]) for change in diff["changes"]]
    assert changes == [("SKU-0001", "updated", 1), ("SKU-0002", "updated", 2), ("SKU-0004", "created", 4)]
    assert diff["changes"][0]["fields"] == [{"field": "price", "before": "19.99 EUR", "after": "1.00 EUR"}]
    first = client.get(path, params={"limit": 1, "operation": "updated"})
    assert [change["key"] for change in first.json()["changes"]] == ["SKU-0001"]
    second = client.get(first.json()["next"]).json()
    assert [change["key"] for change in second["changes"]] == ["SKU-0002"]
    titles = client.get(path, params={"field": "title", "operation": "updated"}).json()["changes"]
    assert [change["key"] for change in titles] == ["SKU-0002"]
    table = client.get(path, params={"format": "csv", "operation": "updated"})
    assert table.headers["content-type"].startswith("text/csv")
    rows = [*csv.DictReader(io.StringIO(table.text))]
    assert [(row["id"], row["field"], row["before"], row["after"]) for row in rows] == [
        ("SKU-0001", "price", "19.99 EUR", "1.00 EUR"), ("SKU-0002", "title", "Linen shirt 2", "'=1+1"),
    ]
    assert client.get("/v1/collections/dry/items/SKU-0001").json()["record"]["price"] == "19.99 EUR"


def test_only_a_dry_run_has_a_diff(client):
    """And it cannot be corrected."""
    real = client.submit(ndjson(factories.products(1)), collection="undry")
    assert "diff" not in real["links"]
    missing = client.get(f"/v1/batches/{real['id']}/diff")
    assert (missing.status_code, missing.json()["code"]) == (404, "diff_missing")
    dry = client.submit(ndjson([factories.product(1, price="cheap")]), collection="undry", dry_run="true")
    retried = client.post(f"/v1/batches/{dry['id']}/retry")
    assert (retried.status_code, retried.json()["code"]) == (409, "batch_dry_run")
