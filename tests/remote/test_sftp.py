"""SFTP: the key of the host, credentials, and hosts that fail."""

from pathlib import Path

import asyncssh
import pytest

from goodsgate.remote import Access, HostKeyError, RemoteError, RemoteSettings, open_place, parse_address
from tests.sftp import PASSWORD, USER, SftpFolder

SETTINGS = RemoteSettings(hosts=frozenset({"127.0.0.1"}), allow_private=True, connect_seconds=60)


@pytest.mark.parametrize("host_key", ["", "SHA256:AAAA"])
def test_a_host_with_another_key_gets_no_credential(sftp: SftpFolder, host_key: str) -> None:
    """The error has the fingerprint of its key."""
    place = open_place(parse_address(sftp.url("")), Access(password="secret", host_key=host_key), SETTINGS)
    with pytest.raises(HostKeyError) as refused, place:
        pass
    assert refused.value.fingerprint == sftp.fingerprint
    assert refused.value.final


def test_a_key_of_the_user_gets_in(sftp: SftpFolder, tmp_path: Path) -> None:
    """Also one with a passphrase; a name in the address is the user."""
    sftp.folder = tmp_path
    (tmp_path / "a.csv").write_text("sku\n")
    encrypted = sftp.client_key.export_private_key("pkcs8-pem", passphrase="p").decode()
    access = Access(private_key=encrypted, passphrase="p", host_key=sftp.fingerprint)
    with open_place(parse_address(sftp.url("a.csv")), access, SETTINGS) as place:
        (file,) = place.files()
        assert b"".join(place.read(file)) == b"sku\n"


@pytest.mark.parametrize(("access", "reason"), [
    ({"password": "wrong"}, "refuses the credentials"), ({}, "refuses the credentials"),
    ({"username": "other", "password": PASSWORD}, "refuses the credentials"),
    ({"private_key": "no key"}, "private key cannot be read"),
])
def test_other_credentials_are_refused_for_good(sftp: SftpFolder, access: dict[str, str], reason: str) -> None:
    """And never repeated in the message."""
    place = open_place(parse_address(sftp.url("")), Access(**access, host_key=sftp.fingerprint), SETTINGS)
    with pytest.raises(RemoteError, match=reason) as refused, place:
        pass
    assert refused.value.final
    assert PASSWORD not in str(refused.value)


def test_a_connection_that_is_lost_can_be_tried_again(sftp: SftpFolder, tmp_path: Path) -> None:
    """And one to a host where nobody listens."""
    sftp.folder = tmp_path
    (tmp_path / "a.csv").write_bytes(b"x" * 3_000_000)

    def fail(reads: int) -> None:
        raise asyncssh.SFTPConnectionLost("lost")

    access = Access(password=PASSWORD, host_key=sftp.fingerprint)
    with open_place(parse_address(sftp.url("a.csv")), access, SETTINGS) as place:
        (file,) = place.files()
        sftp.on_read = fail
        try:
            with pytest.raises(RemoteError) as lost:
                list(place.read(file))
        finally:
            sftp.on_read = lambda reads: None
    assert not lost.value.final
    with (
        pytest.raises(RemoteError, match="failed") as refused,
        open_place(parse_address(f"sftp://{USER}@127.0.0.1:1/a"), access, SETTINGS),
    ):
        pass
    assert not refused.value.final
