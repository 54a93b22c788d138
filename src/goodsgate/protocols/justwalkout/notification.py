"""Notifications of a merchant's SQS queue that an ingestion has ended, each in an SNS envelope.

A merchant names its queue by ARN only. The endpoint of SQS and the credentials come from the ``AWS_…`` variables that
every client of SQS reads, so nobody can make the gate send elsewhere.
"""

import re
import threading
import uuid
from typing import Any

import msgspec

from goodsgate.engine.merchant_documents import merchant_settings
from goodsgate.engine.outbox import DeliveryError
from goodsgate.http.services import ProtocolServices
from goodsgate.model.batch import Batch
from goodsgate.model.extras import ExtraMissingError, needed_extra
from goodsgate.model.message import Message
from goodsgate.protocols.justwalkout import unpublished
from goodsgate.protocols.justwalkout.access import QUEUE
from goodsgate.protocols.justwalkout.report import IngestionReports
from goodsgate.store.contract import StoreError

TOPIC_NAME, SUBJECT = "CatalogUploadStatus", "Catalog upload status"
ATTEMPTS_PER_DELIVERY = 1
"""The outbox retries with pauses of its own."""
CLIENTS_MAX = 32
"""Regions to which connections are kept; merchants choose them."""


class QueueNotifier:
    """Delivers messages about the end of an ingestion, with one SQS client for each region; safe for threads."""

    def __init__(self, services: ProtocolServices) -> None:
        self._store = services.store
        self._delivery_seconds = services.settings.delivery_seconds
        self._reports = IngestionReports(services)
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()

    def send(self, message: Message) -> None:
        """Send the message to the merchant's current queue; raise DeliveryError if it does not arrive.

        Nothing is sent if the merchant has no queue, or for the end of a later round.
        """
        queue = merchant_settings(self._store, message.merchant).get(QUEUE)
        batch = self._store.batch(message.merchant, message.subject)
        if not queue or batch is None or msgspec.json.decode(message.body, type=_MessageBody).round != 0:
            return
        if not re.fullmatch(unpublished.QUEUE, queue):
            raise DeliveryError(f"{queue} is not the ARN of a queue")
        try:
            content = msgspec.json.encode(self._envelope(message, batch, queue)).decode()
        except StoreError as fault:
            raise DeliveryError(f"there is no link to the report: {fault}") from fault
        self._send(queue, content)

    def _envelope(self, message: Message, batch: Batch, queue: str) -> dict[str, str]:
        """Return the envelope of SNS without raw delivery; it is unsigned, since only Amazon can sign it."""
        _, _, _, region, account, _ = queue.split(":")
        notification = {
            "ingestionId": unpublished.ingestion_of(batch.id),
            "processingStatus": unpublished.STATUS_OF_STATE[batch.state],
            "reportDownloadLink": self._reports.link(batch),
        }
        return {
            "Type": "Notification", "MessageId": str(uuid.uuid5(uuid.UUID(batch.id), str(message.number))),
            "TopicArn": f"arn:aws:sns:{region}:{account}:{TOPIC_NAME}", "Subject": SUBJECT,
            "Message": msgspec.json.encode(notification).decode(),
            "Timestamp": f"{message.created_at:%Y-%m-%dT%H:%M:%S}.{message.created_at.microsecond // 1000:03d}Z",
            "SignatureVersion": "1", "Signature": "", "SigningCertURL": "", "UnsubscribeURL": "",
        }

    def _send(self, queue: str, content: str) -> None:
        # Imported late: it takes a while, and few gates notify queues.
        try:
            with needed_extra("aws", f"A notification of the queue {queue}"):
                from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]  # no types
        except ExtraMissingError as error:
            raise DeliveryError(str(error)) from error

        _, _, _, region, account, name = queue.split(":")
        try:
            client = self._client(region)
            client.send_message(QueueUrl=f"{client.meta.endpoint_url}/{account}/{name}", MessageBody=content)
        except (BotoCoreError, ClientError) as fault:
            raise DeliveryError(f"the queue {queue}: {fault}") from fault

    def _client(self, region: str) -> Any:
        from botocore.config import Config as ClientConfig  # type: ignore[import-untyped]  # it has no types
        from botocore.session import Session  # type: ignore[import-untyped]  # it has no types

        with self._lock:
            if region not in self._clients:
                seconds = self._delivery_seconds / 2
                retries = {"total_max_attempts": ATTEMPTS_PER_DELIVERY}
                config = ClientConfig(connect_timeout=seconds, read_timeout=seconds, retries=retries)
                self._clients[region] = Session().create_client("sqs", region_name=region, config=config)
                if len(self._clients) > CLIENTS_MAX:
                    del self._clients[next(iter(self._clients))]
            return self._clients[region]


class _MessageBody(msgspec.Struct):
    round: int = 0
