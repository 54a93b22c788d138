"""Webhooks of the native protocol: signed, in order, retried, given up, paused and rotated."""

import base64
import contextlib
import json
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import jsonschema_rs
import msgspec
import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from goodsgate import app
from goodsgate.cli.doctor import examine
from goodsgate.engine import outbox as outbox_module
from goodsgate.engine.outbox import DeliveryError
from goodsgate.http.endpoints import load_openapi
from goodsgate.http.webhook_registry import WebhookChange, WebhookRegistry
from goodsgate.http_settings import protocol_settings
from goodsgate.model.journal import parse_cursor
from goodsgate.model.message import DeliveryState
from goodsgate.model.webhook import WEBHOOK
from tests import factories
from tests.http_gate import Client, HttpGate
from tests.protocols.delivery import delivering, wait_for
from tests.protocols.webhook_receiver import Receiver
from tests.shop import ndjson

OPENAPI = load_openapi("goodsgate.protocols.native").document
VALIDATORS = {
    name: jsonschema_rs.Draft202012Validator({
        **each["post"]["requestBody"]["content"]["application/json"]["schema"], "components": OPENAPI["components"]
    })
    for name, each in OPENAPI["webhooks"].items()
}
BATCH_EVENTS = ["batch.finished", "batch.withheld", "batch.broken", "batch.cancelled"]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver on this machine."""
    receiver = Receiver()
    yield receiver
    receiver.close()


def _add(client: Client, receiver: Receiver, **members: Any) -> dict[str, Any]:
    events = {"events": BATCH_EVENTS}
    answer = client.post("/v1/webhooks", json={"url": receiver.url, **events, **members})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def _submit(client: Client, number: int = 1) -> str:
    return str(client.submit(ndjson(factories.products(number)))["id"])


def _events(receiver: Receiver) -> list[dict[str, Any]]:
    """Return the events that arrived; each is as the OpenAPI document says."""
    events = [json.loads(body) for _, body in receiver.arrived]
    for event in events:
        if event["type"] != "webhook.test":
            VALIDATORS["items" if event["type"] == "items.changed" else "batch"].validate(event)
    return events


def _batches(receiver: Receiver) -> list[str]:
    return [event["data"]["batch"] for event in _events(receiver)]


def _until_idle(client: Client, webhook: int = 1) -> dict[str, Any]:
    """Wait until no message of the webhook waits, and return the webhook."""
    def read() -> dict[str, Any]:
        document = dict(client.get(f"/v1/webhooks/{webhook}").json())
        return document if document["waiting"] == 0 else {}

    return wait_for(read)


def test_a_webhook_has_the_trace_context_of_the_submission(gate, client, receiver):
    """Through the store and the worker; one without a context has no header."""
    _add(client, receiver)
    traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    client.headers["traceparent"] = traceparent
    with delivering(gate.shop, delivery_retry_seconds="0,0,0"):
        _submit(client)
        del client.headers["traceparent"]
        _submit(client)
        wait_for(lambda: len(receiver.arrived) == 2)
    assert [headers.get("traceparent") for headers, _ in receiver.arrived] == [traceparent, None]


def test_the_end_of_a_batch_is_delivered_with_a_signature(gate, client, receiver):
    """The secret is shown once; a receiver with another one does not accept the event."""
    webhook = _add(client, receiver, description="import")
    with delivering(gate.shop, delivery_retry_seconds="0,0,0"):
        batch = _submit(client)
        wait_for(lambda: receiver.arrived)
    headers, body = receiver.arrived[0]
    event = Webhook(webhook["secret"]).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(base64.b64encode(b"other" * 5).decode()).verify(body, headers)
    document = client.get(f"/v1/batches/{batch}").json()
    data = event["data"]
    assert (event["type"], event["timestamp"]) == ("batch.finished", document["finished_at"])
    same = ("kind", "collection", "label", "state", "outcome", "counts", "withheld")
    assert {name: data[name] for name in same} == {name: document[name] for name in same}
    assert (data["batch"], data["round"], data["webhook"], data["sequence"]) == (batch, 0, 1, 1)
    assert data["url"].endswith(f"/v1/batches/{batch}")
    assert headers["webhook-id"] == f"msg_{client.merchant}_1"
    listed = client.get("/v1/webhooks").json()["webhooks"]
    assert [{**each, "secret": webhook["secret"]} for each in listed] == [
        {**webhook, "delivered_at": listed[0]["delivered_at"]}
    ]


def test_an_unavailable_receiver_gets_its_messages_later_in_their_order(gate, client, receiver):
    """Each attempt is about the first one; it has the same id."""
    _add(client, receiver)
    receiver.statuses = [503, 429, 200]
    batches = [_submit(client, number) for number in (1, 2, 3)]
    with delivering(gate.shop, delivery_retry_seconds="0,0,0"):
        webhook = _until_idle(client)
    assert _batches(receiver) == [batches[0]] * 3 + batches[1:]
    assert len({headers["webhook-id"] for headers, _ in receiver.arrived}) == 3
    assert (webhook["state"], webhook["reason"]) == ("active", None)
    messages = client.get("/v1/webhooks/1/attempts").json()["messages"]
    assert [message["number"] for message in messages] == [3, 2, 1]
    assert [attempt["error"] for attempt in messages[2]["attempts"]] == ["answered 503", "answered 429", None]


def test_a_message_that_is_refused_does_not_hold_up_others(gate, client, receiver):
    """It arrives later, and says so by its sequence; redirects are refusals, and are not followed."""
    _add(client, receiver)
    receiver.statuses = [500, 302, 200]
    batches = [_submit(client, number) for number in (1, 2, 3)]
    with delivering(gate.shop, delivery_retry_seconds="1,1,1"):
        _until_idle(client)
    assert sorted(_batches(receiver)[2:]) == sorted(batches)
    assert _batches(receiver)[:3] == batches
    assert sorted(event["data"]["sequence"] for event in _events(receiver)[2:]) == [1, 2, 3]


def test_given_up_messages_are_told_and_replayed(gate, client, receiver):
    """All at once if the receiver was away for too long, each by itself otherwise; the next success ends it."""
    _add(client, receiver)
    receiver.statuses = [503] * 4
    batches = [_submit(client, number) for number in (1, 2)]
    with delivering(gate.shop, delivery_retry_seconds="0,0,0"):
        webhook = _until_idle(client)
        assert (webhook["state"], webhook["reason"]) == ("failing", "answered 503")
        given_up = client.get("/v1/webhooks/1/attempts", params={"state": "given_up"}).json()["messages"]
        assert [(each["subject"], len(each["attempts"])) for each in given_up] == [(batches[1], 0), (batches[0], 4)]
        checks, _ = examine(gate.shop.store, gate.shop.config)
        (check,) = [each for each in checks if each.name == "webhooks"]
        assert f"{client.merchant} 1 ({receiver.url}): answered 503" in check.detail
        assert client.post("/v1/webhooks/1/replay", json={"given_up": True}).json() == {"replayed": 2}
        assert _until_idle(client)["state"] == "active"
        assert sorted(_batches(receiver)[4:]) == sorted(batches)
        assert client.post("/v1/webhooks/1/replay", json={"messages": [2]}).json() == {"replayed": 1}
        wait_for(lambda: len(receiver.arrived) == 7)
    assert client.post("/v1/webhooks/1/replay", json={"messages": [9]}).json()["code"] == "body_invalid"


def test_an_unavailable_receiver_is_tried_at_least_every_hour(gate, client, receiver):
    """And a message is given up only once it is older than all pauses together."""
    _add(client, receiver)
    _submit(client)
    sent: list[tuple[float, bool]] = []

    class Store:
        """Records what becomes of the message."""

        def postpone_message(self, message, *, seconds, leave_queue, **_):
            sent.append((seconds, leave_queue))

    (message,) = gate.shop.store.claim_messages(lease_seconds=60, limit=1)
    settings = msgspec.structs.replace(app.delivery_settings(gate.shop.config), retry_seconds=(5.0, 86_400.0))
    outbox = outbox_module.Outbox(Store(), {}, settings)
    for attempts, unavailable in ((1, True), (2, True), (9, True), (2, False)):
        tried = msgspec.structs.replace(message, attempts=attempts)
        outbox._store_failure(tried, DeliveryError("no route", unavailable=unavailable), lambda _: None)
    assert [leave_queue for _, leave_queue in sent] == [False, False, False, True]
    bounds = [(5, 5.5), (3_600, 3_960), (3_600, 3_960), (86_400, 95_040)]
    assert all(low <= seconds <= high for (seconds, _), (low, high) in zip(sent, bounds, strict=True))


def test_a_paused_webhook_gets_its_messages_when_it_is_resumed(gate, client, receiver):
    """In their order. A receiver that answers 410 is paused, and loses nothing."""
    _add(client, receiver)
    receiver.statuses = [410]
    with delivering(gate.shop, delivery_retry_seconds="0,0,0"):
        batches = [_submit(client)]
        paused = wait_for(lambda: (state := client.get("/v1/webhooks/1").json())["state"] == "paused" and state)
        assert "410" in paused["reason"]
        batches += [_submit(client, number) for number in (2, 3)]
        assert client.post("/v1/webhooks/1/resume").json()["state"] == "active"
        _until_idle(client)
        assert _batches(receiver) == [batches[0], *batches]
        assert client.post("/v1/webhooks/1/pause").json()["reason"] is None
        batches.append(_submit(client, 4))
        wait_for(lambda: client.get("/v1/webhooks/1/attempts").json()["messages"][0]["next_attempt_at"] is None)
        client.post("/v1/webhooks/1/resume")
        _until_idle(client)
    assert _batches(receiver)[1:] == batches


def test_a_rotated_secret_signs_beside_the_new_one(gate, client, receiver):
    """Until its time is over, or at once not any more."""
    secrets = [_add(client, receiver)["secret"]]
    for hours in (24, 0):
        answer = client.post("/v1/webhooks/1/rotate", json={"overlap_hours": hours}).json()
        secrets.append(answer["secret"])
        assert (answer["old_secret_until"] is not None) == (hours > 0)
        assert client.post("/v1/webhooks/1/test").json()["delivered"]
    (headers, body), (later_headers, later_body) = receiver.arrived
    for secret in secrets[:2]:
        assert Webhook(secret).verify(body, headers)["type"] == "webhook.test"
    assert Webhook(secrets[2]).verify(later_body, later_headers)
    assert len(set(secrets)) == 3
    for secret in secrets[:2]:
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(later_body, later_headers)


def test_a_test_event_tells_whether_it_arrived(gate, client, receiver):
    """If it did, messages that failed before are sent at once."""
    _add(client, receiver)
    receiver.statuses = [503, 500]
    batch = _submit(client)
    with delivering(gate.shop, delivery_retry_seconds="3600,3600"):
        wait_for(lambda: client.get("/v1/webhooks/1").json()["state"] == "retrying")
        answer = client.post("/v1/webhooks/1/test").json()
        assert (answer["delivered"], answer["error"]) == (False, "answered 500")
        assert client.post("/v1/webhooks/1/test").json()["delivered"]
        assert _until_idle(client)["state"] == "active"
    assert _events(receiver)[-1]["data"]["batch"] == batch


@pytest.mark.parametrize("private", ["allow", "refuse"])
def test_private_addresses_are_refused_when_a_webhook_is_added_and_at_each_delivery(
    gate: HttpGate, client: Client, receiver: Receiver, private: str
) -> None:
    """A name may have another address later; the message waits until it is given up."""
    _add(client, receiver)
    _submit(client)
    with delivering(gate.shop, delivery_retry_seconds="0", webhook_private=private):
        webhook = _until_idle(client)
    assert (webhook["state"], len(receiver.arrived)) == (("active", 1) if private == "allow" else ("failing", 0))
    assert private == "allow" or "private address 127.0.0.1" in webhook["reason"]
    settings = protocol_settings(msgspec.structs.replace(gate.shop.config, webhook_private=private)).webhooks
    services = app.create_services(gate.shop.store, gate.shop.config)
    strict = WebhookRegistry(services.store, services.secrets, settings)
    change = WebhookChange(url="http://127.0.0.1:9/")
    with contextlib.nullcontext() if private == "allow" else pytest.raises(Exception, match="private address"):
        strict.add(client.merchant, change)


@pytest.mark.parametrize(("body", "code"), [
    ({"url": "https://elsewhere.example/"}, "webhook_refused"), ({"url": "ftp://a.example.com/"}, "webhook_refused"),
    ({"url": "https://user:pass@a.example.com/"}, "webhook_refused"), ({"url": "a.example.com"}, "webhook_refused"),
    ({"url": f"https://a.example.com/{'x' * 2000}"}, "body_invalid"), ({}, "body_invalid"),
    ({"url": "https://a.example.com/", "events": []}, "body_invalid"),
    ({"url": "https://a.example.com/", "events": ["batch.started"]}, "body_invalid"),
    ({"url": "https://a.example.com/", "kinds": ["stock", "stock"]}, "body_invalid"),
    ({"url": "https://a.example.com/", "collections": ["a/b"]}, "body_invalid"),
    ({"url": "https://a.example.com/", "secret": "mine"}, "body_invalid"),
    ({"url": "https://taken.example.com/"}, "webhook_taken"),
])
def test_a_webhook_that_cannot_be_added_is_refused(client: Client, body: dict[str, Any], code: str) -> None:
    """With what is wrong."""
    client.post("/v1/webhooks", json={"url": "https://taken.example.com/"})
    assert client.post("/v1/webhooks", json=body).json()["code"] == code


def test_a_merchant_has_few_webhooks_and_those_of_others_are_unknown(gate, client):
    """A deleted one makes room; its messages are not sent."""
    for number in range(10):
        assert client.post("/v1/webhooks", json={"url": f"https://{number}.example.com/"}).status_code == 201
    full = client.post("/v1/webhooks", json={"url": "https://more.example.com/"})
    assert (full.status_code, full.json()["code"], full.json()["limit"]) == (409, "webhooks_full", 10)
    _submit(client)
    assert client.delete("/v1/webhooks/3").status_code == 204
    assert client.post("/v1/webhooks", json={"url": "https://more.example.com/"}).json()["id"] == 11
    with delivering(gate.shop, delivery_retry_seconds="3600"):
        (lost,) = wait_for(lambda: gate.shop.store.messages(client.merchant, delivery_state=DeliveryState.GIVEN_UP))
    assert (lost.topic, lost.subject, lost.last_error) == (WEBHOOK, "3", "the webhook was deleted")
    stranger = gate.client()
    answers = [client.get("/v1/webhooks/3"), stranger.get("/v1/webhooks/1"), stranger.delete("/v1/webhooks/1")]
    answers += [stranger.post(f"/v1/webhooks/1/{word}") for word in ("pause", "resume", "test", "rotate")]
    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(404, "webhook_unknown")}
    assert stranger.get("/v1/webhooks").json() == {"webhooks": []}


def test_a_webhook_is_changed(gate, client, receiver):
    """Only what is given; the next events follow the new filters."""
    webhook = _add(client, receiver, events=["batch.broken"])
    changed = client.patch("/v1/webhooks/1", json={"events": ["batch.finished"], "kinds": ["stock"]})
    expected = {**webhook, "events": ["batch.finished"], "kinds": ["stock"]}
    del expected["secret"]
    assert changed.json() == expected == client.get("/v1/webhooks/1").json()
    with delivering(gate.shop, delivery_retry_seconds="0,0,0"):
        _submit(client)
        client.submit(b'{"sku": "A", "quantity": 1}\n', kind="stock")
        wait_for(lambda: receiver.arrived)
    assert [event["data"]["kind"] for event in _events(receiver)] == ["stock"]


@pytest.mark.parametrize(("scope", "path", "status"), [
    ("read", "/v1/webhooks", 403), ("read", "/v1/webhooks/1/test", 403), ("submit", "/v1/webhooks/1/pause", 404),
])
def test_changes_need_the_scope_submit(gate: HttpGate, scope: str, path: str, status: int) -> None:
    """As for profiles and batches; reading needs the scope read."""
    client = gate.client(None, scope)
    assert client.post(path, json={"url": "https://a.example.com/"}).status_code == status
    assert client.get("/v1/webhooks").status_code == (200 if scope == "read" else 403)


def test_a_delivery_is_cut_off_after_its_time(gate, client, receiver, monkeypatch):
    """Then the receiver counts as unavailable."""
    _add(client, receiver)
    _submit(client)

    def hang(*_: object, **__: object) -> None:
        raise TimeoutError

    monkeypatch.setattr("goodsgate.http.webhooks._post", hang)
    with delivering(gate.shop, delivery_retry_seconds="0"):
        assert _until_idle(client)["reason"].startswith("no answer within")
    message = client.get("/v1/webhooks/1/attempts").json()["messages"][0]
    assert (message["in_order"], len(message["attempts"])) == (True, 2)


def _changes(receiver: Receiver) -> list[dict[str, Any]]:
    return [event["data"] for event in _events(receiver) if event["type"] == "items.changed"]


def test_changed_items_are_told_once(gate, client, receiver):
    """However many batches there were: one message waits, and counts what has changed until it is sent."""
    client.submit(ndjson(factories.products(1)))
    _add(client, receiver, events=["items.changed"])
    receiver.statuses = [503, 503]
    store = gate.shop.store
    with delivering(gate.shop, delivery_retry_seconds="0,0,0,0,0"):
        client.submit(ndjson(factories.products(2, 3)))
        wait_for(lambda: store.messages(client.merchant, topic=WEBHOOK))
        client.submit(b'{"sku": "A", "quantity": 1}\n', kind="stock")
        wait_for(lambda: sum(each["changes"] for each in _changes(receiver)[2:]) == 3)
        client.submit(ndjson(factories.products(3)))  # nothing new
        client.submit(ndjson([factories.product(3, title="Other")]))
        wait_for(lambda: sum(each["changes"] for each in _changes(receiver)[2:]) == 4)
        _until_idle(client)
    told = _changes(receiver)[2:]
    assert [each["after"] for each in told[1:]] == [each["cursor"] for each in told[:-1]]
    assert parse_cursor(told[0]["after"]).number == 1
    assert parse_cursor(told[-1]["cursor"]) == store.journal_position(client.merchant)
    for each in told:
        feed = client.get(each["url"][each["url"].index("/v1/"):]).json()["changes"]
        assert len(feed) == sum(later["changes"] for later in told[told.index(each):])
    counts = Counter()
    for each in told:
        counts.update({(row["kind"], row["collection"]): row["changes"] for row in each["counts"]})
    assert counts == {("product", "products"): 3, ("stock", "products"): 1}
    assert len(store.messages(client.merchant, topic=WEBHOOK)) == len(told)


def test_changes_that_nobody_asks_for_are_not_told(gate, client, receiver):
    """Those of another kind; and what has changed before a webhook asks for changes."""
    _add(client, receiver, events=["items.changed"], kinds=["stock"])
    client.post("/v1/webhooks", json={"url": receiver.url + "&two", "events": ["batch.broken"]}).raise_for_status()
    with delivering(gate.shop, delivery_retry_seconds="0,0,0"):
        client.submit(ndjson(factories.products(1)))
        client.patch("/v1/webhooks/2", json={"events": ["items.changed"]}).raise_for_status()
        client.submit(b'{"sku": "A", "quantity": 1}\n', kind="stock")
        wait_for(lambda: len(_changes(receiver)) == 2)
    counts = [{"kind": "stock", "collection": "products", "changes": 1}]
    assert {each["webhook"]: each["counts"] for each in _changes(receiver)} == {1: counts, 2: counts}


def test_refused_changes_are_told_again_with_the_next_ones(gate, client, receiver, monkeypatch):
    """Without waiting for the pause, since the receiver is there."""
    monkeypatch.setattr("goodsgate.engine.item_changes.REFUSED_PAUSE", timedelta(0))
    _add(client, receiver, events=["items.changed"])
    receiver.statuses = [500]
    with delivering(gate.shop, delivery_retry_seconds="3600"):
        client.submit(ndjson(factories.products(1)))
        wait_for(lambda: client.get("/v1/webhooks/1").json()["state"] == "retrying")
        client.submit(ndjson(factories.products(2)))
        _until_idle(client)
    assert [each["changes"] for each in _changes(receiver)][-1] == 2


def test_attempts_are_listed_page_by_page(gate, client, receiver):
    """The newest first; the link leads to the next page."""
    _add(client, receiver)
    with delivering(gate.shop, delivery_retry_seconds="0,0,0"):
        for number in range(3):
            _submit(client, number)
        _until_idle(client)
    pages = [client.get("/v1/webhooks/1/attempts", params={"limit": 2, "state": "sent"})]
    while (following := pages[-1].json()["next"]) is not None:
        pages.append(client.get(following))
    assert [[each["number"] for each in page.json()["messages"]] for page in pages] == [[3, 2], [1]]
    assert isinstance(pages[0], httpx.Response)
