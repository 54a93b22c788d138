"""Addresses: what they mean, and which are refused."""

import pytest

from goodsgate.remote import AddressError, RemoteAddress, parse_address


@pytest.mark.parametrize(("text", "expected"), [
    ("sftp://u@Host.example:2222/in/%20a.csv",
     {"user": "u", "host": "host.example", "port": 2222, "folder": "/in/", "name": " a.csv"}),
    ("sftp://h/~/in/*.csv", {"host": "h", "port": 22, "folder": "in/", "name": "*.csv"}),
    ("sftp://h/~/a", {"host": "h", "port": 22, "folder": "", "name": "a"}),
    ("sftp://h/feed?.csv", {"host": "h", "port": 22, "folder": "/", "name": "feed?.csv"}),
    ("sftp://h", {"host": "h", "port": 22, "folder": "/", "name": ""}),
    ("https://h/a/b.csv?key=1&x=*", {"host": "h", "port": 443, "folder": "/a/", "name": "b.csv", "query": "key=1&x=*"}),
    ("https://h", {"host": "h", "port": 443, "folder": "/", "name": "/"}),
    ("s3://bucket-1/feeds/Ä.csv", {"host": "bucket-1", "folder": "feeds/", "name": "Ä.csv"}),
    ("s3://bucket", {"host": "bucket", "folder": "", "name": ""}),
    ("file:///var/feeds/a b.csv", {"folder": "/var/feeds/", "name": "a b.csv"}),
    ("file:///var/feeds/", {"folder": "/var/feeds/", "name": ""}),
])
def test_an_address_has_parts(text: str, expected: dict[str, object]) -> None:
    """The last one is a file or a pattern."""
    assert parse_address(text) == RemoteAddress(text=text, scheme=text.partition(":")[0], **expected)


@pytest.mark.parametrize("text", [
    "", "ftp://h/a", "sftp:h", "sftp://", "sftp:///a", "sftp://u:secret@h/a", "https://u@h/a", "https://u:p@h/",
    "https://h/a#b", "https://h/ä", "https://h/a b", "file://other/a", "file:a", "s3://Bucket/a", "s3:///a",
    "sftp://h/a/../b", "sftp://h/%2e%2e/b", "sftp://h:99999/a", "https://[::1/", "sftp://h/a\nb", "sftp://h\\a/b",
    "s3://bucket/a%00b", "https://h" + "a" * 2_000,
])
def test_other_addresses_are_refused(text: str) -> None:
    """The message never repeats what may be a secret."""
    with pytest.raises(AddressError) as refused:
        parse_address(text)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(("name", "is_meant"), [
    ("a.csv", True), ("A.csv", False), (".a.csv", False), ("a.csv.gz", False), ("in/a.csv", False),
])
def test_a_pattern_means_files_of_its_folder(name: str, is_meant: bool) -> None:
    """With upper and lower case as given."""
    assert parse_address("sftp://h/in/[a-z].csv").accepts(name) is is_meant


def test_an_address_is_shown_without_its_query() -> None:
    """Which may be a signature."""
    assert parse_address("https://h/a?sig=secret").display == "https://h/a"
