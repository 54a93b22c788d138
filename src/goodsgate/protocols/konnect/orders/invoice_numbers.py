"""Numbers of invoices and credit notes: each is one shipment's, whoever else sends it at the same moment."""

from datetime import timedelta

import msgspec

from goodsgate.model.batch import now
from goodsgate.model.catalogue import Resource
from goodsgate.store.contract import NameTakenError, Store

RESOURCE_TYPE = "konnect/invoice"


class InvoiceNumberTakenError(Exception):
    """The number is another shipment's, or another type's."""


class InvoiceOwner(msgspec.Struct, frozen=True):
    """Whose a number is."""

    shipment: str
    type: str


class InvoiceNumbers:
    """Claims; kept as long as the shipments are."""

    def __init__(self, store: Store, *, retention_days: float) -> None:
        self._store = store
        self._retention = timedelta(days=retention_days)

    def claim(self, merchant: str, number: str, shipment: str, type: str) -> Resource | None:
        """Make it this shipment's; None if it is so already. Raises NumberTaken."""
        owner = InvoiceOwner(shipment, type)
        try:
            return self._store.add_resource(
                merchant, RESOURCE_TYPE, name=number, body=msgspec.json.encode(owner), resources_max=1,
                expires_at=now() + self._retention,
            )
        except NameTakenError as taken:
            held = self._store.resource(merchant, RESOURCE_TYPE, taken.number)
            if held is None or msgspec.json.decode(held.body, type=InvoiceOwner) != owner:
                raise InvoiceNumberTakenError(number) from taken
            return None

    def let_go(self, claimed: Resource) -> None:
        """Give a number back that was claimed for a shipment which does not bear it after all."""
        self._store.put_resource(msgspec.structs.replace(claimed, expires_at=now()))
