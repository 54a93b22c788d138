"""Handlers of labels and invoices: one document for all that are asked for, or what is wrong."""

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
from starlette.responses import Response

from goodsgate.faces.door import Door
from goodsgate.faces.konnect.answers import answer
from goodsgate.faces.konnect.guesses import location_of
from goodsgate.faces.konnect.orders import codes
from goodsgate.faces.konnect.orders.asked import entries
from goodsgate.faces.konnect.orders.book import Book
from goodsgate.faces.konnect.orders.changes import acknowledged
from goodsgate.faces.konnect.orders.codes import Codes, Failed
from goodsgate.faces.konnect.orders.paper import invoices_paper, labels_paper
from goodsgate.faces.konnect.orders.reads import named
from goodsgate.faces.konnect.orders.shipment import Shipment
from goodsgate.faces.routes import Call, Handler

Print = Callable[[list[Shipment], str], bytes]


class Documents:
    """Handlers of the two documents."""

    def __init__(self, door: Door, book: Book) -> None:
        self._door = door
        self._book = book

    def handlers(self) -> dict[str, Handler]:
        """By operation id."""
        return {
            "labels": partial(self._document, codes.LABEL, labels_paper),
            "customer_invoices": partial(self._document, codes.DOCUMENT, invoices_paper),
        }

    async def _document(self, codes: Codes, print: Print, call: Call) -> Response:
        raws = await entries(call, self._door)
        made = await self._door.hop(
            self._made, codes, print, call.merchant, location_of(call.caller), raws, call.query["size"]
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
