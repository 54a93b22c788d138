"""The admin API of orders: placing them, simulating events, and registering webhooks."""

from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from starlette.responses import Response

from goodsgate.engine.refusal import Refusal
from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import ApiRequest, Handler
from goodsgate.http.problems import refuse
from goodsgate.http.webhooks import AddressRefusedError
from goodsgate.model.batch import now
from goodsgate.protocols.konnect.orders.events import WEBHOOKS_MAX, encode
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
from goodsgate.protocols.konnect.orders.webhooks import OrderWebhookRegistry
from goodsgate.protocols.konnect.responses import json_response
from goodsgate.protocols.konnect.unpublished import SHIPMENTS_OPEN_MAX
from goodsgate.store.contract import ResourcesFullError

Number = Annotated[int, Meta(ge=1, le=10**9)]
OrderCount = Annotated[int, Meta(ge=1, le=100)]
ORDERS_FULL = f"The limit of {SHIPMENTS_OPEN_MAX} open orders is reached."


class GeneratedOrdersRequest(msgspec.Struct, frozen=True):
    """Orders to be generated from a seed."""

    seed: Annotated[int, Meta(ge=0, le=2**32 - 1)]
    first: Number = 1
    count: OrderCount = 1
    stepSeconds: Annotated[float, Meta(ge=0, le=10**7)] = 60.0
    isSelfShip: bool = False


class PlaceOrdersRequest(msgspec.Struct, frozen=True):
    """The body of a request to place orders, either described or generated."""

    orders: Annotated[list[OrderRequest], Meta(min_length=1, max_length=100)] | None = None
    random: GeneratedOrdersRequest | None = None


class LineReference(msgspec.Struct, frozen=True):
    """A line that a simulated event affects."""

    orderItemId: str
    quantity: Number | None = None


class SimulatedEvent(msgspec.Struct, frozen=True):
    """An event of a customer, a courier or the platform."""

    event: str
    remark: Annotated[str, Meta(max_length=1_000)] = ""
    items: Annotated[list[LineReference], Meta(max_length=100)] = []


class WebhookRequest(msgspec.Struct, frozen=True):
    """The body of a request to add a webhook."""

    url: Annotated[str, Meta(min_length=1, max_length=2_000)]


class OrderAdminHandlers:
    """Handlers of the admin API."""

    def __init__(self, context: ServerContext, shipments: ShipmentRepository, placer: OrderPlacer,
                 generator: OrderGenerator, webhooks: OrderWebhookRegistry) -> None:
        self._context = context
        self._shipments = shipments
        self._placer = placer
        self._generator = generator
        self._webhooks = webhooks

    def handlers(self) -> dict[str, Handler]:
        """Return the handlers by operation id."""
        return {
            "place_orders": self.place, "simulate_event": self.simulate, "webhooks": self.webhooks,
            "add_webhook": self.add_webhook, "remove_webhook": self.remove_webhook,
        }

    async def place(self, request: ApiRequest) -> Response:
        """Handle POST /oms/admin/orders."""
        body: PlaceOrdersRequest = await request.decode_body(PlaceOrdersRequest, self._context)
        if (body.orders is None) == (body.random is None):
            raise refuse("body_invalid", "One of orders and random is needed.")
        results = await self._context.run_in_thread(lambda: list(self._place_all(request.merchant, body)))
        return json_response(encode({"orders": results}))

    def _place_all(self, merchant: str, body: PlaceOrdersRequest) -> Iterator[dict[str, Any]]:
        for order in body.orders or ():
            yield self._place(merchant, order)
        if body.random is None:
            return
        for number in range(body.random.first, body.random.first + body.random.count):
            try:
                order = self._generator.generate(
                    merchant, seed=body.random.seed, number=number, step_seconds=body.random.stepSeconds,
                    self_ship=body.random.isSelfShip,
                )
            except UnplaceableOrderError as error:
                yield {"marketplaceOrderId": None, "code": "unplaceable", "message": f"{error}."}
                continue
            yield self._place(merchant, order)

    def _place(self, merchant: str, order: OrderRequest) -> dict[str, Any]:
        result: dict[str, Any] = {"marketplaceOrderId": order.marketplaceOrderId, "fate": order.fate}
        try:
            shipment = self._placer.place(merchant, order)
        except UnplaceableOrderError as error:
            return {**result, "code": "unplaceable", "message": f"{error}."}
        except DuplicateOrderError as error:
            return {**result, "orderId": error.id, "code": "placed_before", "message": "This order was placed before."}
        except Refusal as refusal:
            return {**result, "code": refusal.code, "message": refusal.detail}
        except ResourcesFullError:
            return {**result, "code": "orders_full", "message": ORDERS_FULL}
        return {**result, "marketplaceOrderId": shipment.order, "orderId": shipment.id}

    async def simulate(self, request: ApiRequest) -> Response:
        """Handle POST /oms/admin/orders/{order}/events."""
        simulated: SimulatedEvent = await request.decode_body(SimulatedEvent, self._context)
        if simulated.event not in (*EXTERNAL_EVENTS, RETURN):
            raise refuse("body_invalid", f"event must be one of {', '.join((*EXTERNAL_EVENTS, RETURN))}.")
        order = request.path["order"]
        shipment = await self._context.run_in_thread(self._simulate, request.merchant, order, simulated)
        return json_response(encode(serialize_shipment(shipment)))

    def _simulate(self, merchant: str, order: str, simulated: SimulatedEvent) -> Shipment:
        def change(shipment: Shipment) -> Shipment:
            entry = ShipmentEvent(state=shipment.state, at=now(), remark=simulated.remark)
            event = f"external/{simulated.event}"
            if not simulated.items:
                return apply_event(shipment, event, at=entry.at, entry=entry)
            if not simulated.event.startswith("cancelled_"):
                raise refuse("body_invalid", "items are for cancellations and returns.")
            return cancel_pieces(shipment, _pieces(shipment, simulated), event, entry=entry)

        try:
            if simulated.event != RETURN:
                return self._shipments.update(merchant, order, change)
            pieces = _pieces(self._shipments.find(merchant, order), simulated)
            return self._shipments.begin_return(merchant, order, pieces)
        except UnknownShipmentError as error:
            raise refuse("not_found", "There is no such order.") from error
        except TransitionError as error:
            state = error.shipment.state
            raise refuse("state_conflict", f"The order is {state}.", state=state) from error
        except ValueError as error:
            raise refuse("body_invalid", f"{error}.") from error
        except ResourcesFullError as error:
            raise refuse("state_conflict", ORDERS_FULL) from error

    async def webhooks(self, request: ApiRequest) -> Response:
        """Handle GET /oms/admin/webhooks."""
        return json_response({"webhooks": await self._context.run_in_thread(self._webhooks.all, request.merchant)})

    async def add_webhook(self, request: ApiRequest) -> Response:
        """Handle POST /oms/admin/webhooks."""
        body: WebhookRequest = await request.decode_body(WebhookRequest, self._context)
        try:
            return json_response(await self._context.run_in_thread(self._webhooks.add, request.merchant, body.url))
        except AddressRefusedError as error:
            raise refuse("body_invalid", f"{error}.") from error
        except ResourcesFullError as error:
            raise refuse("body_invalid", f"The limit of {WEBHOOKS_MAX} webhooks is reached.") from error

    async def remove_webhook(self, request: ApiRequest) -> Response:
        """Handle DELETE /oms/admin/webhooks/{webhook}."""
        number = int(request.path["webhook"])
        removed = await self._context.run_in_thread(self._webhooks.remove, request.merchant, number)
        if removed is None:
            raise refuse("not_found", "There is no such webhook.")
        return json_response(removed)


def _pieces(shipment: Shipment, simulated: SimulatedEvent) -> dict[str, int]:
    """Return the pieces (``orderItemId`` → number) of an event; raise ValueError if a line has fewer open ones."""
    pieces: dict[str, int] = {}
    for item in simulated.items:
        line = shipment.line(item.orderItemId)
        number = 0 if line is None else line.open if item.quantity is None else item.quantity
        if line is None or not 0 < number + pieces.get(line.id, 0) <= line.open:
            raise ValueError(f"the item {item.orderItemId} has fewer open pieces")
        pieces[line.id] = number + pieces.get(line.id, 0)
    return pieces
