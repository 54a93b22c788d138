"""Orders on their way in: those that somebody describes, and a seeded stream of orders that could be real."""

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
TRIES_MAX = 25
"""Draws of a SKU that may turn out to be nowhere in stock."""

FATES: Mapping[str, tuple[tuple[str, str, float], ...]] = {
    # what happens by itself: state, event, how many steps of time after the state was reached
    "open": (),
    "delivered": (("bag_picked", "external/delivery_done", 2),),
    "cancelled": (("placed", "external/cancelled_customer", 1), ("bag_confirmed", "external/cancelled_customer", 1)),
    "returned": (
        ("bag_picked", "external/delivery_done", 2), ("delivery_done", "return", 3),
        ("return_initiated", "external/return_dp_assigned", 1),
        ("return_dp_assigned", "external/return_bag_in_transit", 1),
        ("return_bag_in_transit", "external/return_bag_delivered", 1),
    ),
    "origin": (("bag_picked", "external/rto_initiated", 2), ("rto_initiated", "external/rto_bag_delivered", 2)),
}
WEIGHTS = {"delivered": 70, "cancelled": 12, "returned": 11, "origin": 7}
"""How often a fate is met in the stream."""
PLACES = (
    ("Bengaluru", "Karnataka", "560001"), ("Mumbai", "Maharashtra", "400001"), ("New Delhi", "Delhi", "110001"),
    ("Chennai", "Tamil Nadu", "600001"), ("Kolkata", "West Bengal", "700001"), ("Hyderabad", "Telangana", "500001"),
    ("Pune", "Maharashtra", "411001"), ("Jaipur", "Rajasthan", "302001"), ("Kochi", "Kerala", "682001"),
)
NAMES = (
    "Asha Rao", "Vikram Mehta", "Fatima Khan", "Arjun Nair", "Priya Sharma", "Rohan Das", "Meera Iyer", "Anil Joshi",
)
STREETS = ("Mill Road", "Station Road", "Lake View", "MG Road", "Temple Street", "Park Lane")


class RequestedLine(msgspec.Struct, frozen=True):
    """One line of an order about to be placed."""

    sku: Text
    quantity: Annotated[int, Meta(ge=1, le=10_000)] = 1


class OrderRequest(msgspec.Struct, frozen=True, kw_only=True):
    """An order about to be placed."""

    items: Annotated[list[RequestedLine], Meta(min_length=1, max_length=100)]
    locationCode: Text
    marketplaceOrderId: Text | None = None
    orderingChannel: Text = "ECOMM"
    isSelfShip: bool = False
    isReassigned: bool = False
    """It comes from a store that passed it on."""
    paymentMode: Text = "PREPAID"
    shippingAddress: dict[str, str] = {}
    billingAddress: dict[str, str] = {}
    fate: str = "open"
    stepSeconds: Seconds = 60.0
    """How long a step of time is, of what happens by itself."""
    courierSeconds: Seconds | None = None
    """From the invoice to the courier; None: the setting `courier_seconds`."""


class UnplaceableOrderError(Exception):
    """What is wanted cannot be ordered here; the message says why."""


class OrderPlacer:
    """Where orders are placed."""

    def __init__(self, store_book: ShipmentRepository, pricing: CataloguePricing, *, courier_seconds: float) -> None:
        self._book = store_book
        self._pricing = pricing
        self._courier_seconds = courier_seconds

    def place(self, merchant: str, placing: OrderRequest) -> Shipment:
        """Raises Unplaceable, OrderPlaced and the refusals of the stock."""
        if placing.fate not in FATES:
            raise UnplaceableOrderError(f"fate must be one of {', '.join(FATES)}")
        at = now()
        order = placing.marketplaceOrderId or f"FY{int(at.timestamp() * 10**6):X}{random.randrange(2**16):04X}"  # noqa: S311 - a name, not a secret
        try:
            lines = tuple(
                self._pricing.line(
                    merchant, placing.locationCode, one.sku, id=f"{place:07d}", quantity=one.quantity
                )
                for place, one in enumerate(placing.items, 1)
            )
        except UnknownSkuError as fault:
            raise UnplaceableOrderError(f"there is no SKU {fault}") from fault
        except UnusablePriceError as fault:
            raise UnplaceableOrderError(str(fault)) from fault
        shipping = {**_address(random.Random(order)), **placing.shippingAddress}  # noqa: S311 - not a secret
        return self._book.place(merchant, Shipment(
            order=order, placed_at=at, location=placing.locationCode, channel=placing.orderingChannel,
            self_ship=placing.isSelfShip, state="new", lines=lines, shipping=shipping,
            first_state="store_reassigned" if placing.isReassigned else "placed",
            billing={**shipping, **placing.billingAddress}, payment=placing.paymentMode, plan=self._plan(placing),
        ))

    def _plan(self, placing: OrderRequest) -> dict[str, tuple[str, float]]:
        own = placing.courierSeconds
        seconds = self._courier_seconds if own is None else own
        plan = {
            "bag_invoiced": ("external/dp_assigned", seconds),
            "return_initiated": ("external/return_dp_assigned", seconds),
        }
        plan.update((state, (event, steps * placing.stepSeconds)) for state, event, steps in FATES[placing.fate])
        return plan


class OrderGenerator:
    """Orders of a seed: the same seed and number, over the same catalogue, is the same order."""

    def __init__(self, pricing: CataloguePricing) -> None:
        self._pricing = pricing

    def order(self, merchant: str, *, seed: int, number: int, step_seconds: float,
              self_ship: bool = False) -> OrderRequest:
        """One of them; raises Unplaceable where nothing is in stock."""
        chance = random.Random(f"{seed}/{number}")  # noqa: S311 - has to come out the same again
        fate = chance.choices([*WEIGHTS], [*WEIGHTS.values()])[0]
        count = self._pricing.count(merchant)
        for _ in range(TRIES_MAX if count else 0):
            sku = self._pricing.sku(merchant, chance.randrange(count))
            locations = [*self._pricing.locations(merchant, sku)] if sku is not None else []
            if sku is not None and locations:
                items = [RequestedLine(sku, chance.choices((1, 2, 3), (80, 15, 5))[0])]
                return OrderRequest(
                    items=items + self._more(merchant, chance, sku, location := chance.choice(locations), count),
                    locationCode=location, marketplaceOrderId=f"FYS{seed:X}N{number:06d}",
                    orderingChannel=chance.choice(CHANNELS), paymentMode=chance.choices(("PREPAID", "COD"), (7, 3))[0],
                    isSelfShip=self_ship, fate=fate, stepSeconds=step_seconds, shippingAddress=_address(chance),
                )
        raise UnplaceableOrderError("nothing is in stock: put products and inventory first")

    def _more(self, merchant: str, chance: random.Random, sku: str, location: str, count: int) -> list[RequestedLine]:
        """Sometimes something else from the same place."""
        other = self._pricing.sku(merchant, chance.randrange(count))
        if chance.random() < 0.7 or other in (None, sku) or location not in self._pricing.locations(merchant, other):
            return []
        return [RequestedLine(other)]


def _address(chance: random.Random) -> dict[str, str]:
    city, state, pincode = chance.choice(PLACES)
    name = chance.choice(NAMES)
    return {
        "name": name, "addressLine1": f"{chance.randrange(1, 200)} {chance.choice(STREETS)}", "addressLine2": "",
        "city": city, "state": state, "country": "India", "pincode": pincode,
        "phone": f"9{chance.randrange(10**9):09d}", "email": f"{name.split()[0].lower()}@customer.example",
    }
