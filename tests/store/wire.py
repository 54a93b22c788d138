"""The wire between a store and its server, which breaks at the commit of a chosen transaction."""

import contextlib
import socket
import threading


class Wire:
    """Passes connections on to a port of this machine until it is told to break; runs until `close`."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._lock = threading.Lock()
        self._after = b""
        self._sent = False
        self.broken = 0
        """How often it broke."""
        self._open: list[socket.socket] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def break_at_commit(self, after: bytes, *, sent: bool) -> None:
        """Of the next transaction with this statement: cut when the server has heard and answered it, or before."""
        with self._lock:
            self._after, self._sent = after, sent

    def close(self) -> None:
        """Accept no more, and cut what is open."""
        for end in (self._listening, *self._open):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._to))
            except OSError:  # it is not there just now
                client.close()
                continue
            self._open += [client, server]
            deaf = threading.Event()
            threading.Thread(target=self._talk, args=(client, server, deaf), daemon=True).start()
            threading.Thread(target=self._answer, args=(server, client, deaf), daemon=True).start()

    def _talk(self, client: socket.socket, server: socket.socket, deaf: threading.Event) -> None:
        concerned = False
        with contextlib.suppress(OSError):
            while said := client.recv(65_536):
                with self._lock:
                    concerned = concerned or (bool(self._after) and self._after in said)
                    breaks = concerned and b"COMMIT\0" in said
                    if breaks:
                        self._after = b""
                        self.broken += 1
                if breaks and not self._sent:
                    break
                if breaks:
                    deaf.set()  # the answer is heard on the other way, and ends both
                server.sendall(said)
        _cut(client, server)

    def _answer(self, server: socket.socket, client: socket.socket, deaf: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while answer := server.recv(65_536):
                if deaf.is_set():
                    break
                client.sendall(answer)
        _cut(client, server)


def _cut(*ends: socket.socket) -> None:
    for end in ends:
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
