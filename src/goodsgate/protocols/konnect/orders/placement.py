"""New orders: those that a request describes, and a seeded sequence of realistic ones."""

import random
from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from goodsgate.model.batch import now
from goodsgate.protocols.konnect.orders.pricing import CataloguePricing, UnknownSkuError, UnusablePriceError
from goodsgate.protocols.konnect.orders.repository import ShipmentRepository
from goodsgate.protocols.konnect.orders.request_bodies import Text
from goodsgate.protocols.konnect.orders.shipment import Shipment
from goodsgate.protocols.konnect.unpublished import CHANNELS

Seconds = Annotated[float, Meta(ge=0, le=10**7)]
ATTEMPTS_MAX = 25
"""Attempts to choose a SKU that is in stock somewhere."""

FATES: Mapping[str, tuple[tuple[str, str, float], ...]] = {
    # State, the event that follows it by itself, and the number of time steps in between.
    "open": (),
    "delivered": (("bag_picked", "external/delivery_done", 2),),
    "cancelled": (
        ("placed", "external/cancelled_customer", 1), ("bag_confirmed", "external/cancelled_customer", 1),
    ),
    "returned": (
        ("bag_picked", "external/delivery_done", 2), ("delivery_done", "return", 3),
        ("return_initiated", "external/return_dp_assigned", 1),
        ("return_dp_assigned", "external/return_bag_in_transit", 1),
        ("return_bag_in_transit", "external/return_bag_delivered", 1),
    ),
    "origin": (("bag_picked", "external/rto_initiated", 2), ("rto_initiated", "external/rto_bag_delivered", 2)),
}
"""Fate of an order → the events outside the seller's control."""
FATE_WEIGHTS = {"delivered": 70, "cancelled": 12, "returned": 11, "origin": 7}
"""Percentage of each fate in generated orders."""
CITIES = (
    ("Bengaluru", "Karnataka", "560001"), ("Mumbai", "Maharashtra", "400001"), ("New Delhi", "Delhi", "110001"),
    ("Chennai", "Tamil Nadu", "600001"), ("Kolkata", "West Bengal", "700001"), ("Hyderabad", "Telangana", "500001"),
    ("Pune", "Maharashtra", "411001"), ("Jaipur", "Rajasthan", "302001"), ("Kochi", "Kerala", "682001"),
)
NAMES = (
    "Asha Rao", "Vikram Mehta", "Fatima Khan", "Arjun Nair", "Priya Sharma", "Rohan Das", "Meera Iyer", "Anil Joshi",
)
STREETS = ("Mill Road", "Station Road", "Lake View", "MG Road", "Temple Street", "Park Lane")


class RequestedLine(msgspec.Struct, frozen=True):
    """One line of an order to be placed."""

    sku: Text
    quantity: Annotated[int, Meta(ge=1, le=10_000)] = 1


class OrderRequest(msgspec.Struct, frozen=True, kw_only=True):
    """An order to be placed."""

    items: Annotated[list[RequestedLine], Meta(min_length=1, max_length=100)]
    locationCode: Text
    marketplaceOrderId: Text | None = None
    orderingChannel: Text = "ECOMM"
    isSelfShip: bool = False
    isReassigned: bool = False
    """Whether another store has passed the order on."""
    paymentMode: Text = "PREPAID"
    shippingAddress: dict[str, str] = {}
    billingAddress: dict[str, str] = {}
    fate: str = "open"
    stepSeconds: Seconds = 60.0
    """Duration of one time step of the fate."""
    courierSeconds: Seconds | None = None
    """Time from the invoice to the courier; None: the setting `courier_seconds`."""


class UnplaceableOrderError(Exception):
    """The order cannot be placed; the message says why."""


class OrderPlacer:
    """Places orders over a merchant's catalogue."""

    def __init__(self, shipments: ShipmentRepository, pricing: CataloguePricing, *, courier_seconds: float) -> None:
        self._shipments = shipments
        self._pricing = pricing
        self._courier_seconds = courier_seconds

    def place(self, merchant: str, request: OrderRequest) -> Shipment:
        """Place an order; raise UnplaceableOrderError, DuplicateOrderError and the refusals of the stock."""
        if request.fate not in FATES:
            raise UnplaceableOrderError(f"fate must be one of {', '.join(FATES)}")
        at = now()
        order = request.marketplaceOrderId or f"FY{int(at.timestamp() * 10**6):X}{random.randrange(2**16):04X}"  # noqa: S311 - a name, not a secret
        try:
            lines = tuple(
                self._pricing.line(
                    merchant, request.locationCode, item.sku, id=f"{number:07d}", quantity=item.quantity
                )
                for number, item in enumerate(request.items, 1)
            )
        except UnknownSkuError as error:
            raise UnplaceableOrderError(f"there is no SKU {error}") from error
        except UnusablePriceError as error:
            raise UnplaceableOrderError(str(error)) from error
        shipping = {**_random_address(random.Random(order)), **request.shippingAddress}  # noqa: S311 - not a secret
        return self._shipments.place(merchant, Shipment(
            order=order, placed_at=at, location=request.locationCode, channel=request.orderingChannel,
            self_ship=request.isSelfShip, state="new", lines=lines, shipping=shipping,
            first_state="store_reassigned" if request.isReassigned else "placed",
            billing={**shipping, **request.billingAddress}, payment=request.paymentMode, plan=self._plan(request),
        ))

    def _plan(self, request: OrderRequest) -> dict[str, tuple[str, float]]:
        seconds = self._courier_seconds if request.courierSeconds is None else request.courierSeconds
        plan = {
            "bag_invoiced": ("external/dp_assigned", seconds),
            "return_initiated": ("external/return_dp_assigned", seconds),
        }
        plan.update((state, (event, steps * request.stepSeconds)) for state, event, steps in FATES[request.fate])
        return plan


class OrderGenerator:
    """Generates orders; a seed and a number give the same order as long as the catalogue is the same."""

    def __init__(self, pricing: CataloguePricing) -> None:
        self._pricing = pricing

    def generate(self, merchant: str, *, seed: int, number: int, step_seconds: float,
                 self_ship: bool = False) -> OrderRequest:
        """Return one order; raise UnplaceableOrderError if nothing is in stock."""
        rng = random.Random(f"{seed}/{number}")  # noqa: S311 - must be reproducible
        fate = rng.choices([*FATE_WEIGHTS], [*FATE_WEIGHTS.values()])[0]
        count = self._pricing.count(merchant)
        for _ in range(ATTEMPTS_MAX if count else 0):
            sku = self._pricing.sku(merchant, rng.randrange(count))
            locations = [*self._pricing.locations(merchant, sku)] if sku is not None else []
            if sku is not None and locations:
                items = [RequestedLine(sku, rng.choices((1, 2, 3), (80, 15, 5))[0])]
                return OrderRequest(
                    items=items + self._second_line(merchant, rng, sku, location := rng.choice(locations), count),
                    locationCode=location, marketplaceOrderId=f"FYS{seed:X}N{number:06d}",
                    orderingChannel=rng.choice(CHANNELS), paymentMode=rng.choices(("PREPAID", "COD"), (7, 3))[0],
                    isSelfShip=self_ship, fate=fate, stepSeconds=step_seconds, shippingAddress=_random_address(rng),
                )
        raise UnplaceableOrderError("nothing is in stock: put products and inventory first")

    def _second_line(self, merchant: str, rng: random.Random, sku: str, location: str, count: int,
                     ) -> list[RequestedLine]:
        """Return another SKU of the location in some of the cases."""
        other = self._pricing.sku(merchant, rng.randrange(count))
        if rng.random() < 0.7 or other in (None, sku) or location not in self._pricing.locations(merchant, other):
            return []
        return [RequestedLine(other)]


def _random_address(rng: random.Random) -> dict[str, str]:
    city, state, pincode = rng.choice(CITIES)
    name = rng.choice(NAMES)
    return {
        "name": name, "addressLine1": f"{rng.randrange(1, 200)} {rng.choice(STREETS)}", "addressLine2": "",
        "city": city, "state": state, "country": "India", "pincode": pincode,
        "phone": f"9{rng.randrange(10**9):09d}", "email": f"{name.split()[0].lower()}@customer.example",
    }
