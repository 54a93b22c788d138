"""Fynd Konnect v3 as its clients expect it; see ``README.md`` and ``openapi.yaml`` beside this file."""

from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import WireProtocol, read_contract
from goodsgate.protocols.konnect.access import Access, token_of
from goodsgate.protocols.konnect.guesses import PREFIXES
from goodsgate.protocols.konnect.listings import Listings
from goodsgate.protocols.konnect.lookups import Lookups
from goodsgate.protocols.konnect.orders.opened import couriers as couriers
from goodsgate.protocols.konnect.orders.opened import open_book, order_changes, order_handlers
from goodsgate.protocols.konnect.products import Products
from goodsgate.protocols.konnect.refusals import problem_response
from goodsgate.protocols.konnect.status import Statuses
from goodsgate.protocols.konnect.stock import Stock
from goodsgate.protocols.konnect.writes import Writes


def protocol(context: ServerContext) -> WireProtocol:
    """The protocol, ready to answer."""
    contract = read_contract(__name__)
    statuses = Statuses(context)
    book = open_book(context.store, context.config)
    changes = order_changes(context, book)
    return WireProtocol(
        name="konnect",
        title="Fynd Konnect",
        contract=contract,
        handlers={
            **Access(context, contract).handlers(), **Lookups(context).handlers(), **Products(context).handlers(),
            **Writes(context).handlers(), **statuses.handlers(), **Listings(context).handlers(),
            **Stock(context, changes).handlers(),
            **order_handlers(context, changes, book),
        },
        serialize_refusal=problem_response,
        secret_of=token_of,
        prefixes=PREFIXES,
        cached_response=statuses.cached_response,
    )
