"""A receiver of messages over HTTP, and a sender that delivers to it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from goodsgate.engine.outbox import DeliveryError
from goodsgate.model.message import Message

Arrived = tuple[str, int, bytes]


class Receiver:
    """Keeps what arrives by merchant and number; some merchants' addresses answer otherwise."""

    def __init__(self) -> None:
        self.arrived: list[Arrived] = []
        self.something = threading.Event()
        self.status: dict[str, int] = {}
        """By merchant; 200 for the others."""
        self.silent: set[str] = set()
        """Merchants whose address does not answer before `closing` is set."""
        self.closing = threading.Event()
        self.port = 0

    @contextmanager
    def open(self) -> Iterator["Receiver"]:
        """While somebody listens."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        server.daemon_threads = False
        self.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield self
        finally:
            self.closing.set()
            server.shutdown()
            thread.join()
            server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                _, merchant, number = self.path.split("/")
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.arrived.append((merchant, int(number), body))
                receiver.something.set()
                if merchant in receiver.silent:
                    receiver.closing.wait(60)
                    return
                self.send_response(receiver.status.get(merchant, 200))
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nothing to say."""

        return Handler


class HttpSender:
    """Sends messages to the receiver; status 410 is a final failure."""

    def __init__(self, port: int, seconds: float) -> None:
        self._port = port
        self._seconds = seconds

    def send(self, message: Message) -> None:
        """Send the message to the receiver."""
        connection = HTTPConnection("127.0.0.1", self._port, timeout=self._seconds)
        try:
            connection.request("POST", f"/{message.merchant}/{message.number}", body=message.body)
            status = connection.getresponse().status
        except OSError as fault:
            raise DeliveryError(type(fault).__name__) from fault
        finally:
            connection.close()
        if status != 200:
            raise DeliveryError(f"answered {status}", final=status == 410)
