"""Handlers of labels and invoices: one document for all that are asked for, or what is wrong."""

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
from starlette.responses import Response

from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import ApiRequest, Handler
from goodsgate.protocols.konnect.answers import answer
from goodsgate.protocols.konnect.guesses import location_of
from goodsgate.protocols.konnect.orders import codes
from goodsgate.protocols.konnect.orders.asked import entries
from goodsgate.protocols.konnect.orders.book import Book
from goodsgate.protocols.konnect.orders.changes import acknowledged
from goodsgate.protocols.konnect.orders.codes import Codes, Failed
from goodsgate.protocols.konnect.orders.paper import invoices_paper, labels_paper
from goodsgate.protocols.konnect.orders.reads import named
from goodsgate.protocols.konnect.orders.shipment import Shipment

Print = Callable[[list[Shipment], str], bytes]


class Documents:
    """Handlers of the two documents."""

    def __init__(self, context: ServerContext, book: Book) -> None:
        self._context = context
        self._book = book

    def handlers(self) -> dict[str, Handler]:
        """By operation id."""
        return {
            "labels": partial(self._document, codes.LABEL, labels_paper),
            "customer_invoices": partial(self._document, codes.DOCUMENT, invoices_paper),
        }

    async def _document(self, codes: Codes, print: Print, request: ApiRequest) -> Response:
        raws = await entries(request, self._context)
        made = await self._context.run_in_thread(
            self._made, codes, print, request.merchant, location_of(request.caller), raws, request.query["size"]
        )
        if isinstance(made, list):
            return answer(acknowledged(len(raws), made))
        return Response(made, media_type="application/pdf", headers={"cache-control": "no-store"})

    def _made(self, codes: Codes, print: Print, merchant: str, own: str | None, raws: list[msgspec.Raw], size: str,
              ) -> bytes | list[dict[str, Any]]:
        found, errors = [], []
        for index, raw in enumerate(raws):
            try:
                shipment = named(self._book, merchant, own, raw, codes)
                if not shipment.met("bag_packed", "bag_picked", "return_dp_assigned"):
                    raise Failed(codes.early, "Too early", "The shipment is not packed yet.", order=shipment.id)
                found.append(shipment)
            except Failed as failed:
                errors.append(failed.words(index))
        return errors or print(found, size)
