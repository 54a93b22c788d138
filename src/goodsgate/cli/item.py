"""Items of a running gate: search them, show one, edit its fields, unlock them."""

import itertools
import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

import click

from goodsgate.cli.batches import JSON, WAIT, finish_batch
from goodsgate.cli.client import Document, with_client
from goodsgate.cli.output import json_option, mask_control

if TYPE_CHECKING:
    from goodsgate_client import Client
    from goodsgate_client.options import Kind

PAGE_ITEMS = 500
SKU = click.argument("sku", metavar="SKU")


def _place_options(*, with_location: bool = True) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator that adds the options that say where an item is."""
    options = [
        click.option("--collection", default="products", show_default=True, help="Collection of the item."),
        click.option("--kind", type=click.Choice(["product", "price", "stock"]), default="product",
                     show_default=True, help="Kind of the item."),
    ]
    if with_location:
        options.insert(0, click.option("--location", help="Location of a price or stock."))

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in options:
            command = option(command)
        return command

    return add


@click.group()
def item() -> None:
    """Search items, show one, edit its fields, and unlock them.

    Edited fields stay until they are unlocked, or until the supplier sends something new for them.
    """


@item.command()
@click.argument("words", metavar="[WORD]...", nargs=-1)
@click.option("--gtin", help="Products with this GTIN.")
@click.option("--brand", help="Products of this brand.")
@click.option("--group", help="Variants of the product with this item_group_id.")
@click.option("--prefix", help="Items whose key begins with this; case matters.")
@click.option("--batch", help="Items that this batch was the last to write.")
@click.option("--since", type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]),
              help="Items that were last written at this time (UTC) or later.")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="Most items to print.")
@_place_options(with_location=False)
@click.option("--json", "as_json", is_flag=True, help="Print each item as a line of JSON.")
@with_client
def search(*, client: "Client", words: tuple[str, ...], since: datetime | None, limit: int, as_json: bool,
           collection: str, kind: str, **filters: str | None) -> None:
    """Print the items that have all the words and meet all options, one per line: key and title.

    \b
    Examples:
      goodsgate item search wool beanie --brand "Nordic Trail"
      goodsgate item search --batch 019b2f0c64aa5e1f9c3b7d20448a91ce --json
    """
    found = client.items(
        collection, kind=cast("Kind", kind), search=" ".join(words) or None,
        since=since.replace(tzinfo=UTC) if since is not None else None, page_rows=min(limit, PAGE_ITEMS), **filters,
    )
    for each in itertools.islice(found, limit):
        if as_json:
            document = {
                "key": each.key, "sku": each.sku, "location": each.location, "kind": each.kind,
                "collection": each.collection, "batch": each.batch, "record": each.record,
            }
            click.echo(json.dumps(document, ensure_ascii=False))
        else:
            title = each.record.get("title") or each.record.get("price") or each.record.get("quantity")
            click.echo(mask_control(f"{each.key}  {_text_of(title)}" if title is not None else each.key))


@item.command()
@SKU
@_place_options()
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
@_place_options()
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
@_place_options()
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
