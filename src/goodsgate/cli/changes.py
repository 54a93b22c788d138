"""`changes`: the changes of the catalogue, as NDJSON."""

import json
from typing import TYPE_CHECKING

import click

from goodsgate.cli.client import with_client

if TYPE_CHECKING:
    from goodsgate_client import Client

WAIT_SECONDS = 20


@click.command()
@click.option("--follow", is_flag=True, help="Go on with new changes until Ctrl-C.")
@click.option("--after", metavar="CURSOR",
              help="Begin after the change with this cursor; 'now' for new changes. Default: the oldest one.")
@click.option("--kind", type=click.Choice(["product", "price", "stock"]), help="Only changes of this kind of items.")
@click.option("--collection", metavar="NAME", help="Only changes of this collection.")
@click.option("--fields", default="keys", show_default=True, metavar="NAMES",
              help="Records to print with a change: 'before', 'after' or 'before,after'; 'keys' for none.")
@with_client
def changes(*, client: "Client", follow: bool, after: str | None, kind: str | None, collection: str | None, fields: str,
            ) -> None:
    """Print every change of items, prices and stock in its order, one JSON object per line.

    Each has a cursor, after which another run goes on. A cursor whose changes were deleted is refused: take an export,
    and go on from its cursor.

    \b
    Examples:
      goodsgate changes --fields after
      goodsgate changes --kind stock --follow --after now
    """
    given = {"after": after, "kind": kind, "collection": collection, "fields": fields}
    params = {name: value for name, value in given.items() if value is not None}
    while True:
        page = client.request("GET", "/v1/changes", params=params)
        for change in page["changes"]:
            click.echo(json.dumps(change, ensure_ascii=False))
        if not page["more"] and not follow:
            return
        params |= {"after": page["cursor"]} | ({"wait": str(WAIT_SECONDS)} if follow else {})
