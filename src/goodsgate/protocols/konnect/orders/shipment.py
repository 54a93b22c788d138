"""The stored shipment: one document that answers, labels and stock changes are derived from."""

from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

import msgspec

from goodsgate.model.batch import now
from goodsgate.model.catalogue import Label, item_key
from goodsgate.protocols.konnect.orders.states import STATE_BY_NAME

RESOURCE_TYPE = "konnect/shipment"
"""Type of the resources that hold shipments."""
DUE_LABEL = "due"
"""Label of shipments with an event that is due at some time, or with stock still to be changed."""
PLACEMENT_SECONDS_MAX = 30
"""Time after which another request completes a placement that was interrupted."""
_EPOCH = datetime.fromtimestamp(0, now().tzinfo)
_PAISA = Decimal("0.01")


class ShipmentLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One SKU of a shipment; amounts are rupees for one piece, taxes included."""

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
    """Reason code of the quality check of a return."""

    @property
    def open(self) -> int:
        """Number of pieces that are not cancelled."""
        return self.quantity - self.cancelled

    @property
    def tax(self) -> Decimal:
        """Tax of one piece, which its price includes."""
        return (self.esp * self.tax_rate / (100 + self.tax_rate)).quantize(_PAISA, ROUND_HALF_UP)


class InvoiceDetails(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An invoice or a credit note of the seller."""

    number: str
    at: datetime
    irn: str = ""
    qr_code: str = ""
    signed: str = ""
    ack_number: str = ""
    ack_date: str = ""


class Parcel(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One package, measured in centimetres and grams."""

    id: str
    length: float = 0
    width: float = 0
    height: float = 0
    weight: float = 0


class CourierDetails(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The parcel courier of a shipment."""

    name: str
    code: str = ""
    awb: tuple[str, ...] = ()
    info: str = ""


class ShipmentEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One entry of a shipment's history."""

    state: str
    at: datetime
    remark: str = ""
    courier_location: str = ""
    promised: str = ""
    estimated: str = ""


class DueEvent(msgspec.Struct, frozen=True):
    """An event that occurs by itself at a given time."""

    at: datetime
    event: str


class PendingStockChange(msgspec.Struct, frozen=True):
    """A stock change that follows from the shipment's state and has yet to be made; its id makes it count once."""

    id: str
    verb: str
    lines: dict[str, int]
    """Key of the stock item → pieces."""


class Shipment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One forward shipment, or one return of a customer."""

    number: int = 0
    """Number of the resource."""
    order: str
    """``marketplaceOrderId``."""
    forward: str = ""
    """Of a return: the id of the forward shipment."""
    placed_at: datetime
    location: str
    channel: str
    self_ship: bool = False
    state: str
    first_state: str = "placed"
    """The state after `new`, once the stock is reserved."""
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
    """State → the event that follows it by itself, and after how many seconds."""
    due: DueEvent | None = None
    stock_changes: tuple[PendingStockChange, ...] = ()

    @property
    def id(self) -> str:
        """Twenty digits: the Unix milliseconds of the placement and the resource number."""
        return f"{to_microseconds(self.placed_at) // 1000:013d}{self.number:07d}"

    @property
    def forward_id(self) -> str:
        """The id of the forward shipment, which is also the order under which stock is changed."""
        return self.forward or self.id

    @property
    def total(self) -> Decimal:
        """Price of all pieces that are not cancelled."""
        return sum((line.esp * line.open for line in self.lines), Decimal())

    @property
    def total_tax(self) -> Decimal:
        """Tax within the total price."""
        return sum((line.tax * line.open for line in self.lines), Decimal())

    def has_reached(self, *states: str) -> bool:
        """Return whether the shipment is, or has been, in one of these states."""
        return any(event.state in states for event in self.history)

    def line(self, id: str) -> ShipmentLine | None:
        """Return the line of an ``orderItemId``."""
        return next((line for line in self.lines if line.id == id), None)

    def stock_key(self, line: ShipmentLine) -> str:
        """Return the key of the line's stock item."""
        return item_key(line.sku, self.location)

    def labels(self) -> list[Label]:
        """Return the labels under which the shipment is listed, with their sort values; few while it is being placed.

        Labels are `status`, `status/location` and `status/location/channel`, one `awb/…` for each airway bill,
        `of/…` of a return's forward shipment, and DUE_LABEL. Lists sort by the time of placement.
        """
        placed_at = to_microseconds(self.placed_at)
        labels = {f"of/{self.forward}": placed_at} if self.forward else {}
        if not self.history:
            return [*labels.items(), (DUE_LABEL, placed_at + PLACEMENT_SECONDS_MAX * 10**6)]
        state = STATE_BY_NAME[self.state]
        for status in (state.status, *state.aliases):
            for label in (status, f"{status}/{self.location}", f"{status}/{self.location}/{self.channel}"):
                labels[label] = placed_at
        for awb in self.courier.awb if self.courier is not None else ():
            labels[f"awb/{awb}"] = placed_at
        if self.stock_changes or self.due is not None:
            labels[DUE_LABEL] = 0 if self.stock_changes or self.due is None else to_microseconds(self.due.at)
        return [*labels.items()]


def resource_number(id: str) -> int | None:
    """Return the resource number in an id; None if the text is no shipment id."""
    return int(id[13:]) if len(id) == 20 and id.isascii() and id.isdigit() and int(id[13:]) > 0 else None


def to_microseconds(moment: datetime) -> int:
    """Return the Unix time in microseconds."""
    return (moment - _EPOCH) // timedelta(microseconds=1)
