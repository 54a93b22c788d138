"""Items of a running gate: show one, edit its fields, unlock them."""

import json
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import click

from goodsgate.cli.batches import JSON, WAIT, finish_batch
from goodsgate.cli.client import Document, with_client
from goodsgate.cli.output import json_option, mask_control

if TYPE_CHECKING:
    from goodsgate_client import Client

SKU = click.argument("sku", metavar="SKU")


def _place_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say where an item is."""
    for option in (
        click.option("--location", help="Location of a price or stock."),
        click.option("--collection", default="products", show_default=True, help="Collection of the item."),
        click.option("--kind", type=click.Choice(["product", "price", "stock"]), default="product",
                     show_default=True, help="Kind of the item."),
    ):
        command = option(command)
    return command


@click.group()
def item() -> None:
    """Show an item, edit its fields, and unlock them.

    Edited fields stay until they are unlocked, or until the supplier sends something new for them.
    """


@item.command()
@SKU
@_place_options
@json_option
@with_client
def show(*, client: "Client", sku: str, kind: str, collection: str, location: str | None, as_json: bool) -> None:
    """Print an item, one field per line; edited fields with the value of the supplier.

    \b
    Examples:
      goodsgate item show MUG-11OZ
      goodsgate item show MUG-11OZ --kind stock --location Leipzig
    """
    document = client.request("GET", _path("items", collection, sku, location), params={"kind": kind})
    if as_json:
        click.echo(json.dumps(document, ensure_ascii=False))
        return
    record, locked = document["record"], document.get("locked", {})
    for name in [*record, *(each for each in locked if each not in record)]:
        text = f"{name}: {_text_of(record.get(name))}"
        if name in locked:
            text += f"  [edited; the supplier has sent {_text_of(locked[name].get('supplied'))}]"
        click.echo(mask_control(text))


@item.command()
@SKU
@click.argument("changes", metavar="FIELD=VALUE...", nargs=-1)
@click.option("--clear", multiple=True, metavar="FIELD", help="Remove the value of a field. Repeatable.")
@_place_options
@WAIT
@JSON
@with_client
def edit(*, client: "Client", sku: str, changes: tuple[str, ...], clear: tuple[str, ...], kind: str, collection: str,
         location: str | None, wait: bool, as_json: bool) -> None:
    """Edit fields of an item and lock them. FIELD:=VALUE takes a JSON value, such as a number or a list.

    \b
    Examples:
      goodsgate item edit MUG-11OZ "title=Mug, 11 oz, white" --clear sale_price
      goodsgate item edit MUG-11OZ --kind stock --location Leipzig quantity:=12
    """
    patch: Document = dict.fromkeys(clear) | dict(map(_parse_change, changes))
    if not patch:
        raise click.UsageError("Name at least one field: FIELD=VALUE, FIELD:=JSON, or --clear FIELD.")
    path = _path("items", collection, sku, location)
    batch = client.request("PATCH", path, params={"kind": kind}, json=patch, headers=_once())
    finish_batch(client, batch["id"], wait=wait, as_json=as_json)


@item.command()
@SKU
@click.argument("field", required=False)
@_place_options
@WAIT
@JSON
@with_client
def unlock(*, client: "Client", sku: str, field: str | None, kind: str, collection: str, location: str | None,
           wait: bool, as_json: bool) -> None:
    """Give a field of an item the value of the supplier again, or all its edited fields.

    \b
    Examples:
      goodsgate item unlock MUG-11OZ title
      goodsgate item unlock MUG-11OZ
    """
    params = {"kind": kind} | ({"field": field} if field is not None else {})
    batch = client.request("DELETE", _path("locks", collection, sku, location), params=params, headers=_once())
    finish_batch(client, batch["id"], wait=wait, as_json=as_json)


def _once() -> dict[str, str]:
    """Return a header by which a request that is repeated after a lost connection has one effect."""
    return {"Idempotency-Key": f'"{uuid.uuid4()}"'}


def _path(what: str, collection: str, sku: str, location: str | None) -> str:
    key = f"{sku}@{location}" if location is not None else sku
    return f"/v1/collections/{quote(collection, safe='')}/{what}/{quote(key, safe='')}"


def _parse_change(text: str) -> tuple[str, object]:
    name, equals, value = text.partition("=")
    if not equals or name in ("", ":"):
        raise click.UsageError(f"{text!r} is not FIELD=VALUE.")
    if not name.endswith(":"):
        return name, value
    try:
        return name[:-1], json.loads(value)
    except ValueError:
        raise click.UsageError(f"{text!r}: {value!r} is not JSON; write {name[:-1]}={value} for a text.") from None


def _text_of(value: object) -> str:
    if value is None:
        return "no value"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
