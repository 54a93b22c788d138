"""Handlers of labels and invoices: one PDF for all orders of the request, or the errors."""

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
from starlette.responses import Response

from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import ApiRequest, Handler
from goodsgate.protocols.konnect.orders import error_codes
from goodsgate.protocols.konnect.orders.error_codes import EntryError, ErrorCodes
from goodsgate.protocols.konnect.orders.pdf_documents import render_invoices, render_labels
from goodsgate.protocols.konnect.orders.reads import find_shipment
from goodsgate.protocols.konnect.orders.repository import ShipmentRepository
from goodsgate.protocols.konnect.orders.request_bodies import collect_errors, read_entries
from goodsgate.protocols.konnect.orders.shipment import Shipment
from goodsgate.protocols.konnect.orders.updates import serialize_acknowledgement
from goodsgate.protocols.konnect.responses import json_response
from goodsgate.protocols.konnect.unpublished import token_location

PdfRenderer = Callable[[list[Shipment], str], bytes]


class OrderDocumentHandlers:
    """Handlers of the two documents."""

    def __init__(self, context: ServerContext, shipments: ShipmentRepository) -> None:
        self._context = context
        self._shipments = shipments

    def handlers(self) -> dict[str, Handler]:
        """Return the handlers by operation id."""
        return {
            "labels": partial(self._handle, error_codes.LABEL, render_labels),
            "customer_invoices": partial(self._handle, error_codes.DOCUMENT, render_invoices),
        }

    async def _handle(self, codes: ErrorCodes, render: PdfRenderer, request: ApiRequest) -> Response:
        raws = await read_entries(request, self._context)
        document = await self._context.run_in_thread(
            self._render, codes, render, request.merchant, token_location(request.caller), raws, request.query["size"]
        )
        if isinstance(document, list):
            return json_response(serialize_acknowledgement(len(raws), document))
        return Response(document, media_type="application/pdf", headers={"cache-control": "no-store"})

    def _render(self, codes: ErrorCodes, render: PdfRenderer, merchant: str, location: str | None,
                raws: list[msgspec.Raw], size: str) -> bytes | list[dict[str, Any]]:
        """Return the PDF, or the errors if an entry failed."""
        shipments: list[Shipment] = []

        def add(raw: msgspec.Raw) -> None:
            shipment = find_shipment(self._shipments, merchant, location, raw, codes)
            if not shipment.has_reached("bag_packed", "bag_picked", "return_dp_assigned"):
                raise EntryError(codes.early, "Too early", "The shipment is not packed yet.", order=shipment.id)
            shipments.append(shipment)

        return collect_errors(raws, add) or render(shipments, size)
