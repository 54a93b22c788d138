"""Objects in S3 and services that speak its protocol.

Neither credentials nor addresses come from the environment of the gate: those are the operator's. The library resolves
names by itself, so that the address of a service of one's own must be one that the operator names, not a wildcard.
"""

from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Self
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, PreconditionError, UnauthenticatedError
from obstore.store import S3Store

from goodsgate.remote.addresses import RemoteAddress
from goodsgate.remote.contract import (
    FILES_MAX,
    PIECE_BYTES,
    Access,
    RemoteError,
    RemoteFile,
    RemoteSettings,
    changed,
    check_name,
    newest_first,
)
from goodsgate.remote.guard import checked_address

REGION = "us-east-1"
RETRIES_MAX = 2
RETRY_SECONDS = 20


class S3Bucket:
    """The objects of a bucket whose keys begin with the folder of the address."""

    def __init__(self, address: RemoteAddress, access: Access, settings: RemoteSettings) -> None:
        self._address = address
        self._access = access
        self._settings = settings
        self._store: S3Store | None = None

    def __enter__(self) -> Self:
        region = self._access.region or REGION
        endpoint = self._access.endpoint or f"https://s3.{region}.amazonaws.com"
        check_endpoint(endpoint, self._settings)
        parts = urlsplit(endpoint)
        checked_address(parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80), self._settings)
        signed: dict[str, Any] = {"skip_signature": True}
        if self._access.username:
            keys = {
                "access_key_id": self._access.username, "secret_access_key": self._access.password,
                "token": self._access.token or None, "expires_at": None,
            }
            signed = {"credential_provider": lambda: keys}
        with self._remote_errors():
            self._store = S3Store(
                self._address.host, endpoint=endpoint, aws_endpoint_url_s3=endpoint, region=region,
                virtual_hosted_style_request=False,
                client_options={
                    "allow_http": parts.scheme == "http", "timeout": f"{self._settings.idle_seconds:g}s",
                    "connect_timeout": f"{self._settings.connect_seconds:g}s",
                },
                retry_config={"max_retries": RETRIES_MAX, "retry_timeout": timedelta(seconds=RETRY_SECONDS)}, **signed,
            )
        return self

    def __exit__(self, *_: object) -> None:
        self._store = None

    def files(self) -> list[RemoteFile]:
        """Return the objects that the address means."""
        folder, name = self._address.folder, self._address.name
        with self._remote_errors():
            if not self._address.is_folder:
                return [_file(name, obstore.head(self._bucket, folder + name))]
            found = []
            for entries in obstore.list(self._bucket, folder or None):
                for entry in entries:
                    below = str(entry["path"]).removeprefix(folder)
                    if self._address.accepts(below):
                        found.append(_file(below, entry))
                if len(found) > FILES_MAX:
                    break
            return newest_first(found)

    def read(self, file: RemoteFile, *, offset: int = 0) -> Generator[bytes, None, None]:
        """Yield the bytes of an object."""
        options: Any = {"if_match": file.etag} if file.etag else {}
        if offset:
            options["range"] = {"offset": offset}
        with self._remote_errors():
            try:
                result = obstore.get(self._bucket, self._path(file.name), options=options)
            except PreconditionError as fault:
                raise changed(file) from fault
            for piece in result.stream(PIECE_BYTES):
                whole = memoryview(piece)
                for at in range(0, len(whole), PIECE_BYTES):
                    offset += len(whole[at:at + PIECE_BYTES])
                    yield bytes(whole[at:at + PIECE_BYTES])
            if file.size is not None and offset != file.size:
                raise changed(file)

    def write(self, name: str, pieces: Iterable[bytes]) -> None:
        """Write an object, which S3 shows only when it is whole."""
        with self._remote_errors():
            obstore.put(self._bucket, self._path(name), iter(pieces))

    def move(self, name: str, to: str) -> None:
        """Copy an object, and delete the first one."""
        with self._remote_errors():
            obstore.copy(self._bucket, self._path(name), self._path(to))
            obstore.delete(self._bucket, self._path(name))

    def delete(self, name: str) -> None:
        """Delete an object."""
        with self._remote_errors():
            obstore.delete(self._bucket, self._path(name))

    @property
    def _bucket(self) -> S3Store:
        assert self._store is not None  # within `with`
        return self._store

    def _path(self, name: str) -> str:
        check_name(name)
        return self._address.folder + name

    @contextmanager
    def _remote_errors(self) -> Iterator[None]:
        bucket = self._address.host
        try:
            yield
        except FileNotFoundError as fault:
            raise RemoteError(f"The bucket {bucket} has no such object.") from fault
        except (PermissionDeniedError, UnauthenticatedError) as fault:
            raise RemoteError(f"The bucket {bucket} refuses the credentials.", final=True) from fault
        except (BaseError, OSError, ValueError) as fault:
            raise RemoteError(f"The bucket {bucket} cannot be used: {_first_line(fault)}.") from fault


def check_endpoint(endpoint: str, settings: RemoteSettings) -> None:
    """Raise RemoteError unless the operator allows a service by its name; that of Amazon also by a wildcard."""
    try:
        parts = urlsplit(endpoint)
        host, has_port = (parts.hostname or "").lower(), parts.port != 0
    except ValueError:
        host, has_port = "", False
    plain = endpoint.isascii() and endpoint.isprintable() and "@" not in endpoint
    if not plain or parts.scheme not in ("https", "http") or not host or not has_port or parts.query or parts.fragment:
        raise RemoteError("The endpoint of S3 is like https://host.", final=True)
    if parts.scheme == "http" and not settings.allow_http:
        raise RemoteError("HTTP without TLS is not allowed (setting feed_http).", final=True)
    if not host.endswith(".amazonaws.com") and host not in settings.hosts:
        raise RemoteError(f"The host {host} is not allowed by its name (setting feed_hosts).", final=True)


def _file(name: str, entry: Any) -> RemoteFile:
    return RemoteFile(
        name=name, size=entry["size"], modified_at=entry["last_modified"], etag=entry.get("e_tag") or ""
    )


def _first_line(fault: Exception) -> str:
    return (str(fault).strip().splitlines() or [type(fault).__name__])[0][:200].rstrip(".")
