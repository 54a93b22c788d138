"""Error codes and reasons of order operations; the README marks the inferred ones."""

from typing import Any

import msgspec

from goodsgate.protocols.konnect.orders.states import TransitionRefusal
from goodsgate.protocols.konnect.orders.transitions import TransitionError


class ErrorCodes(msgspec.Struct, frozen=True, kw_only=True):
    """Error codes of one operation."""

    foreign: str
    """The location has no such order."""
    invalid: str
    """The entry, or one of its lines, is wrong."""
    cancelled: str
    early: str
    late: str
    other: str
    """The operation belongs to shipments with another direction or another carrier."""


CONFIRM = ErrorCodes(foreign="O422", invalid="O400", cancelled="O400", early="O400", late="O400", other="O400")
CANCEL = ErrorCodes(foreign="CN422", invalid="CN400", cancelled="CN403", early="CN403", late="CN403", other="CN403")
INVOICE = ErrorCodes(foreign="IN400", invalid="IN400", cancelled="IN401", early="IN403", late="IN453", other="IN422")
PACK = ErrorCodes(foreign="CR422", invalid="CR422", cancelled="CR401", early="CR400", late="CR400", other="CR400")
DISPATCH = ErrorCodes(foreign="D422", invalid="D400", cancelled="D401", early="D400", late="D400", other="D400")
RETURN = ErrorCodes(foreign="R422", invalid="R400", cancelled="R403", early="R403", late="R403", other="R403")
AWB = ErrorCodes(foreign="AW422", invalid="AW400", cancelled="AW403", early="AW403", late="AW403", other="AW403")
STATUS = ErrorCodes(foreign="ST422", invalid="ST400", cancelled="ST403", early="ST403", late="ST403", other="ST403")
COURIER = ErrorCodes(foreign="C400", invalid="C400", cancelled="C403", early="C403", late="C403", other="C403")
LABEL = ErrorCodes(foreign="L400", invalid="L400", cancelled="L403", early="L403", late="L403", other="L403")
DOCUMENT = ErrorCodes(foreign="IN400", invalid="IN400", cancelled="IN403", early="IN403", late="IN403", other="IN403")
INVALID_INVOICE = "IN422"
"""Code of an invoice whose number or type is not allowed."""

REASONS = {
    TransitionRefusal.CANCELLED: "Order or item is cancelled", TransitionRefusal.EARLY: "Too early",
    TransitionRefusal.LATE: "Too late", TransitionRefusal.OTHER: "Not for this shipment",
    TransitionRefusal.CARRIER: "Not for this shipment",
}


class EntryError(Exception):
    """An entry of a request failed; the other entries are not affected."""

    def __init__(self, code: str, reason: str, message: str, *, order: str = "", item: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.order = order
        self.item = item

    def serialize(self, index: int) -> dict[str, Any]:
        """Return an element of ``errors``."""
        return {
            "orderId": self.order, "orderItemId": self.item, "code": self.code, "reason": self.reason,
            "message": str(self), "index": index,
        }


def unknown_order(codes: ErrorCodes, order: str) -> EntryError:
    """Return the error of an order that the location does not have."""
    message = "orderId does not belong to the requested location."
    return EntryError(codes.foreign, "Invalid orderId", message, order=order)


def invalid_entry(codes: ErrorCodes, message: str, *, order: str = "", item: str = "") -> EntryError:
    """Return the error of an entry with an invalid member."""
    return EntryError(codes.invalid, "Invalid request", message, order=order, item=item)


def impossible_transition(codes: ErrorCodes, error: TransitionError) -> EntryError:
    """Return the error of an operation that is not possible in the shipment's state."""
    by_reason = {
        TransitionRefusal.CANCELLED: codes.cancelled, TransitionRefusal.EARLY: codes.early,
        TransitionRefusal.LATE: codes.late, TransitionRefusal.OTHER: codes.other,
        TransitionRefusal.CARRIER: codes.other,
    }
    shipment = error.shipment
    carrier = " carried by the seller" if shipment.self_ship else ""
    message = f"The shipment is {shipment.state}{carrier}; that does not go from there."
    return EntryError(by_reason[error.reason], REASONS[error.reason], message, order=shipment.id)
