"""Bodies of order operations: arrays whose entries are decoded one by one, so that a bad one affects no other."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import ApiRequest
from goodsgate.http.problems import refuse
from goodsgate.model.json_text import UNREADABLE_JSON
from goodsgate.protocols.konnect.bodies import read_body, split_array
from goodsgate.protocols.konnect.orders.error_codes import INVALID_INVOICE, EntryError, ErrorCodes, invalid_entry
from goodsgate.protocols.konnect.orders.shipment import InvoiceDetails, Parcel, Shipment
from goodsgate.protocols.konnect.unpublished import CANCEL_REASONS

ENTRIES_MAX = 20
Text = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f]*$")]
"""An id or a name, without control characters."""
Pieces = Annotated[int, Meta(ge=1, le=10**9)]
Measure = Annotated[float, Meta(ge=0, le=10**9)]


class LineEntry(msgspec.Struct, frozen=True):
    """A line that an entry names."""

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
        """Return the package as shipments store it."""
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
        """Return the invoice as shipments store it."""
        return InvoiceDetails(
            number=self.invoiceNumber, at=at, irn=self.irnNumber or "", qr_code=self.invoiceQrCode or "",
            signed=self.signedInvoice or "", ack_number=self.ackNumber or "", ack_date=self.ackDate or "",
        )


class AwbEntry(msgspec.Struct, frozen=True):
    """An entry of awb; `autoDispatch` is a boolean or its text (X22)."""

    orderId: Text
    awbNumber: Text
    courierName: Text
    autoDispatch: bool | str


class StatusRemarks(msgspec.Struct, frozen=True):
    """Details that a seller adds to a milestone."""

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


class _OrderName(msgspec.Struct):
    orderId: str | int = ""


E = TypeVar("E", OrderEntry, InvoiceEntry, AwbEntry, StatusEntry)


async def read_entries(request: ApiRequest, context: ServerContext) -> list[msgspec.Raw]:
    """Return the 1 to 20 elements of a request's array; raise body_invalid and what `read_body` raises."""
    raws = split_array(await read_body(request, context), member="request body")
    if not 0 < len(raws) <= ENTRIES_MAX:
        raise refuse("body_invalid", f"The request body must be an array of 1 to {ENTRIES_MAX} records.")
    return raws


def decode_entry(raw: msgspec.Raw, type: type[E], codes: ErrorCodes) -> E:
    """Return one entry; raise EntryError, with the entry's order if it names one."""
    try:
        return msgspec.json.decode(raw, type=type)
    except UNREADABLE_JSON as fault:
        try:
            order = str(msgspec.json.decode(raw, type=_OrderName).orderId)[:255]
        except UNREADABLE_JSON:
            order = ""
        raise invalid_entry(codes, f"{fault}.", order=order) from fault


def pieces_by_line(shipment: Shipment, entry: OrderEntry, codes: ErrorCodes) -> dict[str, int]:
    """Return the pieces (``orderItemId`` → number) of an entry, by default all open ones; raise EntryError."""
    pieces: dict[str, int] = {}
    for item in entry.orderItems or ():
        line = shipment.line(item.orderItemId)
        if line is None:
            raise invalid_entry(codes, "The order has no such item.", order=shipment.id, item=item.orderItemId)
        if not line.open:
            message = "The item is cancelled."
            raise EntryError(codes.cancelled, "Order or item is cancelled", message, order=shipment.id, item=line.id)
        total = pieces.get(line.id, 0) + (line.open if item.quantity is None else item.quantity)
        if total > line.open:
            message = f"Of the item there are {line.open}, not {total}."
            raise invalid_entry(codes, message, order=shipment.id, item=line.id)
        pieces[line.id] = total
    return pieces


def check_cancel_reasons(entry: OrderEntry, codes: ErrorCodes) -> None:
    """Raise EntryError if a line to be cancelled has no valid reason."""
    for item in entry.orderItems or ():
        if str(item.reasonCode) not in CANCEL_REASONS:
            message = f"reasonCode must be one of {', '.join(CANCEL_REASONS)}."
            raise invalid_entry(codes, message, order=entry.orderId, item=item.orderItemId)


def check_invoice(entry: InvoiceEntry) -> None:
    """Raise EntryError if the type or the number is not allowed."""
    if entry.invoiceType not in ("sale", "return"):
        raise EntryError(INVALID_INVOICE, "Invalid invoice", "invoiceType must be sale or return.", order=entry.orderId)
    if not 0 < len(entry.invoiceNumber.strip()) <= 100 or not entry.invoiceNumber.isprintable():
        message = "invoiceNumber must be of 1 to 100 printable characters."
        raise EntryError(INVALID_INVOICE, "Invalid invoice", message, order=entry.orderId)


def collect_errors(raws: Sequence[msgspec.Raw], work: Callable[[msgspec.Raw], object]) -> list[dict[str, Any]]:
    """Call `work` for each entry and return the serialized errors of those that failed."""
    errors = []
    for index, raw in enumerate(raws):
        try:
            work(raw)
        except EntryError as error:
            errors.append(error.serialize(index))
    return errors
