"""Orders for sellers' integrations to work: placed one by one or as a seeded stream, and what happens to them."""

import json
import secrets
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from goodsgate.cli.client import Document, Gate, with_gate
from goodsgate.cli.exits import Exit, Unusable

AT_ONCE = 100
"""Orders of one request."""
PLACED_BEFORE = "placed_before"
FATES = click.Choice(["open", "delivered", "cancelled", "returned", "origin"])
COURIER_OPTION = click.option(
    "--courier-seconds", type=click.FloatRange(0, 10**7),
    help="From invoice to courier, of one by --sku. Default: the gate's setting.",
)
STEP_OPTION = click.option(
    "--step-seconds", type=click.FloatRange(0, 10**7), default=60.0, show_default=True,
    help="How long a step of what happens by itself takes.",
)


@click.group()
def orders() -> None:
    """Place orders, let things happen to them, and say where their events are sent. Needs an admin key."""


@orders.command()
@click.argument("file", metavar="[FILE]", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--sku", help="One order of this SKU.")
@click.option("--location", help="Where it is served from.")
@click.option("--quantity", type=click.IntRange(1, 10_000), default=1, show_default=True, help="Of the SKU.")
@click.option("--channel", default="ECOMM", show_default=True, help="Where it was ordered.")
@click.option("--self-ship", is_flag=True, help="The seller ships himself.")
@click.option("--fate", type=FATES, default="open", show_default=True, help="What happens to it by itself.")
@click.option("--count", type=click.IntRange(1, 10**6), help="So many orders of a stream that could be real.")
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), help="Orders a second. Default: at once.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="Of the stream: the same one is the same orders.")
@click.option("--first", type=click.IntRange(1, 10**9), default=1, show_default=True, help="Number in the stream.")
@COURIER_OPTION
@STEP_OPTION
@with_gate
def place(*, gate: Gate, file: Path | None, sku: str | None, count: int | None, seed: int | None, first: int,
          rate: float | None, step_seconds: float, **one: Any) -> None:
    """Place orders over the merchant's catalogue; prints id, name and fate of each.

    FILE is a JSON array of orders as POST /oms/admin/orders takes them. Stock is reserved: an order that there is not
    enough for is not placed. The stream has its share of cancellations, returns and returns to origin.

    \b
    Examples:
      goodsgate orders place --sku TR-001-42 --location BLR-01
      goodsgate orders place --count 1000 --rate 5 --seed 7 --step-seconds 30
      goodsgate orders place orders.json
    """
    if sum(way is not None for way in (file, sku, count)) != 1:
        raise Unusable("say which orders: FILE, --sku, or --count")
    if sku is not None and one["location"] is None:
        raise Unusable("--sku needs --location")
    if count is not None:
        drawn = secrets.randbits(32) if seed is None else seed
        if seed is None:
            click.echo(f"The seed is {drawn}.", err=True)
        stream = {"seed": drawn, "stepSeconds": step_seconds, "isSelfShip": one["self_ship"]}
        bodies = _drawn(stream, first, count, 1 if rate is not None else AT_ONCE)
    else:
        listed = _read(file) if file is not None else [_one(sku, step_seconds, **one)]
        bodies = _listed(listed, 1 if rate is not None else AT_ONCE)
    if not _place(gate, bodies, rate):
        sys.exit(Exit.REJECTED)


def _one(sku: str | None, step_seconds: float, *, location: str, quantity: int, channel: str, self_ship: bool,
         fate: str, courier_seconds: float | None) -> Document:
    return {
        "items": [{"sku": sku, "quantity": quantity}], "locationCode": location, "orderingChannel": channel,
        "isSelfShip": self_ship, "fate": fate, "stepSeconds": step_seconds, "courierSeconds": courier_seconds,
    }


def _read(file: Path) -> list[Document]:
    try:
        listed = json.loads(file.read_text("utf-8"))
    except ValueError as fault:
        raise Unusable(f"{file}: {fault}") from fault
    if not isinstance(listed, list) or not all(isinstance(order, dict) for order in listed):
        raise Unusable(f"{file} does not hold an array of orders")
    return listed


def _drawn(stream: Document, first: int, count: int, at_once: int) -> Iterator[Document]:
    for begin in range(first, first + count, at_once):
        yield {"random": {**stream, "first": begin, "count": min(at_once, first + count - begin)}}


def _listed(orders: list[Document], at_once: int) -> Iterator[Document]:
    """Each with a name, so that a request that is sent twice places it once."""
    named = [{"marketplaceOrderId": f"GG{secrets.token_hex(8).upper()}", **order} for order in orders]
    for begin in range(0, len(named), at_once):
        yield {"orders": named[begin : begin + at_once]}


def _place(gate: Gate, bodies: Iterator[Document], rate: float | None) -> bool:
    """Whether all were placed."""
    began, well = time.monotonic(), True
    for number, body in enumerate(bodies):
        if rate is not None:
            time.sleep(max(0.0, began + number / rate - time.monotonic()))
        for order in gate.ask("POST", "/oms/admin/orders", json=body)["orders"]:
            told = f"{order.get('orderId', '')}\t{order['marketplaceOrderId'] or ''}\t{order.get('fate', '')}"
            if order.get("code", PLACED_BEFORE) == PLACED_BEFORE:
                click.echo(told)
            else:
                well = False
                click.echo(f"not placed: {order['message']} ({order['code']})", err=True)
    return well


@orders.command()
@click.argument("order", metavar="ORDER")
@click.argument("event", metavar="EVENT")
@click.option("--item", "items", multiple=True, metavar="ID[:PIECES]", help="Only of this item; may be given often.")
@click.option("--remark", default="", help="For the history.")
@with_gate
def happen(*, gate: Gate, order: str, event: str, items: tuple[str, ...], remark: str) -> None:
    """Let something happen to an order, and print its id and where it then is.

    EVENT is what a customer, a courier or Konnect does: dp_assigned, bag_not_picked, handed_over_to_customer,
    delivery_done, cancelled_customer, cancelled_fynd, rto_initiated, rto_bag_delivered, return, return_dp_assigned,
    return_bag_in_transit, return_bag_delivered.

    \b
    Examples:
      goodsgate orders happen 17952521955190000002 cancelled_customer
      goodsgate orders happen 17952521955190000002 return --item 0000001:1
    """
    body: Document = {"event": event, "remark": remark, "items": [_item(text) for text in items]}
    told = gate.ask("POST", f"/oms/admin/orders/{order}/events", json=body)
    click.echo(f"{told['id']}\t{told['orderStatus']}\t{told['bagStatus']}")


def _item(text: str) -> Document:
    id, _, pieces = text.partition(":")
    if pieces and not pieces.isdecimal():
        raise Unusable(f"{text!r} is not ID or ID:PIECES")
    return {"orderItemId": id} | ({"quantity": int(pieces)} if pieces else {})


@orders.group()
def webhook() -> None:
    """Add, list and remove the addresses to which events of orders are sent."""


@webhook.command()
@click.argument("address", metavar="URL")
@with_gate
def add(*, gate: Gate, address: str) -> None:
    """Send events to an address, and print its number and the secret that verifies them.

    The operator allows its host by the setting webhook_hosts. Events are signed after Standard Webhooks.

    \b
    Example:
      goodsgate orders webhook add https://erp.example/orders
    """
    _say(gate.ask("POST", "/oms/admin/webhooks", json={"url": address}))


@webhook.command("list")
@with_gate
def list_webhooks(*, gate: Gate) -> None:
    """List the addresses, one a line: number, address, secret.

    \b
    Example:
      goodsgate orders webhook list
    """
    for one in gate.ask("GET", "/oms/admin/webhooks")["webhooks"]:
        _say(one)


@webhook.command()
@click.argument("number", metavar="NUMBER", type=click.IntRange(min=1))
@with_gate
def remove(*, gate: Gate, number: int) -> None:
    """Send no more to an address; what waits for it is given up.

    \b
    Example:
      goodsgate orders webhook remove 1
    """
    gate.ask("DELETE", f"/oms/admin/webhooks/{number}")
    click.echo("Removed.")


def _say(webhook: Document) -> None:
    click.echo(f"{webhook['webhook']}\t{webhook['url']}\t{webhook['secret']}")
