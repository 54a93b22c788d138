"""What sellers ask of shipments: the entries of request bodies, read one by one so that a bad one harms no other."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import ApiRequest
from goodsgate.http.problems import refuse
from goodsgate.protocols.konnect.bodies import parts, read_body
from goodsgate.protocols.konnect.guesses import CANCEL_REASONS
from goodsgate.protocols.konnect.orders.codes import NUMBER_WRONG, Codes, Failed, invalid
from goodsgate.protocols.konnect.orders.shipment import Invoice, Parcel, Shipment

ENTRIES_MAX = 20
Text = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f]*$")]
"""Of ids and names: without control characters."""
Pieces = Annotated[int, Meta(ge=1, le=10**9)]
Measure = Annotated[float, Meta(ge=0, le=10**9)]


class Item(msgspec.Struct, frozen=True):
    """A line that an entry speaks of."""

    orderItemId: Text
    quantity: Pieces | None = None
    reasonCode: str | int = ""
    imeiSerialNumber: Annotated[list[Text], Meta(max_length=1_000)] = []


class Order(msgspec.Struct, frozen=True):
    """An entry that names a shipment, and perhaps lines of it."""

    orderId: Text
    orderItems: Annotated[list[Item], Meta(max_length=1_000)] | None = None


class Package(msgspec.Struct, frozen=True):
    """A package of an invoice."""

    packageId: Text
    packageLengthCm: Measure = 0
    packageWidthCm: Measure = 0
    packageHeightCm: Measure = 0
    packageWeightGms: Measure = 0

    def parcel(self) -> Parcel:
        """As it is kept."""
        return Parcel(
            id=self.packageId, length=self.packageLengthCm, width=self.packageWidthCm, height=self.packageHeightCm,
            weight=self.packageWeightGms,
        )


class Invoicing(Order, frozen=True, kw_only=True):
    """An entry of invoiceUpdate."""

    invoiceNumber: str
    invoiceType: str
    invoiceQrCode: str | None = None
    irnNumber: str | None = None
    signedInvoice: str | None = None
    ackNumber: str | None = None
    ackDate: str | None = None
    packages: Annotated[list[Package], Meta(max_length=100)] | None = None

    def invoice(self, at: datetime) -> Invoice:
        """As it is kept."""
        return Invoice(
            number=self.invoiceNumber, at=at, irn=self.irnNumber or "", qr_code=self.invoiceQrCode or "",
            signed=self.signedInvoice or "", ack_number=self.ackNumber or "", ack_date=self.ackDate or "",
        )


class Airway(msgspec.Struct, frozen=True):
    """An entry of awb; `autoDispatch` is a boolean, or one in words (X22)."""

    orderId: Text
    awbNumber: Text
    courierName: Text
    autoDispatch: bool | str


class Remarks(msgspec.Struct, frozen=True):
    """What a seller adds to a milestone."""

    remark: Annotated[str, Meta(max_length=1_000)] | None = None
    reasonCode: float | str | None = None
    dpLocation: Annotated[str, Meta(max_length=1_000)] | None = None
    promised_delivery_date: Annotated[str, Meta(max_length=100)] | None = None
    estimated_delivery_date: Annotated[str, Meta(max_length=100)] | None = None


class Milestone(msgspec.Struct, frozen=True):
    """An entry of status."""

    orderId: Text
    orderStatus: str
    meta: Remarks | None = None


E = TypeVar("E", Order, Invoicing, Airway, Milestone)


async def entries(request: ApiRequest, context: ServerContext) -> list[msgspec.Raw]:
    """The elements of a request's array, 1 to 20 of them; raises body_invalid and what `read_body` raises."""
    found = parts(await read_body(request, context), member="request body")
    if not 0 < len(found) <= ENTRIES_MAX:
        raise refuse("body_invalid", f"The request body must be an array of 1 to {ENTRIES_MAX} records.")
    return found


def read(raw: msgspec.Raw, shape: type[E], codes: Codes) -> E:
    """One entry; raises Failed, naming its order if it has one."""
    try:
        return msgspec.json.decode(raw, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        try:
            order = str(msgspec.json.decode(raw, type=_Named).orderId)[:255]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            order = ""
        raise invalid(codes, f"{fault}.", order=order) from fault


class _Named(msgspec.Struct):
    orderId: str | int = ""


def lines_of(shipment: Shipment, entry: Order, codes: Codes) -> dict[str, int]:
    """``orderItemId`` → pieces that an entry speaks of, all that are open where it does not say; raises Failed."""
    found: dict[str, int] = {}
    for item in entry.orderItems or ():
        line = shipment.line(item.orderItemId)
        if line is None:
            raise invalid(codes, "The order has no such item.", order=shipment.id, item=item.orderItemId)
        pieces = line.open if item.quantity is None else item.quantity
        if not line.open:
            told = "The item is cancelled."
            raise Failed(codes.cancelled, "Order or item is cancelled", told, order=shipment.id, item=line.id)
        if pieces + found.get(line.id, 0) > line.open:
            told = f"Of the item there are {line.open}, not {pieces + found.get(line.id, 0)}."
            raise invalid(codes, told, order=shipment.id, item=line.id)
        found[line.id] = pieces + found.get(line.id, 0)
    return found


def check_reasons(entry: Order, codes: Codes) -> None:
    """Each line that is to be cancelled says why; raises Failed."""
    for item in entry.orderItems or ():
        if str(item.reasonCode) not in CANCEL_REASONS:
            told = f"reasonCode must be one of {', '.join(CANCEL_REASONS)}."
            raise invalid(codes, told, order=entry.orderId, item=item.orderItemId)


def check_number(entry: Invoicing) -> None:
    """Raises Failed."""
    if entry.invoiceType not in ("sale", "return"):
        raise Failed(NUMBER_WRONG, "Invalid invoice", "invoiceType must be sale or return.", order=entry.orderId)
    if not 0 < len(entry.invoiceNumber.strip()) <= 100 or not entry.invoiceNumber.isprintable():
        told = "invoiceNumber must be of 1 to 100 printable characters."
        raise Failed(NUMBER_WRONG, "Invalid invoice", told, order=entry.orderId)


def each(raws: Sequence[msgspec.Raw], work: Callable[[msgspec.Raw], object]) -> list[dict[str, Any]]:
    """Do something for each entry; what failed, worded."""
    errors = []
    for index, raw in enumerate(raws):
        try:
            work(raw)
        except Failed as failed:
            errors.append(failed.words(index))
    return errors
