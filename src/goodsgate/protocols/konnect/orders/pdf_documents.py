"""Labels and invoices as PDF documents, on A4 or A6."""

import re
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from goodsgate.model.extras import needed_extra
from goodsgate.protocols.konnect.orders.shipment import Shipment, ShipmentLine
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
"""Columns with their widths in relation to each other."""
COLUMNS_WIDTH = sum(width for _, width in COLUMNS)


def render_labels(shipments: list[Shipment], size: str) -> bytes:
    """Return a PDF with one label a page."""
    pdf = _new_pdf(size)
    for shipment in shipments:
        pdf.add_page()
        _add_label(pdf, shipment, POINTS[size])
    return bytes(pdf.output())


def render_invoices(shipments: list[Shipment], size: str) -> bytes:
    """Return a PDF with the invoice, or the credit note, of each shipment; each begins a page."""
    pdf = _new_pdf(size)
    for shipment in shipments:
        pdf.add_page()
        _add_invoice(pdf, shipment, POINTS[size])
    return bytes(pdf.output())


def _new_pdf(size: str) -> "FPDF":
    with needed_extra("pdf", "A label or an invoice"):
        from fpdf import FPDF  # slow to import

    pdf = FPDF(orientation="portrait", unit="mm", format=SIZES[size])
    pdf.set_margin(MARGIN[size])
    pdf.set_auto_page_break(True, MARGIN[size])
    pdf.set_creator("Goodsgate")
    return pdf


def _add_label(pdf: "FPDF", shipment: Shipment, points: float) -> None:
    courier = shipment.courier
    awb = courier.awb[0] if courier is not None and courier.awb else ""
    _add_text(pdf, courier.name if courier is not None else "", points * 1.6, bold=True)
    if awb and _CODE39.fullmatch(awb.upper()):
        pdf.code39(f"*{awb.upper()}*", x=pdf.l_margin + 1, y=pdf.get_y() + 1, w=_bar_width(pdf, awb), h=points)
        pdf.set_y(pdf.get_y() + points + 3)
    _add_text(pdf, f"AWB {awb}", points)
    _add_text(pdf, f"Shipment {shipment.id}   Order {shipment.order}", points)
    _add_rule(pdf)
    _add_text(pdf, "Return from" if shipment.forward else "Deliver to", points * 0.8)
    for text in _address(shipment.shipping):
        _add_text(pdf, text, points * 1.2)
    _add_rule(pdf)
    _add_text(pdf, f"{'Return to' if shipment.forward else 'If undelivered, return to'} {shipment.location}", points)
    _add_text(pdf, f"{shipment.payment}   {CURRENCY} {shipment.total:.2f}", points * 1.2, bold=True)
    for line in shipment.lines:
        if line.open:
            _add_text(pdf, f"{line.open} x {line.sku}  {line.name} {line.size}", points)
    for parcel in shipment.parcels:
        measures = f"{parcel.length:g} x {parcel.width:g} x {parcel.height:g} cm, {parcel.weight:g} g"
        _add_text(pdf, f"{parcel.id}  {measures}", points)


def _bar_width(pdf: "FPDF", awb: str) -> float:
    """Return the width of a wide bar, in millimetres.

    A wide bar is as wide as three narrow ones. A character takes 16 narrow bars, and the code has one more at each end.
    """
    return min(1.0, (pdf.epw - 2) / (len(awb) + 2) / 16 * 3)


def _add_invoice(pdf: "FPDF", shipment: Shipment, points: float) -> None:
    note = shipment.credit if shipment.forward or shipment.credit is not None else None
    document = note or shipment.invoice
    title = "Credit note" if note is not None else "Return" if shipment.forward else "Tax invoice"
    _add_text(pdf, title, points * 1.8, bold=True)
    if document is not None:
        _add_text(pdf, f"Number {document.number}   Date {_day(document.at)}", points)
        if document.irn:
            _add_text(pdf, f"IRN {document.irn}", points)
        if acknowledged := f"{document.ack_number} {document.ack_date}".strip():
            _add_text(pdf, f"Acknowledged {acknowledged}", points)
    if note is not None and shipment.invoice is not None:
        _add_text(pdf, f"For invoice {shipment.invoice.number}", points)
    _add_text(pdf, f"Order {shipment.order}   Shipment {shipment.id}   Date {_day(shipment.placed_at)}", points)
    _add_text(pdf, f"Sold from {shipment.location}", points)
    _add_rule(pdf)
    for head, address in (("Billed to", shipment.billing), ("Shipped to", shipment.shipping)):
        _add_text(pdf, f"{head}: {', '.join(_address(address))}", points)
    _add_rule(pdf)
    _add_row(pdf, [name for name, _ in COLUMNS], points, bold=True)
    for line in shipment.lines:
        if line.open:
            _add_row(pdf, _cells(line), points)
    _add_rule(pdf)
    _add_text(pdf, f"Taxes included {CURRENCY} {shipment.total_tax:.2f}", points)
    _add_text(pdf, f"Total {CURRENCY} {shipment.total:.2f}", points * 1.4, bold=True)


def _cells(line: ShipmentLine) -> list[str]:
    name = f"{line.name} {line.size}".strip() or line.sku
    return [
        f"{name} ({line.sku})", line.hsn, str(line.open), _money(line.esp), f"{line.tax_rate.normalize():f}",
        _money(line.tax * line.open), _money(line.esp * line.open),
    ]


def _add_row(pdf: "FPDF", cells: list[str], points: float, *, bold: bool = False) -> None:
    """Add a table row; text that does not fit into its column is cut off."""
    pdf.set_font("Helvetica", "B" if bold else "", points * 0.9)
    for (_, column_width), text in zip(COLUMNS, cells, strict=True):
        width = pdf.epw * column_width / COLUMNS_WIDTH
        cell = _plain(text)
        while cell and pdf.get_string_width(cell) > width - 2:
            cell = cell[:-1]
        pdf.cell(width, points * 0.6, cell)
    pdf.ln(points * 0.6)


def _add_text(pdf: "FPDF", text: str, points: float, *, bold: bool = False) -> None:
    if text:
        pdf.set_font("Helvetica", "B" if bold else "", points)
        pdf.multi_cell(0, points * 0.5, _plain(text), new_x="LMARGIN", new_y="NEXT")


def _add_rule(pdf: "FPDF") -> None:
    y = pdf.get_y() + 1
    pdf.line(pdf.l_margin, y, pdf.w - pdf.r_margin, y)
    pdf.set_y(y + 1)


def _address(address: dict[str, str]) -> list[str]:
    names = ("name", "addressLine1", "addressLine2", "city", "state", "pincode", "country", "phone")
    return [address[name] for name in names if address.get(name)]


def _plain(text: str) -> str:
    """Return the text as the standard fonts can show it; other characters become question marks."""
    return " ".join(text.split()).encode("latin-1", "replace").decode("latin-1")


def _money(amount: Decimal) -> str:
    return f"{amount:.2f}"


def _day(moment: datetime) -> str:
    return f"{moment.astimezone(INDIA):%d-%m-%Y}"
