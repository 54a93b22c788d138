"""Codes and reasons of orders that an operation could not be done for; those marked in the README are inferred."""

from typing import Any

import msgspec

from goodsgate.protocols.konnect.orders.states import TransitionRefusal
from goodsgate.protocols.konnect.orders.transitions import TransitionError


class ErrorCodes(msgspec.Struct, frozen=True, kw_only=True):
    """One operation's."""

    foreign: str
    """The location has no such order."""
    invalid: str
    """The entry itself, or a line of it, is wrong."""
    cancelled: str
    early: str
    late: str
    other: str
    """Meant for shipments going another way, or carried by somebody else."""


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
NUMBER_WRONG = "IN422"
"""The number or the type of an invoice breaks the rules."""

REASONS = {
    TransitionRefusal.CANCELLED: "Order or item is cancelled", TransitionRefusal.EARLY: "Too early",
    TransitionRefusal.LATE: "Too late",
    TransitionRefusal.OTHER: "Not for this shipment", TransitionRefusal.CARRIER: "Not for this shipment",
}
FOREIGN, INVALID = "Invalid orderId", "Invalid request"


class EntryError(Exception):
    """Why one entry of a request could not be done; the others are."""

    def __init__(self, code: str, reason: str, message: str, *, order: str = "", item: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.order = order
        self.item = item

    def words(self, index: int) -> dict[str, Any]:
        """As clients are told."""
        return {
            "orderId": self.order, "orderItemId": self.item, "code": self.code, "reason": self.reason,
            "message": str(self), "index": index,
        }


def unknown_order(codes: ErrorCodes, order: str) -> EntryError:
    """The location has no such order."""
    return EntryError(codes.foreign, FOREIGN, "orderId does not belong to the requested location.", order=order)


def invalid_entry(codes: ErrorCodes, message: str, *, order: str = "", item: str = "") -> EntryError:
    """Something of the entry is wrong."""
    return EntryError(codes.invalid, INVALID, message, order=order, item=item)


def impossible_transition(codes: ErrorCodes, fault: TransitionError) -> EntryError:
    """The state machine does not allow it."""
    by_verdict = {
        TransitionRefusal.CANCELLED: codes.cancelled, TransitionRefusal.EARLY: codes.early,
        TransitionRefusal.LATE: codes.late,
        TransitionRefusal.OTHER: codes.other, TransitionRefusal.CARRIER: codes.other,
    }
    shipment = fault.shipment
    carrier = " carried by the seller" if shipment.self_ship else ""
    message = f"The shipment is {shipment.state}{carrier}; that does not go from there."
    return EntryError(by_verdict[fault.verdict], REASONS[fault.verdict], message, order=shipment.id)
