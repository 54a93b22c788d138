"""The room of orders put together: for the protocol, and for the couriers of a worker."""

from collections.abc import Mapping

from goodsgate.config import Config
from goodsgate.engine.outbox import Courier
from goodsgate.engine.stock import Stock
from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import Handler
from goodsgate.http.services import ProtocolServices
from goodsgate.protocols.konnect.orders.book import Book
from goodsgate.protocols.konnect.orders.changes import Changes
from goodsgate.protocols.konnect.orders.documents import Documents
from goodsgate.protocols.konnect.orders.events import CLOCK, WEBHOOK
from goodsgate.protocols.konnect.orders.invoices import Invoices
from goodsgate.protocols.konnect.orders.operator import Operator
from goodsgate.protocols.konnect.orders.placing import Places, Stream
from goodsgate.protocols.konnect.orders.pricing import Pricing
from goodsgate.protocols.konnect.orders.reads import Reads
from goodsgate.protocols.konnect.orders.shelf import Shelf
from goodsgate.protocols.konnect.orders.webhooks import ClockCourier, WebhookCourier, Webhooks
from goodsgate.store.contract import Store


def open_book(store: Store, config: Config) -> Book:
    """The shipments of a store."""
    return Book(store, Shelf(Stock(store)), config)


def order_handlers(context: ServerContext, changes: Changes, book: Book) -> Mapping[str, Handler]:
    """Of every operation that is about orders, by operation id."""
    pricing = Pricing(context.store)
    webhooks = Webhooks(context.store, context.engine.secrets, context.config)
    operator = Operator(context, book, Places(book, pricing, context.config), Stream(pricing), webhooks)
    return {
        **Reads(context, book).handlers(), **changes.handlers(), **Documents(context, book).handlers(),
        **operator.handlers(),
    }


def order_changes(context: ServerContext, book: Book) -> Changes:
    """By which sellers move shipments on."""
    return Changes(context, book, Invoices(context.store, context.config))


def couriers(services: ProtocolServices) -> Mapping[str, Courier]:
    """By topic."""
    return {
        WEBHOOK: WebhookCourier(services.store, services.secrets, services.config),
        CLOCK: ClockCourier(open_book(services.store, services.config)),
    }
