"""Orders on their way in: those that somebody describes, and a seeded stream of orders that could be real."""

import random
from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from goodsgate.config import Config
from goodsgate.model.batch import now
from goodsgate.protocols.konnect.guesses import CHANNELS
from goodsgate.protocols.konnect.orders.asked import Text
from goodsgate.protocols.konnect.orders.book import Book
from goodsgate.protocols.konnect.orders.pricing import PriceUnusable, Pricing, SkuUnknown
from goodsgate.protocols.konnect.orders.shipment import Shipment

Seconds = Annotated[float, Meta(ge=0, le=10**7)]
TRIES_MAX = 25
"""Draws of a SKU that may turn out to be nowhere in stock."""

FATES: Mapping[str, tuple[tuple[str, str, float], ...]] = {
    # what happens by itself: state, event, how many steps of time after the state was reached
    "open": (),
    "delivered": (("bag_picked", "happens/delivery_done", 2),),
    "cancelled": (("placed", "happens/cancelled_customer", 1), ("bag_confirmed", "happens/cancelled_customer", 1)),
    "returned": (
        ("bag_picked", "happens/delivery_done", 2), ("delivery_done", "return", 3),
        ("return_initiated", "happens/return_dp_assigned", 1),
        ("return_dp_assigned", "happens/return_bag_in_transit", 1),
        ("return_bag_in_transit", "happens/return_bag_delivered", 1),
    ),
    "origin": (("bag_picked", "happens/rto_initiated", 2), ("rto_initiated", "happens/rto_bag_delivered", 2)),
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


class Wanted(msgspec.Struct, frozen=True):
    """One line of an order about to be placed."""

    sku: Text
    quantity: Annotated[int, Meta(ge=1, le=10_000)] = 1


class Placing(msgspec.Struct, frozen=True, kw_only=True):
    """An order about to be placed."""

    items: Annotated[list[Wanted], Meta(min_length=1, max_length=100)]
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


class Unplaceable(Exception):
    """What is wanted cannot be ordered here; the message says why."""


class Places:
    """Where orders are placed."""

    def __init__(self, store_book: Book, pricing: Pricing, config: Config) -> None:
        self._book = store_book
        self._pricing = pricing
        self._courier_seconds = config.courier_seconds

    def place(self, merchant: str, placing: Placing) -> Shipment:
        """Raises Unplaceable, OrderPlaced and the refusals of the stock."""
        if placing.fate not in FATES:
            raise Unplaceable(f"fate must be one of {', '.join(FATES)}")
        at = now()
        order = placing.marketplaceOrderId or f"FY{int(at.timestamp() * 10**6):X}{random.randrange(2**16):04X}"  # noqa: S311 - a name, not a secret
        try:
            lines = tuple(
                self._pricing.line(
                    merchant, placing.locationCode, one.sku, id=f"{place:07d}", quantity=one.quantity
                )
                for place, one in enumerate(placing.items, 1)
            )
        except SkuUnknown as fault:
            raise Unplaceable(f"there is no SKU {fault}") from fault
        except PriceUnusable as fault:
            raise Unplaceable(str(fault)) from fault
        shipping = {**_address(random.Random(order)), **placing.shippingAddress}  # noqa: S311 - not a secret
        return self._book.place(merchant, Shipment(
            order=order, placed_at=at, location=placing.locationCode, channel=placing.orderingChannel,
            self_ship=placing.isSelfShip, state="new", lines=lines, shipping=shipping,
            begins="store_reassigned" if placing.isReassigned else "placed",
            billing={**shipping, **placing.billingAddress}, payment=placing.paymentMode, plan=self._plan(placing),
        ))

    def _plan(self, placing: Placing) -> dict[str, tuple[str, float]]:
        own = placing.courierSeconds
        seconds = self._courier_seconds if own is None else own
        plan = {
            "bag_invoiced": ("happens/dp_assigned", seconds),
            "return_initiated": ("happens/return_dp_assigned", seconds),
        }
        plan.update((state, (event, steps * placing.stepSeconds)) for state, event, steps in FATES[placing.fate])
        return plan


class Stream:
    """Orders of a seed: the same seed and number, over the same catalogue, is the same order."""

    def __init__(self, pricing: Pricing) -> None:
        self._pricing = pricing

    def order(self, merchant: str, *, seed: int, number: int, step_seconds: float, self_ship: bool = False) -> Placing:
        """One of them; raises Unplaceable where nothing is in stock."""
        chance = random.Random(f"{seed}/{number}")  # noqa: S311 - has to come out the same again
        fate = chance.choices([*WEIGHTS], [*WEIGHTS.values()])[0]
        count = self._pricing.count(merchant)
        for _ in range(TRIES_MAX if count else 0):
            sku = self._pricing.sku(merchant, chance.randrange(count))
            locations = [*self._pricing.locations(merchant, sku)] if sku is not None else []
            if sku is not None and locations:
                items = [Wanted(sku, chance.choices((1, 2, 3), (80, 15, 5))[0])]
                return Placing(
                    items=items + self._more(merchant, chance, sku, location := chance.choice(locations), count),
                    locationCode=location, marketplaceOrderId=f"FYS{seed:X}N{number:06d}",
                    orderingChannel=chance.choice(CHANNELS), paymentMode=chance.choices(("PREPAID", "COD"), (7, 3))[0],
                    isSelfShip=self_ship, fate=fate, stepSeconds=step_seconds, shippingAddress=_address(chance),
                )
        raise Unplaceable("nothing is in stock: put products and inventory first")

    def _more(self, merchant: str, chance: random.Random, sku: str, location: str, count: int) -> list[Wanted]:
        """Sometimes something else from the same place."""
        other = self._pricing.sku(merchant, chance.randrange(count))
        if chance.random() < 0.7 or other in (None, sku) or location not in self._pricing.locations(merchant, other):
            return []
        return [Wanted(other)]


def _address(chance: random.Random) -> dict[str, str]:
    city, state, pincode = chance.choice(PLACES)
    name = chance.choice(NAMES)
    return {
        "name": name, "addressLine1": f"{chance.randrange(1, 200)} {chance.choice(STREETS)}", "addressLine2": "",
        "city": city, "state": state, "country": "India", "pincode": pincode,
        "phone": f"9{chance.randrange(10**9):09d}", "email": f"{name.split()[0].lower()}@customer.example",
    }
