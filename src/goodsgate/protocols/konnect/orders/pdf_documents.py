"""Labels and invoices as PDF documents, on A4 or A6."""

import re
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from goodsgate.protocols.konnect.orders.serializers import line_tax, shipment_tax_total, shipment_total
from goodsgate.protocols.konnect.orders.shipment import InvoiceDetails, Shipment, ShipmentLine
from goodsgate.protocols.konnect.orders.timestamps import INDIA
from goodsgate.protocols.konnect.unpublished import CURRENCY

if TYPE_CHECKING:
    from fpdf import FPDF

SIZES = {"A4": (210.0, 297.0), "A6": (105.0, 148.0)}
"""Millimetres."""
MARGIN = {"A4": 15.0, "A6": 6.0}
POINTS = {"A4": 10.0, "A6": 6.5}
_CODE39 = re.compile(r"[0-9A-Z $%+./-]{1,20}")
COLUMNS = (("Item", 40), ("HSN", 12), ("Qty", 8), ("Price", 13), ("Tax %", 10), ("Tax", 13), ("Amount", 14))
"""With their shares of the width; they add up to 110."""
SHARES = sum(share for _, share in COLUMNS)


def render_labels(shipments: list[Shipment], size: str) -> bytes:
    """A page for each."""
    pdf = _paper(size)
    for shipment in shipments:
        pdf.add_page()
        _label(pdf, shipment, POINTS[size])
    return bytes(pdf.output())


def render_invoices(shipments: list[Shipment], size: str) -> bytes:
    """A page for each, or more where it has many lines: the invoice, or the credit note of a return."""
    pdf = _paper(size)
    for shipment in shipments:
        pdf.add_page()
        _invoice(pdf, shipment, POINTS[size])
    return bytes(pdf.output())


def _paper(size: str) -> "FPDF":
    from fpdf import FPDF  # takes a while to load

    pdf = FPDF(orientation="portrait", unit="mm", format=SIZES[size])
    pdf.set_margin(MARGIN[size])
    pdf.set_auto_page_break(True, MARGIN[size])
    pdf.set_creator("Goodsgate")
    return pdf


def _label(pdf: "FPDF", shipment: Shipment, points: float) -> None:
    courier = shipment.courier
    awb = courier.awb[0] if courier is not None and courier.awb else ""
    _line(pdf, courier.name if courier is not None else "", points * 1.6, bold=True)
    if awb and _CODE39.fullmatch(awb.upper()):
        pdf.code39(f"*{awb.upper()}*", x=pdf.l_margin + 1, y=pdf.get_y() + 1, w=_wide(pdf, awb), h=points)
        pdf.set_y(pdf.get_y() + points + 3)
    _line(pdf, f"AWB {awb}", points)
    _line(pdf, f"Shipment {shipment.id}   Order {shipment.order}", points)
    _rule(pdf)
    _line(pdf, "Return from" if shipment.forward else "Deliver to", points * 0.8)
    for text in _address(shipment.shipping):
        _line(pdf, text, points * 1.2)
    _rule(pdf)
    _line(pdf, f"{'Return to' if shipment.forward else 'If undelivered, return to'} {shipment.location}", points)
    _line(pdf, f"{shipment.payment}   {CURRENCY} {shipment_total(shipment):.2f}", points * 1.2, bold=True)
    for line in shipment.lines:
        if line.open:
            _line(pdf, f"{line.open} x {line.sku}  {line.name} {line.size}", points)
    for parcel in shipment.parcels:
        measures = f"{parcel.length:g} x {parcel.width:g} x {parcel.height:g} cm, {parcel.weight:g} g"
        _line(pdf, f"{parcel.id}  {measures}", points)


def _wide(pdf: "FPDF", awb: str) -> float:
    """Width of a wide bar, three narrow ones: a letter takes 16 narrow ones, and there is one more at either end."""
    return min(1.0, (pdf.epw - 2) / (len(awb) + 2) / 16 * 3)


def _invoice(pdf: "FPDF", shipment: Shipment, points: float) -> None:
    note = shipment.credit if shipment.forward or shipment.credit is not None else None
    paper = note or shipment.invoice
    title = "Credit note" if note is not None else "Return" if shipment.forward else "Tax invoice"
    _line(pdf, title, points * 1.8, bold=True)
    if paper is not None:
        _line(pdf, f"Number {paper.number}   Date {_day(paper.at)}", points)
        _electronic(pdf, paper, points)
    if note is not None and shipment.invoice is not None:
        _line(pdf, f"For invoice {shipment.invoice.number}", points)
    _line(pdf, f"Order {shipment.order}   Shipment {shipment.id}   Date {_day(shipment.placed_at)}", points)
    _line(pdf, f"Sold from {shipment.location}", points)
    _rule(pdf)
    for head, address in (("Billed to", shipment.billing), ("Shipped to", shipment.shipping)):
        _line(pdf, f"{head}: {', '.join(_address(address))}", points)
    _rule(pdf)
    _row(pdf, [name for name, _ in COLUMNS], points, bold=True)
    for line in shipment.lines:
        if line.open:
            _row(pdf, _cells(line), points)
    _rule(pdf)
    _line(pdf, f"Taxes included {CURRENCY} {shipment_tax_total(shipment):.2f}", points)
    _line(pdf, f"Total {CURRENCY} {shipment_total(shipment):.2f}", points * 1.4, bold=True)


def _electronic(pdf: "FPDF", paper: InvoiceDetails, points: float) -> None:
    for name, text in (("IRN", paper.irn), ("Acknowledged", f"{paper.ack_number} {paper.ack_date}".strip())):
        if text:
            _line(pdf, f"{name} {text}", points)


def _cells(line: ShipmentLine) -> list[str]:
    name = f"{line.name} {line.size}".strip() or line.sku
    return [
        f"{name} ({line.sku})", line.hsn, str(line.open), _money(line.esp), f"{line.tax_rate.normalize():f}",
        _money(line_tax(line) * line.open), _money(line.esp * line.open),
    ]


def _row(pdf: "FPDF", cells: list[str], points: float, *, bold: bool = False) -> None:
    """What does not fit into its column is cut."""
    pdf.set_font("Helvetica", "B" if bold else "", points * 0.9)
    for (_, share), text in zip(COLUMNS, cells, strict=True):
        width = pdf.epw * share / SHARES
        shown = _plain(text)
        while shown and pdf.get_string_width(shown) > width - 2:
            shown = shown[:-1]
        pdf.cell(width, points * 0.6, shown)
    pdf.ln(points * 0.6)


def _line(pdf: "FPDF", text: str, points: float, *, bold: bool = False) -> None:
    if text:
        pdf.set_font("Helvetica", "B" if bold else "", points)
        pdf.multi_cell(0, points * 0.5, _plain(text), new_x="LMARGIN", new_y="NEXT")


def _rule(pdf: "FPDF") -> None:
    y = pdf.get_y() + 1
    pdf.line(pdf.l_margin, y, pdf.w - pdf.r_margin, y)
    pdf.set_y(y + 1)


def _address(address: dict[str, str]) -> list[str]:
    names = ("name", "addressLine1", "addressLine2", "city", "state", "pincode", "country", "phone")
    return [address[name] for name in names if address.get(name)]


def _plain(text: str) -> str:
    """What the fonts that every reader has can show; the rest as question marks."""
    return " ".join(text.split()).encode("latin-1", "replace").decode("latin-1")


def _money(amount: Decimal) -> str:
    return f"{amount:.2f}"


def _day(moment: datetime) -> str:
    return f"{moment.astimezone(INDIA):%d-%m-%Y}"
