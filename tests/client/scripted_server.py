"""A server that answers each connection as a script says, and misbehaves on purpose."""

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Callable

Step = bytes | Callable[[socket.socket], None]
"""What is sent after a request, or what is done with the connection; then it is closed."""


class ScriptedServer:
    """A server that takes one step for each request, and repeats the last one."""

    def __init__(self, *steps: Step, tls: ssl.SSLContext | None = None) -> None:
        self._steps = list(steps)
        self._tls = tls
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self.requests: list[bytes] = []
        """Head and body of each request."""
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def __enter__(self) -> "ScriptedServer":
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(30)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            connection.settimeout(30)
            with contextlib.suppress(OSError), connection:
                self._answer(self._tls.wrap_socket(connection, server_side=True) if self._tls else connection)

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            request = _read_request(connection)
            if not request:
                return
            self.requests.append(request)
            step = self._steps.pop(0) if len(self._steps) > 1 else self._steps[0]
            if callable(step):
                step(connection)
            else:
                connection.sendall(step)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65_536):
                    pass


def answer(status: int, body: object = None, **headers: str) -> bytes:
    """Return the bytes of a response with a JSON body, or without one."""
    content = b"" if body is None else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} Reason", f"Content-Length: {len(content)}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + content


def events(*documents: object, length: int | None = None) -> bytes:
    """Return the bytes of an event stream that ends after the documents, or breaks off before `length` bytes."""
    content = b"".join(b"data: " + json.dumps(document).encode() + b"\n\n" for document in documents)
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: {length or len(content)}\r\n\r\n"
    return head.encode() + content


def reset(connection: socket.socket) -> None:
    """Close the connection as if the server had died."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    connection.close()


def silence(connection: socket.socket) -> None:
    """Send nothing until the client gives up."""
    with contextlib.suppress(OSError):
        while connection.recv(65_536):
            pass


def _read_request(connection: socket.socket) -> bytes:
    """Return a request with its body, which has a length or is chunked."""
    received = b""
    while b"\r\n\r\n" not in received:
        piece = connection.recv(65_536)
        received += piece
        if not piece or received.startswith(b"\x16"):  # a TLS handshake, to which servers answer in plain text
            return received
    head, _, body = received.partition(b"\r\n\r\n")
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    length = int(fields.get(b"content-length", 0))
    while len(body) < length or (b"transfer-encoding" in fields and not body.endswith(b"0\r\n\r\n")):
        body += connection.recv(65_536)
    return head + b"\r\n\r\n" + body
