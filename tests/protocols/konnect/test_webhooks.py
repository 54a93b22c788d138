"""Webhooks: signed, sent only to allowed addresses, and retried until they arrive."""

import base64
import contextlib
import hashlib
import hmac
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from goodsgate import app
from goodsgate.cli import main
from goodsgate.engine.outbox import DeliveryError
from goodsgate.http import webhooks as http_webhooks
from goodsgate.http.services import WebhookSettings
from goodsgate.http.webhooks import AddressRefusedError, parse_webhook_url, resolve_host
from goodsgate.http_settings import protocol_settings
from goodsgate.model.message import DeliveryState, Message
from goodsgate.protocols.konnect.orders import webhooks
from goodsgate.protocols.konnect.orders.events import WEBHOOK, WebhookMessage
from goodsgate.protocols.konnect.orders.webhooks import OrderWebhookSender
from goodsgate.remote.public_addresses import is_public
from tests.factories import NOW
from tests.protocols.delivery import delivering
from tests.protocols.konnect.client import Konnect
from tests.protocols.konnect.order_clients import ADMIN, Operator, Seller, wait_for
from tests.protocols.webhook_receiver import Receiver

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
LOCAL = {"webhook_hosts": "127.0.0.1,localhost", "webhook_private": "allow", "delivery_retry_seconds": "0,0"}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver on this machine."""
    receiver = Receiver()
    yield receiver
    receiver.close()


def _delivering(operator: Operator, **settings: Any) -> AbstractContextManager[None]:
    return delivering(operator.gate.shop, **LOCAL, **settings)


def _subscribe(operator: Operator, receiver: Receiver) -> dict[str, Any]:
    """Add the receiver's address directly, because the served gate allows no hosts."""
    store = operator.gate.shop.store
    resource = store.add_resource(operator.merchant, "konnect/webhook", name=receiver.url, body=b"{}", resources_max=9)
    (result,) = operator.get(f"{ADMIN}/webhooks").json()["webhooks"]
    assert (result["webhook"], result["url"]) == (resource.number, receiver.url)
    return dict(result)


def test_events_are_delivered_with_a_valid_signature(operator: Operator, orders: Seller, receiver: Receiver) -> None:
    """Each state has an event, including those that occur by themselves."""
    webhook = _subscribe(operator, receiver)
    with _delivering(operator):
        id = operator.place(courierSeconds=0.3)
        orders.client.headers["traceparent"] = TRACEPARENT
        orders.succeed("confirm", id)
        del orders.client.headers["traceparent"]
        orders.invoice(id)
        expected = ["shipment.placed", "shipment.bag_confirmed", "shipment.bag_invoiced", "shipment.dp_assigned"]
        wait_for(lambda: len(receiver.types(id)) == 4)
    assert receiver.types(id) == expected
    headers, body = receiver.arrived[1]
    key = base64.b64decode(webhook["secret"].removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    mine = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert f"v1,{mine}" in headers["webhook-signature"].split(" ")
    event = json.loads(body)
    assert (event["data"]["orderStatus"], event["data"]["bagStatus"]) == ("CONFIRMED", "bag_confirmed")
    assert set(orders.get_order(id)) == set(event["data"])
    assert len({headers["webhook-id"] for headers, _ in receiver.arrived}) == 4
    # The trace context is that of the request that changed the state.
    assert [headers.get("traceparent") for headers, _ in receiver.arrived] == [None, TRACEPARENT, None, None]


def test_messages_can_be_ordered_and_a_partial_cancellation_is_no_second_placement(
    operator: Operator, orders: Seller, receiver: Receiver
) -> None:
    """The sequence is the place in the history of the shipment; timestamps have microseconds."""
    _subscribe(operator, receiver)
    id = operator.place(2)
    line = orders.get_order(id)["orderItems"][0]["orderItemId"]
    orders.succeed("cancel", {"orderId": id, "orderItems": [{"orderItemId": line, "quantity": 1, "reasonCode": "6"}]})
    orders.succeed("confirm", id)
    bodies = [msgspec.json.decode(message.body) for message in operator.gate.shop.store.messages(operator.merchant)]
    events = [json.loads(body["payload"]) for body in bodies if "payload" in body]
    assert [(event["type"], event["sequence"]) for event in events] == [
        ("shipment.placed", 1), ("shipment.bag_confirmed", 3)
    ]
    assert all(datetime.strptime(event["timestamp"], "%Y-%m-%dT%H:%M:%S.%f%z") for event in events)


def test_webhooks_stay_verifiable_while_the_master_secret_changes(operator: Operator) -> None:
    """Both secrets sign until the old one is removed; the API shows the one of the new secret."""
    shop = operator.gate.shop
    names = [base64.b64encode(letter * 32).decode() for letter in (b"n", b"o")]
    config = msgspec.structs.replace(shop.config, secrets=f"new:{names[0]},old:{names[1]}", webhook_hosts="erp.example")
    old = app.create_secrets(shop.store, msgspec.structs.replace(config, secrets=f"old:{names[1]}"))
    both, url = app.create_secrets(shop.store, config), "https://erp.example"
    settings = protocol_settings(config).webhooks
    registered = [
        webhooks.OrderWebhookRegistry(shop.store, secrets, settings.hosts).add(operator.merchant, url)
        for secrets in (old, both)
    ]
    assert registered[0]["webhook"] == registered[1]["webhook"]
    operator.place()
    (message,) = shop.store.messages(operator.merchant)
    headers = webhooks.OrderWebhookSender(shop.store, both, settings, timeout_seconds=1).sign(message, 1, "{}")
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{{}}".encode()
    keys = [base64.b64decode(str(one["secret"]).removeprefix("whsec_")) for one in reversed(registered)]
    mine = [base64.b64encode(hmac.digest(key, signed, "sha256")).decode() for key in keys]
    assert headers["webhook-signature"].split(" ")[:2] == [f"v1,{signature}" for signature in mine]


def test_a_failed_delivery_is_retried(operator: Operator, orders: Seller, receiver: Receiver) -> None:
    """It has the same id; redirects are not followed, 410 is final, and a command sends abandoned messages again."""
    _subscribe(operator, receiver)
    receiver.statuses = [500, 302, 200]
    store = operator.gate.shop.store
    with _delivering(operator):
        operator.place()
        wait_for(lambda: store.messages(operator.merchant, delivery_state=DeliveryState.SENT))
        assert len({headers["webhook-id"] for headers, _ in receiver.arrived}) == 1
        assert len(receiver.arrived) == 3
        receiver.statuses = [410]
        operator.place()
        (lost,) = wait_for(lambda: store.messages(operator.merchant, delivery_state=DeliveryState.GIVEN_UP))
        assert lost.last_error == "answered 410"
        again = CliRunner().invoke(main, [
            "outbox", "replay", operator.merchant, "--given-up", "--store", operator.gate.shop.config.store
        ])
        assert again.exit_code == 0, again.output
        wait_for(lambda: len(store.messages(operator.merchant, delivery_state=DeliveryState.SENT)) == 2)


def test_a_removed_webhook_gets_no_messages(operator: Operator, receiver: Receiver, seller: Konnect) -> None:
    """Waiting messages are given up."""
    webhook = _subscribe(operator, receiver)
    operator.place()
    assert operator.delete(f"{ADMIN}/webhooks/{webhook['webhook']}").status_code == 200
    assert operator.delete(f"{ADMIN}/webhooks/{webhook['webhook']}").status_code == 404
    with _delivering(operator):
        store = operator.gate.shop.store
        (lost,) = wait_for(lambda: store.messages(operator.merchant, delivery_state=DeliveryState.GIVEN_UP))
    assert (lost.last_error, receiver.arrived) == ("the webhook was removed", [])


def test_private_addresses_are_refused_by_default(operator: Operator, receiver: Receiver) -> None:
    """The host is resolved when the event is sent."""
    _subscribe(operator, receiver)
    operator.place()
    shop = operator.gate.shop
    settings = {**LOCAL, "webhook_private": "refuse"}
    outbox = app.create_outbox(shop.store, msgspec.structs.replace(shop.config, **settings))
    outbox.start()
    try:
        (lost,) = wait_for(lambda: shop.store.messages(operator.merchant, delivery_state=DeliveryState.GIVEN_UP))
    finally:
        outbox.stop()
    assert "has the private address 127.0.0.1" in lost.last_error
    assert receiver.arrived == []


def test_webhook_hosts_must_be_allowed(operator: Operator) -> None:
    """No host is allowed by default, and the refusal names the setting."""
    response = operator.post(f"{ADMIN}/webhooks", json={"url": "https://erp.example/orders"})
    assert (response.status_code, response.json()["code"]) == (400, "body_invalid")
    assert "webhook_hosts" in response.json()["detail"]
    done = CliRunner().invoke(main, [
        "orders", "webhook", "add", "https://erp.example", "--url", operator.gate.url, "--key", operator.password
    ])
    assert (done.exit_code, "webhook_hosts" in done.output) == (3, True)


def _certificate(folder: Path) -> Path:
    """Create a self-signed certificate of erp.example, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "erp.example")])
    today = datetime.now(UTC)
    certificate = x509.CertificateBuilder(
        issuer_name=name, subject_name=name, public_key=key.public_key(), serial_number=1,
        not_valid_before=today - timedelta(days=1), not_valid_after=today + timedelta(days=1),
    ).sign(key, hashes.SHA256())
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file = folder / "erp.pem"
    file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(*form))
    return file


def test_the_certificate_must_match_the_host(
    operator: Operator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The connection goes to the checked address, but names the host."""
    requested: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_certificate(tmp_path))
    context.sni_callback = lambda _socket, name, _context: requested.append(name)
    listening = socket.create_server(("127.0.0.1", 0))

    def shake() -> None:
        connection, _ = listening.accept()
        with contextlib.suppress(ssl.SSLError, OSError):
            context.wrap_socket(connection, server_side=True).close()
        connection.close()

    thread = threading.Thread(target=shake)
    thread.start()
    port = listening.getsockname()[1]
    monkeypatch.setattr(http_webhooks, "resolve_host", lambda address, **_: "127.0.0.1")
    shop = operator.gate.shop
    resource = shop.store.add_resource(
        operator.merchant, "konnect/webhook", name=f"https://erp.example:{port}/", body=b"{}", resources_max=9
    )
    operator.place()
    (message,) = shop.store.messages(operator.merchant)
    settings = WebhookSettings(hosts=frozenset({"erp.example"}), allow_private=False)
    sender = webhooks.OrderWebhookSender(shop.store, shop.engine.secrets, settings, timeout_seconds=10)
    with pytest.raises(DeliveryError, match="CERTIFICATE_VERIFY_FAILED"):
        sender.send(message)
    thread.join()
    listening.close()
    assert (resource.number, requested) == (1, ["erp.example"])


HOSTS = frozenset({"erp.example", "*.partner.example", "10.0.0.5"})


@pytest.mark.parametrize("url", [
    "https://erp.example/a?b=c", "http://ERP.example:8080", "https://a.b.partner.example/", "https://10.0.0.5/x",
])
def test_allowed_hosts_are_accepted(url: str, gate: object) -> None:
    """The comparison ignores case and covers subdomains of wildcards."""
    assert parse_webhook_url(url, HOSTS).hostname


@pytest.mark.parametrize("url", [
    "https://partner.example/", "https://erp.example.evil.test/", "https://erp.example@evil.test/",
    "ftp://erp.example/",
    "https://user:pass@erp.example/", "https:///x", "erp.example", "https://erp.example:99999/", "https://[::1/",
    "https://erp.example/a b", "https://evil.test#erp.example", "https://erp.example\n.evil.test/", "",
])
def test_other_urls_are_refused(url: str, gate: object) -> None:
    """They include tricks with user names and suffixes."""
    with pytest.raises(AddressRefusedError):
        parse_webhook_url(url, HOSTS)


@pytest.mark.parametrize(("place", "public"), [
    ("93.184.216.34", True), ("2606:2800:220:1:248:1893:25c8:1946", True), ("127.0.0.1", False), ("10.1.2.3", False),
    ("192.168.0.1", False), ("172.16.5.4", False), ("169.254.169.254", False), ("100.64.0.1", False),
    ("0.0.0.0", False), ("224.0.0.1", False), ("::1", False), ("fe80::1", False), ("fd00::1", False),
    ("::ffff:127.0.0.1", False), ("::ffff:93.184.216.34", True), ("::127.0.0.1", False), ("::93.184.216.34", False),
    ("::", False), ("64:ff9b:1::a00:1", False), ("64:ff9b:1::5db8:d822", False), ("fec0::1", False), ("ff02::1", False),
    ("192.0.0.192", False), ("192.0.0.9", False), ("192.0.2.1", False), ("198.18.0.1", False), ("198.51.100.1", False),
    ("192.88.99.1", False), ("192.31.196.1", False), ("192.175.48.1", False), ("203.0.113.1", False),
    ("240.0.0.1", False), ("239.255.255.250", False), ("2002:5db8:d822::1", True), ("2002:a00:1::", False),
    ("2001:0:5db8:d822::a247:27dd", True), ("2001:0:5db8:d822::f5ff:fffe", False), ("2001:0:a00:1::a247:27dd", False),
    ("2001:db8::1", False), ("3fff::1", False), ("100::1", False), ("5f00::1", False), ("4000::1", False),
    ("::ffff:0:7f00:1", False), ("2620:4f:8000::1", False), ("2001:2::1", False),
    ("2002:7f00:1::", False), ("64:ff9b::a00:1", False), ("64:ff9b::5db8:d822", True), ("255.255.255.255", False),
])
def test_only_public_ip_addresses_are_public(place: str, public: bool, gate: object) -> None:
    """An address that embeds a private one is private."""
    assert is_public(place) is public


def test_every_address_of_a_host_is_checked(monkeypatch: pytest.MonkeyPatch, gate: object) -> None:
    """One private address is enough to refuse the host."""
    def places(*_: object, **__: object) -> list[tuple[Any, ...]]:
        return [(0, 0, 0, "", (place, 443)) for place in ("93.184.216.34", "10.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", places)
    address = parse_webhook_url("https://erp.example", HOSTS)
    with pytest.raises(DeliveryError, match=r"10\.0\.0\.1"):
        resolve_host(address, private=False, timeout_seconds=60)
    assert resolve_host(address, private=True, timeout_seconds=60) == "93.184.216.34"


def test_a_name_that_is_not_found_in_time_fails_the_delivery(monkeypatch: pytest.MonkeyPatch, gate: object) -> None:
    """The resolver of the system may take longer than a delivery may."""
    closing = threading.Event()

    def hang(*_: object, **__: object) -> list[tuple[Any, ...]]:
        closing.wait(60)
        raise OSError

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    with pytest.raises(DeliveryError, match=r"not found within 0\.01 s") as refused:
        resolve_host(parse_webhook_url("https://erp.example", HOSTS), private=False, timeout_seconds=0.01)
    closing.set()
    assert refused.value.unavailable


def test_a_delivery_is_bounded_as_a_whole(operator: Operator) -> None:
    """A receiver that sends a byte now and then keeps no thread: each read is quick, and the delivery never ends."""
    closing = threading.Event()
    listening = socket.create_server(("127.0.0.1", 0))

    def drip() -> None:
        connection, _ = listening.accept()
        with connection, contextlib.suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while not closing.wait(0.02):
                connection.sendall(b"x")

    thread = threading.Thread(target=drip)
    thread.start()
    shop = operator.gate.shop
    shop.engine.secrets.derived(WEBHOOK, "")  # the first use creates the master secret
    anywhere = WebhookSettings(hosts=frozenset({"*"}), allow_private=True)
    sender = OrderWebhookSender(shop.store, shop.engine.secrets, anywhere, timeout_seconds=0.3)
    webhook = shop.store.add_resource(
        operator.merchant, WEBHOOK, name=f"http://127.0.0.1:{listening.getsockname()[1]}/", body=b"{}", resources_max=99
    )
    message = Message(
        merchant=operator.merchant, number=1, topic=WEBHOOK, subject="1", attempts=1, created_at=NOW, due_at=None,
        body=msgspec.json.encode(WebhookMessage(webhook=webhook.number, payload="{}")),
    )
    try:
        with pytest.raises(DeliveryError, match="no answer within"):
            sender.send(message)
    finally:
        closing.set()
        thread.join()
        listening.close()
