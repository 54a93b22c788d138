"""The address of a client behind trusted proxies."""

import logging

import pytest

from goodsgate.config import ConfigError, load, parse_networks
from goodsgate.http.proxies import TrustedProxies
from tests.http_gate import HttpGate
from tests.shop import Shop

TRUSTED = "10.0.0.0/8, 2001:db8:1::/48, ::1"


@pytest.mark.parametrize(("header", "peer", "value", "client"), [
    ("x-forwarded-for", "203.0.113.9", "198.51.100.1", "203.0.113.9"),  # not from a proxy
    ("x-forwarded-for", "10.0.0.1", "198.51.100.1", "198.51.100.1"),
    ("x-forwarded-for", "10.0.0.1", "1.1.1.1, 198.51.100.1, 10.0.0.2", "198.51.100.1"),  # what it sent itself is first
    ("x-forwarded-for", "10.0.0.1", "198.51.100.1:4711", "198.51.100.1"),
    ("x-forwarded-for", "::1", "[2001:db8:9::5]:4711", "2001:db8:9::5"),
    ("x-forwarded-for", "::ffff:10.0.0.1", "198.51.100.1", "198.51.100.1"),
    ("x-forwarded-for", "10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),  # a client in the trusted network
    ("x-forwarded-for", "10.0.0.1", "198.51.100.1, nonsense", "10.0.0.1"),
    ("x-forwarded-for", "10.0.0.1", "198.51.100.1, unknown, 10.0.0.2", "10.0.0.2"),
    ("x-forwarded-for", "10.0.0.1", "", "10.0.0.1"),
    ("x-forwarded-for", "10.0.0.1", ", ,", "10.0.0.1"),
    ("forwarded", "10.0.0.1", "for=198.51.100.1", "198.51.100.1"),
    ("forwarded", "10.0.0.1", 'proto=https;For="[2001:db8:9::5]:4711";by=10.0.0.1', "2001:db8:9::5"),
    ("forwarded", "10.0.0.1", 'for=1.1.1.1, for="198.51.100.1:99";host="a,b", for=10.0.0.2', "198.51.100.1"),
    ("forwarded", "10.0.0.1", "for=198.51.100.1, for=_hidden", "10.0.0.1"),
    ("forwarded", "10.0.0.1", "for=198.51.100.1, proto=https", "10.0.0.1"),
    ("forwarded", "10.0.0.1", 'for="198.51.100.1', "10.0.0.1"),
    ("forwarded", "203.0.113.9", "for=198.51.100.1", "203.0.113.9"),
])
def test_the_client_is_the_last_address_that_is_no_proxy(header: str, peer: str, value: str, client: str) -> None:
    """Only a trusted proxy is believed, and only as far as it names addresses."""
    proxies = TrustedProxies(parse_networks(TRUSTED), header=header)
    other = b"forwarded" if header != "forwarded" else b"x-forwarded-for"
    headers = [(b"host", b"x"), (header.encode(), value.encode()), (other, b"for=9.9.9.9")]
    assert proxies.client_address(peer, headers) == client


def test_several_lines_of_the_header_are_one_list() -> None:
    """In their order."""
    proxies = TrustedProxies(parse_networks(TRUSTED), header="x-forwarded-for")
    lines = [(b"x-forwarded-for", b"1.1.1.1"), (b"x-forwarded-for", b"198.51.100.1, 10.0.0.2")]
    assert proxies.client_address("10.0.0.1", lines) == "198.51.100.1"


@pytest.mark.parametrize("text", ["10.0.0.0/33", "10.0.0", "::1/129", "1.2.3.4.5", "a.b"])
def test_networks_that_do_not_exist_are_refused_at_the_start(text: str) -> None:
    """The message says what is expected."""
    with pytest.raises(ConfigError, match=r"trusted_proxies.*addresses or networks such as"):
        load(None, {"GOODSGATE_TRUSTED_PROXIES": text})


def test_request_lines_name_the_client_and_who_it_is(tmp_path, caplog) -> None:
    """With the code of a refusal; the key's secret is not there."""
    with Shop(tmp_path / "store", trusted_proxies="127.0.0.0/8", request_log="all") as shop:
        gate = HttpGate(shop)
        with caplog.at_level(logging.INFO, "goodsgate"):
            try:
                client = gate.client("acme")
                client.get("/v1/batches/" + "0" * 32, headers={
                    "x-forwarded-for": "198.51.100.7", "x-request-id": "r-1",
                    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                })
                client.get("/v1/batches", headers={"x-request-id": "r-2"})
                client.get("/healthz", headers={"x-request-id": "r-3"})
            finally:
                gate.close()  # a line is written after its response; the end waits for it
    lines = {record.request: record for record in caplog.records if hasattr(record, "route")}
    refused, listed, health = lines["r-1"], lines["r-2"], lines["r-3"]
    assert (refused.client, refused.merchant, refused.code, refused.status) == (
        "198.51.100.7", "acme", "batch_unknown", 404
    )
    assert len(refused.key) == 12
    assert listed.client == "127.0.0.1"
    assert not hasattr(listed, "code")
    assert not hasattr(health, "merchant")


def test_connections_of_a_proxy_are_only_counted_in_all(tmp_path) -> None:
    """They are those of many clients."""
    with Shop(tmp_path / "store", trusted_proxies="127.0.0.1", http_connections_per_address_max=1) as shop:
        gate = HttpGate(shop)
        try:
            first, second = gate.connect(), gate.connect()
            with first, second:
                second.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                assert second.recv(12) == b"HTTP/1.1 200"
        finally:
            gate.close()
