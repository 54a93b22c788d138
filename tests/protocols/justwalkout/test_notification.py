"""Queues are told of the end of an ingestion, and reports are kept in S3, over a local SQS and S3."""

import json
from contextlib import closing
from urllib.parse import urlsplit

import httpx
import pytest

from goodsgate.app import create_outbox, create_services
from goodsgate.engine.merchant_documents import put_merchant_settings
from goodsgate.engine.outbox import DeliveryError
from goodsgate.model.message import DeliveryState
from goodsgate.protocols.justwalkout import message_senders, unpublished
from tests.cli.gate import within
from tests.protocols.justwalkout.client import JustWalkOut, item
from tests.served import Served
from tests.shop import Shop


@pytest.fixture
def cloud(aws, monkeypatch):
    """A local S3 and SQS, known as an operator would make them known."""
    for name, value in aws.environ.items():
        monkeypatch.setenv(name, value)
    return aws


@pytest.fixture
def queue(cloud):
    """A queue of its own."""
    with closing(cloud.queue()) as made:
        yield made


def _messages(retailer):
    return retailer.gate.shop.store.messages(retailer.merchant, topic=unpublished.TOPIC)


def _carry(retailer):
    """Everything that is to be carried, as the outbox has it done."""
    shop = retailer.gate.shop
    (courier,) = message_senders(create_services(shop.store, shop.config)).values()
    for message in _messages(retailer):
        courier.send(message)


def test_a_queue_is_told_of_the_end(retailer, queue):
    """An SNS notification whose inner message says what the status says; its link is good."""
    put_merchant_settings(retailer.gate.shop.store, retailer.merchant, {"queue": queue.arn})
    ingestion = retailer.upload(item(1), item(2, item_name="\N{REGISTERED SIGN}")).json()["ingestionId"]
    retailer.gate.shop.work()
    (message,) = _messages(retailer)
    _carry(retailer)
    _carry(retailer)
    first, second = (json.loads(body) for body in queue.taken())
    assert first["MessageId"] == second["MessageId"]
    assert first.keys() == {
        "Type", "MessageId", "TopicArn", "Subject", "Message", "Timestamp", "SignatureVersion", "Signature",
        "SigningCertURL", "UnsubscribeURL",
    }
    assert (first["Type"], first["Subject"]) == ("Notification", "Catalog upload status")
    told = json.loads(first["Message"])
    assert (told["ingestionId"], told["processingStatus"]) == (ingestion, "DONE")
    link = urlsplit(told["reportDownloadLink"])
    report = httpx.get(f"{retailer.gate.url}{link.path}?{link.query}", trust_env=False).json()
    assert report["summary"]["itemsRejected"] == 1
    assert message.subject == unpublished.batch_of(ingestion)


def test_a_cancelled_ingestion_is_told_too(retailer, queue):
    """Without a link."""
    put_merchant_settings(retailer.gate.shop.store, retailer.merchant, {"queue": queue.arn})
    ingestion = retailer.upload(item(1)).json()["ingestionId"]
    retailer.gate.shop.engine.cancel(retailer.merchant, unpublished.batch_of(ingestion))
    retailer.gate.shop.work()
    _carry(retailer)
    (body,) = queue.taken()
    told = json.loads(json.loads(body)["Message"])
    assert told == {"ingestionId": ingestion, "processingStatus": "CANCELLED", "reportDownloadLink": ""}


def test_nobody_is_told_twice_what_ended_once(retailer, queue):
    """A retry by the operator ends again, and is no ingestion."""
    put_merchant_settings(retailer.gate.shop.store, retailer.merchant, {"queue": queue.arn})
    batch = unpublished.batch_of(retailer.upload(item(1, item_name="\N{REGISTERED SIGN}")).json()["ingestionId"])
    retailer.gate.shop.work()
    retailer.gate.shop.engine.retry(retailer.merchant, batch)
    retailer.gate.shop.work()
    assert len(_messages(retailer)) == 2
    _carry(retailer)
    assert len(queue.taken()) == 1


def test_without_a_queue_nothing_is_sent(retailer, queue):
    """None when it was uploaded: no message; none any more: it counts as sent."""
    retailer.upload(item(1))
    retailer.gate.shop.work()
    assert _messages(retailer) == []
    put_merchant_settings(retailer.gate.shop.store, retailer.merchant, {"queue": queue.arn})
    with closing(JustWalkOut(retailer.gate, retailer.merchant, "STORE-1", account=retailer.account)) as client:
        client.upload(item(1))
        retailer.gate.shop.work()
        put_merchant_settings(retailer.gate.shop.store, retailer.merchant, {"queue": ""})
        assert len(_messages(client)) == 1
        _carry(client)
    assert queue.taken() == []


def test_a_queue_that_is_away_holds_nothing_up(retailer, cloud, monkeypatch):
    """The batch is done; the message says why it did not arrive, and waits."""
    queue = "arn:aws:sqs:eu-west-1:123456789012:nowhere"
    put_merchant_settings(retailer.gate.shop.store, retailer.merchant, {"queue": queue})
    accepted = retailer.upload(item(1))
    assert retailer.report(accepted)["processingStatus"] == "DONE"
    with pytest.raises(DeliveryError, match="arn:aws:sqs:eu-west-1:123456789012:nowhere") as told:
        _carry(retailer)
    assert not told.value.final
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(DeliveryError, match="Could not connect"):
        _carry(retailer)


def test_what_is_no_queue_is_sent_nowhere(retailer, cloud):
    """An address in its place, a host in its region: the command line takes any text."""
    for text in ("https://sqs.example.com/1/q", "arn:aws:sqs:evil.example.com/:123456789012:q", "q"):
        put_merchant_settings(retailer.gate.shop.store, retailer.merchant, {"queue": text})
        if not _messages(retailer):
            retailer.upload(item(1))
            retailer.gate.shop.work()
        with pytest.raises(DeliveryError, match="is not the ARN of a queue"):
            _carry(retailer)


def test_the_outbox_carries_them(kind, tmp_path, queue):
    """As a worker process has it running, and the set-up page says so."""
    with Shop(tmp_path, kind=kind) as shop:
        gate = Served(shop)
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


def test_reports_are_kept_in_s3(tmp_path, cloud):
    """Written by whoever needs it first, presigned for an hour, read by anybody who has the link."""
    with Shop(tmp_path, kind="sqlite", reports=f"s3://{cloud.bucket()}/reports") as shop:
        gate = Served(shop)
        with closing(JustWalkOut(gate, gate.merchant(), "STORE-1")) as client:
            ingestion = client.upload(item(1), item(2, standard_price="x")).json()["ingestionId"]
            assert client.status(ingestion)["reportDownloadLink"] == ""
            shop.work()
            link = client.status(ingestion)["reportDownloadLink"]
            assert link.startswith(cloud.url)
            assert "X-Amz-Expires=3600" in link
            answered = httpx.get(link, trust_env=False)
            assert answered.headers["content-type"] == "application/json"
            assert [told["code"] for told in answered.json()["issues"]] == ["INVALID_PRICE"]
            assert httpx.get(client.status(ingestion)["reportDownloadLink"], trust_env=False).json() == answered.json()
        gate.close()


def test_a_storage_that_is_away_is_told_as_such(tmp_path, cloud, monkeypatch):
    """Retry advised; the ingestion itself is done."""
    with Shop(tmp_path, kind="sqlite", reports="s3://nowhere") as shop:
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        gate = Served(shop)
        with closing(JustWalkOut(gate, gate.merchant(), "STORE-1")) as client:
            ingestion = client.upload(item(1)).json()["ingestionId"]
            shop.work()
            answered = client.call("/v1/catalog/getCatalogUploadStatus", {"ingestionId": ingestion})
            assert (answered.status_code, answered.json()) == (
                500, {"errorMsg": "Internal Server Error. Please retry"})
        gate.close()


def test_links_begin_where_clients_reach_the_gate(tmp_path):
    """The public URL, if the settings name one; else where the request came to."""
    with Shop(tmp_path, kind="sqlite", public_url="https://gate.example.com/jwo/") as shop:
        gate = Served(shop)
        with closing(JustWalkOut(gate, gate.merchant(), "STORE-1")) as client:
            ingestion = client.upload(item(1)).json()["ingestionId"]
            shop.work()
            link = client.status(ingestion)["reportDownloadLink"]
            assert link.startswith(f"https://gate.example.com/jwo/v1/catalog/reports/{client.merchant}/{ingestion}?")
        gate.close()
