"""An HTTP server that does what a test says: a function of each request's method, path and headers."""

import socket
import threading
from collections.abc import Callable

Answer = Callable[[str, str, dict[str, str], socket.socket], None]


class HostileServer:
    """Serves each connection in a thread, with one request for each."""

    def __init__(self, answer: Answer) -> None:
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.release = threading.Event()
        """Set at the end: whoever stalls goes on."""
        self._answer = answer
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Stop serving."""
        self.release.set()
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            received = b""
            while b"\r\n\r\n" not in received:
                piece = connection.recv(65_536)
                if not piece:
                    return
                received += piece
            first, *lines = received.partition(b"\r\n\r\n")[0].decode().split("\r\n")
            method, path, _ = first.split(" ")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            self.requests.append((method, path, headers))
            try:
                self._answer(method, path, headers, connection)
            except OSError:
                return


def respond(connection: socket.socket, status: str = "200 OK", body: bytes = b"", **headers: object) -> None:
    """Send a response; without `content_length`, that of the body."""
    named = {"content-length": len(body), **{name.replace("_", "-"): value for name, value in headers.items()}}
    lines = "".join(f"{name}: {value}\r\n" for name, value in named.items() if value is not None)
    connection.sendall(f"HTTP/1.1 {status}\r\n{lines}connection: close\r\n\r\n".encode() + body)
