"""`diff`: what a dry run would change."""

import json
from typing import TYPE_CHECKING, Any

import click

from goodsgate.cli.batches import BATCH, file_errors, print_download
from goodsgate.cli.client import Document, with_client
from goodsgate.cli.output import mask_control, print_line

if TYPE_CHECKING:
    from goodsgate_client import Client

CHANGES_SHOWN = 20
VALUE_CHARACTERS_MAX = 60


@click.command()
@BATCH
@click.option("--operation", type=click.Choice(["created", "updated", "deleted"]), help="Only items with this fate.")
@click.option("--field", metavar="FIELD", help="Only changes of this field, e.g. price.")
@click.option("-o", "--output", metavar="FILE", help="Write all changes as CSV to this file; '-' for standard output.")
@click.option("--json", "as_json", is_flag=True, help="Print the groups and the first changes as JSON.")
@with_client
def diff(*, client: "Client", batch_id: str, operation: str | None, field: str | None, output: str | None,
         as_json: bool) -> None:
    """Show what a dry run would change: in groups, the first changes, or all of them as CSV.

    \b
    Examples:
      goodsgate submit --dry-run prices.csv
      goodsgate diff 019b2f0c64aa5e1f9c3b7d20448a91ce --field price
      goodsgate diff 019b2f0c64aa5e1f9c3b7d20448a91ce -o changes.csv
    """
    filters = {"operation": operation, "field": field}
    params: dict[str, Any] = {name: value for name, value in filters.items() if value is not None}
    path = f"/v1/batches/{batch_id}/diff"
    if output == "-":
        client.download(path, print_download, params=params | {"format": "csv"})
    elif output is not None:
        with file_errors(output):
            target = client.save(path, output, params=params | {"format": "csv"}, default=f"{batch_id}-diff.csv")
        print_line(str(target), {"file": str(target)}, as_json=as_json)
    else:
        document = client.request("GET", path, params=params | {"limit": str(CHANGES_SHOWN)})
        if as_json:
            click.echo(json.dumps(document, ensure_ascii=False))
        else:
            _print_groups(document)
            _print_changes(document, field)


def print_diff_groups(client: "Client", batch_id: str) -> None:
    """Print in groups what a dry run would change."""
    _print_groups(client.request("GET", f"/v1/batches/{batch_id}/diff", params={"limit": "1"}))
    click.echo(f"Nothing was applied: it was a dry run. To see each change: goodsgate diff {batch_id}")


def _print_groups(document: Document) -> None:
    for group in document["groups"]:
        click.echo(mask_control(group["text"]))
    if not document["groups"]:
        click.echo("Nothing would change.")


def _print_changes(document: Document, field: str | None) -> None:
    for change in document["changes"]:
        row = f" (row {change['source_row']})" if change["source_row"] else ""
        click.echo(mask_control(f"{change['key']}{row}: {change['operation']}"))
        if change["operation"] == "updated":
            for each in change["fields"]:
                if field in (None, each["field"]):
                    click.echo(mask_control(f"  {each['field']}: {_text(each['before'])} → {_text(each['after'])}"))
    if document["next"]:
        click.echo("There are more changes; write all of them with -o FILE.")


def _text(value: object) -> str:
    text = "(none)" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= VALUE_CHARACTERS_MAX else f"{text[: VALUE_CHARACTERS_MAX - 1]}…"
