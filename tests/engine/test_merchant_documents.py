"""What is committed of a merchant, by several at once."""

import threading

from goodsgate.engine.merchant_documents import (
    merchant_settings,
    put_merchant_settings,
    read_merchant_document,
    update_merchant_document,
)
from tests import stores
from tests.shop import Shop


def test_facts_are_changed_one_by_one(kind, tmp_path):
    """Those that are not named stay; an empty text removes one; other merchants have their own."""
    with Shop(tmp_path, "acme", "other", kind=kind) as shop:
        assert merchant_settings(shop.store, "acme") == {}
        assert put_merchant_settings(shop.store, "acme", {"account": "1", "queue": "q"}) == {"account": "1",
            "queue": "q"}
        assert put_merchant_settings(shop.store, "acme", {"account": "2", "queue": ""}) == {"account": "2"}
        assert merchant_settings(shop.store, "acme") == {"account": "2"}
        assert merchant_settings(shop.store, "other") == {}


def test_nobodys_change_is_lost(kind, tmp_path):
    """Eight at once, each a few times, from nothing on."""
    with Shop(tmp_path, kind=kind) as shop:
        def count() -> None:
            for _ in range(5):
                update_merchant_document(shop.store, "acme", "test/count", lambda body: b"%d" % (int(body or b"0") + 1))

        threads = [threading.Thread(target=count) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert read_merchant_document(shop.store, "acme", "test/count") == b"40"
    stores.drop(tmp_path)
