"""Tells a merchant's queue that an ingestion has ended: an SNS notification in an SQS message.

The queue is named by its ARN alone; where SQS is, and as whom the gate speaks to it, is the operator's to say, by the
``AWS_…`` variables that every client of SQS obeys. Nobody can make the gate send elsewhere.
"""

import re
import threading
import uuid
from typing import Any

import msgspec

from goodsgate.config import Config
from goodsgate.engine.outbox import Undelivered
from goodsgate.engine.secrets import Secrets
from goodsgate.engine.settled import facts_of
from goodsgate.model.batch import Batch
from goodsgate.model.message import Message
from goodsgate.protocols.justwalkout import guesses
from goodsgate.protocols.justwalkout.access import QUEUE
from goodsgate.protocols.justwalkout.report import Reports
from goodsgate.store.contract import Store, StoreError

TOPIC_NAME, SUBJECT = "CatalogUploadStatus", "Catalog upload status"
TRIES = 1
"""Of one attempt; the outbox has pauses of its own."""


class Courier:
    """For any number of threads; a client a region."""

    def __init__(self, config: Config, store: Store) -> None:
        self._config = config
        self._store = store
        self._reports = Reports(store, Secrets(store, config), config)
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()

    def carry(self, message: Message) -> None:
        """Send it to the queue that the merchant has now; without one, or of a later round, it needs no sending.

        Raises Undelivered.
        """
        queue = facts_of(self._store, message.merchant).get(QUEUE)
        batch = self._store.batch(message.merchant, message.subject)
        if not queue or batch is None or msgspec.json.decode(message.body, type=_Told).round != 0:
            return
        if not re.fullmatch(guesses.QUEUE, queue):
            raise Undelivered(f"{queue} is not the ARN of a queue")
        try:
            content = msgspec.json.encode(self._envelope(message, batch, queue)).decode()
        except StoreError as fault:
            raise Undelivered(f"there is no link to the report: {fault}") from fault
        self._send(queue, content)

    def _envelope(self, message: Message, batch: Batch, queue: str) -> dict[str, str]:
        """As SNS wraps it where raw delivery is off; nobody but Amazon could sign it."""
        _, _, _, region, account, _ = queue.split(":")
        told = {
            "ingestionId": guesses.ingestion_of(batch.id), "processingStatus": guesses.STATUS_OF_STATE[batch.state],
            "reportDownloadLink": self._reports.link(batch),
        }
        return {
            "Type": "Notification", "MessageId": str(uuid.uuid5(uuid.UUID(batch.id), str(message.number))),
            "TopicArn": f"arn:aws:sns:{region}:{account}:{TOPIC_NAME}", "Subject": SUBJECT,
            "Message": msgspec.json.encode(told).decode(),
            "Timestamp": f"{message.made_at:%Y-%m-%dT%H:%M:%S}.{message.made_at.microsecond // 1000:03d}Z",
            "SignatureVersion": "1", "Signature": "", "SigningCertURL": "", "UnsubscribeURL": "",
        }

    def _send(self, queue: str, content: str) -> None:
        # Loaded late: it takes a while, and few gates need it.
        from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]  # it has no types

        _, _, _, region, account, name = queue.split(":")
        try:
            client = self._client(region)
            client.send_message(QueueUrl=f"{client.meta.endpoint_url}/{account}/{name}", MessageBody=content)
        except (BotoCoreError, ClientError) as fault:
            raise Undelivered(f"the queue {queue}: {fault}") from fault

    def _client(self, region: str) -> Any:
        from botocore.config import Config as Terms  # type: ignore[import-untyped]  # it has no types
        from botocore.session import Session  # type: ignore[import-untyped]  # it has no types

        with self._lock:
            if region not in self._clients:
                seconds = self._config.carry_seconds / 2
                terms = Terms(connect_timeout=seconds, read_timeout=seconds, retries={"total_max_attempts": TRIES})
                self._clients[region] = Session().create_client("sqs", region_name=region, config=terms)
            return self._clients[region]


class _Told(msgspec.Struct):
    round: int = 0
