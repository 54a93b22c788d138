"""Fynd Konnect v3 as its clients expect it; see ``README.md`` and ``openapi.yaml`` beside this file."""

from goodsgate.faces.door import Door
from goodsgate.faces.konnect.access import Access, token_of
from goodsgate.faces.konnect.guesses import PREFIXES
from goodsgate.faces.konnect.listings import Listings
from goodsgate.faces.konnect.lookups import Lookups
from goodsgate.faces.konnect.orders.opened import couriers as couriers
from goodsgate.faces.konnect.orders.opened import open_book, order_changes, order_handlers
from goodsgate.faces.konnect.products import Products
from goodsgate.faces.konnect.status import Statuses
from goodsgate.faces.konnect.stock import Stock
from goodsgate.faces.konnect.wording import worded
from goodsgate.faces.konnect.writes import Writes
from goodsgate.faces.routes import Face, read_contract


def face(door: Door) -> Face:
    """The face, ready to answer."""
    contract = read_contract(__name__)
    statuses = Statuses(door)
    book = open_book(door.store, door.config)
    changes = order_changes(door, book)
    return Face(
        name="konnect",
        title="Fynd Konnect",
        contract=contract,
        handlers={
            **Access(door, contract).handlers(), **Lookups(door).handlers(), **Products(door).handlers(),
            **Writes(door).handlers(), **statuses.handlers(), **Listings(door).handlers(),
            **Stock(door, changes).handlers(),
            **order_handlers(door, changes, book),
        },
        wording=worded,
        secret_of=token_of,
        prefixes=PREFIXES,
        quick=statuses.quick,
    )
