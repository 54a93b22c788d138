"""`export`: download a collection of the catalogue as a file."""

from typing import TYPE_CHECKING
from urllib.parse import unquote

import click

from goodsgate.cli.batches import file_errors, print_download
from goodsgate.cli.client import with_client
from goodsgate.cli.output import json_option, mask_control, print_line

if TYPE_CHECKING:
    import httpx

    from goodsgate_client import Client

FORMATS = click.Choice(["ndjson", "json", "csv", "tsv", "xlsx", "parquet", "google_rss"])


@click.command()
@click.argument("collection", default="products")
@click.option("--kind", type=click.Choice(["product", "price", "stock"]), default="product", show_default=True,
              help="Kind of items.")
@click.option("--format", "format", type=FORMATS, help="Format of the file. Default: ndjson, with a profile csv.")
@click.option("--profile", metavar="NAME", help="Write the columns of a profile: google, shopify, woocommerce …")
@click.option("--after", metavar="KEY", help="Begin after this item, to continue an export that broke off.")
@click.option("-o", "--output", metavar="FILE",
              help="File to write; '-' for standard output. Default: named after the collection.")
@json_option
@with_client
def export(
    *, client: "Client", collection: str, kind: str, format: str | None, profile: str | None, after: str | None,
    output: str | None, as_json: bool,
) -> None:
    """Download a collection as a file, to feed other systems. Submitted again, its records are unchanged.

    With --json, the cursor is printed from which `goodsgate changes --after` goes on.

    \b
    Examples:
      goodsgate export --format csv -o products.csv
      goodsgate export spring --format google_rss
      goodsgate export --profile shopify -o shopify.csv
      goodsgate export --kind stock -o - | head
    """
    options = {"kind": kind, "format": format, "profile": profile, "after": after}
    params = {name: value for name, value in options.items() if value}

    path = f"/v1/collections/{collection}/export"
    if output == "-":
        client.download(path, _print_export, params=params)
        return
    cursors: list[str | None] = []

    def note(response: "httpx.Response") -> None:
        _print_left_out(response)
        cursors.append(response.headers.get("Goodsgate-Changes-Cursor"))

    with file_errors(output):
        target = client.save(path, output, params=params, default=f"{collection}-{kind}", on_response=note)
    print_line(str(target), {"file": str(target), "cursor": cursors[-1]}, as_json=as_json)


def _print_export(response: "httpx.Response") -> None:
    _print_left_out(response)
    print_download(response)


def _print_left_out(response: "httpx.Response") -> None:
    if left_out := response.headers.get("Goodsgate-Left-Out"):
        click.echo(mask_control(f"Left out, because the file cannot hold it: {unquote(left_out)}"), err=True)
