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
from goodsgate.protocols.konnect.answers import answer
from goodsgate.protocols.konnect.orders.book import Book, OrderPlaced, ShipmentUnknown
from goodsgate.protocols.konnect.orders.events import encode
from goodsgate.protocols.konnect.orders.life import RETURN, NotNow, cancel_lines, take
from goodsgate.protocols.konnect.orders.placing import Places, Placing, Stream, Unplaceable
from goodsgate.protocols.konnect.orders.shipment import Event, Shipment
from goodsgate.protocols.konnect.orders.states import HAPPENINGS
from goodsgate.protocols.konnect.orders.webhooks import AddressRefused, Webhooks
from goodsgate.protocols.konnect.orders.words import shipment_words
from goodsgate.store.contract import ResourcesFull

Number = Annotated[int, Meta(ge=1, le=10**9)]
Many = Annotated[int, Meta(ge=1, le=100)]


class Drawn(msgspec.Struct, frozen=True):
    """Orders of a seed."""

    seed: Annotated[int, Meta(ge=0, le=2**32 - 1)]
    first: Number = 1
    count: Many = 1
    stepSeconds: Annotated[float, Meta(ge=0, le=10**7)] = 60.0
    isSelfShip: bool = False


class Placings(msgspec.Struct, frozen=True):
    """What is to be placed."""

    orders: Annotated[list[Placing], Meta(min_length=1, max_length=100)] | None = None
    random: Drawn | None = None


class Of(msgspec.Struct, frozen=True):
    """A line that something happens to."""

    orderItemId: str
    quantity: Number | None = None


class Happening(msgspec.Struct, frozen=True):
    """What is to happen."""

    event: str
    remark: Annotated[str, Meta(max_length=1_000)] = ""
    items: Annotated[list[Of], Meta(max_length=100)] = []


class Subscription(msgspec.Struct, frozen=True):
    """Where events are to go."""

    url: Annotated[str, Meta(min_length=1, max_length=2_000)]


class Operator:
    """Handlers of the admin routes."""

    def __init__(self, context: ServerContext, book: Book, places: Places, stream: Stream, webhooks: Webhooks) -> None:
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
        wanted: Placings = await request.document(Placings, self._context)
        if (wanted.orders is None) == (wanted.random is None):
            raise refuse("body_invalid", "One of orders and random is needed.")
        placed = await self._context.run_in_thread(lambda: list(self._placed(request.merchant, wanted)))
        return answer(encode({"orders": placed}))

    def _placed(self, merchant: str, wanted: Placings) -> Iterator[dict[str, Any]]:
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
            except Unplaceable as fault:
                yield {"marketplaceOrderId": None, "code": "unplaceable", "message": f"{fault}."}
                continue
            yield self._place(merchant, placing)

    def _place(self, merchant: str, placing: Placing) -> dict[str, Any]:
        told: dict[str, Any] = {"marketplaceOrderId": placing.marketplaceOrderId, "fate": placing.fate}
        try:
            shipment = self._places.place(merchant, placing)
        except Unplaceable as fault:
            return {**told, "code": "unplaceable", "message": f"{fault}."}
        except OrderPlaced as fault:
            return {**told, "orderId": fault.id, "code": "placed_before", "message": "This order was placed before."}
        except Refusal as refusal:
            return {**told, "code": refusal.code, "message": refusal.detail}
        except ResourcesFull:
            return {**told, "code": "orders_full", "message": "As many orders as may be are open."}
        return {**told, "marketplaceOrderId": shipment.order, "orderId": shipment.id}

    async def happen(self, request: ApiRequest) -> Response:
        """POST /oms/admin/orders/{order}/events."""
        happening: Happening = await request.document(Happening, self._context)
        if happening.event not in (*HAPPENINGS, RETURN):
            raise refuse("body_invalid", f"event must be one of {', '.join((*HAPPENINGS, RETURN))}.")
        shipment = await self._context.run_in_thread(self._happened, request.merchant, request.path["order"], happening)
        return answer(encode(shipment_words(shipment)))

    def _happened(self, merchant: str, order: str, happening: Happening) -> Shipment:
        def change(shipment: Shipment) -> Shipment:
            told = Event(state=shipment.state, at=now(), remark=happening.remark)
            event = f"happens/{happening.event}"
            if not happening.items:
                return take(shipment, event, at=told.at, told=told)
            if not happening.event.startswith("cancelled_"):
                raise refuse("body_invalid", "items are for cancellations and returns.")
            return cancel_lines(shipment, _pieces(shipment, happening), event, told=told)

        try:
            if happening.event != RETURN:
                return self._book.change(merchant, order, change)
            return self._book.give_back(merchant, order, _pieces(self._book.find(merchant, order), happening))
        except ShipmentUnknown as fault:
            raise refuse("not_found", "There is no such order.") from fault
        except NotNow as fault:
            state = fault.shipment.state
            raise refuse("state_conflict", f"The order is {state}.", state=state) from fault
        except ValueError as fault:
            raise refuse("body_invalid", f"{fault}.") from fault
        except ResourcesFull as fault:
            raise refuse("state_conflict", "As many orders as may be are open.") from fault

    async def webhooks(self, request: ApiRequest) -> Response:
        """GET /oms/admin/webhooks."""
        return answer({"webhooks": await self._context.run_in_thread(self._webhooks.all, request.merchant)})

    async def add_webhook(self, request: ApiRequest) -> Response:
        """POST /oms/admin/webhooks."""
        wanted: Subscription = await request.document(Subscription, self._context)
        try:
            return answer(await self._context.run_in_thread(self._webhooks.add, request.merchant, wanted.url))
        except AddressRefused as fault:
            raise refuse("body_invalid", f"{fault}.") from fault
        except ResourcesFull as fault:
            raise refuse("body_invalid", "There are as many webhooks as may be.") from fault

    async def remove_webhook(self, request: ApiRequest) -> Response:
        """DELETE /oms/admin/webhooks/{webhook}."""
        removed = await self._context.run_in_thread(self._webhooks.remove, request.merchant,
            int(request.path["webhook"]))
        if removed is None:
            raise refuse("not_found", "There is no such webhook.")
        return answer(removed)


def _pieces(shipment: Shipment, happening: Happening) -> dict[str, int]:
    """``orderItemId`` → how many; raises ValueError where there is not so much."""
    found: dict[str, int] = {}
    for item in happening.items:
        line = shipment.line(item.orderItemId)
        pieces = 0 if line is None else line.open if item.quantity is None else item.quantity
        if line is None or not 0 < pieces + found.get(line.id, 0) <= line.open:
            raise ValueError(f"of the item {item.orderItemId} there is not so much")
        found[line.id] = pieces + found.get(line.id, 0)
    return found
