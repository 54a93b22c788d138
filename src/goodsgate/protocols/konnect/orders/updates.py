"""The eight operations that move shipments on; an entry that fails affects no other."""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import msgspec
from starlette.responses import Response

from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import ApiRequest, Handler
from goodsgate.model.batch import now
from goodsgate.model.catalogue import Resource
from goodsgate.protocols.konnect.orders import error_codes
from goodsgate.protocols.konnect.orders.error_codes import (
    EntryError,
    ErrorCodes,
    impossible_transition,
    invalid_entry,
    unknown_order,
)
from goodsgate.protocols.konnect.orders.invoice_numbers import InvoiceNumbers, InvoiceNumberTakenError
from goodsgate.protocols.konnect.orders.repository import ShipmentRepository, UnknownShipmentError
from goodsgate.protocols.konnect.orders.request_bodies import (
    AwbEntry,
    InvoiceEntry,
    OrderEntry,
    StatusEntry,
    StatusRemarks,
    check_cancel_reasons,
    check_invoice,
    collect_errors,
    decode_entry,
    pieces_by_line,
    read_entries,
)
from goodsgate.protocols.konnect.orders.shipment import CourierDetails, Shipment, ShipmentEvent
from goodsgate.protocols.konnect.orders.states import MILESTONES
from goodsgate.protocols.konnect.orders.transitions import (
    TransitionError,
    apply_event,
    cancel_pieces,
    require_transition,
)
from goodsgate.protocols.konnect.responses import json_response, serialize_meta
from goodsgate.protocols.konnect.unpublished import token_location

E = TypeVar("E", OrderEntry, InvoiceEntry, AwbEntry, StatusEntry)
EntryHandler = Callable[[str, str | None, msgspec.Raw], object]
"""Merchant, location of the token, entry → anything; raises EntryError."""
replace = msgspec.structs.replace


class OrderUpdateHandlers:
    """Handlers of confirm, cancel, invoiceUpdate, pack, dispatch, return, awb and status."""

    def __init__(self, context: ServerContext, shipments: ShipmentRepository, invoice_numbers: InvoiceNumbers) -> None:
        self._context = context
        self._shipments = shipments
        self._invoice_numbers = invoice_numbers

    def handlers(self) -> dict[str, Handler]:
        """Return the handlers by operation id."""
        operations: dict[str, EntryHandler] = {
            "confirm": partial(self._update_entry, OrderEntry, error_codes.CONFIRM, confirm),
            "cancel_orders": partial(self._update_entry, OrderEntry, error_codes.CANCEL, cancel),
            "update_invoices": self.invoice,
            "pack": partial(self._update_entry, OrderEntry, error_codes.PACK, pack),
            "dispatch": partial(self._update_entry, OrderEntry, error_codes.DISPATCH, dispatch),
            "return_orders": partial(self._update_entry, OrderEntry, error_codes.RETURN, accept_return),
            "update_awb": partial(self._update_entry, AwbEntry, error_codes.AWB, set_awb),
            "update_status": partial(self._update_entry, StatusEntry, error_codes.STATUS, reach_milestone),
        }
        return {id: partial(self._handle, operation) for id, operation in operations.items()}

    async def _handle(self, operation: EntryHandler, request: ApiRequest) -> Response:
        raws = await read_entries(request, self._context)
        work = partial(operation, request.merchant, token_location(request.caller))
        errors = await self._context.run_in_thread(collect_errors, raws, work)
        if request.operation.method == "PUT":
            return json_response(serialize_envelope(request, len(raws), errors))
        return json_response(serialize_acknowledgement(len(raws), errors))

    def _update_entry(self, type: type[E], codes: ErrorCodes, change: Callable[[Shipment, E], Shipment], merchant: str,
                      location: str | None, raw: msgspec.Raw) -> Shipment:
        entry = decode_entry(raw, type, codes)
        return self._update(merchant, location, entry.orderId, codes, lambda shipment: change(shipment, entry))

    def _update(self, merchant: str, location: str | None, order: str, codes: ErrorCodes,
                change: Callable[[Shipment], Shipment]) -> Shipment:
        def checked_change(shipment: Shipment) -> Shipment:
            if location not in (None, shipment.location):
                raise unknown_order(codes, order)
            return change(shipment)

        try:
            return self._shipments.update(merchant, order, checked_change)
        except UnknownShipmentError as error:
            raise unknown_order(codes, order) from error
        except TransitionError as error:
            raise impossible_transition(codes, error) from error

    def invoice(self, merchant: str, location: str | None, raw: msgspec.Raw) -> Shipment:
        """Record an invoice or a credit note, whose number is claimed first; raise EntryError."""
        entry = decode_entry(raw, InvoiceEntry, error_codes.INVOICE)
        check_invoice(entry)

        claims: list[Resource] = []

        def change(shipment: Shipment) -> Shipment:
            changed = record_invoice(shipment, entry)
            claimed = self._invoice_numbers.claim(merchant, entry.invoiceNumber, shipment.id, entry.invoiceType)
            claims.extend([claimed] if claimed is not None else [])
            return changed

        try:
            return self._update(merchant, location, entry.orderId, error_codes.INVOICE, change)
        except InvoiceNumberTakenError as error:
            message = "invoiceNumber is another one's already."
            raise EntryError(error_codes.INVALID_INVOICE, "Invalid invoice", message, order=entry.orderId) from error
        except EntryError:
            # Another request was faster, perhaps with the same number.
            if claims and not self._has_number(merchant, entry):
                self._invoice_numbers.release(claims[0])
            raise

    def _has_number(self, merchant: str, entry: InvoiceEntry) -> bool:
        shipment = self._shipments.find(merchant, entry.orderId)
        documents = (shipment.invoice, shipment.credit)
        return entry.invoiceNumber in [document.number for document in documents if document is not None]


def confirm(shipment: Shipment, entry: OrderEntry) -> Shipment:
    """Confirm all pieces that are not cancelled."""
    changed = apply_event(shipment, "confirm", at=now())
    pieces_by_line(shipment, entry, error_codes.CONFIRM)
    return changed


def cancel(shipment: Shipment, entry: OrderEntry) -> Shipment:
    """Cancel the whole shipment, or the pieces that the entry names."""
    history_entry = ShipmentEvent(state=shipment.state, at=now(), remark="Cancelled by the seller.")
    if not entry.orderItems:
        return apply_event(shipment, "cancel", at=history_entry.at, entry=history_entry)
    require_transition(shipment, "cancel")
    check_cancel_reasons(entry, error_codes.CANCEL)
    return cancel_pieces(shipment, pieces_by_line(shipment, entry, error_codes.CANCEL), "cancel", entry=history_entry)


def pack(shipment: Shipment, _: OrderEntry) -> Shipment:
    """Mark the shipment as packed."""
    return apply_event(shipment, "pack", at=now())


def dispatch(shipment: Shipment, entry: OrderEntry) -> Shipment:
    """Hand the shipment over to the courier."""
    changed = apply_event(shipment, "dispatch", at=now())
    pieces_by_line(shipment, entry, error_codes.DISPATCH)
    return changed


def accept_return(shipment: Shipment, entry: OrderEntry) -> Shipment:
    """Accept what came back after the quality check; lines that the entry does not name have no defects."""
    require_transition(shipment, "accept")
    pieces_by_line(shipment, entry, error_codes.RETURN)
    reasons = {item.orderItemId: str(item.reasonCode) for item in entry.orderItems or ()}
    lines = tuple(replace(line, reason=reasons.get(line.id, "")) for line in shipment.lines)
    return apply_event(replace(shipment, lines=lines), "accept", at=now())


def record_invoice(shipment: Shipment, entry: InvoiceEntry) -> Shipment:
    """Record an invoice with its packages and serial numbers, or a credit note."""
    at = now()
    changed = apply_event(shipment, "sale" if entry.invoiceType == "sale" else "credit", at=at)
    pieces_by_line(shipment, entry, error_codes.INVOICE)
    if entry.invoiceType == "return":
        return replace(changed, credit=entry.invoice(at))
    serials = {item.orderItemId: tuple(item.imeiSerialNumber) for item in entry.orderItems or ()}
    lines = tuple(replace(line, serials=serials.get(line.id, line.serials)) for line in changed.lines)
    parcels = changed.parcels if entry.packages is None else tuple(package.parcel() for package in entry.packages)
    return replace(changed, invoice=entry.invoice(at), lines=lines, parcels=parcels)


def set_awb(shipment: Shipment, entry: AwbEntry) -> Shipment:
    """Set the seller's own courier and airway bill; `autoDispatch` also dispatches a forward shipment."""
    flags = {True: True, False: False, "true": True, "false": False}
    flag = entry.autoDispatch.lower() if isinstance(entry.autoDispatch, str) else entry.autoDispatch
    if flag not in flags:
        raise invalid_entry(error_codes.AWB, "autoDispatch must be true or false.", order=shipment.id)
    require_transition(shipment, "awb")
    courier = CourierDetails(name=entry.courierName, code=entry.courierName.lower(), awb=(entry.awbNumber,))
    changed = replace(shipment, courier=courier)
    return apply_event(changed, "awb/dispatch", at=now()) if flags[flag] and not shipment.forward else changed


def reach_milestone(shipment: Shipment, entry: StatusEntry) -> Shipment:
    """Record a milestone of a self-shipping seller."""
    if entry.orderStatus not in MILESTONES:
        message = f"orderStatus must be one of {', '.join(MILESTONES)}."
        raise invalid_entry(error_codes.STATUS, message, order=shipment.id)
    remarks = entry.meta or StatusRemarks()
    history_entry = ShipmentEvent(
        state=shipment.state, at=now(), remark=remarks.remark or "", courier_location=remarks.dpLocation or "",
        promised=remarks.promised_delivery_date or "", estimated=remarks.estimated_delivery_date or "",
    )
    return apply_event(shipment, f"status/{entry.orderStatus}", at=history_entry.at, entry=history_entry)


def serialize_acknowledgement(count: int, errors: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the acknowledgement of order operations (dossier 8.3)."""
    return {
        "payloadCount": count, "successCount": count - len(errors), "failedCount": len(errors),
        "status": _status(count, errors), "errors": errors,
    }


def serialize_envelope(request: ApiRequest, count: int, errors: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the acknowledgement of `awb` and `status`, in the envelope of prices and stock."""
    data = {
        "payload_count": count, "success_count": count - len(errors), "failed_count": len(errors), "errors": errors,
    }
    return {"data": data, "meta": serialize_meta(request.caller, _status(count, errors))}


def _status(count: int, errors: list[dict[str, Any]]) -> str:
    return "SUCCESS" if not errors else "FAILED" if len(errors) == count else "PARTIAL"
