"""Handlers of labels and invoices: one document for all that are asked for, or what is wrong."""

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
from starlette.responses import Response

from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import ApiRequest, Handler
from goodsgate.protocols.konnect.orders import codes
from goodsgate.protocols.konnect.orders.codes import EntryError, ErrorCodes
from goodsgate.protocols.konnect.orders.pdf_documents import render_invoices, render_labels
from goodsgate.protocols.konnect.orders.reads import load_shipment
from goodsgate.protocols.konnect.orders.repository import ShipmentRepository
from goodsgate.protocols.konnect.orders.request_bodies import read_entries
from goodsgate.protocols.konnect.orders.shipment import Shipment
from goodsgate.protocols.konnect.orders.updates import serialize_acknowledgement
from goodsgate.protocols.konnect.responses import json_response
from goodsgate.protocols.konnect.unpublished import token_location

Renderer = Callable[[list[Shipment], str], bytes]


class OrderDocumentHandlers:
    """Handlers of the two documents."""

    def __init__(self, context: ServerContext, book: ShipmentRepository) -> None:
        self._context = context
        self._book = book

    def handlers(self) -> dict[str, Handler]:
        """By operation id."""
        return {
            "labels": partial(self._document, codes.LABEL, render_labels),
            "customer_invoices": partial(self._document, codes.DOCUMENT, render_invoices),
        }

    async def _document(self, codes: ErrorCodes, print: Renderer, request: ApiRequest) -> Response:
        raws = await read_entries(request, self._context)
        made = await self._context.run_in_thread(
            self._made, codes, print, request.merchant, token_location(request.caller), raws, request.query["size"]
        )
        if isinstance(made, list):
            return json_response(serialize_acknowledgement(len(raws), made))
        return Response(made, media_type="application/pdf", headers={"cache-control": "no-store"})

    def _made(self, codes: ErrorCodes, print: Renderer, merchant: str, own: str | None, raws: list[msgspec.Raw],
              size: str,
              ) -> bytes | list[dict[str, Any]]:
        found, errors = [], []
        for index, raw in enumerate(raws):
            try:
                shipment = load_shipment(self._book, merchant, own, raw, codes)
                if not shipment.has_reached("bag_packed", "bag_picked", "return_dp_assigned"):
                    raise EntryError(codes.early, "Too early", "The shipment is not packed yet.", order=shipment.id)
                found.append(shipment)
            except EntryError as failed:
                errors.append(failed.words(index))
        return errors or print(found, size)
