"""Fynd Konnect v3 as its clients expect it; see ``README.md`` and ``openapi.yaml`` beside this file."""

from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import WireProtocol, load_openapi
from goodsgate.http.known_settings import DeclaredSettings, Setting
from goodsgate.protocols.konnect.listings import ListingHandlers
from goodsgate.protocols.konnect.orders.wiring import message_senders as message_senders
from goodsgate.protocols.konnect.orders.wiring import open_repository, order_handlers, order_update_handlers
from goodsgate.protocols.konnect.prices_and_stock import PriceStockHandlers
from goodsgate.protocols.konnect.products import ProductListHandlers
from goodsgate.protocols.konnect.reference_data import ReferenceCache
from goodsgate.protocols.konnect.reference_lists import ReferenceListHandlers
from goodsgate.protocols.konnect.refusals import serialize_refusal
from goodsgate.protocols.konnect.status import ProductStatusHandlers
from goodsgate.protocols.konnect.tokens import TokenHandlers, access_token
from goodsgate.protocols.konnect.unpublished import PREFIXES
from goodsgate.protocols.konnect.writes import ProductWriteHandlers

SETTINGS = DeclaredSettings(keys={
    "location": Setting(
        description="Location to which the key's tokens are limited; by default the whole company.",
        pattern=r"[^\x00-\x1f\x7f]{1,255}", expected="a location code of 1 to 255 characters",
    ),
    "company_id": Setting(
        description="The number `company_id` in answers.", pattern="[0-9]{1,15}", expected="a number of 1 to 15 digits",
    ),
    "profile": Setting(
        description="The document that the status follows: the integration guide or the API reference.",
        pattern="guide|reference", expected="`guide` or `reference`",
    ),
    "strict": Setting(
        description="Whether updates must hold every member that the API reference lists.", pattern="yes|no",
        expected="`yes` or `no`",
    ),
})


def protocol(context: ServerContext) -> WireProtocol:
    """Return the protocol with its handlers."""
    openapi = load_openapi(__name__)
    status, reference = ProductStatusHandlers(context), ReferenceCache(context.store)
    shipments = open_repository(context.services)
    updates = order_update_handlers(context, shipments)
    return WireProtocol(
        name="konnect",
        title="Fynd Konnect",
        openapi=openapi,
        handlers={
            **TokenHandlers(context, openapi).handlers(),
            **ReferenceListHandlers(context, reference).handlers(),
            **ProductListHandlers(context, reference).handlers(),
            **ProductWriteHandlers(context).handlers(),
            **status.handlers(),
            **ListingHandlers(context).handlers(),
            **PriceStockHandlers(context, updates).handlers(),
            **order_handlers(context, updates, shipments),
        },
        serialize_refusal=serialize_refusal,
        find_secret=access_token,
        prefixes=PREFIXES,
        cached_response=status.cached_response,
    )
