"""Test orders for seller integrations: place them, simulate what happens to them, manage webhooks."""

import json
import secrets
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from goodsgate.cli.client import Document, with_client
from goodsgate.cli.errors import CommandError, ExitCode
from goodsgate.cli.output import json_option, print_line

if TYPE_CHECKING:
    from goodsgate_client import Client

ORDERS_PER_REQUEST = 100
PLACED_BEFORE = "placed_before"
FATES = click.Choice(["open", "delivered", "cancelled", "returned", "origin"])
COURIER_OPTION = click.option(
    "--courier-seconds", type=click.FloatRange(0, 10**7),
    help="Seconds from invoice to courier assignment, with --sku. Default: the gate's setting.",
)
STEP_OPTION = click.option(
    "--step-seconds", type=click.FloatRange(0, 10**7), default=60.0, show_default=True,
    help="Seconds that each simulated step takes.",
)


@click.group()
def orders() -> None:
    """Place test orders, simulate events, and manage order webhooks. Needs an admin key."""


@orders.command()
@click.argument("file", metavar="[FILE]", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--sku", help="Place one order for this SKU.")
@click.option("--location", help="Location that fulfils the order; required with --sku.")
@click.option("--quantity", type=click.IntRange(1, 10_000), default=1, show_default=True, help="Quantity of the SKU.")
@click.option("--channel", default="ECOMM", show_default=True, help="Ordering channel.")
@click.option("--self-ship", is_flag=True, help="The seller ships the order.")
@click.option("--fate", type=FATES, default="open", show_default=True, help="What happens to the order automatically.")
@click.option("--count", type=click.IntRange(1, 10**6), help="Place this many random, realistic orders.")
@click.option("--rate", type=click.FloatRange(min=0, min_open=True),
              help="Orders per second. Default: as fast as possible.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="Seed; the same seed gives the same random orders.")
@click.option("--first", type=click.IntRange(1, 10**9), default=1, show_default=True,
              help="Number of the first random order.")
@COURIER_OPTION
@STEP_OPTION
@json_option
@with_client
def place(*, client: "Client", file: Path | None, sku: str | None, count: int | None, seed: int | None, first: int,
          rate: float | None, step_seconds: float, as_json: bool, **order: Any) -> None:
    """Place orders from the merchant's catalogue and print the id, marketplace id and fate of each.

    FILE is a JSON array of orders in the format of POST /oms/admin/orders. Each order reserves stock; an order
    without enough stock is not placed. Random orders include cancellations, returns and returns to origin.

    \b
    Examples:
      goodsgate orders place --sku TR-001-42 --location BLR-01
      goodsgate orders place --count 1000 --rate 5 --seed 7 --step-seconds 30
      goodsgate orders place orders.json
    """
    if sum(choice is not None for choice in (file, sku, count)) != 1:
        raise CommandError("give exactly one of FILE, --sku and --count")
    if sku is not None and order["location"] is None:
        raise CommandError("--sku needs --location")
    per_request = 1 if rate is not None else ORDERS_PER_REQUEST
    if count is not None:
        seed_used = secrets.randbits(32) if seed is None else seed
        if seed is None:
            click.echo(f"Seed: {seed_used}", err=True)
        settings = {"seed": seed_used, "stepSeconds": step_seconds, "isSelfShip": order["self_ship"]}
        bodies = _random_requests(settings, first, count, per_request)
    else:
        listed = _read_orders(file) if file is not None else [_single_order(sku, step_seconds, **order)]
        bodies = _requests(listed, per_request)
    if not _place(client, bodies, rate, as_json=as_json):
        sys.exit(ExitCode.REJECTED)


def _single_order(sku: str | None, step_seconds: float, *, location: str, quantity: int, channel: str,
                  self_ship: bool, fate: str, courier_seconds: float | None) -> Document:
    return {
        "items": [{"sku": sku, "quantity": quantity}], "locationCode": location, "orderingChannel": channel,
        "isSelfShip": self_ship, "fate": fate, "stepSeconds": step_seconds, "courierSeconds": courier_seconds,
    }


def _read_orders(file: Path) -> list[Document]:
    try:
        listed = json.loads(file.read_text("utf-8"))
    except ValueError as error:
        raise CommandError(f"{file}: {error}") from error
    if not isinstance(listed, list) or not all(isinstance(order, dict) for order in listed):
        raise CommandError(f"{file} is not a JSON array of orders")
    return listed


def _random_requests(settings: Document, first: int, count: int, per_request: int) -> Iterator[Document]:
    for start in range(first, first + count, per_request):
        yield {"random": {**settings, "first": start, "count": min(per_request, first + count - start)}}


def _requests(orders: list[Document], per_request: int) -> Iterator[Document]:
    """Give each order an id, so that a request that is sent twice places it once."""
    with_ids = [{"marketplaceOrderId": f"GG{secrets.token_hex(8).upper()}", **order} for order in orders]
    for start in range(0, len(with_ids), per_request):
        yield {"orders": with_ids[start : start + per_request]}


def _place(client: "Client", bodies: Iterator[Document], rate: float | None, *, as_json: bool) -> bool:
    """Send the requests, print each order, and return whether all were placed."""
    started, all_placed = time.monotonic(), True
    for number, body in enumerate(bodies):
        if rate is not None:
            time.sleep(max(0.0, started + number / rate - time.monotonic()))
        for order in client.request("POST", "/oms/admin/orders", json=body)["orders"]:
            if order.get("code", PLACED_BEFORE) == PLACED_BEFORE:
                cells = (order.get("orderId", ""), order["marketplaceOrderId"] or "", order.get("fate", ""))
                print_line("\t".join(map(str, cells)), order, as_json=as_json)
            else:
                all_placed = False
                click.echo(f"not placed: {order['message']} ({order['code']})", err=True)
    return all_placed


@orders.command()
@click.argument("order", metavar="ORDER")
@click.argument("event", metavar="EVENT")
@click.option("--item", "items", multiple=True, metavar="ID[:QUANTITY]", help="Only this item. Repeatable.")
@click.option("--remark", default="", help="Remark for the order history.")
@json_option
@with_client
def simulate(*, client: "Client", order: str, event: str, items: tuple[str, ...], remark: str, as_json: bool) -> None:
    """Simulate an event for an order and print the order's id and new states.

    EVENT is something a customer, a courier or Konnect does: dp_assigned, bag_not_picked, handed_over_to_customer,
    delivery_done, cancelled_customer, cancelled_fynd, rto_initiated, rto_bag_delivered, return, return_dp_assigned,
    return_bag_in_transit, return_bag_delivered.

    \b
    Examples:
      goodsgate orders simulate 17952521955190000002 cancelled_customer
      goodsgate orders simulate 17952521955190000002 return --item 0000001:1
    """
    body: Document = {"event": event, "remark": remark, "items": [_parse_item(text) for text in items]}
    changed = client.request("POST", f"/oms/admin/orders/{order}/events", json=body, is_repeatable=False)
    print_line(f"{changed['id']}\t{changed['orderStatus']}\t{changed['bagStatus']}", changed, as_json=as_json)


def _parse_item(text: str) -> Document:
    id, _, quantity = text.partition(":")
    if quantity and not quantity.isdecimal():
        raise CommandError(f"{text!r} is not ID or ID:QUANTITY")
    return {"orderItemId": id} | ({"quantity": int(quantity)} if quantity else {})


@orders.group()
def webhook() -> None:
    """Manage the webhooks that receive order events."""


@webhook.command()
@click.argument("address", metavar="URL")
@json_option
@with_client
def add(*, client: "Client", address: str, as_json: bool) -> None:
    """Send order events to a URL, and print its number and signing secret.

    The setting webhook_hosts must allow the host. Events are signed as specified by Standard Webhooks.

    \b
    Example:
      goodsgate orders webhook add https://erp.example/orders
    """
    added = client.request("POST", "/oms/admin/webhooks", json={"url": address}, is_repeatable=False)
    _print_webhook(added, as_json=as_json)


@webhook.command("list")
@json_option
@with_client
def list_webhooks(*, client: "Client", as_json: bool) -> None:
    """List the webhooks, one per line: number, URL, signing secret.

    \b
    Example:
      goodsgate orders webhook list
    """
    for each in client.request("GET", "/oms/admin/webhooks")["webhooks"]:
        _print_webhook(each, as_json=as_json)


@webhook.command()
@click.argument("number", metavar="NUMBER", type=click.IntRange(min=1))
@json_option
@with_client
def remove(*, client: "Client", number: int, as_json: bool) -> None:
    """Remove a webhook. DeliveryError events for it are discarded.

    \b
    Example:
      goodsgate orders webhook remove 1
    """
    client.send("DELETE", f"/oms/admin/webhooks/{number}")
    print_line("Removed.", {"webhook": number, "removed": True}, as_json=as_json)


def _print_webhook(webhook: Document, *, as_json: bool) -> None:
    print_line(f"{webhook['webhook']}\t{webhook['url']}\t{webhook['secret']}", webhook, as_json=as_json)
