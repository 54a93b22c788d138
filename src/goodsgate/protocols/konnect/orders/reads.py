"""What sellers read of orders: lists, one by id, the light view, couriers, tracking."""

from functools import partial
from typing import Any

import msgspec
from starlette.responses import Response

from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import ApiRequest, Handler
from goodsgate.http.problems import refuse
from goodsgate.protocols.konnect.orders import codes
from goodsgate.protocols.konnect.orders.codes import EntryError, ErrorCodes, unknown_order
from goodsgate.protocols.konnect.orders.events import encode
from goodsgate.protocols.konnect.orders.repository import ShipmentRepository, UnknownShipmentError
from goodsgate.protocols.konnect.orders.request_bodies import OrderEntry, decode_entry, read_entries
from goodsgate.protocols.konnect.orders.serializers import (
    serialize_courier,
    serialize_info,
    serialize_shipment,
    serialize_tracking,
)
from goodsgate.protocols.konnect.orders.shipment import Shipment
from goodsgate.protocols.konnect.orders.timestamps import parse_timestamp
from goodsgate.protocols.konnect.responses import json_response
from goodsgate.protocols.konnect.unpublished import token_location

INFO_MAX = 100
"""Entries of the light view by status, which has no pages."""


class TrackRequest(msgspec.Struct, frozen=True):
    """What is to be tracked."""

    shipment_id: str | None = None
    awb_number: str | None = None


class OrderReadHandlers:
    """Handlers of the reads that are not documents."""

    def __init__(self, context: ServerContext, book: ShipmentRepository) -> None:
        self._context = context
        self._book = book

    def handlers(self) -> dict[str, Handler]:
        """By operation id."""
        return {
            "orders": self.orders, "order_info": self.info, "courier_details": self.couriers, "track": self.track,
        }

    async def orders(self, request: ApiRequest) -> Response:
        """GET /oms/v3/shipment."""
        query, own = request.query, token_location(request.caller)
        status = query["orderStatus"]
        if query["orderId"] is not None:
            found = await self._context.run_in_thread(self._by_id, request.merchant, query["orderId"], own)
            return json_response(encode([serialize_shipment(one, asked=status) for one in found]))
        if status is None:
            raise refuse("parameter_invalid", "One of orderStatus and orderId is needed.", parameter="orderStatus")
        size = int(query["pageSize"])
        list_ = partial(
            self._book.listed, request.merchant, _word(query, own, needed=True), limit=size,
            offset=(max(int(query["pageNumber"]), 1) - 1) * size,
            since=parse_timestamp(query["orderDateFrom"], parameter="orderDateFrom"),
            until=parse_timestamp(query["orderDateTo"], parameter="orderDateTo", last=True),
        )
        return json_response(encode([serialize_shipment(one,
            asked=status) for one in await self._context.run_in_thread(list_)]))

    async def info(self, request: ApiRequest) -> Response:
        """GET /oms/v3/shipment/info."""
        query, own = request.query, token_location(request.caller)
        if query["orderId"] is not None:
            found = await self._context.run_in_thread(self._by_id, request.merchant, query["orderId"], own)
        elif query["orderStatus"] is not None:
            word = _word(query, own, needed=False)
            found = await self._context.run_in_thread(partial(self._book.listed, request.merchant, word,
                limit=INFO_MAX))
        else:
            raise refuse("parameter_invalid", "One of orderStatus and orderId is needed.", parameter="orderStatus")
        return json_response(encode({"orders": [serialize_info(one) for one in found]}))

    async def couriers(self, request: ApiRequest) -> Response:
        """POST /oms/v3/shipment/courierDetails: an array, whatever the schema says (X21)."""
        raws = await read_entries(request, self._context)
        look = partial(self._couriers, request.merchant, token_location(request.caller), raws)
        return json_response(encode(await self._context.run_in_thread(look)))

    def _couriers(self, merchant: str, own: str | None, raws: list[msgspec.Raw]) -> list[dict[str, Any]]:
        found = []
        for index, raw in enumerate(raws):
            try:
                shipment = load_shipment(self._book, merchant, own, raw, codes.COURIER)
                if shipment.courier is None:
                    told = "No courier is assigned yet."
                    raise EntryError(codes.COURIER.early, "Too early", told, order=shipment.id)
                found.append(serialize_courier(shipment))
            except EntryError as failed:
                found.append(failed.words(index))
        return found

    async def track(self, request: ApiRequest) -> Response:
        """POST /oms/v3/shipment/track."""
        wanted: TrackRequest = await request.decode_body(TrackRequest, self._context)
        if wanted.shipment_id is None and wanted.awb_number is None:
            raise refuse("body_invalid", "One of shipment_id and awb_number is needed.", member="shipment_id")
        shipment = await self._context.run_in_thread(self._tracked, request.merchant, wanted,
            token_location(request.caller))
        if shipment is None:
            return json_response({"status": "error", "message": "There is no such shipment.", "data": None}, status=404)
        return json_response(encode({"status": "success", "data": serialize_tracking(shipment)}))

    def _tracked(self, merchant: str, wanted: TrackRequest, own: str | None) -> Shipment | None:
        if wanted.shipment_id is not None:
            found = self._by_id(merchant, wanted.shipment_id, own)
        elif not str(wanted.awb_number).isprintable():
            return None
        else:
            found = self._book.listed(merchant, f"awb/{wanted.awb_number}")
        mine = [one for one in found if own in (None, one.location)]
        return mine[-1] if mine else None

    def _by_id(self, merchant: str, id: str, own: str | None) -> list[Shipment]:
        """It alone, if the caller may see it."""
        try:
            shipment = self._book.find(merchant, id)
        except UnknownShipmentError:
            return []
        return [shipment] if own in (None, shipment.location) else []


def load_shipment(book: ShipmentRepository, merchant: str, own: str | None, raw: msgspec.Raw, codes: ErrorCodes,
                  ) -> Shipment:
    """The shipment that an entry names; raises Failed."""
    entry = decode_entry(raw, OrderEntry, codes)
    try:
        shipment = book.find(merchant, entry.orderId)
    except UnknownShipmentError as fault:
        raise unknown_order(codes, entry.orderId) from fault
    if own not in (None, shipment.location):
        raise unknown_order(codes, entry.orderId)
    return shipment


def _word(query: dict[str, Any], own: str | None, *, needed: bool) -> str:
    """The label under which what is asked for is listed; raises parameter_invalid and forbidden."""
    location, channel = query["locationCode"] or own, query.get("orderingChannel")
    if own not in (None, location):
        raise refuse("forbidden", "The token is of another location.")
    if location is None and needed:
        raise refuse("parameter_invalid", "A company-level token needs locationCode.", parameter="locationCode")
    return "/".join(part for part in (query["orderStatus"], location, channel) if part is not None)
