"""Other names of classes and methods."""

from contextlib import closing
from pathlib import Path

import orjson
import pytest

from goodsgate.config import ConfigError, load
from tests.http_gate import HttpGate
from tests.protocols.mircate.client import Mircate
from tests.shop import Shop

STOCK = "MerchantAPI/receiveStock"
UNIT = {"sku": "A-1", "channel": "web", "stock": 5}


def test_a_method_may_have_another_name(tmp_path: Path) -> None:
    """The setting renames methods or whole classes; the published name stays valid."""
    aliases = "StockAPI/receive=MerchantAPI/receiveStock, MerchantAPI/push=MerchantAPI/receivePrice, Shop=MerchantAPI"
    with Shop(tmp_path, kind="sqlite", call_aliases=aliases) as shop:
        served = HttpGate(shop)
        try:
            with closing(Mircate(served, served.merchant())) as seller:
                for name in ("StockAPI/receive", "MerchantAPI/push", "Shop/receivePrice", STOCK):
                    unit = {**UNIT, "price": 1}
                    assert seller.call(name, {"products": [unit]}).status_code == 200
                    assert seller.call_by_get(name, {"products": [unit]}).status_code == 200
                assert seller.call("StockAPI/receiveStock").status_code == 404
        finally:
            served.close()


def test_members_of_bodies_may_have_other_names(tmp_path: Path) -> None:
    """Of one method or a whole class, at the top or inside of lists, in a body or a query; known names stay valid."""
    aliases = "MerchantAPI.items=products, MerchantAPI/receiveStock.products.amount=stock, MerchantAPI.delay=frequency"
    with Shop(tmp_path, kind="sqlite", call_aliases=aliases) as shop:
        served = HttpGate(shop)
        try:
            with closing(Mircate(served, served.merchant())) as seller:
                units = [{"sku": "A-1", "amount": 12345678901234567.0}, {"sku": "A-2", "stock": 6}, 7]
                sent = [
                    seller.call(STOCK, {"items": units, "delay": 0}), seller.call_by_get(STOCK, {"items": units}),
                    seller.get(seller.path(STOCK), params={"items": orjson.dumps(units).decode(), "delay": "0"}),
                    seller.call("MerchantAPI/receivePrice", {"items": [{"sku": "A-1", "price": 1}]}),
                    seller.call(STOCK, {"products": [{"sku": "A-3", "stock": 1}], "items": 5}),
                ]
                assert [response.status_code for response in sent] == [200] * 5
                shop.work()
                status = seller.final_status(sent[0].json()["batchId"])
                assert (status["successCount"], status["failCount"]) == (1, 2)
                assert "9007199254740991" in status["failedProducts"][0]["message"]
                assert seller.call(STOCK, {"items": "A-1"}).json()["issues"][0]["instancePath"] == "/products"
        finally:
            served.close()


@pytest.mark.parametrize("setting", [
    "a", "a/b.c", "a.b=c/d", "a/b.=c", "a/b=c", "A/b=C", "A/b=C/d;E/f=G/h", "A/b==C/d",
])
def test_invalid_aliases_are_refused_at_the_start(setting: str) -> None:
    """The error names the setting."""
    with pytest.raises(ConfigError, match="call_aliases"):
        load(environ={"GOODSGATE_CALL_ALIASES": setting})
