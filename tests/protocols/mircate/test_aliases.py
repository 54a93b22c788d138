"""Other names of classes and methods."""

from contextlib import closing
from pathlib import Path

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


@pytest.mark.parametrize("setting", ["a", "a/b=c", "A/b=C", "A/b=C/d;E/f=G/h", "A/b==C/d"])
def test_invalid_aliases_are_refused_at_the_start(setting: str) -> None:
    """The error names the setting."""
    with pytest.raises(ConfigError, match="call_aliases"):
        load(environ={"GOODSGATE_CALL_ALIASES": setting})
