"""Builds the parts of order handling: for the protocol, and for the message senders of a worker."""

from collections.abc import Mapping

from goodsgate.config import Config
from goodsgate.engine.outbox import Courier
from goodsgate.engine.stock import Stock
from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import Handler
from goodsgate.http.services import ProtocolServices
from goodsgate.protocols.konnect.orders.admin import OrderAdminHandlers
from goodsgate.protocols.konnect.orders.documents import OrderDocumentHandlers
from goodsgate.protocols.konnect.orders.events import CLOCK, WEBHOOK
from goodsgate.protocols.konnect.orders.invoice_numbers import InvoiceNumbers
from goodsgate.protocols.konnect.orders.placement import OrderGenerator, OrderPlacer
from goodsgate.protocols.konnect.orders.pricing import CataloguePricing
from goodsgate.protocols.konnect.orders.reads import OrderReadHandlers
from goodsgate.protocols.konnect.orders.repository import ShipmentRepository
from goodsgate.protocols.konnect.orders.stock_sync import StockSync
from goodsgate.protocols.konnect.orders.updates import OrderUpdateHandlers
from goodsgate.protocols.konnect.orders.webhooks import DueEventRunner, WebhookRegistry, WebhookSender
from goodsgate.store.contract import Store


def open_repository(store: Store, config: Config) -> ShipmentRepository:
    """Return the shipments of a store."""
    return ShipmentRepository(store, StockSync(Stock(store)), config)


def order_handlers(context: ServerContext, updates: OrderUpdateHandlers, shipments: ShipmentRepository,
                   ) -> Mapping[str, Handler]:
    """Return the handlers of every order operation, by operation id."""
    pricing = CataloguePricing(context.store)
    webhooks = WebhookRegistry(context.store, context.engine.secrets, context.config)
    placer = OrderPlacer(shipments, pricing, context.config)
    admin = OrderAdminHandlers(context, shipments, placer, OrderGenerator(pricing), webhooks)
    return {
        **OrderReadHandlers(context, shipments).handlers(), **updates.handlers(),
        **OrderDocumentHandlers(context, shipments).handlers(), **admin.handlers(),
    }


def order_update_handlers(context: ServerContext, shipments: ShipmentRepository) -> OrderUpdateHandlers:
    """Return the handlers of the operations that move shipments on."""
    return OrderUpdateHandlers(context, shipments, InvoiceNumbers(context.store, context.config))


def couriers(services: ProtocolServices) -> Mapping[str, Courier]:
    """Return the senders of this protocol's messages, by topic."""
    return {
        WEBHOOK: WebhookSender(services.store, services.secrets, services.config),
        CLOCK: DueEventRunner(open_repository(services.store, services.config)),
    }
