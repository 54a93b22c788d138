"""Requests from web pages of other origins."""

from pathlib import Path

import httpx
import pytest

from goodsgate.config import ConfigError, load
from tests.http_gate import HttpGate
from tests.shop import Shop

SHOP, OTHER = "https://shop.example.com", "https://other.example.com"
PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type,x-api-key"}
CALL = "/5p1hp1d2t/CALL/PIMAPI/getProducts/any"


def _answers(folder: Path, origins: str, origin: str) -> tuple[httpx.Response, httpx.Response]:
    with Shop(folder, kind="sqlite", cors_origins=origins) as shop:
        served = HttpGate(shop)
        try:
            client = served.anonymous()
            client.headers["origin"] = origin
            return client.options(CALL, headers=PREFLIGHT), client.post(CALL, json={})
        finally:
            served.close()


@pytest.mark.parametrize("origins", [f"https://a.example.com, {SHOP}", "*"])
def test_pages_of_the_origins_may_call_the_gate(tmp_path: Path, origins: str) -> None:
    """A browser asks before it sends a key; refusals can be read, too."""
    preflight, refused = _answers(tmp_path, origins, SHOP)
    assert preflight.status_code == 200
    assert "POST" in preflight.headers["access-control-allow-methods"]
    assert "x-api-key" in preflight.headers["access-control-allow-headers"]
    assert refused.status_code == 403
    for response in (preflight, refused):
        assert response.headers["access-control-allow-origin"] == ("*" if origins == "*" else SHOP)
        assert "access-control-allow-credentials" not in response.headers
    assert "X-Srv-Time" in refused.headers["access-control-expose-headers"]


@pytest.mark.parametrize("origins", ["", SHOP])
def test_pages_of_other_origins_may_not(tmp_path: Path, origins: str) -> None:
    """Without the setting, no page may."""
    for response in _answers(tmp_path, origins, OTHER):
        assert "access-control-allow-origin" not in response.headers


@pytest.mark.parametrize("origins", ["shop.example.com", f"{SHOP}/", f"*,{SHOP}", "null"])
def test_what_is_no_origin_is_refused_at_the_start(origins: str) -> None:
    """The error says what an origin is."""
    with pytest.raises(ConfigError, match=r"https://shop\.example\.com"):
        load(environ={"GOODSGATE_CORS_ORIGINS": origins})
