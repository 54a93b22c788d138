"""Webhooks of products."""

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from goodsgate.engine.merchant_documents import put_merchant_settings
from goodsgate.engine.outbox import DeliveryError
from tests import stores
from tests.http_gate import HttpGate
from tests.protocols.mircate.pim.client import Manager
from tests.protocols.mircate.pim.shirts import model, product, variant
from tests.protocols.webhook_receiver import Receiver
from tests.shop import Shop

LOCAL = {"webhook_hosts": "127.0.0.1", "webhook_private": "allow", "wait_seconds_max": 0.01}


@pytest.mark.parametrize("kind", stores.KINDS)
def test_the_status_of_a_product_decides_what_is_reported(tmp_path: Path, kind: str) -> None:
    """Every change of an active product, the change to archived, and nothing of drafts and of archived ones."""
    receiver = Receiver()
    with Shop(tmp_path, kind=kind, images=str(tmp_path / "images"), **LOCAL) as shop:
        served = HttpGate(shop)
        with closing(Manager(served, served.merchant())) as manager:
            settings = {"webhook": f"{receiver.url}/events?a=1", "webhook_key": "key-of-the-shop"}
            put_merchant_settings(shop.store, manager.merchant, settings)

            def events(*products: dict[str, Any], method: str = "bulkProductUpsert", **arguments: Any) -> list[Any]:
                """Send products, work and deliver, and return what has arrived of them."""
                arrived = len(receiver.arrived)
                body = arguments or {"products": [*products]}
                assert manager.pim(method, body).status_code in (200, 202)
                shop.work()
                manager.deliver_messages()
                return [
                    (event["eventOperation"], event["eventType"], event["eventDocumentId"], event["eventDocument"])
                    for _, content in receiver.arrived[arrived:] for event in [json.loads(content)]
                ]

            id = f"{manager.merchant}-s1"
            assert events(product("s1")) == events(product("s1", title="x")) == []
            ((operation, type, name, document),) = events(product("s1", status="ACTIVE", title="y"))
            assert (operation, type, name) == ("UPDATE", "PRODUCT", id)
            assert (document["attributeAsLabel"], document["data"]["status"]) == ("y", "ACTIVE")
            assert receiver.arrived[-1][0]["x-api-key"] == "key-of-the-shop"
            assert events(product("s1", status="ACTIVE", title="y")) == [], "in bulk, an identical product is no change"
            assert [event[0] for event in events(product("s1", status="ARCHIVED"))] == ["UPDATE"]
            assert events(product("s1", status="ARCHIVED", title="z")) == []
            assert events(product("s1")) == [], "a draft again"
            shirts = [model("m1"), variant("v1", "m1")]
            shirts[0]["data"]["attributes"] = [{"code": "title", "data": [{"value": "Shirt"}]}]
            for shirt in shirts:
                shirt["data"]["status"] = "ACTIVE"
            created = events(*shirts)
            assert [(event[0], event[1]) for event in created] == [("CREATE", "PRODUCT_MODEL"), ("CREATE", "PRODUCT")]
            codes = {entry["code"] for entry in created[1][3]["data"]["attributes"]}
            assert "title" in codes, "a variant has the attributes of its model"
            assert events(method="deleteProduct", id="v1") == [("DELETE", "PRODUCT", f"{manager.merchant}-v1", {})]
            assert events(method="deleteProduct", id="s1") == []
        served.close()
    stores.drop(tmp_path)
    receiver.close()


def test_hosts_are_those_that_the_operator_allows(tmp_path: Path) -> None:
    """The message says which setting is needed."""
    with Shop(tmp_path, kind="sqlite", **{**LOCAL, "webhook_hosts": ""}) as shop:
        served = HttpGate(shop)
        with closing(Manager(served, served.merchant())) as manager:
            put_merchant_settings(shop.store, manager.merchant, {"webhook": "http://127.0.0.1:1/"})
            manager.put(product("s1", status="ACTIVE"))
            shop.work()
            with pytest.raises(DeliveryError, match="webhook_hosts"):
                manager.deliver_messages()
        served.close()
