"""Destinations of a running gate: places to which it writes feeds."""

import json
from typing import TYPE_CHECKING, Any

import click

from goodsgate.cli.client import Document, with_client
from goodsgate.cli.output import json_option, mask_control, print_line
from goodsgate.cli.sources import CREDENTIAL_OPTIONS, read_secret

if TYPE_CHECKING:
    from goodsgate_client import Client

PAGE_ROWS = 100
name_argument = click.argument("name", metavar="NAME")


@click.group()
def destination() -> None:
    """Write feeds by a schedule to SFTP, S3 and folders, or serve them."""


@destination.command()
@name_argument
@click.option("--to", required=True, metavar="ADDRESS", help="served, sftp://…, s3://… or file://…")
@click.option("--profile", metavar="NAME", help="Columns of google, meta, openai, shopify … Default: the items' own.")
@click.option("--format", "format", type=click.Choice(["ndjson", "csv", "tsv", "parquet", "google_rss"]),
              help="Default: what the file name says, or the target prefers; csv with another profile, else ndjson.")
@click.option("--compression", type=click.Choice(["none", "gzip", "zstd"]), help="Default: what the file name says.")
@click.option("--kind", type=click.Choice(["product", "price", "stock"]), help="Kind of items. Default: product.")
@click.option("--collection", metavar="NAME", help="Collection to read. Default: products.")
@click.option("--group", "groups", multiple=True, metavar="ID", help="Only items of this group. Repeatable.")
@click.option("--in-stock", is_flag=True, help="Only items in stock.")
@click.option("--field", "fields", multiple=True, metavar="COLUMN", help="Only this column. Repeatable.")
@click.option("--set", "values", multiple=True, metavar="COLUMN=VALUE",
              help="Value of a column of the target for items that have none. Repeatable.")
@click.option("--incomplete", type=click.Choice(["leave_out", "keep"]),
              help="What becomes of items that lack a required value. Default: leave_out.")
@click.option("--mode", type=click.Choice(["full", "changes"]),
              help="changes: what has changed since the last run. Default: full.")
@click.option("--file-items-max", type=click.IntRange(min=1), help="Items of one file. Default: what the target says.")
@click.option("--cron", metavar="ENTRY", help="When to write, e.g. '0 4 * * *'. Default: only when you ask.")
@click.option("--timezone", metavar="NAME", help="Time zone of the schedule, e.g. Europe/Berlin. Default: UTC.")
@click.option("--hold-if-shrinks", metavar="SHARE",
              help="Share of items that a feed may lose, or 'never'. Default: 0.2.")
@click.option("--user", "username", metavar="NAME", help="Id of an access key of S3; SFTP has it in the address.")
@click.option("--password", metavar="TEXT",
              help="Password, or secret of the access key: env:NAME for a variable of the gate, '-' to type it.")
@click.option("--private-key", metavar="FILE", help="File with the private key for SFTP, or env:NAME.")
@click.option("--passphrase", metavar="TEXT", help="Passphrase of the private key: env:NAME, or '-' to type it.")
@click.option("--token", metavar="TEXT", help="Session token of S3: env:NAME, or '-' to type it.")
@click.option("--host-key", metavar="FINGERPRINT",
              help="Key of the SFTP host (SHA256:…). Default: that of the first test.")
@click.option("--endpoint", metavar="URL", help="Address of an S3-compatible service.")
@click.option("--region", help="Region of S3. Default: us-east-1.")
@click.option("--description", help="What it is for.")
@json_option
@with_client
def add(*, client: "Client", name: str, as_json: bool, **options: Any) -> None:
    """Save a destination under a name. An existing one with that name is replaced; its credential stays with its host.

    The settings feed_hosts and feed_folders of the gate must allow the address.

    \b
    Examples:
      goodsgate destination add google --to served --profile google --format google_rss --cron '0 * * * *'
      goodsgate destination add meta --to sftp://acme@files.example.com/in/meta.csv --profile meta --password -
      goodsgate destination add openai --to s3://acme-feeds/openai.parquet --profile openai --set seller_name=Acme
    """
    saved = client.request("PUT", f"/v1/destinations/{name}", json=_body(options))
    print_line(_saved(saved), saved, as_json=as_json)


@destination.command("list")
@json_option
@with_client
def list_destinations(*, client: "Client", as_json: bool) -> None:
    """List destinations, one per line: name, state, next run, items, address, and why a run failed.

    \b
    Example:
      goodsgate destination list
    """
    for each in client.request("GET", "/v1/destinations")["destinations"]:
        _print_destination(each, as_json=as_json)


@destination.command()
@name_argument
@json_option
@with_client
def show(*, client: "Client", name: str, as_json: bool) -> None:
    """Print a destination as JSON, without the values of its credential.

    \b
    Example:
      goodsgate destination show google
    """
    document = client.request("GET", f"/v1/destinations/{name}")
    print_line(json.dumps(document, ensure_ascii=False, indent=2), document, as_json=as_json)


@destination.command()
@name_argument
@json_option
@with_client
def test(*, client: "Client", name: str, as_json: bool) -> None:
    """Connect to the place of a destination.

    Of an SFTP host whose key is not pinned, this pins the key: compare the fingerprint with what the host's owner says.

    \b
    Example:
      goodsgate destination test meta
    """
    tested = client.request("POST", f"/v1/destinations/{name}/test")
    key = tested["host_key"]
    print_line(f"Connected. The key of the host is pinned: {key}" if key else "Connected.", tested, as_json=as_json)


@destination.command()
@name_argument
@json_option
@with_client
def run(*, client: "Client", name: str, as_json: bool) -> None:
    """Let a worker write the feed now, also if the destination is paused. `destination runs` shows what came of it.

    \b
    Example:
      goodsgate destination run google
    """
    _print_destination(client.request("POST", f"/v1/destinations/{name}/run"), as_json=as_json)


@destination.command()
@name_argument
@json_option
@with_client
def pause(*, client: "Client", name: str, as_json: bool) -> None:
    """Write nothing by the schedule until the destination is resumed.

    \b
    Example:
      goodsgate destination pause google
    """
    _print_destination(client.request("POST", f"/v1/destinations/{name}/pause"), as_json=as_json)


@destination.command()
@name_argument
@json_option
@with_client
def resume(*, client: "Client", name: str, as_json: bool) -> None:
    """Go on with the schedule of a destination.

    \b
    Example:
      goodsgate destination resume google
    """
    _print_destination(client.request("POST", f"/v1/destinations/{name}/resume"), as_json=as_json)


@destination.command()
@name_argument
@json_option
@with_client
def approve(*, client: "Client", name: str, as_json: bool) -> None:
    """Let a held feed be written now, as the catalogue is then, however small it is.

    \b
    Example:
      goodsgate destination approve google
    """
    _print_destination(client.request("POST", f"/v1/destinations/{name}/approve"), as_json=as_json)


@destination.command()
@name_argument
@json_option
@with_client
def discard(*, client: "Client", name: str, as_json: bool) -> None:
    """Discard a held feed: what was published last stays.

    \b
    Example:
      goodsgate destination discard google
    """
    _print_destination(client.request("POST", f"/v1/destinations/{name}/discard"), as_json=as_json)


@destination.command()
@name_argument
@click.option("--limit", type=click.IntRange(1, 500), default=20, show_default=True, help="Maximum runs.")
@json_option
@with_client
def runs(*, client: "Client", name: str, limit: int, as_json: bool) -> None:
    """List runs of a destination, the newest first, one per line: number, state, begin, items, incomplete, reason.

    \b
    Example:
      goodsgate destination runs google
    """
    query: Document = {"limit": min(limit, PAGE_ROWS)}
    while limit > 0:
        page = client.request("GET", f"/v1/destinations/{name}/runs", params=query)
        for each in page["runs"][:limit]:
            counts = (f"{each['written']} written", f"{each['incomplete']} incomplete")
            cells = (each["number"], each["state"], each["started_at"], *counts, each["reason"] or "")
            print_line("\t".join(map(mask_control, cells)).rstrip(), each, as_json=as_json)
        limit -= len(page["runs"])
        if page["next"] is None:
            return
        query["after"] = page["runs"][-1]["number"]


@destination.command()
@name_argument
@click.option("--only", type=click.Choice(["all", "errors"]), default="all", show_default=True,
              help="errors: items that are left out alone.")
@json_option
@with_client
def issues(*, client: "Client", name: str, only: str, as_json: bool) -> None:
    """List what falls short of the target, as the items are now, one issue per line: key, severity, column, message.

    \b
    Example:
      goodsgate destination issues google --only errors
    """
    path: str | None = f"/v1/destinations/{name}/issues?only={only}"
    while path is not None:
        page = client.request("GET", path)
        for item in page["items"]:
            for each in item["issues"]:
                cells = (item["key"], each["severity"], each["column"], each["message"])
                print_line("\t".join(map(mask_control, cells)), {"key": item["key"], **each}, as_json=as_json)
        path = page["next"]


@destination.command()
@name_argument
@json_option
@with_client
def delete(*, client: "Client", name: str, as_json: bool) -> None:
    """Delete a destination with its history. Files that were written elsewhere stay.

    \b
    Example:
      goodsgate destination delete google
    """
    client.send("DELETE", f"/v1/destinations/{name}")
    print_line("Deleted.", {"name": name, "deleted": True}, as_json=as_json)


def _body(options: Document) -> Document:
    """Return the body of a request that saves a destination."""
    credential = {
        name: read_secret(name, value) for name in CREDENTIAL_OPTIONS if (value := options.pop(name)) is not None
    }
    values: dict[str, str] = {}
    for pair in options.pop("values"):
        column, equals, value = pair.partition("=")
        if not equals or not column:
            raise click.UsageError(f"--set {pair!r} is not COLUMN=VALUE.")
        values[column] = value
    body = {name: value for name, value in options.items() if value not in (None, (), False)}
    if (share := body.pop("hold_if_shrinks", None)) is not None:
        body["hold_if_shrinks"] = None if share == "never" else _share(share)
    if values:
        body["values"] = values
    return {**body, "credential": credential} if credential else body


def _share(text: str) -> float:
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = -1
    if not 0 <= share <= 1:
        raise click.UsageError("--hold-if-shrinks is a share from 0 to 1, a percentage, or 'never'.")
    return share


def _saved(document: Document) -> str:
    if document["to"] != "served":
        return "Saved. `goodsgate destination test` shows whether it can be reached."
    return "\n".join(["Saved. Whoever has this address may read the feed, once it was written:", *document["urls"]])


def _print_destination(document: Document, *, as_json: bool) -> None:
    cells = (
        document["name"], document["state"], document["next_run_at"] or "", document["items"], document["to"],
        document["error"] or "",
    )
    print_line("\t".join(map(mask_control, cells)).rstrip(), document, as_json=as_json)
