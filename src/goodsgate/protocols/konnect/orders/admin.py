"""The operator's side of orders: placing them, letting things happen to them, saying where events go."""

from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from starlette.responses import Response

from goodsgate.engine.refusal import Refusal
from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import ApiRequest, Handler
from goodsgate.http.problems import refuse
from goodsgate.model.batch import now
from goodsgate.protocols.konnect.orders.events import encode
from goodsgate.protocols.konnect.orders.placement import (
    OrderGenerator,
    OrderPlacer,
    OrderRequest,
    UnplaceableOrderError,
)
from goodsgate.protocols.konnect.orders.repository import DuplicateOrderError, ShipmentRepository, UnknownShipmentError
from goodsgate.protocols.konnect.orders.serializers import serialize_shipment
from goodsgate.protocols.konnect.orders.shipment import Shipment, ShipmentEvent
from goodsgate.protocols.konnect.orders.states import EXTERNAL_EVENTS
from goodsgate.protocols.konnect.orders.transitions import RETURN, TransitionError, apply_event, cancel_pieces
from goodsgate.protocols.konnect.orders.webhooks import AddressRefusedError, WebhookRegistry
from goodsgate.protocols.konnect.responses import json_response
from goodsgate.store.contract import ResourcesFullError

Number = Annotated[int, Meta(ge=1, le=10**9)]
Many = Annotated[int, Meta(ge=1, le=100)]


class GeneratedOrdersRequest(msgspec.Struct, frozen=True):
    """Orders of a seed."""

    seed: Annotated[int, Meta(ge=0, le=2**32 - 1)]
    first: Number = 1
    count: Many = 1
    stepSeconds: Annotated[float, Meta(ge=0, le=10**7)] = 60.0
    isSelfShip: bool = False


class PlaceOrdersRequest(msgspec.Struct, frozen=True):
    """What is to be placed."""

    orders: Annotated[list[OrderRequest], Meta(min_length=1, max_length=100)] | None = None
    random: GeneratedOrdersRequest | None = None


class LineReference(msgspec.Struct, frozen=True):
    """A line that something happens to."""

    orderItemId: str
    quantity: Number | None = None


class SimulatedEvent(msgspec.Struct, frozen=True):
    """What is to happen."""

    event: str
    remark: Annotated[str, Meta(max_length=1_000)] = ""
    items: Annotated[list[LineReference], Meta(max_length=100)] = []


class WebhookRequest(msgspec.Struct, frozen=True):
    """Where events are to go."""

    url: Annotated[str, Meta(min_length=1, max_length=2_000)]


class OrderAdminHandlers:
    """Handlers of the admin routes."""

    def __init__(self, context: ServerContext, book: ShipmentRepository, places: OrderPlacer, stream: OrderGenerator,
                 webhooks: WebhookRegistry) -> None:
        self._context = context
        self._book = book
        self._places = places
        self._stream = stream
        self._webhooks = webhooks

    def handlers(self) -> dict[str, Handler]:
        """By operation id."""
        return {
            "place_orders": self.place, "let_happen": self.happen, "webhooks": self.webhooks,
            "add_webhook": self.add_webhook, "remove_webhook": self.remove_webhook,
        }

    async def place(self, request: ApiRequest) -> Response:
        """POST /oms/admin/orders."""
        wanted: PlaceOrdersRequest = await request.decode_body(PlaceOrdersRequest, self._context)
        if (wanted.orders is None) == (wanted.random is None):
            raise refuse("body_invalid", "One of orders and random is needed.")
        placed = await self._context.run_in_thread(lambda: list(self._placed(request.merchant, wanted)))
        return json_response(encode({"orders": placed}))

    def _placed(self, merchant: str, wanted: PlaceOrdersRequest) -> Iterator[dict[str, Any]]:
        for placing in wanted.orders or ():
            yield self._place(merchant, placing)
        drawn = wanted.random
        for number in range(drawn.first, drawn.first + drawn.count) if drawn is not None else ():
            assert drawn is not None
            try:
                placing = self._stream.order(
                    merchant, seed=drawn.seed, number=number, step_seconds=drawn.stepSeconds,
                    self_ship=drawn.isSelfShip,
                )
            except UnplaceableOrderError as fault:
                yield {"marketplaceOrderId": None, "code": "unplaceable", "message": f"{fault}."}
                continue
            yield self._place(merchant, placing)

    def _place(self, merchant: str, placing: OrderRequest) -> dict[str, Any]:
        told: dict[str, Any] = {"marketplaceOrderId": placing.marketplaceOrderId, "fate": placing.fate}
        try:
            shipment = self._places.place(merchant, placing)
        except UnplaceableOrderError as fault:
            return {**told, "code": "unplaceable", "message": f"{fault}."}
        except DuplicateOrderError as fault:
            return {**told, "orderId": fault.id, "code": "placed_before", "message": "This order was placed before."}
        except Refusal as refusal:
            return {**told, "code": refusal.code, "message": refusal.detail}
        except ResourcesFullError:
            return {**told, "code": "orders_full", "message": "As many orders as may be are open."}
        return {**told, "marketplaceOrderId": shipment.order, "orderId": shipment.id}

    async def happen(self, request: ApiRequest) -> Response:
        """POST /oms/admin/orders/{order}/events."""
        happening: SimulatedEvent = await request.decode_body(SimulatedEvent, self._context)
        if happening.event not in (*EXTERNAL_EVENTS, RETURN):
            raise refuse("body_invalid", f"event must be one of {', '.join((*EXTERNAL_EVENTS, RETURN))}.")
        shipment = await self._context.run_in_thread(self._happened, request.merchant, request.path["order"], happening)
        return json_response(encode(serialize_shipment(shipment)))

    def _happened(self, merchant: str, order: str, happening: SimulatedEvent) -> Shipment:
        def change(shipment: Shipment) -> Shipment:
            told = ShipmentEvent(state=shipment.state, at=now(), remark=happening.remark)
            event = f"external/{happening.event}"
            if not happening.items:
                return apply_event(shipment, event, at=told.at, told=told)
            if not happening.event.startswith("cancelled_"):
                raise refuse("body_invalid", "items are for cancellations and returns.")
            return cancel_pieces(shipment, _pieces(shipment, happening), event, told=told)

        try:
            if happening.event != RETURN:
                return self._book.change(merchant, order, change)
            return self._book.begin_return(merchant, order, _pieces(self._book.find(merchant, order), happening))
        except UnknownShipmentError as fault:
            raise refuse("not_found", "There is no such order.") from fault
        except TransitionError as fault:
            state = fault.shipment.state
            raise refuse("state_conflict", f"The order is {state}.", state=state) from fault
        except ValueError as fault:
            raise refuse("body_invalid", f"{fault}.") from fault
        except ResourcesFullError as fault:
            raise refuse("state_conflict", "As many orders as may be are open.") from fault

    async def webhooks(self, request: ApiRequest) -> Response:
        """GET /oms/admin/webhooks."""
        return json_response({"webhooks": await self._context.run_in_thread(self._webhooks.all, request.merchant)})

    async def add_webhook(self, request: ApiRequest) -> Response:
        """POST /oms/admin/webhooks."""
        wanted: WebhookRequest = await request.decode_body(WebhookRequest, self._context)
        try:
            return json_response(await self._context.run_in_thread(self._webhooks.add, request.merchant, wanted.url))
        except AddressRefusedError as fault:
            raise refuse("body_invalid", f"{fault}.") from fault
        except ResourcesFullError as fault:
            raise refuse("body_invalid", "There are as many webhooks as may be.") from fault

    async def remove_webhook(self, request: ApiRequest) -> Response:
        """DELETE /oms/admin/webhooks/{webhook}."""
        removed = await self._context.run_in_thread(self._webhooks.remove, request.merchant,
            int(request.path["webhook"]))
        if removed is None:
            raise refuse("not_found", "There is no such webhook.")
        return json_response(removed)


def _pieces(shipment: Shipment, happening: SimulatedEvent) -> dict[str, int]:
    """``orderItemId`` → how many; raises ValueError where there is not so much."""
    found: dict[str, int] = {}
    for item in happening.items:
        line = shipment.line(item.orderItemId)
        pieces = 0 if line is None else line.open if item.quantity is None else item.quantity
        if line is None or not 0 < pieces + found.get(line.id, 0) <= line.open:
            raise ValueError(f"of the item {item.orderItemId} there is not so much")
        found[line.id] = pieces + found.get(line.id, 0)
    return found
