"""Every POST of the native protocol, repeated with its idempotency key: after a lost answer, later, and with a change.

The operations come from the OpenAPI document, so that a new POST without a case here fails.
"""

import itertools
from collections.abc import Callable
from typing import Any

import httpx
import msgspec
import pytest

from goodsgate.engine.destination_definitions import DESTINATION
from goodsgate.http.endpoints import load_openapi
from goodsgate.http.trouble import OrderedTrouble
from goodsgate.model.job import JobTime
from tests import factories
from tests.http_gate import Client, HttpGate
from tests.shop import ndjson

OPENAPI = load_openapi("goodsgate.protocols.native")
POSTS = {
    operation.id: path.template for path in OPENAPI.paths for operation in path.operations.values()
    if operation.method == "POST" and operation.id not in (
        "inspect", "preview_fix", "try_rule", "try_guard", "try_source", "test_destination",
    )
}
"""Operation → path; those that change nothing are left out."""
numbers = itertools.count(1)


class Case(msgspec.Struct):
    """A request that succeeds once."""

    path: str
    body: bytes
    other: bytes
    """Another body."""


def _rejected(client: Client, _: HttpGate) -> str:
    return str(client.submit(ndjson([factories.product(1, price="cheap"), factories.product(2)]))["id"])


def _submit(client: Client, gate: HttpGate) -> Case:
    """Return a submission with a saved profile, which is deleted before the request is repeated."""
    assert client.put("/v1/profiles/mine", json={"map": {"note": []}}).status_code == 200
    return Case("/v1/batches?format=ndjson&profile=mine", ndjson(factories.products(1)), ndjson(factories.products(2)))


def _fix(client: Client, gate: HttpGate) -> Case:
    fixed = ndjson([{**factories.product(1), "_row": 1}])
    return Case(f"/v1/batches/{_rejected(client, gate)}/fix?format=ndjson", fixed, fixed + b"{}\n")


def _retry(client: Client, gate: HttpGate) -> Case:
    return Case(f"/v1/batches/{_rejected(client, gate)}/retry", b"", b"{}")


def _cancel(client: Client, gate: HttpGate) -> Case:
    batch = client.post("/v1/batches?format=ndjson", content=ndjson(factories.products(1))).json()["id"]
    return Case(f"/v1/batches/{batch}/cancel", b"", b"{}")


def _confirm(client: Client, gate: HttpGate) -> Case:
    client.submit(ndjson(factories.products(1, 2, 3)))
    full = client.submit(ndjson(factories.products(1)), mode="full")
    return Case(f"/v1/batches/{full['id']}/confirm", b'{"deletions":2}', b'{"deletions":1}')


def _decide(operation: str) -> Callable[[Client, HttpGate], Case]:
    def case(client: Client, _: HttpGate) -> Case:
        held = client.submit(ndjson(factories.products(1)), hold_if="created:1")
        assert held["state"] == "held"
        return Case(f"/v1/batches/{held['id']}/{operation}", b"", b"{}")

    return case


def _revert(client: Client, gate: HttpGate) -> Case:
    return Case(f"/v1/batches/{client.submit(ndjson(factories.products(1)))['id']}/revert", b"", b"{}")


def _add_merchant(client: Client, gate: HttpGate) -> Case:
    name = b"new%d" % next(numbers)
    return Case("/v1/merchants", b'{"id":"%s","settings":{}}' % name, b'{"id":"%s-other"}' % name)


def _add_key(client: Client, gate: HttpGate) -> Case:
    return Case(f"/v1/merchants/{client.merchant}/keys", b'{"scopes":["read"]}', b'{"scopes":["admin"]}')


def _rotate_key(client: Client, gate: HttpGate) -> Case:
    key = client.post(f"/v1/merchants/{client.merchant}/keys", json={"scopes": ["read"]}).json()["id"]
    path = f"/v1/merchants/{client.merchant}/keys/{key}/rotate"
    return Case(path, b'{"overlap_seconds":60}', b'{"overlap_seconds":0}')


def _apply_suggestions(client: Client, gate: HttpGate) -> Case:
    batch = client.submit(ndjson([factories.product(1, price="15,99 EUR"), factories.product(2)]))["id"]
    return Case(f"/v1/batches/{batch}/suggestions/apply?code=price_decimal_mark&field=/price", b"", b"{}")


def _order_trouble(client: Client, gate: HttpGate) -> Case:
    gate.application.context.trouble = OrderedTrouble()
    return Case("/v1/trouble", b'{"kind":"fault"}', b'{"kind":"slow"}')


def _webhook(client: Client) -> str:
    added = client.post("/v1/webhooks", json={"url": "http://127.0.0.1:1/other"})
    return f"/v1/webhooks/{added.json()['id']}"


def _add_webhook(client: Client, gate: HttpGate) -> Case:
    return Case("/v1/webhooks", b'{"url":"https://a.example.com/"}', b'{"url":"https://b.example.com/"}')


def _destination_case(operation: str) -> Callable[[Client, HttpGate], Case]:
    def case(client: Client, gate: HttpGate) -> Case:
        client.put("/v1/destinations/mine", json={"to": "served"}).raise_for_status()
        if operation in ("approve", "discard"):
            _hold(gate, client)
        return Case(f"/v1/destinations/mine/{operation}", b"{}", b"{} ")

    return case


def _hold(gate: HttpGate, client: Client) -> None:
    """Let the run of a destination be held."""
    client.post("/v1/destinations/mine/run").raise_for_status()
    while (job := gate.shop.store.claim_job([DESTINATION], lease_seconds=60)) is not None:
        state = b'{"held_run":1}' if job.merchant == client.merchant else job.state
        gate.shop.store.save_job(job, state=state, end=JobTime(None))


def _webhook_case(operation: str, body: bytes = b"{}") -> Callable[[Client, HttpGate], Case]:
    return lambda client, _: Case(f"{_webhook(client)}/{operation}", body, body + b"\n")


def _source_case(operation: str) -> Callable[[Client, HttpGate], Case]:
    def case(client: Client, _: HttpGate) -> Case:
        saved = client.put("/v1/sources/s", json={"address": "file:///none/a.csv", "cron": "0 3 * * *"})
        assert saved.status_code == 200, saved.text
        return Case(f"/v1/sources/s/{operation}", b"", b"{}")

    return case


CASES: dict[str, Callable[[Client, HttpGate], Case]] = {
    "submit": _submit, "fix": _fix, "retry": _retry, "cancel": _cancel, "confirm": _confirm, "revert": _revert,
    "approve": _decide("approve"), "discard": _decide("discard"),
    "add_merchant": _add_merchant, "order_trouble": _order_trouble, "add_key": _add_key, "rotate_key": _rotate_key,
    "apply_suggestions": _apply_suggestions, "add_webhook": _add_webhook,
    **{f"{name}_webhook": _webhook_case(name) for name in ("pause", "resume", "rotate", "test")},
    **{f"{name}_source": _source_case(name) for name in ("pause", "resume", "run")},
    **{f"{name}_destination": _destination_case(name) for name in ("pause", "resume", "run", "approve", "discard")},
    "replay_webhook": _webhook_case("replay", b'{"given_up":true}'),
}


def test_every_post_takes_an_idempotency_key():
    """The document declares the header, and this file has a case for it."""
    assert POSTS.keys() == CASES.keys()
    for template in POSTS.values():
        parameters = OPENAPI.document["paths"][template]["post"].get("parameters", [])
        assert {"$ref": "#/components/parameters/IdempotencyKey"} in parameters, template


def _post(client: Client, path: str, body: bytes, key: str = "once") -> httpx.Response:
    return client.post(path, content=body, headers={"Idempotency-Key": f'"{key}"'})


def _effects(client: Client, gate: HttpGate) -> Any:
    """Return what a request that is carried out twice would change."""
    batches = client.get("/v1/batches").json()["batches"]
    return (
        [(batch["id"], batch["rounds"], batch["state"]) for batch in batches],
        len(client.get(f"/v1/merchants/{client.merchant}/keys").json()["keys"]),
        len(gate.shop.store.merchants(limit=1000).rows),
        client.get("/v1/trouble").json().get("trouble"),
        client.get("/v1/webhooks").json(), client.get("/v1/sources").json(),
    )


@pytest.mark.parametrize("operation", sorted(POSTS))
def test_a_repeated_request_is_answered_as_before(gate, operation):
    """While its batch is open, after the end, and when what it is checked against has changed since."""
    client = gate.client(None, "admin")
    case = CASES[operation](client, gate)
    first = _post(client, case.path, case.body)
    assert first.status_code in (200, 201, 202), first.text
    if operation == "submit":
        assert client.delete("/v1/profiles/mine").status_code == 204
    for worked in (False, True):
        if worked:
            gate.shop.work()
        before = _effects(client, gate)
        again = _post(client, case.path, case.body)
        assert (again.status_code, again.content) == (first.status_code, first.content), (worked, again.text)
        assert again.headers.get("location") == first.headers.get("location")
        other = _post(client, case.path, case.other)
        assert (other.status_code, other.json()["code"]) == (422, "key_reused"), worked
        assert _effects(client, gate) == before
    assert _post(client, case.path, case.body, key="k" * 256).json()["code"] == "key_malformed"


@pytest.mark.parametrize(("operation", "body", "status"), [
    ("fix", b"", 400), ("retry", None, 409), ("cancel", None, 404), ("confirm", b'{"deletions":9}', 409),
    ("add_merchant", b'{"id":"Not valid"}', 400), ("add_key", b'{"scopes":[]}', 400), ("submit", b"", 400),
])
def test_a_refused_request_does_not_use_up_its_key(gate, operation, body, status):
    """The same key answers the corrected request."""
    client = gate.client(None, "admin")
    case = CASES[operation](client, gate)
    path = case.path
    if operation == "retry":
        path = f"/v1/batches/{client.submit(ndjson(factories.products(1)))['id']}/retry"
    if operation == "cancel":
        path = f"/v1/batches/{'0' * 32}/cancel"
    refused = _post(client, path, case.body if body is None else body)
    assert refused.status_code == status, refused.text
    assert _post(client, case.path, case.body).status_code in (201, 202)


def test_a_repeated_key_has_the_secret_of_the_first_answer(gate):
    """It is derived from the idempotency key and works; another idempotency key gives another secret."""
    client = gate.client(None, "admin")
    path, body = f"/v1/merchants/{client.merchant}/keys", b'{"scopes":["read"]}'
    first = _post(client, path, body).json()
    assert _post(client, path, body).json() == first
    other = _post(client, path, body, key="twice").json()
    assert other["secret"].split("_")[2] != first["secret"].split("_")[2]
    for key in (first, other):
        assert gate.client(client.merchant, secret=key["secret"]).get("/v1/batches").status_code == 200
    assert "master" not in first


def test_the_settings_of_a_new_merchant_are_completed_by_a_repeated_request(gate):
    """A crash may come between the merchant and its settings; what was set since then stays."""
    client = gate.client(None, "admin")
    body = b'{"id":"halfway","settings":{"account":"000000000007"}}'
    first = _post(client, "/v1/merchants", body)
    assert first.status_code == 201, first.text
    settings = "/v1/merchants/halfway/settings"
    assert client.patch(settings, json={"settings": {"account": "000000000008"}}).status_code == 200
    assert _post(client, "/v1/merchants", body).content == first.content
    assert client.get(settings).json() == {"settings": {"account": "000000000008"}}
