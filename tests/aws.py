"""S3 and SQS by a local server on a free port; its data ends with it."""

import itertools
import logging

import botocore.session
import httpx
from moto.server import ThreadedMotoServer

REGION = "eu-west-1"
_numbers = itertools.count(1)


class Aws:
    """A server; `environ` has the variables with which programs find it."""

    def __init__(self) -> None:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        self._server.start()
        host, port = self._server.get_host_and_port()
        self.url = f"http://{host}:{port}"
        self.environ = {
            "AWS_ENDPOINT_URL": self.url, "AWS_ACCESS_KEY_ID": "AKIALOCAL", "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION,
        }

    def bucket(self) -> str:
        """Create a bucket and return its name."""
        name = f"bucket-{next(_numbers)}"
        httpx.put(f"{self.url}/{name}", trust_env=False).raise_for_status()
        return name

    def queue(self) -> "Queue":
        """Create a queue."""
        return Queue(self, f"queue-{next(_numbers)}")

    def close(self) -> None:
        """Stop serving."""
        self._server.stop()


class Queue:
    """A queue of SQS."""

    def __init__(self, aws: Aws, name: str) -> None:
        session = botocore.session.Session()
        session.set_credentials("AKIALOCAL", "local")
        self._client = session.create_client("sqs", region_name=REGION, endpoint_url=aws.url)
        self.url: str = self._client.create_queue(QueueName=name)["QueueUrl"]
        self.arn = f"arn:aws:sqs:{REGION}:123456789012:{name}"

    def taken(self) -> list[str]:
        """Receive and delete the messages that are in the queue now; return their bodies."""
        bodies = []
        while found := self._client.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10).get("Messages"):
            for message in found:
                bodies.append(message["Body"])
                self._client.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
        return bodies

    def close(self) -> None:
        """Close the connections."""
        self._client.close()
