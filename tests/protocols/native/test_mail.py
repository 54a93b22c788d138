"""Mail of webhooks: what people are told of batches, once each, and what a mail server may answer."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from goodsgate.engine.webhooks import registered_webhook
from goodsgate.http.mail import sender as sender_module
from goodsgate.http.mail.texts import MailTexts
from goodsgate.http_settings import mail_settings
from goodsgate.model.message import QueueStatus
from goodsgate.model.webhook import WEBHOOK, DestinationEvent, SourceEvent, WebhookEvent
from tests import factories
from tests.certificates import self_signed
from tests.http_gate import Client, HttpGate
from tests.mailbox import PASSWORD, USER, Mailbox
from tests.protocols.delivery import delivering, wait_for
from tests.shop import Shop, ndjson

ADDRESS = "feeds@supplier.example"


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    """A mail server on this machine."""
    mailbox = Mailbox()
    yield mailbox
    mailbox.close()


@pytest.fixture
def served(tmp_path: Path, kind: str, mailbox: Mailbox) -> Iterator[HttpGate]:
    """A gate that sends mail to that server."""
    with Shop(
        tmp_path, "acme", kind=kind, mail_host="127.0.0.1", mail_port=mailbox.port, mail_security="none",
        mail_user=USER, mail_password=PASSWORD, mail_from="Acme feeds <feeds@gate.example>",
        mail_domains="*.example,supplier.example", public_url="https://gate.example", delivery_retry_seconds="0,0,0",
    ) as shop:
        gate = HttpGate(shop)
        yield gate
        gate.close()


def _add(client: Client, **members: Any) -> dict[str, Any]:
    answer = client.post("/v1/webhooks", json={"url": f"mailto:{ADDRESS}", **members})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def _until_idle(client: Client) -> dict[str, Any]:
    def read() -> dict[str, Any]:
        document = dict(client.get("/v1/webhooks/1").json())
        return document if document["waiting"] == 0 else {}

    return wait_for(read)


def _submit(gate: HttpGate, client: Client, *records: object, **query: Any) -> str:
    batch = str(client.submit(ndjson(records), **query)["id"])
    gate.shop.work()
    return batch


def test_a_supplier_is_told_what_was_rejected_and_where_to_mend_it(served: HttpGate, mailbox: Mailbox) -> None:
    """In plain words, once for each batch; a clean one, its fix and changed items send nothing."""
    client = served.client("acme")
    added = _add(client)
    assert (added["when"], added["events"]) == ("problems", [
        "batch.finished", "batch.held", "batch.broken", "source.failed", "source.overdue",
        "destination.failed", "destination.held",
    ])
    _submit(served, client, factories.product(1))
    nasty = 'Cup Bcc: all@victim.example\u202e "<b>'
    batch = _submit(served, client, factories.product(2), factories.product(3, price="cheap"), label=nasty)
    with delivering(served.shop):
        _until_idle(client)
        served.shop.fix(batch, ndjson([{"_row": 2, **factories.product(3, price="dear")}]), format="ndjson")
        served.shop.work()
        _until_idle(client)
    (mail,), (receivers,) = mailbox.mails, mailbox.receivers
    assert receivers == [ADDRESS]
    assert (mail["to"], mail["from"]) == (ADDRESS, "Acme feeds <feeds@gate.example>")
    assert mail["subject"].endswith(": 1 record rejected")
    assert "bcc" not in mail
    assert mail["auto-submitted"] == "auto-generated"
    assert mail["message-id"] == "<msg_acme_1@gate.example>"
    text = mail.get_content()
    assert "\u202e" not in text
    assert "Of 2 records, 1 is accepted and 1 is rejected." in text
    assert "For example: cheap" in text
    assert "What to do: " in text
    assert f"https://gate.example/console/merchants/acme/batches/{batch}" in text


def test_who_wants_to_know_gets_a_mail_about_each_batch(served: HttpGate, mailbox: Mailbox) -> None:
    """Also about a clean one; a held batch waits for a decision, and says why."""
    client = served.client("acme")
    _add(client, when="always")
    _submit(served, client, factories.product(1))
    held = _submit(served, client, factories.product(2), hold_if="created:1")
    with delivering(served.shop):
        _until_idle(client)
        served.shop.engine.approve("acme", held)
        served.shop.work()
        _until_idle(client)
    assert [mail["subject"].partition(": ")[2] for mail in mailbox.mails] == [
        "everything is accepted", "waits for your decision", "everything is accepted",
    ]
    assert "- 1 item is new; the submission holds a batch from 1 on." in mailbox.mails[1].get_content()


def test_a_mail_that_is_sent_again_is_the_same_mail(served: HttpGate, mailbox: Mailbox) -> None:
    """A server that has no time now is asked again; a mailbox knows the mail by its Message-ID."""
    client = served.client("acme")
    _add(client)
    mailbox.replies.append("451 later")  # it has the mail, as after a connection that was lost
    _submit(served, client, factories.product(1, price="cheap"))
    with delivering(served.shop):
        wait_for(lambda: len(mailbox.mails) == 2)
        _until_idle(client)
    assert {mail["message-id"] for mail in mailbox.mails} == {"<msg_acme_1@gate.example>"}
    (message,) = client.get("/v1/webhooks/1/attempts").json()["messages"]
    assert [attempt["error"] for attempt in message["attempts"]] == ["the server answered 451 later", None]


def test_an_address_that_is_refused_for_good_is_paused(served: HttpGate, mailbox: Mailbox) -> None:
    """Nothing is lost: after it was corrected, what waited is sent."""
    client = served.client("acme")
    _add(client)
    mailbox.refusals[ADDRESS] = "550 no such mailbox"
    _submit(served, client, factories.product(1, price="cheap"))
    with delivering(served.shop):
        paused = wait_for(lambda: (each := client.get("/v1/webhooks/1").json())["state"] == "paused" and each)
        assert paused["reason"] == "the address was refused: 550 no such mailbox"
        changed = client.request("PATCH", "/v1/webhooks/1", json={"url": "mailto:new@supplier.example"})
        assert changed.status_code == 200, changed.text
        client.post("/v1/webhooks/1/resume").raise_for_status()
        _until_idle(client)
    assert mailbox.receivers == [["new@supplier.example"]]


@pytest.mark.parametrize(("settings", "reason"), [
    ({"mail_password": "wrong"}, "the server refuses mail_user and mail_password"),
    ({"mail_security": "starttls"}, "SMTPNotSupportedError: STARTTLS extension not supported by server."),
    ({"mail_security": "tls", "delivery_seconds": 1.0}, "SSLError: "),
    ({"mail_port": 1}, "ConnectionRefusedError: "),
    ({"delivery_seconds": 0.2}, "timed out"),
    ({"mail_domains": ""}, "mail to supplier.example is not allowed (setting mail_domains)"),
    ({"mail_host": ""}, "this gate sends no mail (setting mail_host)"),
])
def test_a_server_that_takes_no_mail_is_tried_again(served: HttpGate, mailbox: Mailbox, settings: dict[str, Any],
                                                    reason: str) -> None:
    """The mail waits, and the webhook says why."""
    client = served.client("acme")
    _add(client)
    _submit(served, client, factories.product(1, price="cheap"))
    mailbox.silent_seconds = 0.5 if "delivery_seconds" in settings else 0.0
    with delivering(served.shop, delivery_retry_seconds="86400", **settings):
        retrying = wait_for(lambda: (each := client.get("/v1/webhooks/1").json())["state"] == "retrying" and each)
    assert reason in retrying["reason"]
    mailbox.silent_seconds = 0.0
    client.post("/v1/webhooks/1/resume").raise_for_status()
    with delivering(served.shop):
        wait_for(lambda: mailbox.mails)
        _until_idle(client)


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_the_certificate_of_the_server_is_checked(served: HttpGate, tmp_path: Path, security: str,
                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    """With TLS from the first byte as with STARTTLS; nothing is sent to a server that only claims to be it."""
    client = served.client("acme")
    _add(client)
    context, file = self_signed(tmp_path)
    how = {"ssl_context": context} if security == "tls" else {"tls_context": context, "require_starttls": True}
    mailbox = Mailbox(**how)
    settings = {"mail_port": mailbox.port, "mail_security": security}
    try:
        _submit(served, client, factories.product(1, price="cheap"))
        with delivering(served.shop, **{**settings, "delivery_retry_seconds": "86400"}):
            waiting = wait_for(lambda: (each := client.get("/v1/webhooks/1").json())["state"] == "retrying" and each)
        assert "CERTIFICATE_VERIFY_FAILED" in waiting["reason"]
        assert mailbox.mails == []
        monkeypatch.setenv("SSL_CERT_FILE", file)
        client.post("/v1/webhooks/1/resume").raise_for_status()
        with delivering(served.shop, **settings):
            _until_idle(client)
        assert len(mailbox.mails) == 1
    finally:
        mailbox.close()


def test_mails_that_were_not_sent_do_not_count(served: HttpGate, mailbox: Mailbox) -> None:
    """An address that is refused for a while does not use up the mails of the hour."""
    client = served.client("acme")
    _add(client)
    mailbox.refusals[ADDRESS] = "450 later"
    _submit(served, client, factories.product(1, price="cheap"))
    with delivering(served.shop, mails_per_hour_max=1, delivery_retry_seconds=",".join(["0"] * 9)):
        wait_for(lambda: len(client.get("/v1/webhooks/1/attempts").json()["messages"][0]["attempts"]) > 2)
        del mailbox.refusals[ADDRESS]
        _until_idle(client)
    assert len(mailbox.mails) == 1


def test_no_merchant_gets_more_mail_an_hour_than_allowed(served: HttpGate, mailbox: Mailbox,
                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    """Further mails wait for the end of the hour."""
    client = served.client("acme")
    _add(client)
    for number in range(3):
        _submit(served, client, factories.product(number, price="cheap"))
    monkeypatch.setattr(sender_module, "HOUR_SECONDS", 600.0)
    with delivering(served.shop, mails_per_hour_max=2, delivery_retry_seconds="0,0,86400"):
        waiting = wait_for(lambda: (each := client.get("/v1/webhooks/1").json())["state"] == "retrying" and each)
        assert "2 mails were sent in the last hour" in waiting["reason"]
        assert len(mailbox.mails) == 2
        monkeypatch.setattr(sender_module, "HOUR_SECONDS", 0.0)
        client.post("/v1/webhooks/1/resume").raise_for_status()
        _until_idle(client)
    assert len(mailbox.mails) == 3


@pytest.mark.parametrize(("url", "reason"), [
    ("mailto:", "The address must be like mailto:name@example.com"),
    ("mailto:a@b@c.example", "The address must be like"),
    ("mailto:a@supplier.example?cc=b@supplier.example", "The address must be like"),
    ("mailto:a%0d%0aBcc:b@supplier.example", "The address must be like"),
    ("mailto:a@supplier.example\r\nBcc: b@supplier.example", "The address must be like"),
    ("mailto:.a@supplier.example", "The address must be like"),
    ("mailto:a,b@supplier.example", "The address must be like"),
    ("MAILTO:a@supplier.example", "The URL must be like https://host/path"),
    ("mailto:a@elsewhere.test", "Mail to elsewhere.test is not allowed (setting mail_domains)."),
])
def test_an_address_is_one_person_at_an_allowed_domain(served: HttpGate, url: str, reason: str) -> None:
    """Anything else is refused with a sentence."""
    answer = served.client("acme").post("/v1/webhooks", json={"url": url})
    assert (answer.status_code, answer.json()["code"]) == (422, "webhook_refused"), answer.text
    assert reason in answer.json()["detail"]


def test_mail_has_no_changed_items(served: HttpGate) -> None:
    """There may be many a second."""
    client = served.client("acme")
    answer = client.post("/v1/webhooks", json={"url": f"mailto:{ADDRESS}", "events": ["items.changed"]})
    assert (answer.status_code, answer.json()["code"]) == (400, "body_invalid")
    _add(client)
    answer = client.request("PATCH", "/v1/webhooks/1", json={"events": ["items.changed"]})
    assert (answer.status_code, answer.json()["code"]) == (400, "body_invalid")


def test_a_test_mail_arrives(served: HttpGate, mailbox: Mailbox) -> None:
    """At once, with a Message-ID of its own."""
    client = served.client("acme")
    _add(client)
    assert client.post("/v1/webhooks/1/test").json()["delivered"]
    assert mailbox.mails[0]["subject"] == "Test mail of acme"


@pytest.mark.parametrize("language", ["en", "de", "de-AT", "fr"])
def test_every_text_can_be_written(tmp_path: Path, language: str) -> None:
    """In each language, for each state of a batch and a source; a language without texts is English."""
    with Shop(tmp_path, mail_host="127.0.0.1", mail_from="a@gate.example", mail_language=language) as shop:
        settings = mail_settings(shop.config)
        assert settings is not None
        texts = MailTexts(settings, base_url="https://gate.example")
        resource = shop.store.add_resource(
            "acme", WEBHOOK, name=f"mailto:{ADDRESS}", labels=(), resources_max=1, body=json.dumps({
                "events": ["source.failed"], "created_at": "2026-01-31T08:00:00Z", "secrets": [],
            }).encode(),
        )
        receiver = registered_webhook(resource, QueueStatus())
        at = datetime(2026, 1, 31, 8, 5, tzinfo=UTC)
        for event in (WebhookEvent.SOURCE_FAILED, WebhookEvent.SOURCE_OVERDUE):
            text = texts.source(receiver, SourceEvent(
                event=event, source="nightly", kind="product", collection="products", at=at, run=1, error="no route",
                expected_at=at, new_at=at,
            ))
            assert "nightly" in text.subject
            assert "https://gate.example/console/merchants/acme/sources" in text.body
        for event in (WebhookEvent.DESTINATION_FAILED, WebhookEvent.DESTINATION_HELD):
            text = texts.destination(receiver, DestinationEvent(
                event=event, destination="google", kind="product", collection="products", at=at, run=1,
                reason="Too few.",
            ))
            assert "google" in text.subject
            assert "Too few." in text.body
        german = language.startswith("de")
        assert ("Testnachricht" if german else "Test mail") in texts.test(receiver).subject


def test_an_operator_can_write_texts_of_its_own(tmp_path: Path, served: HttpGate, mailbox: Mailbox) -> None:
    """One that cannot be used is named, and the mail waits."""
    folder = tmp_path / "mails"
    folder.mkdir()
    (folder / "batch.txt").write_text("Subject: {{ event.counts.rejected }} bad\n\n{{ groups[0].code }}\n", "utf-8")
    client = served.client("acme")
    _add(client)
    _submit(served, client, factories.product(1, price="cheap"))
    with delivering(served.shop, mail_templates=str(folder)):
        _until_idle(client)
    (mail,) = mailbox.mails
    assert (mail["subject"], mail.get_content().strip()) == ("1 bad", "price_unreadable")
    for text, reason in (("Subject: {{ nothing }}\n\nx", "'nothing' is undefined"), ("no subject", "must begin with")):
        (folder / "batch.txt").write_text(text, "utf-8")
        _submit(served, client, factories.product(1, price="cheap"))
        client.post("/v1/webhooks/1/resume").raise_for_status()
        with delivering(served.shop, mail_templates=str(folder), delivery_retry_seconds="86400"):
            wait_for(lambda reason=reason: reason in (client.get("/v1/webhooks/1").json()["reason"] or ""))
