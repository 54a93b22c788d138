"""Fynd Konnect v3 as its clients expect it; see ``README.md`` and ``openapi.yaml`` beside this file."""

from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import WireProtocol, read_contract
from goodsgate.protocols.konnect.listings import ListingHandlers
from goodsgate.protocols.konnect.orders.wiring import couriers as couriers
from goodsgate.protocols.konnect.orders.wiring import open_repository, order_handlers, order_update_handlers
from goodsgate.protocols.konnect.prices_and_stock import PriceStockHandlers
from goodsgate.protocols.konnect.products import ProductListHandlers
from goodsgate.protocols.konnect.reference_lists import ReferenceListHandlers
from goodsgate.protocols.konnect.refusals import serialize_refusal
from goodsgate.protocols.konnect.status import StatusHandlers
from goodsgate.protocols.konnect.tokens import TokenHandlers, token_of
from goodsgate.protocols.konnect.unpublished import PREFIXES
from goodsgate.protocols.konnect.writes import ProductWriteHandlers


def protocol(context: ServerContext) -> WireProtocol:
    """The protocol, ready to answer."""
    contract = read_contract(__name__)
    statuses = StatusHandlers(context)
    book = open_repository(context.store, context.config)
    changes = order_update_handlers(context, book)
    return WireProtocol(
        name="konnect",
        title="Fynd Konnect",
        contract=contract,
        handlers={
            **TokenHandlers(context, contract).handlers(), **ReferenceListHandlers(context).handlers(),
            **ProductListHandlers(context).handlers(),
            **ProductWriteHandlers(context).handlers(), **statuses.handlers(), **ListingHandlers(context).handlers(),
            **PriceStockHandlers(context, changes).handlers(),
            **order_handlers(context, changes, book),
        },
        serialize_refusal=serialize_refusal,
        secret_of=token_of,
        prefixes=PREFIXES,
        cached_response=statuses.cached_response,
    )
