"""Removal of products."""

from collections.abc import Iterable

from goodsgate.model.batch import Kind
from goodsgate.model.catalogue import display_key
from goodsgate.protocols.mircate.dispatcher import EXCLUSIVE
from tests.protocols.mircate.client import Mircate, message

CHANNELS = ("web", "app")


def _fill(seller: Mircate, skus: Iterable[str]) -> None:
    units = [{"sku": sku, "channel": channel, "stock": 1, "price": 2} for sku in skus for channel in CHANNELS]
    for method in ("receiveStock", "receivePrice"):
        seller.final_status(seller.call(f"MerchantAPI/{method}", {"products": units}).json()["batchId"])


def _held(seller: Mircate, kind: Kind) -> set[str | None]:
    shop = seller.gate.shop
    seller.idle()
    return {display_key(key) for key in shop.items("mircate", kind=kind, merchant=seller.merchant)}


def test_the_listed_products_are_removed(seller: Mircate, stranger: Mircate) -> None:
    """Stock and price go, in one channel or all; longer SKUs and other merchants' products stay."""
    for one in (seller, stranger):
        _fill(one, ["A", "AB", "B", "C"])
    named = [{"sku": "A"}, {"productId": "B", "channel": "web"}, {"sku": "nothing"}, {"sku": "C", "channel": "fax"}]
    assert seller.call("MerchantAPI/removeMyProducts", {"products": named}).json() == {"removedCount": 2}
    question = {"channel": "web", "products": [{"sku": "B"}]}
    (rest,) = seller.call("MerchantAPI/getCurrentStock", question).json()["products"]
    assert rest["stock"] == 0, "it is over when it is answered"
    for kind in (Kind.STOCK, Kind.PRICE):
        assert _held(seller, kind) == {"AB@web", "AB@app", "B@app", "C@web", "C@app"}
        assert len(_held(stranger, kind)) == 8
    assert seller.call("MerchantAPI/removeMyProducts", {"products": named}).json() == {"removedCount": 0}


def test_a_product_without_a_name_is_refused(seller: Mircate) -> None:
    """The error names its position, and nothing is removed."""
    _fill(seller, ["A"])
    refused = seller.call("MerchantAPI/removeMyProducts", {"products": [{"sku": "A"}, {"channel": "web"}]})
    assert message(refused, 400) == "products/1: sku is missing"
    assert len(_held(seller, Kind.STOCK)) == 2


def test_all_products_are_removed(seller: Mircate, stranger: Mircate) -> None:
    """A channel limits the removal."""
    for one in (seller, stranger):
        _fill(one, [f"A-{at}" for at in range(20)])
    assert seller.call("MerchantAPI/cleanMyProducts", {"channel": "app"}).status_code == 204
    assert {str(key)[-3:] for kind in (Kind.STOCK, Kind.PRICE) for key in _held(seller, kind)} == {"web"}
    response = seller.post(seller.path("MerchantAPI/cleanMyProducts"))
    assert (response.status_code, response.content) == (204, b"")
    assert _held(seller, Kind.STOCK) | _held(seller, Kind.PRICE) == set()
    assert len(_held(stranger, Kind.STOCK)) == 40


def test_later_products_are_kept(seller: Mircate) -> None:
    """Removals keep their place in the order of acceptance."""
    _fill(seller, ["A"])
    seller.call("MerchantAPI/cleanMyProducts")
    seller.call("MerchantAPI/receiveStock", {"products": [{"sku": "B", "channel": "web", "stock": 1}]})
    seller.call("MerchantAPI/removeMyProducts", {"products": [{"sku": "A"}]})
    assert _held(seller, Kind.STOCK) == {"B@web"}


def test_a_project_that_is_being_cleaned_is_busy(seller: Mircate) -> None:
    """It answers 570, so the platform's client retries; other methods are not delayed."""
    store = seller.gate.shop.store
    store.reserve_idempotency_key(seller.merchant, f"{EXCLUSIVE}clean", lease_seconds=30)
    assert "busy" in message(seller.call("MerchantAPI/cleanMyProducts"), 570)
    assert seller.call("MerchantAPI/removeMyProducts", {"products": [{"sku": "A"}]}).status_code == 200
    store.release_idempotency_key(seller.merchant, f"{EXCLUSIVE}clean")
    for _ in range(2):
        assert seller.call("MerchantAPI/cleanMyProducts").status_code == 204
