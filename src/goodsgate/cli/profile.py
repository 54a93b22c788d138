"""Saved profiles of a running gate."""

import json
from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from goodsgate.cli.check import parse_policy
from goodsgate.cli.client import Document, with_client
from goodsgate.cli.guard import parse_hold_if
from goodsgate.cli.inspect import inspect_source
from goodsgate.cli.output import json_option, print_line
from goodsgate.cli.source import open_feed
from goodsgate.cli.submit import STRICTNESS, parse_pairs

if TYPE_CHECKING:
    from goodsgate_client import Client


@click.group()
def profile() -> None:
    """Save, list, show and delete profiles: the options with which one kind of file is submitted."""


@profile.command()
@click.argument("name", metavar="NAME")
@click.option("--profile", metavar="NAME", help="Profile of Goodsgate that reads the file, e.g. shopify.")
@click.option("--map", "maps", multiple=True, metavar="COLUMN:FIELD",
              help="Map a column to a field. Repeatable. 'COLUMN:' stores the column unchecked.")
@click.option("--from", "source", metavar="FILE",
              help="Read FILE with these options and save how; files with its columns are then recognized.")
@click.option("--currency", metavar="CODE", help="Default currency, e.g. EUR.")
@click.option("--decimal", type=click.Choice(["point", "comma"]), help="Decimal separator.")
@click.option("--encoding", metavar="CHARSET", help="Charset of a text file, e.g. Windows-1250.")
@click.option("--delimiter", metavar="NAME", help="Delimiter of a CSV: comma, semicolon, tab, pipe or any character.")
@click.option("--records-at", metavar="PATH", help="Element (XML) or list (JSON) that holds the records.")
@click.option("--sheet", metavar="NAME", help="Sheet of a workbook, by name or number.")
@click.option("--header-row", type=click.IntRange(1, 50), metavar="ROW", help="Row of the header in a table.")
@click.option("--empty-words", metavar="WORDS", help="Cells that count as empty, e.g. 'n/a,none'.")
@click.option("--group", metavar="COLUMN", help="Column by which rows belong to one product.")
@click.option("--derive-keys", is_flag=True, help="Make a SKU of product and options where a row has none.")
@click.option("--references", type=STRICTNESS, help="Unknown brands, SKUs of stock etc.")
@click.option("--waiting-hours", type=click.FloatRange(0.01, 8760), metavar="HOURS",
              help="How long records wait with --references wait.")
@click.option("--hold-if", "hold_if", multiple=True, metavar="CONDITION:LIMIT",
              help="Hold the batch if e.g. prices_halved:1% or rejected:10. Repeatable.")
@click.option("--hold", type=click.Choice(["wait", "pass"]), help="Batches behind a held one wait, or are let past it.")
@click.option("--hold-hours", type=click.FloatRange(0.01, 8760), metavar="HOURS", help="How long the batch is held.")
@json_option
@with_client
def save(*, client: "Client", name: str, maps: tuple[str, ...], source: str | None, as_json: bool, **options: Any,
         ) -> None:
    """Save a profile under a name. An existing one with that name is replaced.

    \b
    Examples:
      goodsgate profile save warehouse --from katalog.csv --map Artikelnummer:sku --currency EUR
      goodsgate profile save warehouse --map Artikelnummer:sku --decimal comma
    """
    options["hold_if"] = parse_hold_if(options["hold_if"]) or None
    saved = _given_profile(maps, options) if source is None else _profile_of(source, maps, options)
    client.request("PUT", f"/v1/profiles/{name}", json=saved)
    text = f"Saved. To use it: goodsgate submit --profile {name} FILE"
    if saved.get("header"):
        text += "\nFiles with the same columns are recognized without --profile."
    print_line(text, {"name": name, "profile": saved}, as_json=as_json)


def _given_profile(maps: tuple[str, ...], options: dict[str, Any]) -> Document:
    """Return the profile that the options are."""
    document = {name: value for name, value in options.items() if value is not None}
    if words := document.pop("empty_words", None):
        document["empty_words"] = [word.strip() for word in words.split(",") if word.strip()]
    if document.pop("derive_keys"):
        document["key"] = "derived"
    pairs: dict[str, list[str]] = {}
    for column, field in parse_pairs(maps):
        pairs.setdefault(column, []).extend([field] if field else [])
    return document | ({"map": pairs} if pairs else {})


def _profile_of(name: str, maps: tuple[str, ...], options: dict[str, Any]) -> Document:
    """Return the profile of a file that is read with the options."""
    import msgspec

    from goodsgate.engine.inspection import profile_from

    policy = parse_policy(maps, options)
    with closing(open_feed(name)) as source:
        inspection = inspect_source(source, kind="product", policy=policy, format=source.format)
    document: Document = msgspec.to_builtins(profile_from(inspection))
    return document


@profile.command("list")
@json_option
@with_client
def list_profiles(*, client: "Client", as_json: bool) -> None:
    """List profiles, one per line: saved ones with their options as JSON, then those that come with Goodsgate.

    \b
    Example:
      goodsgate profile list
    """
    answer = client.request("GET", "/v1/profiles")
    for name, saved in answer["profiles"].items():
        text = f"{name}\t{json.dumps(saved, ensure_ascii=False)}"
        print_line(text, {"name": name, "profile": saved}, as_json=as_json)
    for name in answer["shipped"]:
        print_line(name, {"name": name, "profile": None}, as_json=as_json)


@profile.command()
@click.argument("name", metavar="NAME")
@json_option
@with_client
def show(*, client: "Client", name: str, as_json: bool) -> None:
    """Print the options of a saved profile as JSON.

    \b
    Example:
      goodsgate profile show warehouse
    """
    document = client.request("GET", f"/v1/profiles/{name}")
    print_line(json.dumps(document, ensure_ascii=False), document, as_json=as_json)


@profile.command()
@click.argument("name", metavar="NAME")
@json_option
@with_client
def delete(*, client: "Client", name: str, as_json: bool) -> None:
    """Delete a saved profile. Batches that were submitted with it are not affected.

    \b
    Example:
      goodsgate profile delete warehouse
    """
    client.send("DELETE", f"/v1/profiles/{name}")
    print_line("Deleted.", {"name": name, "deleted": True}, as_json=as_json)
