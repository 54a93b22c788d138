"""Builds the parts of order handling: for request handlers, and for the messages that a worker delivers."""

from collections.abc import Mapping

from goodsgate.engine.outbox import MessageSender
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
from goodsgate.protocols.konnect.orders.webhooks import DueEventRunner, OrderWebhookRegistry, OrderWebhookSender


def open_repository(services: ProtocolServices) -> ShipmentRepository:
    """Return the shipments of a store."""
    return ShipmentRepository(services.store, StockSync(services.stock), retention_days=services.settings.order_days)


def order_update_handlers(context: ServerContext, shipments: ShipmentRepository) -> OrderUpdateHandlers:
    """Return the handlers of the operations that move shipments on."""
    invoice_numbers = InvoiceNumbers(context.store, retention_days=context.services.settings.order_days)
    return OrderUpdateHandlers(context, shipments, invoice_numbers)


def order_handlers(context: ServerContext, updates: OrderUpdateHandlers, shipments: ShipmentRepository,
                   ) -> Mapping[str, Handler]:
    """Return the handlers of every order operation, by operation id."""
    services = context.services
    pricing = CataloguePricing(services.store)
    placer = OrderPlacer(shipments, pricing, courier_seconds=services.settings.courier_seconds)
    webhooks = OrderWebhookRegistry(services.store, services.secrets, services.settings.webhooks.hosts)
    admin = OrderAdminHandlers(context, shipments, placer, OrderGenerator(pricing), webhooks)
    return {
        **OrderReadHandlers(context, shipments).handlers(), **updates.handlers(),
        **OrderDocumentHandlers(context, shipments).handlers(), **admin.handlers(),
    }


def message_senders(services: ProtocolServices) -> Mapping[str, MessageSender]:
    """Return what delivers this protocol's messages, by topic."""
    settings = services.settings
    return {
        WEBHOOK: OrderWebhookSender(
            services.store, services.secrets, settings.webhooks, timeout_seconds=settings.delivery_seconds
        ),
        CLOCK: DueEventRunner(open_repository(services)),
    }
