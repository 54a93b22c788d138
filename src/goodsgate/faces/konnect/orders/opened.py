"""The room of orders put together: for the face, and for the couriers of a worker."""

from collections.abc import Mapping

from goodsgate.config import Config
from goodsgate.engine.outbox import Courier
from goodsgate.engine.secrets import Secrets
from goodsgate.engine.stock import Stock
from goodsgate.faces.door import Door
from goodsgate.faces.konnect.orders.book import Book
from goodsgate.faces.konnect.orders.changes import Changes
from goodsgate.faces.konnect.orders.documents import Documents
from goodsgate.faces.konnect.orders.events import CLOCK, WEBHOOK
from goodsgate.faces.konnect.orders.invoices import Invoices
from goodsgate.faces.konnect.orders.operator import Operator
from goodsgate.faces.konnect.orders.placing import Places, Stream
from goodsgate.faces.konnect.orders.pricing import Pricing
from goodsgate.faces.konnect.orders.reads import Reads
from goodsgate.faces.konnect.orders.shelf import Shelf
from goodsgate.faces.konnect.orders.webhooks import ClockCourier, WebhookCourier, Webhooks
from goodsgate.faces.routes import Handler
from goodsgate.store.contract import Store


def open_book(store: Store, config: Config) -> Book:
    """The shipments of a store."""
    return Book(store, Shelf(Stock(store)), config)


def order_handlers(door: Door, changes: Changes, book: Book) -> Mapping[str, Handler]:
    """Of every operation that is about orders, by operation id."""
    pricing = Pricing(door.store)
    webhooks = Webhooks(door.store, door.engine.secrets, door.config)
    operator = Operator(door, book, Places(book, pricing, door.config), Stream(pricing), webhooks)
    return {
        **Reads(door, book).handlers(), **changes.handlers(), **Documents(door, book).handlers(),
        **operator.handlers(),
    }


def order_changes(door: Door, book: Book) -> Changes:
    """By which sellers move shipments on."""
    return Changes(door, book, Invoices(door.store, door.config))


def couriers(config: Config, store: Store) -> Mapping[str, Courier]:
    """By topic."""
    return {
        WEBHOOK: WebhookCourier(store, Secrets(store, config), config), CLOCK: ClockCourier(open_book(store, config)),
    }
