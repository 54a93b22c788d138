"""Places of each kind, with real servers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from goodsgate.remote import Access, RemotePlace, RemoteSettings, open_place, parse_address
from tests.aws import Aws
from tests.sftp import PASSWORD, SftpFolder

KINDS = ("file", "sftp", "s3")
"""Places that can be written, too."""


class Place:
    """A place and how to get in."""

    def __init__(self, kind: str, folder: Path, sftp: SftpFolder | None, aws: Aws | None) -> None:
        self.kind = kind
        self.base = f"{folder.as_uri()}/"
        self.access = Access()
        self.settings = RemoteSettings(
            hosts=frozenset({"127.0.0.1"}), allow_private=True, allow_http=True, folders=(folder,), idle_seconds=60
        )
        if sftp is not None:
            sftp.folder = folder
            self.base = sftp.url("")
            self.access = Access(password=PASSWORD, host_key=sftp.fingerprint)
        if aws is not None:
            self.base = f"s3://{aws.bucket()}/feeds/"
            self.access = Access(username="AKIALOCAL", password="local", endpoint=aws.url)

    def open(self, path: str = "", access: Access | None = None) -> RemotePlace:
        """Open an address below the folder."""
        return open_place(parse_address(self.base + path), access or self.access, self.settings)


@pytest.fixture(scope="session")
def sftp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SftpFolder]:
    """A server whose folder each test sets."""
    server = SftpFolder(tmp_path_factory.mktemp("sftp"))
    yield server
    server.close()


@pytest.fixture(scope="session")
def aws() -> Iterator[Aws]:
    """A local S3."""
    server = Aws()
    yield server
    server.close()


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """An empty folder of each kind."""
    kind = request.param
    sftp = request.getfixturevalue("sftp") if kind == "sftp" else None
    return Place(kind, tmp_path, sftp, request.getfixturevalue("aws") if kind == "s3" else None)
