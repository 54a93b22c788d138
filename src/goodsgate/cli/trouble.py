"""`trouble`: order failures for the next submissions of a merchant, to test its client."""

from typing import TYPE_CHECKING, Any

import click

from goodsgate.cli.client import Document, with_client
from goodsgate.cli.output import json_option, print_line
from goodsgate.model.counting import counted

if TYPE_CHECKING:
    from goodsgate_client import Client

KINDS = ("slow", "rejected", "partly_rejected", "broken", "too_many_requests", "fault", "cut_off", "duplicated")


@click.group()
def trouble() -> None:
    """Order failures for the next submissions of a merchant, to test its client. Needs an admin key.

    The gate must allow it (setting trouble); `stand-in` does.
    """


@trouble.command()
@click.argument("kind", type=click.Choice(KINDS))
@click.option("--times", type=click.IntRange(1, 10_000), help="Number of submissions that meet it. Default: 1.")
@click.option("--seconds", type=click.FloatRange(0.1, 86_400), help="All submissions within this time meet it.")
@click.option("--delay", "delay_seconds", type=click.FloatRange(0, 300), default=5.0, show_default=True,
              metavar="SECONDS", help="Delay of a slow response.")
@json_option
@with_client
def order(*, client: "Client", kind: str, as_json: bool, **options: Any) -> None:
    """Order one kind of failure. Several orders are met one after the other.

    \b
    slow               accepted, and answered after --delay
    rejected           accepted, and every record is rejected
    partly_rejected    accepted, and every second record is rejected
    broken             accepted, and its processing fails as a whole
    too_many_requests  refused as if you had sent too much (429)
    fault              refused as if the gate had failed
    cut_off            accepted, and the connection is closed within the response
    duplicated         accepted twice

    \b
    Examples:
      goodsgate trouble order cut_off
      goodsgate trouble order too_many_requests --seconds 30
      goodsgate trouble order slow --delay 60 --times 3
    """
    document = {"kind": kind} | {name: value for name, value in options.items() if value is not None}
    ordered = client.request("POST", "/v1/trouble", json=document, is_repeatable=False)
    print_line(_format(ordered), ordered, as_json=as_json)


@trouble.command("list")
@json_option
@with_client
def list_trouble(*, client: "Client", as_json: bool) -> None:
    """List what is ordered, one per line.

    \b
    Example:
      goodsgate trouble list
    """
    for each in client.request("GET", "/v1/trouble")["trouble"]:
        print_line(_format(each), each, as_json=as_json)


@trouble.command()
@json_option
@with_client
def clear(*, client: "Client", as_json: bool) -> None:
    """Remove everything that is ordered.

    \b
    Example:
      goodsgate trouble clear
    """
    client.send("DELETE", "/v1/trouble")
    print_line("Cleared.", {"cleared": True}, as_json=as_json)


def _format(trouble: Document) -> str:
    scope = f"{trouble['seconds']:g} s" if trouble["times"] is None else counted(trouble["times"], "time")
    return f"{trouble['id']}\t{trouble['kind']}\t{scope}"
