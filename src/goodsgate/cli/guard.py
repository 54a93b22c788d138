"""Guards that a merchant has saved: conditions under which its batches are held."""

from typing import TYPE_CHECKING, Any

import click

from goodsgate.cli.client import with_client
from goodsgate.cli.output import json_option, print_line

if TYPE_CHECKING:
    from goodsgate_client import Client


@click.group()
def guard() -> None:
    """Save, list, show and delete guards: conditions under which batches are held before they are applied."""


def parse_hold_if(pairs: tuple[str, ...]) -> dict[str, str]:
    """Return the limits of --hold-if by condition; raises UsageError for a value without a colon."""
    conditions: dict[str, str] = {}
    for pair in (part for each in pairs for part in each.split(",") if part.strip()):
        name, colon, limit = pair.partition(":")
        if not colon:
            raise click.UsageError(f"--hold-if {pair!r} is not CONDITION:LIMIT, such as rejected:10%.")
        conditions[name.strip()] = limit.strip()
    return conditions


@guard.command()
@click.argument("name", metavar="NAME")
@click.option("--hold-if", "hold_if", multiple=True, required=True, metavar="CONDITION:LIMIT",
              help="Hold a batch if e.g. prices_halved:1% or rejected:10. Repeatable.")
@click.option("--kind", type=click.Choice(["product", "price", "stock"]), help="The only kind. Default: all.")
@click.option("--collection", metavar="NAME", help="The only collection. Default: all.")
@click.option("--records-min", type=click.IntRange(min=0), metavar="N", help="Batches with fewer records are not held.")
@click.option("--hold", type=click.Choice(["wait", "pass"]),
              help="Batches behind a held one wait, or are let past it. Default: wait.")
@click.option("--hold-hours", type=click.FloatRange(0.01, 8760), metavar="HOURS",
              help="How long a batch is held until it is discarded. Default: the setting hold_hours.")
@json_option
@with_client
def put(*, client: "Client", name: str, hold_if: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Save a guard under a name. An existing one with that name is replaced.

    \b
    Examples:
      goodsgate guard put decimal-point --kind price --hold-if prices_halved:1% --hold-if zero_prices:1
      goodsgate guard put half-a-feed --collection eu --hold-if fewer_records:50% --hold pass
    """
    given = {option: value for option, value in options.items() if value is not None}
    saved = client.request("PUT", f"/v1/guards/{name}", json={"hold_if": parse_hold_if(hold_if), **given})
    print_line("Saved. It is about the batches whose turn comes from now on.", saved, as_json=as_json)


@guard.command("list")
@json_option
@with_client
def list_guards(*, client: "Client", as_json: bool) -> None:
    """List guards, one per line: name, kind, collection, and conditions.

    \b
    Example:
      goodsgate guard list
    """
    for saved in client.request("GET", "/v1/guards")["guards"]:
        print_line(_describe(saved), saved, as_json=as_json)


@guard.command()
@click.argument("name", metavar="NAME")
@json_option
@with_client
def show(*, client: "Client", name: str, as_json: bool) -> None:
    """Print a guard.

    \b
    Example:
      goodsgate guard show decimal-point
    """
    saved = client.request("GET", f"/v1/guards/{name}")
    print_line(_describe(saved), saved, as_json=as_json)


@guard.command()
@click.argument("name", metavar="NAME")
@json_option
@with_client
def delete(*, client: "Client", name: str, as_json: bool) -> None:
    """Delete a guard. Batches that it holds stay held.

    \b
    Example:
      goodsgate guard delete decimal-point
    """
    client.send("DELETE", f"/v1/guards/{name}")
    print_line("Deleted.", {"name": name, "deleted": True}, as_json=as_json)


def _describe(saved: dict[str, Any]) -> str:
    conditions = ", ".join(f"{name}:{limit}" for name, limit in saved["hold_if"].items())
    scope = f"{saved['kind'] or 'every kind'}\t{saved['collection'] or 'every collection'}"
    return f"{saved['name']}\t{scope}\t{conditions}"
