"""`traffic`: the latest requests and responses of a gate that records them."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from goodsgate.cli.client import Document, with_client
from goodsgate.cli.output import json_option, mask_control

if TYPE_CHECKING:
    from goodsgate_client import Client

WAIT_SECONDS = 20
PAGE_EXCHANGES = 100


@click.command()
@click.option("--follow", is_flag=True, help="Go on with new exchanges until Ctrl-C.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, metavar="NUMBER",
              help="Latest exchanges to begin with.")
@click.option("--brief", is_flag=True, help="Print one line for each exchange.")
@json_option
@with_client
def traffic(*, client: "Client", follow: bool, limit: int, brief: bool, as_json: bool) -> None:
    """Print requests and responses of clients as they were, with secrets masked. Needs an admin key.

    The gate must record them (setting traffic_bytes_max); `stand-in` does. With --json, each is a line.

    \b
    Examples:
      goodsgate traffic --follow
      goodsgate traffic --limit 1 --json
    """
    for exchange in _exchanges(client, follow=follow, limit=limit):
        if as_json:
            click.echo(json.dumps(exchange, ensure_ascii=False))
        else:
            _print(exchange, brief=brief)


def _exchanges(client: "Client", *, follow: bool, limit: int) -> Iterator[Document]:
    page = client.request("GET", "/v1/traffic", params={"limit": limit})
    yield from page["exchanges"]
    while follow:
        params: dict[str, Any] = {"after": page["last"], "wait": WAIT_SECONDS, "limit": PAGE_EXCHANGES}
        page = client.request("GET", "/v1/traffic", params=params)
        yield from page["exchanges"]


def _print(exchange: Document, *, brief: bool) -> None:
    status = exchange["status"] or "no response"
    if exchange["status"] and not exchange["is_complete"]:
        status = f"{status}, cut off"
    first = f"{exchange['at']} {exchange['method']} {exchange['target']} → {status}, {exchange['milliseconds']:g} ms"
    click.echo(click.style(mask_control(first), bold=True))
    if brief:
        return
    for sign, part in ((">", "request"), ("<", "response")):
        for name, value in exchange[f"{part}_headers"]:
            click.echo(mask_control(f"{sign} {name}: {value}"))
        for line in exchange[f"{part}_body"].splitlines():
            click.echo(mask_control(f"{sign} {line}" if line else sign))
    click.echo()
