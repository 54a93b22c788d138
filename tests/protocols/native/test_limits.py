"""Each limit of the door at it, above it and below it."""

import pytest

from tests import factories
from tests.http_gate import HttpGate
from tests.shop import Shop, ndjson

LIMIT = 2_000


@pytest.fixture(scope="module")
def gate(tmp_path_factory):
    """A gate with narrow limits and a single thread."""
    shop = Shop(
        tmp_path_factory.mktemp("narrow"), body_bytes_max=LIMIT, reference_body_bytes_max=LIMIT,
        document_bytes_max=LIMIT, page_rows_max=3, open_rounds_max=2, threads=1, wait_seconds_max=0.05,
    )
    served = HttpGate(shop)
    yield served
    served.close()
    shop.store.close()


def _body(size):
    line = ndjson([{**factories.product(1), "note": ""}]).rstrip()
    return line.replace(b'"note":""', b'"note":"%s"' % (b"x" * (size - len(line))))



@pytest.mark.parametrize(("size", "fits"), [(LIMIT - 1, True), (LIMIT, True), (LIMIT + 1, False), (LIMIT * 50, False)])
@pytest.mark.parametrize("chunked", [False, True])
def test_the_body_of_a_submission_is_limited(client, size, fits, chunked):
    """The refusal names the limit, with a Content-Length and without."""
    body = _body(size)
    assert len(body) == size
    answer = client.post("/v1/batches?format=ndjson", content=iter([body[:100], body[100:]]) if chunked else body)
    if fits:
        assert answer.status_code == 202, answer.text
    else:
        assert (answer.status_code, answer.json()["code"]) == (413, "payload_too_large")
        assert answer.json()["limit_bytes"] == LIMIT
        assert client.get("/v1/batches").json()["batches"] == []


@pytest.mark.parametrize(("size", "status"), [(LIMIT, 200), (LIMIT + 1, 413)])
def test_the_body_of_reference_data_is_limited(client, size, status):
    """It has a limit of its own."""
    body = b'{"code": "%s"}' % (b"x" * 400)
    answer = client.put("/v1/reference/brand?format=ndjson", content=body.ljust(size))
    assert answer.status_code == status, answer.text


@pytest.mark.parametrize(("size", "status"), [(LIMIT, 200), (LIMIT + 1, 413)])
def test_the_body_of_an_administrative_request_is_limited(client, size, status):
    """Such a body is read as a whole."""
    assert client.put("/v1/profiles/a", content=b'{"map": {"a": ["id"]}}'.ljust(size)).status_code == status


@pytest.mark.parametrize(("limit", "rows"), [(2, 2), (3, 3), (4, 3), (1000, 3)])
def test_the_rows_of_a_page_are_limited(client, gate, limit, rows):
    """A larger `limit` is reduced to the setting."""
    client.submit(ndjson(factories.products(1, 2, 3, 4)))
    assert len(client.get("/v1/collections/products/items", params={"limit": limit}).json()["items"]) == rows


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "1.5", "x", ""])
def test_a_limit_out_of_bounds_is_refused(client, limit):
    """It is not corrected."""
    assert client.get("/v1/batches", params={"limit": limit}).json()["parameter"] == "limit"


def test_the_open_batches_of_a_merchant_are_limited(client, gate):
    """Above the limit the response is 429 with Retry-After; other merchants are not affected."""
    body = ndjson(factories.products(1))
    for _ in range(2):
        assert client.post("/v1/batches?format=ndjson", content=body).status_code == 202
    full = client.post("/v1/batches?format=ndjson", content=body)
    assert (full.status_code, full.json()["code"]) == (429, "queue_full")
    assert int(full.headers["retry-after"]) > 0
    assert gate.client().post("/v1/batches?format=ndjson", content=body).status_code == 202
    gate.shop.work()
    assert client.post("/v1/batches?format=ndjson", content=body).status_code == 202
    gate.shop.work()


def test_the_time_of_a_long_poll_is_limited(client, gate):
    """The response comes after the maximum of the settings."""
    batch = client.post("/v1/batches?format=ndjson", content=ndjson(factories.products(1))).json()
    assert client.get(batch["links"]["self"], params={"wait": 60}).json()["state"] == "queued"
    gate.shop.work()


def test_one_thread_is_enough_for_a_streamed_body(client, gate):
    """No request waits for a thread while it occupies one."""
    gate.shop.work()
    assert client.post("/v1/batches?format=ndjson", content=iter([_body(500), b"\n", _body(600)])).status_code == 202
    gate.shop.work()
