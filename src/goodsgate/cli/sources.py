"""Sources of a running gate: addresses from which it fetches feeds."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from goodsgate.cli.client import Document, with_client
from goodsgate.cli.errors import CommandError, ExitCode
from goodsgate.cli.guard import parse_hold_if
from goodsgate.cli.output import json_option, mask_control, print_line
from goodsgate.cli.submit import policy_options

if TYPE_CHECKING:
    from goodsgate_client import Client

PAGE_RUNS = 100
name_argument = click.argument("name", metavar="NAME")


@click.group("source")
def source() -> None:
    """Fetch feeds by a schedule from SFTP, HTTPS, S3 and folders."""


@source.command()
@name_argument
@click.argument("address")
@policy_options
@click.option("--cron", metavar="ENTRY", help="When to fetch, e.g. '0 3 * * *'. Default: only when you ask.")
@click.option("--timezone", metavar="NAME", help="Time zone of the times, e.g. Europe/Berlin. Default: UTC.")
@click.option("--expected-by", metavar="TIME", help="When a new file must be there, e.g. 04:00, or a cron entry.")
@click.option("--files", type=click.Choice(["newest", "all"]),
              help="Of a folder: the newest file, or each new one, the oldest first. Default: newest.")
@click.option("--move-to", metavar="PATH", help="Where files are moved once submitted: 'done/' or '{name}.done'.")
@click.option("--user", "username", metavar="NAME", help="User of SFTP or HTTPS, or the id of an access key of S3.")
@click.option("--password", metavar="TEXT",
              help="Password, or secret of the access key: env:NAME for a variable of the gate, '-' to type it.")
@click.option("--private-key", metavar="FILE", help="File with the private key for SFTP, or env:NAME.")
@click.option("--passphrase", metavar="TEXT", help="Passphrase of the private key: env:NAME, or '-' to type it.")
@click.option("--token", metavar="TEXT", help="Bearer token of HTTPS, or session token of S3: env:NAME, or '-'.")
@click.option("--host-key", metavar="FINGERPRINT", help="Key of the SFTP host. Default: that of the first test.")
@click.option("--endpoint", metavar="URL", help="Address of an S3-compatible service.")
@click.option("--region", help="Region of S3. Default: us-east-1.")
@click.option("--collection", metavar="NAME", help="Collection to write to. Default: products.")
@click.option("--mode", type=click.Choice(["delta", "full"]),
              help="full: delete items that are missing from the feed. Default: delta.")
@click.option("--delete-share-max", type=click.FloatRange(0, 1), metavar="SHARE",
              help="Share of items that --mode full may delete without confirmation. Default: 0.1.")
@click.option("--hold-if", "hold_if", multiple=True, metavar="CONDITION:LIMIT",
              help="Hold a batch if e.g. prices_halved:1% or rejected:10. Repeatable.")
@click.option("--hold", type=click.Choice(["wait", "pass"]),
              help="Batches behind a held one wait, or are let past it. Default: wait.")
@click.option("--hold-hours", type=click.FloatRange(0.01, 8760), metavar="HOURS",
              help="How long a batch is held until it is discarded. Default: the setting hold_hours.")
@click.option("--description", help="What it is for.")
@json_option
@with_client
def add(*, client: "Client", name: str, address: str, as_json: bool, **options: Any) -> None:
    """Save a source under a name. An existing one with that name is replaced; its credential stays with its host.

    ADDRESS is a file, or a folder of files of which a pattern chooses some: sftp://user@host/folder/*.csv,
    https://host/feed.xml, s3://bucket/folder/, file:///folder/products.csv.gz. The settings feed_hosts and
    feed_folders of the gate must allow it.

    \b
    Examples:
      goodsgate source add nightly sftp://acme@files.example.com/out/*.csv --cron '0 3 * * *' --password -
      goodsgate source add erp https://erp.example.com/feed.xml --cron '*/15 * * * *' --mode full --hold-if deleted:5%
    """
    saved = client.request("PUT", f"/v1/sources/{name}", json=_body(address, options))
    print_line("Saved. `goodsgate source test` shows what it would fetch.", saved, as_json=as_json)


@source.command("list")
@json_option
@with_client
def list_sources(*, client: "Client", as_json: bool) -> None:
    """List sources, one per line: name, state, next run, address, and why a run failed.

    \b
    Example:
      goodsgate source list
    """
    for each in client.request("GET", "/v1/sources")["sources"]:
        _print_source(each, as_json=as_json)


@source.command()
@name_argument
@json_option
@with_client
def show(*, client: "Client", name: str, as_json: bool) -> None:
    """Print a source as JSON, without the values of its credential.

    \b
    Example:
      goodsgate source show nightly
    """
    document = client.request("GET", f"/v1/sources/{name}")
    print_line(json.dumps(document, ensure_ascii=False, indent=2), document, as_json=as_json)


@source.command()
@name_argument
@json_option
@with_client
def test(*, client: "Client", name: str, as_json: bool) -> None:
    """Show what a run would fetch, and how the first megabyte is read. Exits with 1 if nothing can be fetched.

    Of an SFTP host whose key is not pinned, this pins the key: compare the fingerprint with what the host's owner says.

    \b
    Example:
      goodsgate source test nightly
    """
    trial = client.request("POST", f"/v1/sources/{name}/test")
    print_line("\n".join(_describe_trial(trial)), trial, as_json=as_json)
    if trial["error"]:
        sys.exit(ExitCode.REJECTED)


@source.command()
@name_argument
@json_option
@with_client
def run(*, client: "Client", name: str, as_json: bool) -> None:
    """Let a worker fetch now, also from a source that is paused. `source runs` shows what came of it.

    \b
    Example:
      goodsgate source run nightly
    """
    _print_source(client.request("POST", f"/v1/sources/{name}/run"), as_json=as_json)


@source.command()
@name_argument
@json_option
@with_client
def pause(*, client: "Client", name: str, as_json: bool) -> None:
    """Fetch nothing by the schedule until the source is resumed.

    \b
    Example:
      goodsgate source pause nightly
    """
    _print_source(client.request("POST", f"/v1/sources/{name}/pause"), as_json=as_json)


@source.command()
@name_argument
@json_option
@with_client
def resume(*, client: "Client", name: str, as_json: bool) -> None:
    """Go on with the schedule of a source.

    \b
    Example:
      goodsgate source resume nightly
    """
    _print_source(client.request("POST", f"/v1/sources/{name}/resume"), as_json=as_json)


@source.command()
@name_argument
@click.option("--limit", type=click.IntRange(1, 500), default=20, show_default=True, help="Maximum runs.")
@json_option
@with_client
def runs(*, client: "Client", name: str, limit: int, as_json: bool) -> None:
    """List runs of a source, the newest first, one per line: number, state, begin, batches, error.

    \b
    Example:
      goodsgate source runs nightly
    """
    query: Document = {"limit": min(limit, PAGE_RUNS)}
    while limit > 0:
        page = client.request("GET", f"/v1/sources/{name}/runs", params=query)
        for each in page["runs"][:limit]:
            batches = ",".join(file["batch"] for file in each["files"] if file["batch"])
            cells = (each["number"], each["state"], each["started_at"], batches, each["error"] or "")
            print_line("\t".join(map(mask_control, cells)).rstrip(), each, as_json=as_json)
        limit -= len(page["runs"])
        if page["next"] is None:
            return
        query["after"] = page["runs"][-1]["number"]


@source.command()
@name_argument
@json_option
@with_client
def delete(*, client: "Client", name: str, as_json: bool) -> None:
    """Delete a source with its history. Its batches stay.

    \b
    Example:
      goodsgate source delete nightly
    """
    client.send("DELETE", f"/v1/sources/{name}")
    print_line("Deleted.", {"name": name, "deleted": True}, as_json=as_json)


SOURCE_OPTIONS = (
    "cron", "timezone", "expected_by", "files", "move_to", "username", "host_key", "endpoint", "region", "collection",
    "kind", "description",
)
CREDENTIAL_OPTIONS = ("password", "private_key", "passphrase", "token")


def _body(address: str, options: Document) -> Document:
    """Return the body of a request that saves a source."""
    maps: dict[str, list[str]] = {}
    for pair in options.pop("maps"):
        column, colon, field = pair.rpartition(":")
        if not colon:
            raise click.UsageError(f"--map {pair!r} is not COLUMN:FIELD.")
        maps.setdefault(column.strip(), []).extend([field.strip()] if field.strip() else [])
    body = {name: value for name in SOURCE_OPTIONS if (value := options.pop(name)) is not None}
    credential = {
        name: read_secret(name, value) for name in CREDENTIAL_OPTIONS if (value := options.pop(name)) is not None
    }
    if options.pop("derive_keys"):
        options["key"] = "derived"
    options |= {"hold_if": parse_hold_if(options.pop("hold_if")) or None, "map": maps or None}
    if options["empty_words"] is not None:
        options["empty_words"] = [word.strip() for word in options["empty_words"].split(",") if word.strip()]
    given = {name: value for name, value in options.items() if value is not None}
    return {
        **body, "address": address, "options": given, **({"credential": credential} if credential else {}),
    }


def read_secret(name: str, value: str) -> str:
    """Return a secret that an option names: typed, in a file, or a variable of the gate."""
    if value.startswith("env:"):
        return value
    if value == "-":
        return str(click.prompt(name.replace("_", " ").capitalize(), hide_input=True))
    if name != "private_key":
        return value
    try:
        return Path(value).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"the private key {value} cannot be read: {error}") from error


def _print_source(document: Document, *, as_json: bool) -> None:
    cells = (
        document["name"], document["state"], document["next_run_at"] or "", document["address"],
        document["error"] or "",
    )
    print_line("\t".join(map(mask_control, cells)).rstrip(), document, as_json=as_json)


def _describe_trial(trial: Document) -> list[str]:
    lines = []
    if trial["host_key"]:
        lines.append(f"The key of the host is pinned: {mask_control(trial['host_key'])}")
    for file in trial["files"]:
        size = "" if file["bytes"] is None else f"{file['bytes']:,} bytes"
        word = "new" if file["new"] else "passed over"
        lines.append("\t".join((word, mask_control(file["name"]), size, file["modified_at"] or "")).rstrip())
    if not trial["files"] and not trial["error"]:
        lines.append("No file matches.")
    inspection = trial["inspection"]
    if inspection is not None:
        counts = ", ".join(f"{count:,} {result}" for result, count in inspection["counts"].items() if count)
        lines.append(f"{mask_control(trial['inspected'])}: {inspection['format']}, first records: {counts or 'none'}")
    if trial["error"]:
        lines.append(f"Error: {mask_control(trial['error'])}")
    return lines
