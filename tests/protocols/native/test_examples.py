"""The examples of openapi.yaml: every operation has them, and a running gate agrees with them.

That examples match their schemas is checked in `test_contract`.
"""

import gzip
import json

import pytest

from goodsgate.http.endpoints import load_openapi
from goodsgate.protocols.native import __name__ as protocol_package
from tests.protocols.native.destination_jobs import work_destinations

CONTRACT = load_openapi(protocol_package)
OPERATIONS = {
    operation["operationId"]: operation
    for path in CONTRACT.document["paths"].values()
    for method, operation in path.items()
    if method != "parameters"
}
BINARY = {
    "application/octet-stream",
    "application/vnd.apache.parquet",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/zip",
}
WITHOUT_EXAMPLE = BINARY | {"text/tab-separated-values"}
"""Media types whose examples would be unreadable, or repeat that of another one."""


def _without_example(content):
    return [media for media, node in content.items() if media not in WITHOUT_EXAMPLE and "example" not in node]


def test_every_operation_is_described():
    """It has a summary and a description, both in sentences that do not end in a colon or comma."""
    undescribed = [
        name for name, operation in OPERATIONS.items()
        if not operation.get("summary") or not operation.get("description", "").strip().endswith(".")
    ]
    assert not undescribed


def test_every_request_body_has_an_example():
    """In each media type that people can read."""
    missing = {
        name: _without_example(CONTRACT.resolved(operation["requestBody"])["content"])
        for name, operation in OPERATIONS.items() if "requestBody" in operation
    }
    assert not {name: media for name, media in missing.items() if media}


def test_every_successful_response_has_an_example():
    """Unless it has no content."""
    missing = []
    for name, operation in OPERATIONS.items():
        for status, response in operation["responses"].items():
            content = CONTRACT.resolved(response).get("content", {})
            missing += [(name, status, media) for media in _without_example(content) if status.startswith("2")]
    assert not missing


REQUESTS = [
    ("submit", "POST", "/v1/batches", 202),
    ("inspect", "POST", "/v1/inspect", 200),
    ("fix", "POST", "/v1/batches/{batch}/fix", 202),
    ("preview_fix", "POST", "/v1/batches/{batch}/fix/preview", 200),
    ("edit_item", "PATCH", "/v1/collections/products/items/B", 202),
    ("load_reference", "PUT", "/v1/reference/category", 200),
    ("put_profile", "PUT", "/v1/profiles/warehouse-export", 200),
    ("put_rule", "PUT", "/v1/rules/minimum-price", 200),
    ("try_rule", "POST", "/v1/rules/minimum-price/trial", 200),
    ("put_source", "PUT", "/v1/sources/nightly", 200),
    ("put_destination", "PUT", "/v1/destinations/meta", 200),
    ("put_guard", "PUT", "/v1/guards/decimal-point", 200),
    ("try_guard", "POST", "/v1/guards/decimal-point/trial", 200),
    ("add_merchant", "POST", "/v1/merchants", 201),
    ("add_key", "POST", "/v1/merchants/{merchant}/keys", 201),
    ("change_key", "PATCH", "/v1/merchants/{merchant}/keys/{key}", 200),
    ("rotate_key", "POST", "/v1/merchants/{merchant}/keys/{key}/rotate", 200),
    ("change_merchant", "PATCH", "/v1/merchants/{merchant}", 200),
    ("change_merchant_settings", "PATCH", "/v1/merchants/{merchant}/settings", 200),
    ("add_webhook", "POST", "/v1/webhooks", 201),
    ("change_webhook", "PATCH", "/v1/webhooks/1", 200),
    ("rotate_webhook", "POST", "/v1/webhooks/1/rotate", 200),
    ("replay_webhook", "POST", "/v1/webhooks/1/replay", 200),
]


@pytest.mark.parametrize(("name", "method", "path", "status"), REQUESTS, ids=[name for name, *_ in REQUESTS])
def test_a_gate_accepts_the_example_requests(gate, name, method, path, status):
    """And its response has the members of the example response."""
    client = gate.client(None, "submit", "read", "admin")
    if path.startswith("/v1/webhooks/"):
        client.post("/v1/webhooks", json={"url": "https://shop.example.com/other"}).raise_for_status()
    operation = OPERATIONS[name]
    (example,) = [
        node["example"] for node in CONTRACT.resolved(operation["responses"][str(status)])["content"].values()
    ]
    for media, node in CONTRACT.resolved(operation["requestBody"])["content"].items():
        if "example" not in node:
            continue
        batch = client.submit(b'{"sku": "A"}\n{"sku": "B", "title": "Mug"}\n')["id"]
        body = node["example"] if isinstance(node["example"], str) else json.dumps(node["example"])
        answer = client.request(
            method, path.format(batch=batch, merchant=client.merchant, key=client.secret.split("_")[1]),
            content=body.encode(), headers={"Content-Type": media},
        )
        assert answer.status_code == status, answer.text
        assert set(answer.json()) == set(example)


def test_every_example_request_is_sent_to_a_gate():
    """Except those that need a batch or a setting of their own, which have tests of their own."""
    with_body = {name for name, operation in OPERATIONS.items() if "requestBody" in operation}
    assert with_body - {name for name, *_ in REQUESTS} == {"confirm", "order_trouble"}


def test_the_confirmation_of_the_example_is_understood(gate):
    """It is refused only because its number does not match."""
    client = gate.client()
    items = b"".join(b'{"sku": "A%d", "title": "Mug", "price": "1.00 EUR"}\n' % number for number in range(10))
    client.submit(items, mode="full")
    batch = client.submit(items.splitlines(keepends=True)[0], mode="full")
    assert batch["withheld"]["deletions"] == 9
    example = OPERATIONS["confirm"]["requestBody"]["content"]["application/json"]["example"]
    answer = client.post(f"/v1/batches/{batch['id']}/confirm", json=example)
    assert answer.json()["code"] == "confirmation_mismatch"
    answer = client.post(f"/v1/batches/{batch['id']}/confirm", json=dict.fromkeys(example, 9))
    assert answer.status_code == 202


def test_the_suggestion_of_the_example_is_applied(gate):
    """A batch lists it with the members of the example."""
    client = gate.client()
    path = client.submit(b'{"sku": "A", "title": "Mug", "gtin": "4006381333932"}\n')["links"]["self"] + "/suggestions"
    (listed,) = client.get(path).json()["suggestions"]
    operation = OPERATIONS["suggestions"]["responses"]["200"]["content"]["application/json"]
    assert set(listed) == set(operation["example"]["suggestions"][0])
    operation = OPERATIONS["apply_suggestions"]
    query = {node["name"]: node["example"] for node in operation["parameters"] if "example" in node}
    preview = client.post(f"{path}/apply", params={**query, "preview": "true"}).json()
    example = operation["responses"]["200"]["content"]["application/json"]["example"]
    assert preview == {**example, "records": 1, "groups": [
        {**example["groups"][0], "records": 1, "changes": [{**example["groups"][0]["changes"][0], "records": 1}]}
    ]}
    answer = client.post(f"{path}/apply", params=query, headers={"Idempotency-Key": '"once"'})
    assert (answer.status_code, answer.json()["rounds"]) == (202, 2)
    assert answer.json()["fix"] == {"records": 1, "replacing": 1, "unmatched": 0, "without_row": 0}
    again = client.post(f"{path}/apply", params=query, headers={"Idempotency-Key": '"once"'})
    assert (again.status_code, again.content) == (202, answer.content)


READS = [
    ("batches", "/v1/batches"), ("batch", "/v1/batches/{batch}"), ("issues", "/v1/batches/{batch}/issues"),
    ("results", "/v1/batches/{batch}/results"), ("collections", "/v1/collections"),
    ("items", "/v1/collections/products/items"),
    ("feed_issues", "/v1/collections/products/feed-issues?profile=google"),
    ("item", "/v1/collections/products/items/MUG-11OZ"),
    ("stock", "/v1/collections/products/stock/MUG-11OZ"), ("reference", "/v1/reference/currency"),
    ("profiles", "/v1/profiles"), ("webhooks", "/v1/webhooks"), ("webhook", "/v1/webhooks/1"),
    ("destinations", "/v1/destinations"), ("destination", "/v1/destinations/meta"),
    ("destination_runs", "/v1/destinations/meta/runs"), ("destination_issues", "/v1/destinations/meta/issues"),
    ("webhook_attempts", "/v1/webhooks/1/attempts"), ("merchants", "/v1/merchants"),
    ("keys", "/v1/merchants/{merchant}/keys"),
    ("health", "/healthz"), ("ready", "/readyz"),
]


@pytest.mark.parametrize(("name", "path"), READS, ids=[name for name, _ in READS])
def test_a_gate_answers_with_the_members_of_the_example(gate, name, path):
    """And the entries of a list have the members of those in the example."""
    client = gate.client(None, "submit", "read", "admin")
    if path.startswith("/v1/webhooks"):
        client.post("/v1/webhooks", json={"url": "https://shop.example.com/goodsgate"}).raise_for_status()
    if path.startswith("/v1/destinations"):
        body = {"to": "served", "profile": "meta", "incomplete": "keep"}
        client.put("/v1/destinations/meta", json=body).raise_for_status()
    client.submit(b'{"sku": "MUG-11OZ", "quantity": 12, "location": "BLR-01"}\n', kind="stock")
    bodies = OPERATIONS["submit"]["requestBody"]
    records = CONTRACT.resolved(bodies)["content"]["application/x-ndjson"]["example"].encode()
    records += b'{"sku": "MUG-15OZ", "title": "Mug", "price": "on request"}\n'
    batch = client.submit(gzip.compress(records))["id"]
    if path == "/v1/destinations/meta/runs":
        client.post("/v1/destinations/meta/run").raise_for_status()
        work_destinations(gate)
    answer = client.get(path.format(batch=batch, merchant=client.merchant))
    assert answer.status_code == 200, answer.text
    example = OPERATIONS[name]["responses"]["200"]["content"]["application/json"]["example"]
    assert _members(example) == _members(answer.json())


def _members(document):
    """Return the names of a document's members, and of the first entry of each list in it."""
    return {
        name: sorted(value[0]) if isinstance(value, list) and value and isinstance(value[0], dict) else None
        for name, value in document.items()
    }
