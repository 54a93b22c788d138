"""`export`: download a collection of the catalogue as a file."""

from collections import Counter
from typing import TYPE_CHECKING
from urllib.parse import unquote

import click

from goodsgate.cli.batches import file_errors, print_download
from goodsgate.cli.client import Document, with_client
from goodsgate.cli.output import json_option, mask_control, print_line

if TYPE_CHECKING:
    import httpx

    from goodsgate_client import Client

SPECIFICATIONS = ("google", "meta", "openai")
"""Profiles that say what each value must be."""
FORMATS = click.Choice(["ndjson", "json", "csv", "tsv", "xlsx", "parquet", "google_rss"])


@click.command()
@click.argument("collection", default="products")
@click.option("--kind", type=click.Choice(["product", "price", "stock"]), default="product", show_default=True,
              help="Kind of items.")
@click.option("--format", "format", type=FORMATS, help="Format of the file. Default: ndjson, with a profile csv.")
@click.option("--profile", metavar="NAME", help="Write the columns of a profile: google, meta, openai, shopify …")
@click.option("--incomplete", type=click.Choice(["keep", "leave_out"]), default="keep", show_default=True,
              help="What becomes of items that lack a value which google, meta or openai require.")
@click.option("--after", metavar="KEY", help="Begin after this item, to continue an export that broke off.")
@click.option("-o", "--to", "--output", "output", metavar="FILE",
              help="File to write; '-' for standard output. Default: named after the collection.")
@json_option
@with_client
def export(
    *, client: "Client", collection: str, kind: str, format: str | None, profile: str | None, incomplete: str,
    after: str | None, output: str | None, as_json: bool,
) -> None:
    """Download a collection as a file, to feed other systems. Submitted again, its records are unchanged.

    With --json, the cursor is printed from which `goodsgate changes --after` goes on. With the profile google, meta or
    openai, it also says which items fall short of the published specification, and why.

    \b
    Examples:
      goodsgate export --profile google --format google_rss --to google.xml
      goodsgate export --format csv -o products.csv
      goodsgate export spring --format google_rss
      goodsgate export --profile shopify -o shopify.csv
      goodsgate export --kind stock -o - | head
    """
    options = {"kind": kind, "format": format, "profile": profile, "after": after}
    params = {name: value for name, value in options.items() if value}
    if incomplete != "keep":
        params["incomplete"] = incomplete

    path = f"/v1/collections/{collection}/export"
    if output == "-":
        client.download(path, _print_export, params=params)
        print_feed_issues(client, collection, profile)
        return
    cursors: list[str | None] = []

    def note(response: "httpx.Response") -> None:
        _print_left_out(response)
        cursors.append(response.headers.get("Goodsgate-Changes-Cursor"))

    with file_errors(output):
        target = client.save(path, output, params=params, default=f"{collection}-{kind}", on_response=note)
    print_feed_issues(client, collection, profile)
    print_line(str(target), {"file": str(target), "cursor": cursors[-1]}, as_json=as_json)


def _print_export(response: "httpx.Response") -> None:
    _print_left_out(response)
    print_download(response)


def _print_left_out(response: "httpx.Response") -> None:
    if left_out := response.headers.get("Goodsgate-Left-Out"):
        click.echo(mask_control(f"Left out, because the file cannot hold it: {unquote(left_out)}"), err=True)


def print_feed_issues(client: "Client", collection: str, profile: str | None) -> None:
    """Print how many items fall short of a specification, and in which ways; nothing for other profiles."""
    if profile not in SPECIFICATIONS:
        return
    groups: Counter[tuple[str, str]] = Counter()
    incomplete = 0
    path: str | None = f"/v1/collections/{collection}/feed-issues?profile={profile}"
    while path is not None:
        page = client.request("GET", path)
        for item in page["items"]:
            incomplete += not item["written"]
            groups.update({(each["severity"], each["message"] if each["value"] is None else _generally(each))
                           for each in item["issues"]})
        path = page["next"]
    if groups:
        click.echo(f"{incomplete} incomplete for {profile}:", err=True)
    for (severity, message), count in sorted(groups.items(), key=lambda group: (group[0][0], -group[1], group[0][1])):
        click.echo(mask_control(f"  {count} {severity}  {message}"), err=True)


def _generally(issue: Document) -> str:
    """Return what is wrong without the value of one item."""
    expected = f"; expected {issue['expected']}" if issue["expected"] else ""
    return f"{issue['column']}: {issue['code']}{expected}"
