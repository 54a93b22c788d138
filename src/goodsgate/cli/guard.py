"""Guards that a merchant has saved: conditions under which its batches are held."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from goodsgate.cli.client import with_client
from goodsgate.cli.output import json_option, mask_control, print_line
from goodsgate.model.counting import counted

if TYPE_CHECKING:
    from goodsgate_client import Client


@click.group()
def guard() -> None:
    """Save, try, list, show and delete guards: conditions under which batches are held before they are applied."""


def parse_hold_if(pairs: tuple[str, ...]) -> dict[str, str]:
    """Return the limits of --hold-if by condition; raises UsageError for a value without a colon."""
    conditions: dict[str, str] = {}
    for pair in (part for each in pairs for part in each.split(",") if part.strip()):
        name, colon, limit = pair.partition(":")
        if not colon:
            raise click.UsageError(f"--hold-if {pair!r} is not CONDITION:LIMIT, such as rejected:10%.")
        conditions[name.strip()] = limit.strip()
    return conditions


def guard_options(*, is_complete: bool) -> Callable[[Any], Any]:
    """Return a decorator that adds the options that make a guard; a complete one has conditions."""
    options = (
        click.option("--hold-if", "hold_if", multiple=True, required=is_complete, metavar="CONDITION:LIMIT",
                     help="Hold a batch if e.g. prices_halved:1% or rejected:10. Repeatable."),
        click.option("--kind", type=click.Choice(["product", "price", "stock"]), help="The only kind. Default: all."),
        click.option("--collection", metavar="NAME", help="The only collection. Default: all."),
        click.option("--records-min", type=click.IntRange(min=0), metavar="N",
                     help="Batches with fewer records are not held."),
        click.option("--hold", type=click.Choice(["wait", "pass"]),
                     help="Batches behind a held one wait, or are let past it. Default: wait."),
        click.option("--hold-hours", type=click.FloatRange(0.01, 8760), metavar="HOURS",
                     help="How long a batch is held until it is discarded. Default: the setting hold_hours."),
    )

    def decorate(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


@guard.command()
@click.argument("name", metavar="NAME")
@guard_options(is_complete=True)
@json_option
@with_client
def put(*, client: "Client", name: str, as_json: bool, **options: Any) -> None:
    """Save a guard under a name. An existing one with that name is replaced.

    \b
    Examples:
      goodsgate guard put decimal-point --kind price --hold-if prices_halved:1% --hold-if zero_prices:1
      goodsgate guard put half-a-feed --collection eu --hold-if fewer_records:50% --hold pass
    """
    saved = client.request("PUT", f"/v1/guards/{name}", json=_given_guard(options))
    print_line("Saved. It is about the batches whose turn comes from now on.", saved, as_json=as_json)


@guard.command()
@click.argument("name", metavar="NAME")
@guard_options(is_complete=False)
@json_option
@with_client
def trial(*, client: "Client", name: str, as_json: bool, **options: Any) -> None:
    """Try a guard on what the last batches measured. With options it need not be saved.

    \b
    Examples:
      goodsgate guard trial decimal-point
      goodsgate guard trial decimal-point --kind price --hold-if prices_halved:0.5%
    """
    given = _given_guard(options)
    if given and not given["hold_if"]:
        raise click.UsageError("Give the conditions of the guard with --hold-if, or no options to try the saved one.")
    answer = client.request("POST", f"/v1/guards/{name}/trial", **({"json": given} if given else {}))
    print_line(_describe_trial(answer), answer, as_json=as_json)


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


def _given_guard(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the guard that options make; empty without options."""
    given = {name: value for name, value in options.items() if value not in (None, ())}
    return {**given, "hold_if": parse_hold_if(options["hold_if"])} if given else {}


def _describe_trial(answer: dict[str, Any]) -> str:
    """Return how many batches would have been held, and a line for each batch."""
    count = len(answer["batches"])
    if not count:
        lines = ["No batch of this kind and collection has figures to compare with."]
    else:
        batches = counted(count, "batch", "batches")
        lines = [f"The guard would have held {answer['held']} of the last {batches} with figures."]
    if answer["unmeasured"]:
        lines.append(f"Without figures, because no guard was about them: {answer['unmeasured']}.")
    for batch in answer["batches"]:
        reasons = " ".join(reason["text"] for reason in batch["reasons"])
        lines.append("\t".join((
            "held" if batch["held"] else "passes", batch["id"], batch["received_at"],
            mask_control(batch["label"] or "-"), reasons or "-",
        )))
    return "\n".join(lines)


def _describe(saved: dict[str, Any]) -> str:
    conditions = ", ".join(f"{name}:{limit}" for name, limit in saved["hold_if"].items())
    scope = f"{saved['kind'] or 'every kind'}\t{saved['collection'] or 'every collection'}"
    return f"{saved['name']}\t{scope}\t{conditions}"
