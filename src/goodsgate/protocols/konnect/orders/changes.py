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
from goodsgate.protocols.konnect.answers import answer, meta
from goodsgate.protocols.konnect.guesses import location_of
from goodsgate.protocols.konnect.orders import codes
from goodsgate.protocols.konnect.orders.asked import (
    Airway,
    Invoicing,
    Milestone,
    Order,
    Remarks,
    check_number,
    check_reasons,
    each,
    entries,
    lines_of,
    read,
)
from goodsgate.protocols.konnect.orders.book import Book, ShipmentUnknown
from goodsgate.protocols.konnect.orders.codes import Codes, Failed, foreign, invalid, not_now
from goodsgate.protocols.konnect.orders.invoices import Invoices, NumberTaken
from goodsgate.protocols.konnect.orders.life import NotNow, cancel_lines, step, take
from goodsgate.protocols.konnect.orders.shipment import Courier, Event, Line, Shipment
from goodsgate.protocols.konnect.orders.states import MILESTONES

E = TypeVar("E", Order, Invoicing, Airway, Milestone)
replace = msgspec.structs.replace


class Changes:
    """Handlers of confirm, cancel, invoiceUpdate, pack, dispatch, return, awb and status."""

    def __init__(self, context: ServerContext, book: Book, invoices: Invoices) -> None:
        self._context = context
        self._book = book
        self._invoices = invoices

    def handlers(self) -> dict[str, Handler]:
        """By operation id."""
        ways: dict[str, Callable[[str, str | None, msgspec.Raw], object]] = {
            "confirm": partial(self._each, Order, codes.CONFIRM, confirmed),
            "cancel_orders": partial(self._each, Order, codes.CANCEL, cancelled),
            "update_invoices": self.invoice,
            "pack": partial(self._each, Order, codes.PACK, packed),
            "dispatch": partial(self._each, Order, codes.DISPATCH, dispatched),
            "return_orders": partial(self._each, Order, codes.RETURN, accepted),
            "update_awb": partial(self._each, Airway, codes.AWB, carried),
            "update_status": partial(self._each, Milestone, codes.STATUS, arrived),
        }
        return {id: partial(self._answer, way) for id, way in ways.items()}

    async def _answer(self, way: Callable[[str, str | None, msgspec.Raw], object], request: ApiRequest) -> Response:
        raws = await entries(request, self._context)
        work = partial(way, request.merchant, location_of(request.caller))
        errors = await self._context.run_in_thread(each, raws, work)
        return answer(
            counted(request, len(raws), errors) if request.operation.method == "PUT" else acknowledged(len(raws),
                errors)
        )

    def _each(self, shape: type[E], codes: Codes, change: Callable[[Shipment, E], Shipment], merchant: str,
              location: str | None, raw: msgspec.Raw) -> Shipment:
        entry = read(raw, shape, codes)
        return self._change(merchant, location, entry.orderId, codes, partial(_swapped, change, entry))

    def _change(self, merchant: str, location: str | None, order: str, codes: Codes,
                change: Callable[[Shipment], Shipment]) -> Shipment:
        def mine(shipment: Shipment) -> Shipment:
            if location not in (None, shipment.location):
                raise foreign(codes, order)
            return change(shipment)

        try:
            return self._book.change(merchant, order, mine)
        except ShipmentUnknown as fault:
            raise foreign(codes, order) from fault
        except NotNow as fault:
            raise not_now(codes, fault) from fault

    def invoice(self, merchant: str, location: str | None, raw: msgspec.Raw) -> Shipment:
        """One invoice or credit note; its number is claimed before the shipment bears it. Raises Failed."""
        entry = read(raw, Invoicing, codes.INVOICE)
        check_number(entry)

        claims: list[Resource] = []

        def invoiced(shipment: Shipment) -> Shipment:
            changed = _invoiced(shipment, entry)
            claimed = self._invoices.claim(merchant, entry.invoiceNumber, shipment.id, entry.invoiceType)
            claims.extend([claimed] if claimed is not None else [])
            return changed

        try:
            return self._change(merchant, location, entry.orderId, codes.INVOICE, invoiced)
        except NumberTaken as fault:
            told = "invoiceNumber is another one's already."
            raise Failed(codes.NUMBER_WRONG, "Invalid invoice", told, order=entry.orderId) from fault
        except Failed:
            # another request was faster, perhaps with the same number
            if claims and not self._bears(merchant, entry):
                self._invoices.let_go(claims[0])
            raise

    def _bears(self, merchant: str, entry: Invoicing) -> bool:
        found = self._book.find(merchant, entry.orderId)
        return entry.invoiceNumber in [one.number for one in (found.invoice, found.credit) if one is not None]


def _swapped(change: Callable[[Shipment, E], Shipment], entry: E, shipment: Shipment) -> Shipment:
    return change(shipment, entry)


def confirmed(shipment: Shipment, entry: Order) -> Shipment:
    """What the customer has not cancelled."""
    changed = take(shipment, "confirm", at=now())
    lines_of(shipment, entry, codes.CONFIRM)
    return changed


def cancelled(shipment: Shipment, entry: Order) -> Shipment:
    """The whole, or pieces of lines."""
    told = Event(state=shipment.state, at=now(), remark="Cancelled by the seller.")
    if not entry.orderItems:
        return take(shipment, "cancel", at=told.at, told=told)
    step(shipment, "cancel")
    check_reasons(entry, codes.CANCEL)
    return cancel_lines(shipment, lines_of(shipment, entry, codes.CANCEL), "cancel", told=told)


def packed(shipment: Shipment, _: Order) -> Shipment:
    """Put into packages."""
    return take(shipment, "pack", at=now())


def dispatched(shipment: Shipment, entry: Order) -> Shipment:
    """Handed to the courier."""
    changed = take(shipment, "dispatch", at=now())
    lines_of(shipment, entry, codes.DISPATCH)
    return changed


def accepted(shipment: Shipment, entry: Order) -> Shipment:
    """What came back was looked at; lines that are not named are as they should be."""
    step(shipment, "accept")
    lines_of(shipment, entry, codes.RETURN)
    reasons = {item.orderItemId: str(item.reasonCode) for item in entry.orderItems or ()}
    lines = tuple(replace(line, reason=reasons.get(line.id, "")) for line in shipment.lines)
    return take(replace(shipment, lines=lines), "accept", at=now())


def _invoiced(shipment: Shipment, entry: Invoicing) -> Shipment:
    at = now()
    changed = take(shipment, "sale" if entry.invoiceType == "sale" else "credit", at=at)
    lines_of(shipment, entry, codes.INVOICE)
    if entry.invoiceType == "return":
        return replace(changed, credit=entry.invoice(at))
    serials = {item.orderItemId: tuple(item.imeiSerialNumber) for item in entry.orderItems or ()}
    lines: tuple[Line, ...] = tuple(
        replace(line, serials=serials.get(line.id, line.serials)) for line in changed.lines
    )
    parcels = changed.parcels if entry.packages is None else tuple(one.parcel() for one in entry.packages)
    return replace(changed, invoice=entry.invoice(at), lines=lines, parcels=parcels)


def carried(shipment: Shipment, entry: Airway) -> Shipment:
    """The seller's own courier; a forward shipment may leave at once."""
    words = {True: True, False: False, "true": True, "false": False}
    given = entry.autoDispatch.lower() if isinstance(entry.autoDispatch, str) else entry.autoDispatch
    if given not in words:
        raise invalid(codes.AWB, "autoDispatch must be true or false.", order=shipment.id)
    step(shipment, "awb")
    courier = Courier(name=entry.courierName, code=entry.courierName.lower(), awb=(entry.awbNumber,))
    changed = replace(shipment, courier=courier)
    return take(changed, "awb/dispatch", at=now()) if words[given] and not shipment.forward else changed


def arrived(shipment: Shipment, entry: Milestone) -> Shipment:
    """A milestone on the seller's own way."""
    if entry.orderStatus not in MILESTONES:
        raise invalid(codes.STATUS, f"orderStatus must be one of {', '.join(MILESTONES)}.", order=shipment.id)
    more = entry.meta or Remarks()
    told = Event(
        state=shipment.state, at=now(), remark=more.remark or "", place=more.dpLocation or "",
        promised=more.promised_delivery_date or "", estimated=more.estimated_delivery_date or "",
    )
    return take(shipment, f"status/{entry.orderStatus}", at=told.at, told=told)


def acknowledged(count: int, errors: list[dict[str, Any]]) -> dict[str, Any]:
    """The acknowledgement of dossier 8.3."""
    return {
        "payloadCount": count, "successCount": count - len(errors), "failedCount": len(errors),
        "status": _status(count, errors), "errors": errors,
    }


def counted(request: ApiRequest, count: int, errors: list[dict[str, Any]]) -> dict[str, Any]:
    """The same in the envelope of prices and stock."""
    data = {
        "payload_count": count, "success_count": count - len(errors), "failed_count": len(errors), "errors": errors,
    }
    return {"data": data, "meta": meta(request.caller, _status(count, errors))}


def _status(count: int, errors: list[dict[str, Any]]) -> str:
    return "SUCCESS" if not errors else "FAILED" if len(errors) == count else "PARTIAL"
