"""Numbers of invoices and credit notes: each belongs to one shipment, whatever requests arrive at the same time."""

from datetime import timedelta

import msgspec

from goodsgate.model.batch import now
from goodsgate.model.catalogue import Resource
from goodsgate.store.contract import NameTakenError, Store

RESOURCE_TYPE = "konnect/invoice"


class InvoiceNumberTakenError(Exception):
    """The number belongs to another shipment, or to this one's document of the other type."""


class InvoiceOwner(msgspec.Struct, frozen=True):
    """The shipment and document type that a number belongs to."""

    shipment: str
    type: str


class InvoiceNumbers:
    """Claims of invoice numbers, kept as long as shipments are."""

    def __init__(self, store: Store, *, retention_days: float) -> None:
        self._store = store
        self._retention = timedelta(days=retention_days)

    def claim(self, merchant: str, number: str, shipment: str, type: str) -> Resource | None:
        """Claim a number for a shipment; None if it has it already. Raises InvoiceNumberTakenError."""
        owner = InvoiceOwner(shipment, type)
        try:
            return self._store.add_resource(
                merchant, RESOURCE_TYPE, name=number, body=msgspec.json.encode(owner), resources_max=1,
                expires_at=now() + self._retention,
            )
        except NameTakenError as taken:
            current = self._store.resource(merchant, RESOURCE_TYPE, taken.number)
            if current is None or msgspec.json.decode(current.body, type=InvoiceOwner) != owner:
                raise InvoiceNumberTakenError(number) from taken
            return None

    def release(self, claimed: Resource) -> None:
        """Release a number that was claimed for a shipment which could not be invoiced."""
        self._store.put_resource(msgspec.structs.replace(claimed, expires_at=now()))
