"""A process that places and processes orders until it is killed; arguments: folder, name."""

import itertools
import sys
from decimal import Decimal
from pathlib import Path

from goodsgate.app import create_services
from goodsgate.config import Config
from goodsgate.model.batch import now
from goodsgate.protocols.konnect.orders import shipment as shipment_module
from goodsgate.protocols.konnect.orders.shipment import Shipment, ShipmentLine
from goodsgate.protocols.konnect.orders.transitions import apply_event
from goodsgate.protocols.konnect.orders.wiring import open_repository
from tests import stores
from tests.shop import open_store

SKU, LOCATION, PIECES = "A", "BLR-01", 3
SEQUENCES = ((), ("cancel",), ("confirm", "sale"), ("confirm", "sale", "cancel", "accept"))


def new_order(name: str) -> Shipment:
    """Return a shipment that is not placed yet."""
    line = ShipmentLine(id="1", sku=SKU, quantity=PIECES, mrp=Decimal(10), esp=Decimal(9), tax_rate=Decimal(5))
    return Shipment(
        order=name, placed_at=now(), location=LOCATION, channel="ECOMM", state="new", lines=(line,), shipping={},
        billing={},
    )


def main() -> None:
    """Print the id of each order after processing it."""
    shipment_module.PLACEMENT_SECONDS_MAX = 0  # each process completes the interrupted placements of the other at once
    config = Config(store=stores.address(Path(sys.argv[1])))
    store = open_store(config)
    repository = open_repository(create_services(store, config))
    for number in itertools.count():
        id = repository.place("acme", new_order(f"{sys.argv[2]}-{number}")).id
        for event in SEQUENCES[number % len(SEQUENCES)]:
            repository.update("acme", id, lambda shipment, event=event: apply_event(shipment, event, at=now()))  # type: ignore[misc]
        if number % 5 == 4:
            repository.apply_due_events("acme")
        print(id, flush=True)


if __name__ == "__main__":
    main()
