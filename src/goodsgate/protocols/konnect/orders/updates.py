"""The eight operations by which a seller moves shipments on; an entry that cannot be done harms no other."""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import msgspec
from starlette.responses import Response

from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import ApiRequest, Handler
from goodsgate.model.batch import now
from goodsgate.model.catalogue import Resource
from goodsgate.protocols.konnect.orders import codes
from goodsgate.protocols.konnect.orders.codes import (
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
    check_invoice_number,
    collect_errors,
    decode_entry,
    pieces_by_line,
    read_entries,
)
from goodsgate.protocols.konnect.orders.shipment import CourierDetails, Shipment, ShipmentEvent, ShipmentLine
from goodsgate.protocols.konnect.orders.states import MILESTONES
from goodsgate.protocols.konnect.orders.transitions import TransitionError, apply_event, cancel_pieces, find_step
from goodsgate.protocols.konnect.responses import json_response, serialize_meta
from goodsgate.protocols.konnect.unpublished import token_location

E = TypeVar("E", OrderEntry, InvoiceEntry, AwbEntry, StatusEntry)
replace = msgspec.structs.replace


class OrderUpdateHandlers:
    """Handlers of confirm, cancel, invoiceUpdate, pack, dispatch, return, awb and status."""

    def __init__(self, context: ServerContext, book: ShipmentRepository, invoices: InvoiceNumbers) -> None:
        self._context = context
        self._book = book
        self._invoices = invoices

    def handlers(self) -> dict[str, Handler]:
        """By operation id."""
        ways: dict[str, Callable[[str, str | None, msgspec.Raw], object]] = {
            "confirm": partial(self._each, OrderEntry, codes.CONFIRM, confirm),
            "cancel_orders": partial(self._each, OrderEntry, codes.CANCEL, cancel),
            "update_invoices": self.invoice,
            "pack": partial(self._each, OrderEntry, codes.PACK, pack),
            "dispatch": partial(self._each, OrderEntry, codes.DISPATCH, dispatch),
            "return_orders": partial(self._each, OrderEntry, codes.RETURN, accept_return),
            "update_awb": partial(self._each, AwbEntry, codes.AWB, assign_awb),
            "update_status": partial(self._each, StatusEntry, codes.STATUS, record_milestone),
        }
        return {id: partial(self._answer, way) for id, way in ways.items()}

    async def _answer(self, way: Callable[[str, str | None, msgspec.Raw], object], request: ApiRequest) -> Response:
        raws = await read_entries(request, self._context)
        work = partial(way, request.merchant, token_location(request.caller))
        errors = await self._context.run_in_thread(collect_errors, raws, work)
        if request.operation.method == "PUT":
            return json_response(serialize_counts(request, len(raws), errors))
        return json_response(serialize_acknowledgement(len(raws), errors))

    def _each(self, shape: type[E], codes: ErrorCodes, change: Callable[[Shipment, E], Shipment], merchant: str,
              location: str | None, raw: msgspec.Raw) -> Shipment:
        entry = decode_entry(raw, shape, codes)
        return self._change(merchant, location, entry.orderId, codes, partial(_swapped, change, entry))

    def _change(self, merchant: str, location: str | None, order: str, codes: ErrorCodes,
                change: Callable[[Shipment], Shipment]) -> Shipment:
        def mine(shipment: Shipment) -> Shipment:
            if location not in (None, shipment.location):
                raise unknown_order(codes, order)
            return change(shipment)

        try:
            return self._book.change(merchant, order, mine)
        except UnknownShipmentError as fault:
            raise unknown_order(codes, order) from fault
        except TransitionError as fault:
            raise impossible_transition(codes, fault) from fault

    def invoice(self, merchant: str, location: str | None, raw: msgspec.Raw) -> Shipment:
        """One invoice or credit note; its number is claimed before the shipment bears it. Raises Failed."""
        entry = decode_entry(raw, InvoiceEntry, codes.INVOICE)
        check_invoice_number(entry)

        claims: list[Resource] = []

        def invoiced(shipment: Shipment) -> Shipment:
            changed = _invoiced(shipment, entry)
            claimed = self._invoices.claim(merchant, entry.invoiceNumber, shipment.id, entry.invoiceType)
            claims.extend([claimed] if claimed is not None else [])
            return changed

        try:
            return self._change(merchant, location, entry.orderId, codes.INVOICE, invoiced)
        except InvoiceNumberTakenError as fault:
            told = "invoiceNumber is another one's already."
            raise EntryError(codes.NUMBER_WRONG, "Invalid invoice", told, order=entry.orderId) from fault
        except EntryError:
            # another request was faster, perhaps with the same number
            if claims and not self._bears(merchant, entry):
                self._invoices.let_go(claims[0])
            raise

    def _bears(self, merchant: str, entry: InvoiceEntry) -> bool:
        found = self._book.find(merchant, entry.orderId)
        return entry.invoiceNumber in [one.number for one in (found.invoice, found.credit) if one is not None]


def _swapped(change: Callable[[Shipment, E], Shipment], entry: E, shipment: Shipment) -> Shipment:
    return change(shipment, entry)


def confirm(shipment: Shipment, entry: OrderEntry) -> Shipment:
    """What the customer has not cancelled."""
    changed = apply_event(shipment, "confirm", at=now())
    pieces_by_line(shipment, entry, codes.CONFIRM)
    return changed


def cancel(shipment: Shipment, entry: OrderEntry) -> Shipment:
    """The whole, or pieces of lines."""
    told = ShipmentEvent(state=shipment.state, at=now(), remark="Cancelled by the seller.")
    if not entry.orderItems:
        return apply_event(shipment, "cancel", at=told.at, told=told)
    find_step(shipment, "cancel")
    check_cancel_reasons(entry, codes.CANCEL)
    return cancel_pieces(shipment, pieces_by_line(shipment, entry, codes.CANCEL), "cancel", told=told)


def pack(shipment: Shipment, _: OrderEntry) -> Shipment:
    """Put into packages."""
    return apply_event(shipment, "pack", at=now())


def dispatch(shipment: Shipment, entry: OrderEntry) -> Shipment:
    """Handed to the courier."""
    changed = apply_event(shipment, "dispatch", at=now())
    pieces_by_line(shipment, entry, codes.DISPATCH)
    return changed


def accept_return(shipment: Shipment, entry: OrderEntry) -> Shipment:
    """What came back was looked at; lines that are not named are as they should be."""
    find_step(shipment, "accept")
    pieces_by_line(shipment, entry, codes.RETURN)
    reasons = {item.orderItemId: str(item.reasonCode) for item in entry.orderItems or ()}
    lines = tuple(replace(line, reason=reasons.get(line.id, "")) for line in shipment.lines)
    return apply_event(replace(shipment, lines=lines), "accept", at=now())


def _invoiced(shipment: Shipment, entry: InvoiceEntry) -> Shipment:
    at = now()
    changed = apply_event(shipment, "sale" if entry.invoiceType == "sale" else "credit", at=at)
    pieces_by_line(shipment, entry, codes.INVOICE)
    if entry.invoiceType == "return":
        return replace(changed, credit=entry.invoice(at))
    serials = {item.orderItemId: tuple(item.imeiSerialNumber) for item in entry.orderItems or ()}
    lines: tuple[ShipmentLine, ...] = tuple(
        replace(line, serials=serials.get(line.id, line.serials)) for line in changed.lines
    )
    parcels = changed.parcels if entry.packages is None else tuple(one.parcel() for one in entry.packages)
    return replace(changed, invoice=entry.invoice(at), lines=lines, parcels=parcels)


def assign_awb(shipment: Shipment, entry: AwbEntry) -> Shipment:
    """The seller's own courier; a forward shipment may leave at once."""
    words = {True: True, False: False, "true": True, "false": False}
    given = entry.autoDispatch.lower() if isinstance(entry.autoDispatch, str) else entry.autoDispatch
    if given not in words:
        raise invalid_entry(codes.AWB, "autoDispatch must be true or false.", order=shipment.id)
    find_step(shipment, "awb")
    courier = CourierDetails(name=entry.courierName, code=entry.courierName.lower(), awb=(entry.awbNumber,))
    changed = replace(shipment, courier=courier)
    return apply_event(changed, "awb/dispatch", at=now()) if words[given] and not shipment.forward else changed


def record_milestone(shipment: Shipment, entry: StatusEntry) -> Shipment:
    """A milestone on the seller's own way."""
    if entry.orderStatus not in MILESTONES:
        raise invalid_entry(codes.STATUS, f"orderStatus must be one of {', '.join(MILESTONES)}.", order=shipment.id)
    more = entry.meta or StatusRemarks()
    told = ShipmentEvent(
        state=shipment.state, at=now(), remark=more.remark or "", place=more.dpLocation or "",
        promised=more.promised_delivery_date or "", estimated=more.estimated_delivery_date or "",
    )
    return apply_event(shipment, f"status/{entry.orderStatus}", at=told.at, told=told)


def serialize_acknowledgement(count: int, errors: list[dict[str, Any]]) -> dict[str, Any]:
    """The acknowledgement of dossier 8.3."""
    return {
        "payloadCount": count, "successCount": count - len(errors), "failedCount": len(errors),
        "status": _status(count, errors), "errors": errors,
    }


def serialize_counts(request: ApiRequest, count: int, errors: list[dict[str, Any]]) -> dict[str, Any]:
    """The same in the envelope of prices and stock."""
    data = {
        "payload_count": count, "success_count": count - len(errors), "failed_count": len(errors), "errors": errors,
    }
    return {"data": data, "meta": serialize_meta(request.caller, _status(count, errors))}


def _status(count: int, errors: list[dict[str, Any]]) -> str:
    return "SUCCESS" if not errors else "FAILED" if len(errors) == count else "PARTIAL"
