"""A process with clients for tests of stock: each tries to order one A and one B, a few times."""

import threading
from pathlib import Path

from goodsgate.config import Config
from goodsgate.engine import Refusal
from goodsgate.engine.stock import Stock, StockMovement, StockOperation
from goodsgate.store.contract import StoreBusyError
from tests import stores
from tests.shop import open_store


def buy_all(folder: Path, process: int, clients: int, orders: int) -> None:
    """Let each client order as often as `orders` says; print how many orders came through."""
    store = open_store(Config(store=stores.address(folder)))
    stock, came = Stock(store), []

    def buy(client: int) -> None:
        for turn in range(orders):
            order = f"{process}-{client}-{turn}"
            try:
                for verb in (StockOperation.RESERVE, StockOperation.COMMIT):
                    _move(stock, StockMovement(order=order, verb=verb, lines={"B": 1, "A": 1}))
                came.append(order)
            except Refusal as refusal:
                if refusal.code != "stock_short":
                    raise

    threads = [threading.Thread(target=buy, args=(client,)) for client in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store.close()
    print(len(came))


def _move(stock: Stock, movement: StockMovement) -> None:
    """As a client would: a store that is busy is asked again."""
    while True:
        try:
            stock.move("acme", "stock", movement)
            return
        except StoreBusyError:
            continue
