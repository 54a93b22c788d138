"""Notifications of queues, and reports in S3, with a local SQS and S3."""

import json
from contextlib import closing
from urllib.parse import urlsplit

import httpx
import pytest
from click.testing import CliRunner

from goodsgate.app import create_outbox, create_services
from goodsgate.cli import main
from goodsgate.engine.merchant_documents import put_merchant_settings
from goodsgate.engine.outbox import DeliveryError
from goodsgate.model.message import DeliveryState
from goodsgate.protocols.justwalkout import message_senders, unpublished
from tests.cli.gate import within
from tests.http_gate import HttpGate
from tests.protocols.justwalkout.client import JustWalkOut, item
from tests.shop import Shop


@pytest.fixture
def cloud(aws, monkeypatch):
    """Return a local S3 and SQS, configured like an operator would."""
    for name, value in aws.environ.items():
        monkeypatch.setenv(name, value)
    return aws


@pytest.fixture
def queue(cloud):
    """Return a new queue."""
    with closing(cloud.queue()) as new_queue:
        yield new_queue


def _messages(retailer):
    return retailer.gate.shop.store.messages(retailer.merchant, topic=unpublished.TOPIC)


def _deliver(retailer):
    """Deliver all messages, as the outbox does."""
    shop = retailer.gate.shop
    (sender,) = message_senders(create_services(shop.store, shop.config)).values()
    for message in _messages(retailer):
        sender.send(message)


def test_a_queue_is_notified_of_the_end(retailer, queue):
    """The inner message of an SNS notification has the status and a working link."""
    put_merchant_settings(retailer.gate.shop.store, retailer.merchant, {"queue": queue.arn})
    ingestion = retailer.upload(item(1), item(2, item_name="\N{REGISTERED SIGN}")).json()["ingestionId"]
    retailer.gate.shop.work()
    (message,) = _messages(retailer)
    _deliver(retailer)
    _deliver(retailer)
    first, second = (json.loads(body) for body in queue.taken())
    assert first["MessageId"] == second["MessageId"]
    assert first.keys() == {
        "Type", "MessageId", "TopicArn", "Subject", "Message", "Timestamp", "SignatureVersion", "Signature",
        "SigningCertURL", "UnsubscribeURL",
    }
    assert (first["Type"], first["Subject"]) == ("Notification", "Catalog upload status")
    result = json.loads(first["Message"])
    assert (result["ingestionId"], result["processingStatus"]) == (ingestion, "DONE")
    link = urlsplit(result["reportDownloadLink"])
    report = httpx.get(f"{retailer.gate.url}{link.path}?{link.query}", trust_env=False).json()
    assert report["summary"]["itemsRejected"] == 1
    assert message.subject == unpublished.batch_of(ingestion)


def test_a_cancelled_ingestion_is_notified_too(retailer, queue):
    """Its notification has no link."""
    put_merchant_settings(retailer.gate.shop.store, retailer.merchant, {"queue": queue.arn})
    ingestion = retailer.upload(item(1)).json()["ingestionId"]
    retailer.gate.shop.engine.cancel(retailer.merchant, unpublished.batch_of(ingestion))
    retailer.gate.shop.work()
    _deliver(retailer)
    (body,) = queue.taken()
    result = json.loads(json.loads(body)["Message"])
    assert result == {"ingestionId": ingestion, "processingStatus": "CANCELLED", "reportDownloadLink": ""}


def test_a_retry_sends_no_second_notification(retailer, queue):
    """A retry by the operator ends a second time."""
    put_merchant_settings(retailer.gate.shop.store, retailer.merchant, {"queue": queue.arn})
    batch = unpublished.batch_of(retailer.upload(item(1, item_name="\N{REGISTERED SIGN}")).json()["ingestionId"])
    retailer.gate.shop.work()
    retailer.gate.shop.engine.retry(retailer.merchant, batch)
    retailer.gate.shop.work()
    assert len(_messages(retailer)) == 2
    _deliver(retailer)
    assert len(queue.taken()) == 1


def test_without_a_queue_nothing_is_sent(retailer, queue):
    """Without a queue at upload there is no message; a queue that was removed later counts as delivered."""
    retailer.upload(item(1))
    retailer.gate.shop.work()
    assert _messages(retailer) == []
    put_merchant_settings(retailer.gate.shop.store, retailer.merchant, {"queue": queue.arn})
    with closing(JustWalkOut(retailer.gate, retailer.merchant, "STORE-1", account=retailer.account)) as client:
        client.upload(item(1))
        retailer.gate.shop.work()
        put_merchant_settings(retailer.gate.shop.store, retailer.merchant, {"queue": ""})
        assert len(_messages(client)) == 1
        _deliver(client)
    assert queue.taken() == []


def test_an_unavailable_queue_delays_nothing(retailer, cloud, monkeypatch):
    """The batch is done; the message keeps the reason and waits."""
    queue = "arn:aws:sqs:eu-west-1:123456789012:nowhere"
    put_merchant_settings(retailer.gate.shop.store, retailer.merchant, {"queue": queue})
    accepted = retailer.upload(item(1))
    assert retailer.report(accepted)["processingStatus"] == "DONE"
    with pytest.raises(DeliveryError, match="arn:aws:sqs:eu-west-1:123456789012:nowhere") as error:
        _deliver(retailer)
    assert not error.value.final
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(DeliveryError, match="Could not connect"):
        _deliver(retailer)


def test_invalid_queue_names_receive_nothing(retailer, cloud):
    """The command line accepts any text, such as an address or a host as region."""
    for text in ("https://sqs.example.com/1/q", "arn:aws:sqs:evil.example.com/:123456789012:q", "q"):
        put_merchant_settings(retailer.gate.shop.store, retailer.merchant, {"queue": text})
        if not _messages(retailer):
            retailer.upload(item(1))
            retailer.gate.shop.work()
        with pytest.raises(DeliveryError, match="is not the ARN of a queue"):
            _deliver(retailer)


def test_the_outbox_delivers_notifications(kind, tmp_path, queue):
    """A worker process runs it, and the setup shows the result."""
    with Shop(tmp_path, kind=kind) as shop:
        gate = HttpGate(shop)
        outbox = create_outbox(shop.store, shop.config)
        merchant = gate.merchant()
        headers = {"authorization": f"Bearer {gate.secret(merchant)}"}
        with closing(JustWalkOut(gate, merchant, "STORE-1", queue=queue.arn)) as client:
            setup = client.get("/v1/catalog/setup", headers=headers).json()
            assert (setup["connectivityStatus"], setup["sqsSubscriptionStatus"]) == ("Unknown", "Unknown")
            client.upload(item(1))
            shop.work()
            setup = client.get("/v1/catalog/setup", headers=headers).json()
            assert (setup["connectivityStatus"], setup["sqsSubscriptionStatus"]) == ("Success", "Pending")
            outbox.start()
            assert within(20, lambda: shop.store.messages(merchant, delivery_state=DeliveryState.SENT))
            outbox.stop()
            assert client.get("/v1/catalog/setup", headers=headers).json()["sqsSubscriptionStatus"] == "Complete"
        assert len(queue.taken()) == 1
        gate.close()


def test_reports_are_stored_in_s3(tmp_path, cloud):
    """They are written when first needed, and their presigned links work for an hour."""
    with Shop(tmp_path, kind="sqlite", reports=f"s3://{cloud.bucket()}/reports") as shop:
        gate = HttpGate(shop)
        with closing(JustWalkOut(gate, gate.merchant(), "STORE-1")) as client:
            ingestion = client.upload(item(1), item(2, standard_price="x")).json()["ingestionId"]
            assert client.status(ingestion)["reportDownloadLink"] == ""
            shop.work()
            link = client.status(ingestion)["reportDownloadLink"]
            assert link.startswith(cloud.url)
            assert "X-Amz-Expires=3600" in link
            response = httpx.get(link, trust_env=False)
            assert response.headers["content-type"] == "application/json"
            assert [issue["code"] for issue in response.json()["issues"]] == ["INVALID_PRICE"]
            assert httpx.get(client.status(ingestion)["reportDownloadLink"], trust_env=False).json() == response.json()
        gate.close()


def test_an_unavailable_storage_is_reported(tmp_path, cloud, monkeypatch):
    """The answer advises a retry; the ingestion itself is done."""
    with Shop(tmp_path, kind="sqlite", reports="s3://nowhere") as shop:
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        gate = HttpGate(shop)
        with closing(JustWalkOut(gate, gate.merchant(), "STORE-1")) as client:
            ingestion = client.upload(item(1)).json()["ingestionId"]
            shop.work()
            response = client.call("/v1/catalog/getCatalogUploadStatus", {"ingestionId": ingestion})
            assert (response.status_code, response.json()) == (
                500, {"errorMsg": "Internal Server Error. Please retry"})
        gate.close()


def test_links_begin_where_clients_reach_the_gate(tmp_path):
    """They begin with the public URL of the settings, or with the address of the request."""
    with Shop(tmp_path, kind="sqlite", public_url="https://gate.example.com/jwo/") as shop:
        gate = HttpGate(shop)
        with closing(JustWalkOut(gate, gate.merchant(), "STORE-1")) as client:
            ingestion = client.upload(item(1)).json()["ingestionId"]
            shop.work()
            link = client.status(ingestion)["reportDownloadLink"]
            assert link.startswith(f"https://gate.example.com/jwo/v1/catalog/reports/{client.merchant}/{ingestion}?")
        gate.close()


def test_the_doctor_tells_that_links_need_a_public_url(tmp_path):
    """It does where a merchant has a queue, unless the links are those of a bucket."""
    with Shop(tmp_path, kind="sqlite") as shop:
        address = ["--store", shop.config.store]
        assert "public_url" not in CliRunner().invoke(main, ["doctor", *address]).output
        put_merchant_settings(shop.store, "acme", {"queue": "arn:aws:sqs:eu-west-1:123456789012:catalog"})
    for url, line in (("", "WARN public_url: not set"), ("https://gate.example", "OK   public_url: https://gate.example")):
        told = CliRunner().invoke(main, ["doctor", *address], env={"GOODSGATE_PUBLIC_URL": url})
        assert (told.exit_code, line in told.output) == (0, True), told.output
