"""Quotas of merchants and keys, answered as each protocol answers too many requests."""

import re
from pathlib import Path

import pytest

from goodsgate.auth import new_key
from goodsgate.engine.merchant_documents import put_merchant_settings
from goodsgate.model.catalogue import Scope
from tests.http_gate import HttpGate
from tests.shop import Shop


@pytest.fixture
def gate(tmp_path: Path):
    """A gate whose merchants have few requests."""
    with Shop(tmp_path / "store", requests_per_minute_max=1_000) as shop:
        gate = HttpGate(shop)
        yield gate
        gate.close()


POLICY = '"merchant-requests";q=1000;w=60'


def test_a_response_says_what_is_left(gate: HttpGate) -> None:
    """As the fields RateLimit-Policy and RateLimit, which are structured; health checks and strangers have none."""
    client = gate.client()
    first, second = client.get("/v1/batches"), client.get("/v1/batches/unknown")
    assert (first.headers["ratelimit-policy"], second.headers["ratelimit-policy"]) == (POLICY, POLICY)
    left = [re.fullmatch(r'"merchant-requests";r=(\d+);t=(\d+)', each.headers["ratelimit"]) for each in (first, second)]
    assert all(left)
    assert [int(each[1]) for each in left if each is not None] in ([999, 998], [999, 999])
    for other in (client.get("/healthz"), gate.anonymous().get("/v1/batches")):
        assert "ratelimit" not in other.headers


def test_a_refusal_names_the_quota_of_the_key(gate: HttpGate) -> None:
    """And says when to come again; other keys of the merchant go on."""
    merchant = gate.merchant()
    limited = gate.client(merchant, secret=gate.secret(merchant, settings={"requests_per_minute_max": "2"}))
    answers = [limited.get("/v1/batches") for _ in range(5)]
    refused = [each for each in answers if each.status_code == 429]
    assert len(refused) >= 1  # a minute may begin in between
    problem = refused[0].json()
    assert (problem["code"], problem["quota"], problem["limit"], problem["window_seconds"]) == (
        "too_many_requests", "key-requests", 2, 60
    )
    assert problem["violated-policies"] == ["key-requests"]
    assert int(refused[0].headers["retry-after"]) == problem["retry_after_seconds"]
    assert refused[0].headers["ratelimit-policy"] == f'{POLICY}, "key-requests";q=2;w=60'
    assert '"key-requests";r=0;t=' in refused[0].headers["ratelimit"]
    assert gate.client(merchant).get("/v1/batches").status_code == 200
    assert re.search(r'goodsgate_quota_refusals_total\{quota="key-requests"\} [1-9]', gate.metrics())


def test_a_merchant_s_own_limits_replace_those_of_the_gate(gate: HttpGate) -> None:
    """Of requests, bytes and open batches; 0 is no limit."""
    merchant = gate.merchant()
    put_merchant_settings(gate.shop.store, merchant, {
        "requests_per_minute_max": "0", "bytes_per_day_max": "1000", "open_rounds_max": "2",
    })
    client = gate.client(merchant)
    body = b'{"id": "A"}'
    answers = [client.post("/v1/batches?format=ndjson", content=body) for _ in range(3)]
    assert [each.status_code for each in answers] == [202, 202, 429]
    assert (answers[2].json()["code"], answers[2].json()["limit"]) == ("queue_full", 2)
    assert answers[0].headers["ratelimit-policy"] == '"merchant-bytes";q=1000;qu="content-bytes";w=86400'
    large = client.post("/v1/batches?format=ndjson", content=body * 100)
    assert (large.status_code, large.json()["quota"]) == (429, "merchant-bytes")




def test_a_key_has_its_own_limit_of_open_batches(gate: HttpGate) -> None:
    """Other keys go on; a batch that has ended counts no more. Rounds of a batch count as batches do."""
    merchant = gate.merchant()
    limited = gate.client(merchant, secret=gate.secret(merchant, settings={"open_rounds_max": "1"}))
    body = b'{"id": "A"}'
    first, second = (limited.post("/v1/batches?format=ndjson", content=body) for _ in range(2))
    assert (first.status_code, second.status_code) == (202, 429)
    assert (second.json()["code"], second.json()["limit"]) == ("queue_full", 1)
    assert second.json()["detail"] == "The key has 1 open batch, as many as it may have; try again when one has ended."
    other = gate.client(merchant).post("/v1/batches?format=ndjson", content=body)
    assert other.status_code == 202
    gate.shop.work()
    retries = [limited.post(f"/v1/batches/{each.json()['id']}/retry") for each in (first, other)]
    assert [each.status_code for each in retries] == [202, 429]


def _shape(document: object, path: str = "") -> set[str]:
    """Return the paths of the members of a document that are no objects, with lists as `*`."""
    if isinstance(document, dict):
        return {inner for name, each in document.items() for inner in _shape(each, f"{path}.{name}".lstrip("."))}
    if isinstance(document, list):
        return {inner for each in document for inner in _shape(each, f"{path}.*")}
    return {path}


@pytest.mark.parametrize(("path", "header", "scheme"), [
    ("/v3/catalog/departments", "x-access-token", ""), ("/platform/v2/sites", "X-Auth-Token", ""),
    ("/streams", "Authorization", "Bearer "),
    ("/5p1hp1d2t/CALL/MerchantAPI/receiveStock/{merchant}", "x-api-key", ""),
])
def test_other_protocols_answer_as_for_their_own_limits(gate: HttpGate, path: str, header: str, scheme: str) -> None:
    """With 429 and Retry-After in their format, and without the headers of quotas."""
    merchant = gate.merchant()
    key, secret = new_key(merchant, list(Scope), settings={"requests_per_minute_max": "1"})
    gate.shop.store.add_key(key)
    headers, path = {header: f"{scheme}{secret}"}, path.format(merchant=merchant)
    answers = [gate.anonymous().get(path, headers=headers) for _ in range(4)]
    assert all(each.status_code != 401 for each in answers), answers[0].text
    refused = [each for each in answers if each.status_code == 429]
    assert refused
    assert int(refused[0].headers["retry-after"]) >= 1
    assert refused[0].headers["content-type"] != "application/problem+json"
    own = gate.anonymous().get(path, headers={header: f"{scheme}gg_000000000000_wrong"})
    assert own.status_code in (401, 403)
    assert refused[0].headers["content-type"] == own.headers["content-type"]
    assert _shape(refused[0].json()) <= _shape(own.json()), (refused[0].text, own.text)
    assert _shape(refused[0].json()) & {"message", "errors.*.title"}
    assert not any("ratelimit-policy" in each.headers for each in answers)
