"""What sellers ask of shipments: the entries of request bodies, read one by one so that a bad one harms no other."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import ApiRequest
from goodsgate.http.problems import refuse
from goodsgate.protocols.konnect.bodies import read_body, split_array
from goodsgate.protocols.konnect.orders.codes import NUMBER_WRONG, EntryError, ErrorCodes, invalid_entry
from goodsgate.protocols.konnect.orders.shipment import InvoiceDetails, Parcel, Shipment
from goodsgate.protocols.konnect.unpublished import CANCEL_REASONS

ENTRIES_MAX = 20
Text = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f]*$")]
"""Of ids and names: without control characters."""
Pieces = Annotated[int, Meta(ge=1, le=10**9)]
Measure = Annotated[float, Meta(ge=0, le=10**9)]


class LineEntry(msgspec.Struct, frozen=True):
    """A line that an entry speaks of."""

    orderItemId: Text
    quantity: Pieces | None = None
    reasonCode: str | int = ""
    imeiSerialNumber: Annotated[list[Text], Meta(max_length=1_000)] = []


class OrderEntry(msgspec.Struct, frozen=True):
    """An entry that names a shipment, and perhaps lines of it."""

    orderId: Text
    orderItems: Annotated[list[LineEntry], Meta(max_length=1_000)] | None = None


class PackageEntry(msgspec.Struct, frozen=True):
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


class InvoiceEntry(OrderEntry, frozen=True, kw_only=True):
    """An entry of invoiceUpdate."""

    invoiceNumber: str
    invoiceType: str
    invoiceQrCode: str | None = None
    irnNumber: str | None = None
    signedInvoice: str | None = None
    ackNumber: str | None = None
    ackDate: str | None = None
    packages: Annotated[list[PackageEntry], Meta(max_length=100)] | None = None

    def invoice(self, at: datetime) -> InvoiceDetails:
        """As it is kept."""
        return InvoiceDetails(
            number=self.invoiceNumber, at=at, irn=self.irnNumber or "", qr_code=self.invoiceQrCode or "",
            signed=self.signedInvoice or "", ack_number=self.ackNumber or "", ack_date=self.ackDate or "",
        )


class AwbEntry(msgspec.Struct, frozen=True):
    """An entry of awb; `autoDispatch` is a boolean, or one in words (X22)."""

    orderId: Text
    awbNumber: Text
    courierName: Text
    autoDispatch: bool | str


class StatusRemarks(msgspec.Struct, frozen=True):
    """What a seller adds to a milestone."""

    remark: Annotated[str, Meta(max_length=1_000)] | None = None
    reasonCode: float | str | None = None
    dpLocation: Annotated[str, Meta(max_length=1_000)] | None = None
    promised_delivery_date: Annotated[str, Meta(max_length=100)] | None = None
    estimated_delivery_date: Annotated[str, Meta(max_length=100)] | None = None


class StatusEntry(msgspec.Struct, frozen=True):
    """An entry of status."""

    orderId: Text
    orderStatus: str
    meta: StatusRemarks | None = None


E = TypeVar("E", OrderEntry, InvoiceEntry, AwbEntry, StatusEntry)


async def read_entries(request: ApiRequest, context: ServerContext) -> list[msgspec.Raw]:
    """The elements of a request's array, 1 to 20 of them; raises body_invalid and what `read_body` raises."""
    found = split_array(await read_body(request, context), member="request body")
    if not 0 < len(found) <= ENTRIES_MAX:
        raise refuse("body_invalid", f"The request body must be an array of 1 to {ENTRIES_MAX} records.")
    return found


def decode_entry(raw: msgspec.Raw, shape: type[E], codes: ErrorCodes) -> E:
    """One entry; raises Failed, naming its order if it has one."""
    try:
        return msgspec.json.decode(raw, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        try:
            order = str(msgspec.json.decode(raw, type=_Named).orderId)[:255]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            order = ""
        raise invalid_entry(codes, f"{fault}.", order=order) from fault


class _Named(msgspec.Struct):
    orderId: str | int = ""


def pieces_by_line(shipment: Shipment, entry: OrderEntry, codes: ErrorCodes) -> dict[str, int]:
    """``orderItemId`` → pieces that an entry speaks of, all that are open where it does not say; raises Failed."""
    found: dict[str, int] = {}
    for item in entry.orderItems or ():
        line = shipment.line(item.orderItemId)
        if line is None:
            raise invalid_entry(codes, "The order has no such item.", order=shipment.id, item=item.orderItemId)
        pieces = line.open if item.quantity is None else item.quantity
        if not line.open:
            told = "The item is cancelled."
            raise EntryError(codes.cancelled, "Order or item is cancelled", told, order=shipment.id, item=line.id)
        if pieces + found.get(line.id, 0) > line.open:
            told = f"Of the item there are {line.open}, not {pieces + found.get(line.id, 0)}."
            raise invalid_entry(codes, told, order=shipment.id, item=line.id)
        found[line.id] = pieces + found.get(line.id, 0)
    return found


def check_cancel_reasons(entry: OrderEntry, codes: ErrorCodes) -> None:
    """Each line that is to be cancelled says why; raises Failed."""
    for item in entry.orderItems or ():
        if str(item.reasonCode) not in CANCEL_REASONS:
            told = f"reasonCode must be one of {', '.join(CANCEL_REASONS)}."
            raise invalid_entry(codes, told, order=entry.orderId, item=item.orderItemId)


def check_invoice_number(entry: InvoiceEntry) -> None:
    """Raises Failed."""
    if entry.invoiceType not in ("sale", "return"):
        raise EntryError(NUMBER_WRONG, "Invalid invoice", "invoiceType must be sale or return.", order=entry.orderId)
    if not 0 < len(entry.invoiceNumber.strip()) <= 100 or not entry.invoiceNumber.isprintable():
        told = "invoiceNumber must be of 1 to 100 printable characters."
        raise EntryError(NUMBER_WRONG, "Invalid invoice", told, order=entry.orderId)


def collect_errors(raws: Sequence[msgspec.Raw], work: Callable[[msgspec.Raw], object]) -> list[dict[str, Any]]:
    """Do something for each entry; what failed, worded."""
    errors = []
    for index, raw in enumerate(raws):
        try:
            work(raw)
        except EntryError as failed:
            errors.append(failed.words(index))
    return errors
