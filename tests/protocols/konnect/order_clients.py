"""Clients for tests of orders: an operator who places orders, and a seller who processes them."""

import time
from collections.abc import Callable
from typing import Any

import httpx

from tests.protocols.konnect.client import Konnect, product

LOCATION = "BLR-01"
OMS = "/oms/v3/shipment"
ADMIN = "/oms/admin"


class Operator(Konnect):
    """The seller's merchant with an admin key."""

    def __init__(self, seller: Konnect) -> None:
        super().__init__(seller.gate, seller.merchant, scopes=("admin",))

    def place_all(self, *orders: Any, **random: Any) -> list[dict[str, Any]]:
        """Place orders, given or random, and return their results."""
        body: dict[str, Any] = {"orders": [*orders]} if orders else {"random": random}
        response = self.post(f"{ADMIN}/orders", json=body)
        assert response.status_code == 200, response.text
        placed: list[dict[str, Any]] = response.json()["orders"]
        return placed

    def place(self, quantity: int = 1, *, sku: str = "TR-001-42", location: str = LOCATION, **more: Any) -> str:
        """Place one order that gets its courier at once, and return its id."""
        request = {"items": [{"sku": sku, "quantity": quantity}], "locationCode": location, "courierSeconds": 0, **more}
        (placed,) = self.place_all(request)
        assert "orderId" in placed, placed
        return str(placed["orderId"])

    def simulate(self, order: str, event: str, **more: Any) -> httpx.Response:
        """Simulate an event."""
        return self.post(f"{ADMIN}/orders/{order}/events", json={"event": event, **more})

    def simulate_all(self, order: str, *events: str) -> dict[str, Any]:
        """Simulate events that must succeed; return the order, or its new return, after the last one."""
        result: dict[str, Any] = {}
        for event in events:
            response = self.simulate(order, event)
            assert response.status_code == 200, response.text
            result = response.json()
        return result


class Seller:
    """A client that processes orders like a seller's integration."""

    def __init__(self, client: Konnect) -> None:
        self.client = client

    def post(self, operation: str, *entries: Any, **query: Any) -> httpx.Response:
        """Send entries to an operation; an id alone is an entry."""
        method = "PUT" if operation in ("awb", "status") else "POST"
        body = [{"orderId": entry} if isinstance(entry, str) else entry for entry in entries]
        return self.client.request(method, f"{OMS}/{operation}", json=body, params=query)

    def errors(self, operation: str, *entries: Any) -> list[str]:
        """Return the error codes of the entries."""
        response = self.post(operation, *entries)
        assert response.status_code == 200, response.text
        body = response.json()
        return [error["code"] for error in body.get("data", body)["errors"]]

    def succeed(self, operation: str, *entries: Any) -> None:
        """Send entries that must all succeed."""
        assert self.errors(operation, *entries) == []

    def invoice(self, *orders: str, type: str = "sale") -> None:
        """Add an invoice, or a credit note, to each order."""
        self.succeed("invoiceUpdate", *(invoice(order, type=type) for order in orders))

    def pack(self, *orders: str) -> None:
        """Process new orders until they are packed."""
        self.succeed("confirm", *orders)
        self.invoice(*orders)
        self.succeed("pack", *orders)

    def dispatch(self, *orders: str) -> None:
        """Process new orders until they are dispatched."""
        self.pack(*orders)
        self.succeed("dispatch", *orders)

    def get_order(self, order: str) -> dict[str, Any]:
        """Return an order by its id."""
        (order_document,) = self.client.get(OMS, params={"orderId": order}).json()
        assert isinstance(order_document, dict)
        return order_document

    def state(self, order: str) -> str:
        """Return the bag state of an order."""
        return str(self.get_order(order)["bagStatus"])

    def list_ids(self, status: str, **query: Any) -> list[str]:
        """Return the ids of the orders with a status, by default at LOCATION."""
        response = self.client.get(OMS, params={"orderStatus": status, "locationCode": LOCATION, **query})
        assert response.status_code == 200, response.text
        return [shipment["id"] for shipment in response.json()]


def invoice(order: str, *, number: str | None = None, type: str = "sale", **more: Any) -> dict[str, Any]:
    """Return an entry of invoiceUpdate."""
    return {"orderId": order, "invoiceNumber": number or f"{type}-{order}", "invoiceType": type, **more}


def create_with_stock(client: Konnect, quantity: int = 100, *, count: int = 1, location: str = LOCATION) -> None:
    """Create products with a stock of `quantity` each."""
    client.create_all(*(product(number) for number in range(1, count + 1)))
    set_stock(client, *((f"TR-{number:03d}-42", quantity) for number in range(1, count + 1)), location=location)


def set_stock(client: Konnect, *levels: tuple[str, int], location: str = LOCATION) -> None:
    """Set the stock of SKUs."""
    records = [{"location_id": location, "sku": sku, "quantity": quantity} for sku, quantity in levels]
    response = client.put("/ims/v3/inventory", json=records)
    assert response.json()["meta"]["status"] == "SUCCESS", response.text


def wait_for(read: Callable[[], Any], *, seconds: float = 20) -> Any:
    """Return what `read` returns as soon as that is true."""
    until = time.monotonic() + seconds
    while not (result := read()):
        assert time.monotonic() < until, "it does not come"
        time.sleep(0.02)
    return result
