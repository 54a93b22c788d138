"""A shipment as it is kept: one document that tells everything, from which answers, labels and movements are made."""

from datetime import datetime, timedelta
from decimal import Decimal

import msgspec

from goodsgate.model.batch import now
from goodsgate.model.catalogue import Label, item_key
from goodsgate.protocols.konnect.orders.states import STATE_BY_NAME

RESOURCE_TYPE = "konnect/shipment"
"""Of the resources that shipments are."""
DUE_LABEL = "due"
"""The label of what time has something to do with."""
PLACEMENT_SECONDS_MAX = 30
"""After which whoever comes by finishes what somebody began to place."""
NUMBER_MAX = 10**7 - 1
"""Shipments of one merchant: an id ends with its number."""
_EPOCH = datetime.fromtimestamp(0, now().tzinfo)


class ShipmentLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One SKU of a shipment; amounts are of one piece, in rupees, taxes included."""

    id: str
    """``orderItemId``."""
    sku: str
    name: str = ""
    size: str = ""
    hsn: str = ""
    quantity: int
    cancelled: int = 0
    mrp: Decimal
    esp: Decimal
    tax_rate: Decimal
    """In percent."""
    serials: tuple[str, ...] = ()
    reason: str = ""
    """What was found when it came back."""

    @property
    def open(self) -> int:
        """Pieces that are not cancelled."""
        return self.quantity - self.cancelled


class InvoiceDetails(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the seller told of an invoice or a credit note."""

    number: str
    at: datetime
    irn: str = ""
    qr_code: str = ""
    signed: str = ""
    ack_number: str = ""
    ack_date: str = ""


class Parcel(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One package; centimetres and grams."""

    id: str
    length: float = 0
    width: float = 0
    height: float = 0
    weight: float = 0


class CourierDetails(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who carries it."""

    name: str
    code: str = ""
    awb: tuple[str, ...] = ()
    info: str = ""


class ShipmentEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of a shipment's history."""

    state: str
    at: datetime
    remark: str = ""
    place: str = ""
    """Where the courier was."""
    promised: str = ""
    estimated: str = ""


class DueEvent(msgspec.Struct, frozen=True):
    """What happens by itself, and when."""

    at: datetime
    event: str


class PendingMovement(msgspec.Struct, frozen=True):
    """Stock that is still to be moved for something that has happened; moving it twice is moving it once."""

    id: str
    verb: str
    lines: dict[str, int]
    """Key of the stock item → pieces."""


class Shipment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One shipment, forward or a customer's return."""

    number: int = 0
    """The resource's."""
    order: str
    """``marketplaceOrderId``."""
    forward: str = ""
    """Of a return: the id of the shipment that comes back."""
    placed_at: datetime
    location: str
    channel: str
    self_ship: bool = False
    state: str
    first_state: str = "placed"
    """What it becomes first."""
    lines: tuple[ShipmentLine, ...]
    shipping: dict[str, str]
    billing: dict[str, str]
    payment: str = "PREPAID"
    invoice: InvoiceDetails | None = None
    credit: InvoiceDetails | None = None
    parcels: tuple[Parcel, ...] = ()
    courier: CourierDetails | None = None
    history: tuple[ShipmentEvent, ...] = ()
    plan: dict[str, tuple[str, float]] = {}
    """State → what happens by itself after so many seconds in it."""
    due: DueEvent | None = None
    moves: tuple[PendingMovement, ...] = ()

    @property
    def id(self) -> str:
        """20 digits: milliseconds of its placing, and its number."""
        return f"{to_microseconds(self.placed_at) // 1000:013d}{self.number:07d}"

    @property
    def forward_id(self) -> str:
        """Its own, or of the shipment that it brings back; under it its stock is moved, too."""
        return self.forward or self.id

    def has_reached(self, *states: str) -> bool:
        """Whether it is, or has been, in one of these states."""
        return any(event.state in states for event in self.history)

    def line(self, id: str) -> ShipmentLine | None:
        """The line of an ``orderItemId``."""
        return next((line for line in self.lines if line.id == id), None)

    def stock_key(self, line: ShipmentLine) -> str:
        """Under which the stock of a line is held."""
        return item_key(line.sku, self.location)

    def labels(self) -> list[Label]:
        """Under which it is listed; none as long as it is nobody's."""
        place, state = to_microseconds(self.placed_at), STATE_BY_NAME[self.state]
        found = {f"of/{self.forward}": place} if self.forward else {}
        if not self.history:
            return [*found.items(), (DUE_LABEL, place + PLACEMENT_SECONDS_MAX * 10**6)]
        for status in (state.status, *state.aliases):
            for word in (status, f"{status}/{self.location}", f"{status}/{self.location}/{self.channel}"):
                found[word] = place
        for awb in self.courier.awb if self.courier is not None else ():
            found[f"awb/{awb}"] = place
        if self.moves or self.due is not None:
            found[DUE_LABEL] = 0 if self.moves or self.due is None else to_microseconds(self.due.at)
        return [*found.items()]


def resource_number(id: str) -> int | None:
    """The number in an id, if it could be one."""
    return int(id[13:]) if len(id) == 20 and id.isascii() and id.isdigit() and int(id[13:]) > 0 else None


def to_microseconds(moment: datetime) -> int:
    """Since 1970."""
    return (moment - _EPOCH) // timedelta(microseconds=1)
