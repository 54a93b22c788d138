"""Reads of orders: the list, one order by id, the light view, courier details and tracking."""

from functools import partial
from typing import Any

import msgspec
from starlette.responses import Response

from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import ApiRequest, Handler
from goodsgate.http.problems import refuse
from goodsgate.protocols.konnect.orders import error_codes
from goodsgate.protocols.konnect.orders.error_codes import EntryError, ErrorCodes, unknown_order
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
"""Limit of the light view by status, which has no pages."""


class TrackRequest(msgspec.Struct, frozen=True):
    """The body of a tracking request."""

    shipment_id: str | None = None
    awb_number: str | None = None


class OrderReadHandlers:
    """Handlers of the reads that return JSON."""

    def __init__(self, context: ServerContext, shipments: ShipmentRepository) -> None:
        self._context = context
        self._shipments = shipments

    def handlers(self) -> dict[str, Handler]:
        """Return the handlers by operation id."""
        return {
            "orders": self.orders, "order_info": self.info, "courier_details": self.courier_details,
            "track": self.track,
        }

    async def orders(self, request: ApiRequest) -> Response:
        """Handle GET /oms/v3/shipment."""
        query, location = request.query, token_location(request.caller)
        status = query["orderStatus"]
        if query["orderId"] is not None:
            read = partial(self._find_visible, request.merchant, query["orderId"], location)
        elif status is not None:
            size = int(query["pageSize"])
            read = partial(
                self._shipments.list_by_label, request.merchant, _label(query, location, location_required=True),
                limit=size, offset=(max(int(query["pageNumber"]), 1) - 1) * size,
                since=parse_timestamp(query["orderDateFrom"], parameter="orderDateFrom"),
                until=parse_timestamp(query["orderDateTo"], parameter="orderDateTo", last=True),
            )
        else:
            raise refuse("parameter_invalid", "One of orderStatus and orderId is needed.", parameter="orderStatus")
        shipments = await self._context.run_in_thread(read)
        return json_response(encode([serialize_shipment(shipment, status=status) for shipment in shipments]))

    async def info(self, request: ApiRequest) -> Response:
        """Handle GET /oms/v3/shipment/info."""
        query, location = request.query, token_location(request.caller)
        if query["orderId"] is not None:
            read = partial(self._find_visible, request.merchant, query["orderId"], location)
        elif query["orderStatus"] is not None:
            label = _label(query, location, location_required=False)
            read = partial(self._shipments.list_by_label, request.merchant, label, limit=INFO_MAX)
        else:
            raise refuse("parameter_invalid", "One of orderStatus and orderId is needed.", parameter="orderStatus")
        shipments = await self._context.run_in_thread(read)
        return json_response(encode({"orders": [serialize_info(shipment) for shipment in shipments]}))

    async def courier_details(self, request: ApiRequest) -> Response:
        """Handle POST /oms/v3/shipment/courierDetails; the body is an array, unlike the published schema (X21)."""
        raws = await read_entries(request, self._context)
        read = partial(self._read_couriers, request.merchant, token_location(request.caller), raws)
        return json_response(encode(await self._context.run_in_thread(read)))

    def _read_couriers(self, merchant: str, location: str | None, raws: list[msgspec.Raw]) -> list[dict[str, Any]]:
        results = []
        for index, raw in enumerate(raws):
            try:
                shipment = find_shipment(self._shipments, merchant, location, raw, error_codes.COURIER)
                if shipment.courier is None:
                    message = "No courier is assigned yet."
                    raise EntryError(error_codes.COURIER.early, "Too early", message, order=shipment.id)
                results.append(serialize_courier(shipment))
            except EntryError as error:
                results.append(error.serialize(index))
        return results

    async def track(self, request: ApiRequest) -> Response:
        """Handle POST /oms/v3/shipment/track."""
        body: TrackRequest = await request.decode_body(TrackRequest, self._context)
        if body.shipment_id is None and body.awb_number is None:
            raise refuse("body_invalid", "One of shipment_id and awb_number is needed.", member="shipment_id")
        location = token_location(request.caller)
        shipment = await self._context.run_in_thread(self._find_tracked, request.merchant, body, location)
        if shipment is None:
            not_found = {"status": "error", "message": "There is no such shipment.", "data": None}
            return json_response(not_found, status=404)
        return json_response(encode({"status": "success", "data": serialize_tracking(shipment)}))

    def _find_tracked(self, merchant: str, body: TrackRequest, location: str | None) -> Shipment | None:
        if body.shipment_id is not None:
            shipments = self._find_visible(merchant, body.shipment_id, location)
        elif not str(body.awb_number).isprintable():
            return None
        else:
            shipments = self._shipments.list_by_label(merchant, f"awb/{body.awb_number}")
        visible = [shipment for shipment in shipments if location in (None, shipment.location)]
        return visible[-1] if visible else None

    def _find_visible(self, merchant: str, id: str, location: str | None) -> list[Shipment]:
        """Return the shipment of an id, or nothing if the token's location must not see it."""
        try:
            shipment = self._shipments.find(merchant, id)
        except UnknownShipmentError:
            return []
        return [shipment] if location in (None, shipment.location) else []


def find_shipment(shipments: ShipmentRepository, merchant: str, location: str | None, raw: msgspec.Raw,
                  codes: ErrorCodes) -> Shipment:
    """Return the shipment that an entry names; raise EntryError."""
    entry = decode_entry(raw, OrderEntry, codes)
    try:
        shipment = shipments.find(merchant, entry.orderId)
    except UnknownShipmentError as error:
        raise unknown_order(codes, entry.orderId) from error
    if location not in (None, shipment.location):
        raise unknown_order(codes, entry.orderId)
    return shipment


def _label(query: dict[str, Any], token_location: str | None, *, location_required: bool) -> str:
    """Return the label that lists the shipments of a query; raise parameter_invalid and forbidden."""
    location, channel = query["locationCode"] or token_location, query.get("orderingChannel")
    if token_location not in (None, location):
        raise refuse("forbidden", "The token is of another location.")
    if location is None and location_required:
        raise refuse("parameter_invalid", "A company-level token needs locationCode.", parameter="locationCode")
    return "/".join(part for part in (query["orderStatus"], location, channel) if part is not None)
