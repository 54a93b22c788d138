"""What tests of orders do most: a shop with stock, an operator who places orders, a seller who works them."""

import time
from collections.abc import Callable
from typing import Any

import httpx

from tests.protocols.konnect.client import Konnect, product

LOCATION = "BLR-01"
OMS = "/oms/v3/shipment"
ADMIN = "/oms/admin"


class Operator(Konnect):
    """The same merchant with an admin key."""

    def __init__(self, seller: Konnect) -> None:
        super().__init__(seller.gate, seller.merchant, scopes=("admin",))

    def try_to_place(self, *orders: Any, **random: Any) -> list[dict[str, Any]]:
        """Whatever becomes of each."""
        body: dict[str, Any] = {"orders": [*orders]} if orders else {"random": random}
        answered = self.post(f"{ADMIN}/orders", json=body)
        assert answered.status_code == 200, answered.text
        placed: list[dict[str, Any]] = answered.json()["orders"]
        return placed

    def place(self, quantity: int = 1, *, sku: str = "TR-001-42", location: str = LOCATION, **more: Any) -> str:
        """One order, of which no courier has to be waited for; its id."""
        wanted = {"items": [{"sku": sku, "quantity": quantity}], "locationCode": location, "courierSeconds": 0, **more}
        (placed,) = self.try_to_place(wanted)
        assert "orderId" in placed, placed
        return str(placed["orderId"])

    def happen(self, order: str, event: str, **more: Any) -> httpx.Response:
        """Let something happen."""
        return self.post(f"{ADMIN}/orders/{order}/events", json={"event": event, **more})

    def happened(self, order: str, *events: str) -> dict[str, Any]:
        """Let things happen, all of them; the order, or the return that was begun, as it then is."""
        told: dict[str, Any] = {}
        for event in events:
            answered = self.happen(order, event)
            assert answered.status_code == 200, answered.text
            told = answered.json()
        return told


class Seller:
    """Orders as a seller's integration works them."""

    def __init__(self, client: Konnect) -> None:
        self.client = client

    def post(self, operation: str, *entries: Any, **query: Any) -> httpx.Response:
        """Entries for an operation; an id alone is an entry."""
        method = "PUT" if operation in ("awb", "status") else "POST"
        body = [{"orderId": entry} if isinstance(entry, str) else entry for entry in entries]
        return self.client.request(method, f"{OMS}/{operation}", json=body, params=query)

    def errors(self, operation: str, *entries: Any) -> list[str]:
        """Codes of what was wrong."""
        answered = self.post(operation, *entries)
        assert answered.status_code == 200, answered.text
        body = answered.json()
        return [error["code"] for error in body.get("data", body)["errors"]]

    def done(self, operation: str, *entries: Any) -> None:
        """Nothing was."""
        assert self.errors(operation, *entries) == []

    def invoice(self, *orders: str, type: str = "sale") -> None:
        """An invoice or a credit note, all of them."""
        self.done("invoiceUpdate", *(invoice(order, type=type) for order in orders))

    def packed(self, *orders: str) -> None:
        """From the beginning until they are packed."""
        self.done("confirm", *orders)
        self.invoice(*orders)
        self.done("pack", *orders)

    def dispatched(self, *orders: str) -> None:
        """From the beginning until they are on their way."""
        self.packed(*orders)
        self.done("dispatch", *orders)

    def one(self, order: str) -> dict[str, Any]:
        """As it is read by its id."""
        (found,) = self.client.get(OMS, params={"orderId": order}).json()
        assert isinstance(found, dict)
        return found

    def state(self, order: str) -> str:
        """The platform's word."""
        return str(self.one(order)["bagStatus"])

    def listed(self, status: str, **query: Any) -> list[str]:
        """Ids, with the location unless told."""
        answered = self.client.get(OMS, params={"orderStatus": status, "locationCode": LOCATION, **query})
        assert answered.status_code == 200, answered.text
        return [shipment["id"] for shipment in answered.json()]


def invoice(order: str, *, number: str | None = None, type: str = "sale", **more: Any) -> dict[str, Any]:
    """An entry of invoiceUpdate."""
    return {"orderId": order, "invoiceNumber": number or f"{type}-{order}", "invoiceType": type, **more}


def stocked(client: Konnect, quantity: int = 100, *, count: int = 1, location: str = LOCATION) -> None:
    """Products, and so much of each."""
    client.made(*(product(number) for number in range(1, count + 1)))
    stock(client, *((f"TR-{number:03d}-42", quantity) for number in range(1, count + 1)), location=location)


def stock(client: Konnect, *levels: tuple[str, int], location: str = LOCATION) -> None:
    """A feed of stock."""
    records = [{"location_id": location, "sku": sku, "quantity": quantity} for sku, quantity in levels]
    answered = client.put("/ims/v3/inventory", json=records)
    assert answered.json()["meta"]["status"] == "SUCCESS", answered.text


def within(found: Callable[[], Any], *, seconds: float = 20) -> Any:
    """What it gives, as soon as that is something."""
    until = time.monotonic() + seconds
    while not (told := found()):
        assert time.monotonic() < until, "it does not come"
        time.sleep(0.02)
    return told
