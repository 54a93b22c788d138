"""Files over SFTP. The key of the host is pinned by its fingerprint; the gate's own SSH configuration is not read."""

import asyncio
import secrets
from collections.abc import Coroutine, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any, Self, TypeVar

import asyncssh

from goodsgate.remote.addresses import RemoteAddress
from goodsgate.remote.contract import (
    FILES_MAX,
    PIECE_BYTES,
    Access,
    HostKeyError,
    RemoteError,
    RemoteFile,
    RemoteSettings,
    changed,
    check_name,
    newest_first,
)
from goodsgate.remote.guard import checked_address

T = TypeVar("T")


class _PinnedHost(asyncssh.SSHClient):
    """Accepts the one key whose fingerprint is known."""

    def __init__(self, fingerprint: str) -> None:
        self.pinned = fingerprint
        self.offered = ""

    def validate_host_public_key(
        self, host: str, addr: str, port: int, key: asyncssh.SSHKey,  # noqa: ARG002 - all of one connection
    ) -> bool:
        """Return whether the key is the pinned one, and remember it."""
        self.offered = key.get_fingerprint()
        return bool(self.pinned) and secrets.compare_digest(self.offered, self.pinned)


class SftpServer:
    """A folder of a server."""

    def __init__(self, address: RemoteAddress, access: Access, settings: RemoteSettings) -> None:
        self._address = address
        self._access = access
        self._settings = settings
        self._loop = asyncio.Runner()
        self._connection: asyncssh.SSHClientConnection | None = None
        self._client: asyncssh.SFTPClient | None = None

    def __enter__(self) -> Self:
        try:
            with self._remote_errors():
                self._connect()
        except BaseException:
            self._loop.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if self._connection is not None:
                self._connection.abort()
        finally:
            self._loop.close()

    def files(self) -> list[RemoteFile]:
        """Return the files that the address means."""
        with self._remote_errors():
            if self._address.is_folder:
                return newest_first(self._run(self._scan()))
            name = self._address.name
            return [_file(name, self._run(self._sftp.stat(self._path(name))))]

    def read(self, file: RemoteFile, *, offset: int = 0) -> Generator[bytes, None, None]:
        """Yield the bytes of a file; several requests are on their way at once."""
        with self._remote_errors():
            stream = self._run(self._open_file(self._path(file.name), "rb"))
            try:
                if _file(file.name, self._run(stream.stat())) != file:
                    raise changed(file)
                while piece := self._run(_read(stream, offset)):
                    offset += len(piece)
                    yield piece
                if offset != file.size or _file(file.name, self._run(stream.stat())) != file:
                    raise changed(file)
            finally:
                with suppress(RemoteError, TimeoutError, OSError, asyncssh.Error):
                    self._run(stream.close())

    def write(self, name: str, pieces: Iterable[bytes]) -> None:
        """Write a file under another name, and rename it."""
        target = self._path(name)
        folder, _, last = target.rpartition("/")
        part = f"{folder}/.{last}.{secrets.token_hex(4)}.part" if folder else f".{last}.{secrets.token_hex(4)}.part"
        with self._remote_errors():
            stream = self._run(self._open_file(part, "wb"))
            try:
                for piece in pieces:
                    self._run(stream.write(piece))
                self._run(stream.close())
                self._run(self._replace(part, target))
            except BaseException:
                with suppress(RemoteError, TimeoutError, OSError, asyncssh.Error):
                    self._run(self._sftp.remove(part))
                raise

    def move(self, name: str, to: str) -> None:
        """Move a file within the folder."""
        source, target = self._path(name), self._path(to)
        with self._remote_errors():
            folder = target.rpartition("/")[0]
            if folder:
                self._run(self._sftp.makedirs(folder, exist_ok=True))
            self._run(self._replace(source, target))

    def delete(self, name: str) -> None:
        """Delete a file."""
        with self._remote_errors(), suppress(asyncssh.SFTPNoSuchFile):
            self._run(self._sftp.remove(self._path(name)))

    @property
    def _sftp(self) -> asyncssh.SFTPClient:
        assert self._client is not None  # within `with`
        return self._client

    def _path(self, name: str) -> str:
        check_name(name)
        return self._address.folder + name

    async def _scan(self) -> list[RemoteFile]:
        found = []
        async for entry in self._sftp.scandir(self._address.folder or "."):
            name = str(entry.filename)
            if self._address.accepts(name) and entry.attrs.type == asyncssh.FILEXFER_TYPE_REGULAR:
                found.append(_file(name, entry.attrs))
            if len(found) > FILES_MAX:
                break
        return found

    async def _open_file(self, path: str, mode: str) -> asyncssh.SFTPClientFile:
        return await self._sftp.open(path, mode)

    async def _replace(self, source: str, target: str) -> None:
        try:
            await self._sftp.posix_rename(source, target)
        except asyncssh.SFTPOpUnsupported:  # then the file is missing for a moment
            with suppress(asyncssh.SFTPNoSuchFile):
                await self._sftp.remove(target)
            await self._sftp.rename(source, target)

    def _connect(self) -> None:
        host, port = self._address.host, self._address.port
        ip_address = checked_address(host, port, self._settings)
        pinned = _PinnedHost(self._access.host_key)
        try:
            self._connection, self._client = self._run(self._open(ip_address, port, pinned))
        except asyncssh.HostKeyNotVerifiable as fault:
            if not pinned.offered:
                raise RemoteError(f"The host {host} has no key that can be checked.", final=True) from fault
            reason = (
                f"The host {host} has another key than the one that is pinned: {pinned.offered}."
                if pinned.pinned else f"The key of the host {host} is not pinned; a test pins it: {pinned.offered}."
            )
            raise HostKeyError(reason, pinned.offered) from fault

    async def _open(self, ip_address: str, port: int, pinned: _PinnedHost,
                    ) -> tuple[asyncssh.SSHClientConnection, asyncssh.SFTPClient]:
        access = self._access
        keys = []
        if access.private_key:
            try:
                keys.append(asyncssh.import_private_key(access.private_key, access.passphrase or None))
            except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as fault:
                raise RemoteError("The private key cannot be read, or its passphrase is wrong.", final=True) from fault
        connection, _ = await asyncssh.create_connection(
            lambda: pinned, ip_address, port, username=access.username or self._address.user,
            password=access.password or None, client_keys=keys or None, known_hosts=b"", config=None, agent_path=None,
            login_timeout=self._settings.connect_seconds, connect_timeout=self._settings.connect_seconds,
            x509_trusted_certs=None, keepalive_interval=self._settings.idle_seconds,
        )
        try:
            return connection, await connection.start_sftp_client()
        except BaseException:
            connection.abort()
            raise

    def _run(self, step: Coroutine[Any, Any, T]) -> T:
        return self._loop.run(asyncio.wait_for(step, self._settings.idle_seconds))

    @contextmanager
    def _remote_errors(self) -> Iterator[None]:
        host = self._address.host
        try:
            yield
        except asyncssh.SFTPNoSuchFile as fault:
            raise RemoteError("The server has no such file or folder.") from fault
        except asyncssh.SFTPPermissionDenied as fault:
            raise RemoteError("The server denies access to the file or folder.", final=True) from fault
        except asyncssh.PermissionDenied as fault:
            raise RemoteError(f"The host {host} refuses the credentials.", final=True) from fault
        except TimeoutError as fault:
            raise RemoteError(f"The host {host} did not answer in time.") from fault
        except (asyncssh.Error, OSError) as fault:
            raise RemoteError(f"The connection to {host} failed: {fault or type(fault).__name__}.") from fault


async def _read(stream: asyncssh.SFTPClientFile, offset: int) -> bytes:
    piece = await stream.read(PIECE_BYTES, offset)
    assert isinstance(piece, bytes)  # it is open for bytes
    return piece


def _file(name: str, attributes: asyncssh.SFTPAttrs) -> RemoteFile:
    if attributes.type not in (asyncssh.FILEXFER_TYPE_REGULAR, asyncssh.FILEXFER_TYPE_UNKNOWN):
        raise RemoteError(f"{name} is not a file.", final=True)
    modified_at = None if attributes.mtime is None else datetime.fromtimestamp(attributes.mtime, UTC)
    return RemoteFile(name=name, size=attributes.size, modified_at=modified_at)
