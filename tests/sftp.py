"""An SFTP server on a free port: a folder, a user with a password or a key, and what a test lets go wrong."""

import asyncio
import threading
from pathlib import Path

import asyncssh

USER, PASSWORD = "feeds", "correct horse"


class _Server(asyncssh.SSHServer):
    def __init__(self, keys: list[str]) -> None:
        self._keys = keys

    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == (USER, PASSWORD)

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return username == USER and key.get_fingerprint() in self._keys


class SftpFolder:
    """A server of one folder; to be closed."""

    def __init__(self, folder: Path, *, port: int = 0) -> None:
        self.folder = folder
        self.key = asyncssh.generate_private_key("ssh-ed25519")
        self.client_key = asyncssh.generate_private_key("ssh-ed25519")
        self.reads = 0
        """Requests for bytes so far."""
        self.on_read = lambda reads: None
        """Called with their number in the server's thread; may raise asyncssh.SFTPError."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._acceptor = asyncio.run_coroutine_threadsafe(self._listen(port), self._loop).result(60)
        self.port: int = self._acceptor.get_port()

    @property
    def fingerprint(self) -> str:
        """Of the key of the host."""
        return str(self.key.get_fingerprint())

    def url(self, path: str) -> str:
        """The address of a path."""
        return f"sftp://{USER}@127.0.0.1:{self.port}/{path}"

    def close(self) -> None:
        """Stop serving."""
        async def close() -> None:
            self._acceptor.close()
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()

        asyncio.run_coroutine_threadsafe(close(), self._loop).result(60)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(60)
        self._loop.close()

    async def _listen(self, port: int) -> asyncssh.SSHAcceptor:
        outer = self

        class Files(asyncssh.SFTPServer):
            def __init__(self, channel: "asyncssh.SSHServerChannel[bytes]") -> None:
                super().__init__(channel, chroot=str(outer.folder).encode())

            def read(self, file_obj: object, offset: int, size: int) -> bytes:
                outer.reads += 1
                outer.on_read(outer.reads)
                return super().read(file_obj, offset, size)  # type: ignore[return-value]

        return await asyncssh.listen(
            "127.0.0.1", port, server_host_keys=[self.key], sftp_factory=Files,
            server_factory=lambda: _Server([self.client_key.get_fingerprint()]),
        )
