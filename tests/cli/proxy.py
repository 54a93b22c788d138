"""A proxy that breaks connections on purpose."""

import contextlib
import socket
import threading


class CuttingProxy:
    """A TCP proxy that resets the first `cuts` connections after `after_bytes` bytes of the client."""

    def __init__(self, port: int, *, after_bytes: int, cuts: int = 1) -> None:
        self._port = port
        self._after = after_bytes
        self.cuts_left = cuts
        self.connections = 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Stop accepting connections."""
        # Waking the accept needs the shutdown; the close alone leaves it waiting.
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            server = socket.create_connection(("127.0.0.1", self._port))
            cut_after = self._after if self.cuts_left else None
            self.cuts_left = max(0, self.cuts_left - 1)
            threading.Thread(target=_forward, args=(client, server, cut_after), daemon=True).start()
            threading.Thread(target=_forward, args=(server, client, None), daemon=True).start()


def _forward(source: socket.socket, target: socket.socket, cut_after: int | None) -> None:
    passed = 0
    with contextlib.suppress(OSError):
        while piece := source.recv(16_384):
            passed += len(piece)
            if cut_after is not None and passed > cut_after:
                # A reset, as of a cable pulled out, not an orderly end.
                reset_option = b"\x01\x00\x00\x00\x00\x00\x00\x00"
                for side in (source, target):
                    side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset_option)
                break
            target.sendall(piece)
    for side in (source, target):
        with contextlib.suppress(OSError):
            side.shutdown(socket.SHUT_RDWR)
        side.close()
