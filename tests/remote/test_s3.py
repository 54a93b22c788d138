"""S3: whose credentials count, and which services may be called."""

import pytest

from goodsgate.remote import Access, RemoteError, RemoteSettings, open_place, parse_address
from tests.aws import Aws

LOCAL = RemoteSettings(hosts=frozenset({"127.0.0.1"}), allow_private=True, allow_http=True)


@pytest.mark.parametrize(("endpoint", "settings", "reason"), [
    ("http://127.0.0.1:9", RemoteSettings(hosts=LOCAL.hosts, allow_private=True), "feed_http"),
    ("https://127.0.0.1:9", RemoteSettings(hosts=frozenset({"*"}), allow_private=True), "by its name"),
    ("https://127.0.0.1:9", RemoteSettings(hosts=LOCAL.hosts), "private address"),
    ("https://u:p@127.0.0.1", LOCAL, "is like"), ("ftp://127.0.0.1", LOCAL, "is like"), ("x", LOCAL, "is like"),
    ("https://127.0.0.1:99999", LOCAL, "is like"), ("", LOCAL, "not allowed"),
])
def test_a_service_that_is_not_allowed_is_not_called(endpoint: str, settings: RemoteSettings, reason: str) -> None:
    """A service of one's own is one that the operator names."""
    place = open_place(parse_address("s3://bucket/a"), Access(endpoint=endpoint), settings)
    with pytest.raises(RemoteError, match=reason) as refused, place:
        pass
    assert refused.value.final


def test_the_environment_of_the_gate_counts_for_nothing(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither its credentials nor its endpoint."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOPERATOR")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "operator")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "operator-token")
    address = parse_address(f"s3://{aws.bucket()}/a.csv")
    with open_place(address, Access(username="AKIALOCAL", password="local", endpoint=aws.url), LOCAL) as place:
        place.write("a.csv", [b"sku\n"])
        assert [file.size for file in place.files()] == [4]
    with open_place(address, Access(endpoint=aws.url), LOCAL) as place:  # unsigned
        assert [file.size for file in place.files()] == [4]
