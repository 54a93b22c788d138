"""Idempotency-Key, as draft-ietf-httpapi-idempotency-key-header-07 tables it."""

import contextlib
import time
from pathlib import Path

import apsw
import pytest

from tests import factories
from tests.http_gate import read_response
from tests.shop import ndjson

BODY = ndjson(factories.products(1, 2))
OTHER = ndjson(factories.products(3))


def _send(client, key, body=BODY, path="/v1/batches?format=ndjson"):
    return client.post(path, content=body, headers={"Idempotency-Key": key} if key is not None else {})


def test_the_first_response_is_repeated_byte_for_byte(client, gate):
    """Section 2.6, retry of a completed request: the batch may have changed since."""
    first = _send(client, '"8e03978e-40d5-43dd-bc93-6894a57f9324"')
    gate.shop.work()
    again = _send(client, '"8e03978e-40d5-43dd-bc93-6894a57f9324"')
    assert (again.status_code, again.content) == (first.status_code, first.content) == (202, first.content)
    assert again.headers["location"] == first.headers["location"]
    assert len(client.get("/v1/batches").json()["batches"]) == 1


@pytest.mark.parametrize("second", [
    {"body": OTHER}, {"path": "/v1/batches?format=ndjson&collection=other"}, {"path": "/v1/batches?format=json"},
    {"path": "/v1/batches?format=ndjson&label=other"},
], ids=["body", "collection", "format", "label"])
def test_a_key_with_another_request_is_refused(client, second):
    """Section 2.7: 422 when it is reused with a different payload."""
    _send(client, '"one"')
    again = _send(client, '"one"', **second)
    assert (again.status_code, again.json()["code"]) == (422, "key_reused")


def _until_reserved(gate, key):
    """Wait until the store has the key.

    A request to the gate would take the key. The store is read through the same SQLite library as the gate's, because
    two of them in one process release each other's locks.
    """
    with contextlib.closing(apsw.Connection(str(Path(gate.shop.config.store) / "intake.db"))) as intake:
        for _ in range(500):
            if intake.execute("SELECT 1 FROM idempotency_key WHERE key = ?", (key,)).fetchone():
                return
            time.sleep(0.01)
    raise AssertionError("the key was never reserved")


def test_a_key_in_use_is_refused(client, gate):
    """Section 2.7: 409 while the original request is still being processed."""
    head = (
        f"POST /v1/batches?format=ndjson HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {client.secret}\r\n"
        f'Idempotency-Key: "busy"\r\nContent-Length: {len(BODY) + 5000}\r\n\r\n'
    )
    with gate.connect() as connection:
        connection.sendall(head.encode() + BODY + b" " * 4999)
        _until_reserved(gate, "busy")
        again = _send(client, '"busy"', OTHER)
        assert (again.status_code, again.json()["code"]) == (409, "key_in_use")
        assert int(again.headers["retry-after"]) >= 0
        connection.sendall(b" ")
        assert b" 202 " in read_response(connection)


@pytest.mark.parametrize(("given", "status"), [
    ('"a"', 202), ('"with blank"', 202), ('"a\\"b\\\\c"', 202), ('"' + "k" * 255 + '"', 202), ("bare-token-7", 202),
    ("550e8400-e29b-41d4-a716-446655440000", 202), ("a/b+c=d:e", 202), (None, 202),
    ('""', 400), ("", 400), ('"' + "k" * 256 + '"', 400), ("k" * 256, 400), ('"open', 400), ('a"b', 400),
    ('"a";p=1', 400), ('"a", "b"', 400), ("two words", 400), ('"a\\b"', 400), ("a,b", 400), ("\x80", 400),
])
def test_valid_and_invalid_keys(client, given, status):
    """A key is a quoted string of RFC 8941, or a bare token."""
    answer = client.post(
        "/v1/batches?format=ndjson", content=BODY,
        headers=[(b"Idempotency-Key", given.encode("latin-1"))] if given is not None else [],
    )
    assert answer.status_code == status, answer.text
    assert status == 202 or answer.json()["code"] == "key_malformed"


def test_two_keys_are_refused(client):
    """A request has at most one key."""
    headers = [(b"Idempotency-Key", b'"a"'), (b"Idempotency-Key", b'"b"')]
    assert client.post("/v1/batches?format=ndjson", content=BODY, headers=headers).json()["code"] == "key_malformed"


def test_quotes_are_not_part_of_a_key(client):
    """A bare token is the same key as a quoted one."""
    assert _send(client, '"same"').content == _send(client, "same").content


def test_without_a_key_every_request_creates_a_batch(client):
    """Section 2.6, first time request, twice."""
    assert _send(client, None).json()["id"] != _send(client, None).json()["id"]


def test_keys_belong_to_their_merchant(gate):
    """Two merchants may use the same key."""
    assert _send(gate.client(), '"mine"').json()["id"] != _send(gate.client(), '"mine"', OTHER).json()["id"]


def test_a_refused_submission_does_not_use_up_its_key(client):
    """It can be sent again after a correction."""
    assert _send(client, '"mended"', b"", "/v1/batches?format=ndjson").status_code == 400
    assert _send(client, '"mended"').status_code == 202


def test_a_fix_accepts_a_key(client, gate):
    """The rules are the same; the fingerprint includes the batch."""
    batch = client.submit(ndjson([factories.product(1, price="cheap"), factories.product(2)]))
    path = f"/v1/batches/{batch['id']}/fix?format=ndjson"
    fixed = ndjson([{**factories.product(1), "_row": 1}])
    first = _send(client, '"fix"', fixed, path)
    gate.shop.work()
    assert first.status_code == 202, first.text
    assert _send(client, '"fix"', fixed, path).content == first.content
    assert client.get(f"/v1/batches/{batch['id']}").json()["outcome"] == "clean"
