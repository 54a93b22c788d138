"""Commands for submitted batches: watch, report, retry, confirm, approve, discard, revert, cancel, list."""

import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from goodsgate.cli.client import Document, with_client
from goodsgate.cli.errors import CommandError, ExitCode, UnreachableError
from goodsgate.cli.output import (
    Examples,
    ProgressDisplay,
    create_console,
    examples_of,
    exit_code,
    json_option,
    mask_control,
    print_batch,
    print_line,
)

if TYPE_CHECKING:
    import httpx

    from goodsgate_client import Client

EXAMPLE_RECORDS = 200
"""Records with issues among which examples are searched."""
BATCH_ID = re.compile(r"[0-9a-f]{32}")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def _batch_id(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    """Return the id of a batch, which may be written as a UUID, as protocols write it."""
    id = value.replace("-", "").lower() if UUID.fullmatch(value) else value
    if not BATCH_ID.fullmatch(id):
        raise click.BadParameter(f"{value!r} is not a batch id (32 hexadecimal digits, or a UUID).")
    return id


BATCH = click.argument("batch_id", metavar="ID", callback=_batch_id)
JSON = click.option("--json", "as_json", is_flag=True, help="Print the batch as JSON, without progress.")
WAIT = click.option("--wait/--no-wait", default=True, help="Wait until the batch has ended.")


def follow_batch(client: "Client", batch_id: str, *, progress: ProgressDisplay) -> Document:
    """Show the progress of a batch until it has ended, or is held, and return its last document."""
    batch = client.wait(
        batch_id, on_progress=lambda batch: progress.show_batch(batch.raw),
        on_retry=lambda reason: progress.note(f"{reason}; trying again"),
    )
    return batch.raw


def print_result(client: "Client", batch: Document, *, as_json: bool) -> None:
    """Print a batch, with the first place of each group of its issues."""

    def examples() -> Examples:
        first = next(client.issues(batch["id"], page_records=EXAMPLE_RECORDS).pages())
        return examples_of((issue.code, issue.path, issue.place) for issue in first.rows)

    print_batch(batch, as_json=as_json, examples=examples)


@click.command()
@BATCH
@JSON
@with_client
def watch(*, client: "Client", batch_id: str, as_json: bool) -> None:
    """Follow a batch until it has ended, or is held.

    \b
    Example:
      goodsgate watch 019b2f0c64aa5e1f9c3b7d20448a91ce
    """
    finish_batch(client, batch_id, wait=True, as_json=as_json)


@click.command()
@BATCH
@click.option("-o", "--output", metavar="FILE",
              help="File to write; '-' for standard output. Default: named after the batch.")
@click.option("--only", type=click.Choice(["rejected", "waiting", "all"]), default="rejected", show_default=True,
              help="Which records to include.")
@click.option("--format", "format", type=click.Choice(["ndjson", "json", "csv", "tsv", "xlsx"]),
              help="Format of the report. Default: the format of the submission.")
@click.option("--raw", is_flag=True, help="Write formulas as received, without an apostrophe before them.")
@json_option
@with_client
def report(*, client: "Client", batch_id: str, output: str | None, only: str, format: str | None, raw: bool,
           as_json: bool) -> None:
    """Download the records of a batch in your own columns, with the issues of each.

    Correct the file and send it back with `goodsgate fix`.

    \b
    Examples:
      goodsgate report 019b2f0c64aa5e1f9c3b7d20448a91ce
      goodsgate report 019b2f0c64aa5e1f9c3b7d20448a91ce --format xlsx -o rejected.xlsx
      goodsgate report 019b2f0c64aa5e1f9c3b7d20448a91ce --only all --format ndjson -o - | head
    """
    if output == "-":
        params = {"only": only} | ({"format": format} if format else {}) | ({"raw": "true"} if raw else {})
        client.download(f"/v1/batches/{batch_id}/report", print_download, params=params)
        return
    with file_errors(output):
        target = client.save_report(batch_id, output, only=only, format=format, raw=raw or None)
    print_line(str(target), {"file": str(target)}, as_json=as_json)


def print_download(response: "httpx.Response") -> None:
    """Write a download to standard output, which cannot be started again if the connection is lost."""
    import httpx

    try:
        for piece in response.iter_bytes():
            sys.stdout.buffer.write(piece)
    except httpx.TransportError as error:
        raise UnreachableError(f"the connection was lost, and the output is incomplete: {error}") from error


@contextmanager
def file_errors(name: str | None) -> Iterator[None]:
    """Report that a file cannot be written."""
    try:
        yield
    except OSError as error:
        raise CommandError(f"{name or error.filename}: {error.strerror}") from error


@click.command()
@BATCH
@click.option("--apply", "applies", is_flag=True, help="Apply the suggestions of --code and process the records again.")
@click.option("--preview", is_flag=True, help="Print the values before and after instead.")
@click.option("--code", metavar="CODE", help="Issue code of the suggestions, e.g. gtin_check_digit.")
@click.option("--field", metavar="FIELD", help="Only those of this field, e.g. /gtin.")
@WAIT
@JSON
@with_client
def suggestions(*, client: "Client", batch_id: str, applies: bool, preview: bool, code: str | None, field: str | None,
                wait: bool, as_json: bool) -> None:
    """List suggestions for rejected records with the number of records that each changes, or apply those of a code.

    \b
    Examples:
      goodsgate suggestions 019b2f0c64aa5e1f9c3b7d20448a91ce
      goodsgate suggestions 019b2f0c64aa5e1f9c3b7d20448a91ce --preview --code gtin_check_digit
      goodsgate suggestions 019b2f0c64aa5e1f9c3b7d20448a91ce --apply --code gtin_check_digit --field /gtin
    """
    if not applies and not preview:
        if code is not None or field is not None:
            raise click.UsageError("--code and --field need --preview or --apply.")
        _print_suggestions(client.request("GET", f"/v1/batches/{batch_id}/suggestions"), as_json=as_json)
        return
    if code is None or (applies and preview):
        raise click.UsageError("Name one of --preview and --apply, and the --code that `goodsgate suggestions` lists.")
    if preview:
        params = {"code": code, "preview": "true"} | ({"field": field} if field is not None else {})
        document = client.request("POST", f"/v1/batches/{batch_id}/suggestions/apply", params=params)
        _print_preview(document, as_json=as_json)
        return
    client.apply_suggestions(batch_id, code=code, field=field)
    finish_batch(client, batch_id, wait=wait, as_json=as_json)


def _print_preview(document: Document, *, as_json: bool) -> None:
    """Print each change with the number of its records, and how many records there are in all."""
    if as_json:
        click.echo(json.dumps(document, ensure_ascii=False))
        return
    for group in document["groups"]:
        click.echo(f"{_count_of(group, document)} × {group['code']}:{group['field']}")
        for change in group["changes"]:
            before = "(no value)" if change["before"] is None else change["before"]
            click.echo(mask_control(f"  {change['records']:,} × {before} → {change['after']}"))
        if group["records_left"]:
            click.echo(f"  {group['records_left']:,} × other values")
    noun = "record" if document["records"] == 1 and document["complete"] else "records"
    click.echo(f"{_count_of(document, document)} {noun} would be changed.")


def _print_suggestions(listing: Document, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(listing, ensure_ascii=False))
        return
    for group in listing["suggestions"]:
        examples = ", ".join(f"{each['value']} → {each['suggestion']}" for each in group["examples"])
        click.echo(mask_control(f"{_count_of(group, listing)} × {group['code']}:{group['field']}  {examples}"))
    if not listing["suggestions"]:
        click.echo("No rejected record has a suggestion.")


def _count_of(group: Document, listing: Document) -> str:
    return f"{'' if listing['complete'] else 'at least '}{group['records']:,}"


@click.command()
@BATCH
@WAIT
@JSON
@with_client
def retry(*, client: "Client", batch_id: str, wait: bool, as_json: bool) -> None:
    """Process the rejected records of a batch again, for example after loading missing reference data.

    \b
    Example:
      goodsgate retry 019b2f0c64aa5e1f9c3b7d20448a91ce
    """
    client.retry(batch_id)
    finish_batch(client, batch_id, wait=wait, as_json=as_json)


@click.command()
@BATCH
@click.option("--deletions", type=int, required=True, help="Number of deletions to confirm, as shown with the batch.")
@WAIT
@JSON
@with_client
def confirm(*, client: "Client", batch_id: str, deletions: int, wait: bool, as_json: bool) -> None:
    """Confirm the withheld deletions of a full feed.

    \b
    Example:
      goodsgate confirm 019b2f0c64aa5e1f9c3b7d20448a91ce --deletions 120
    """
    client.confirm(batch_id, deletions=deletions)
    finish_batch(client, batch_id, wait=wait, as_json=as_json)


@click.command()
@BATCH
@WAIT
@JSON
@with_client
def approve(*, client: "Client", batch_id: str, wait: bool, as_json: bool) -> None:
    """Apply a batch that guards hold. `goodsgate diff` shows what it would change.

    \b
    Example:
      goodsgate approve 019b2f0c64aa5e1f9c3b7d20448a91ce
    """
    client.approve(batch_id)
    finish_batch(client, batch_id, wait=wait, as_json=as_json)


@click.command()
@BATCH
@WAIT
@JSON
@with_client
def discard(*, client: "Client", batch_id: str, wait: bool, as_json: bool) -> None:
    """End a batch that guards hold. Nothing of it is applied; its report stays.

    Exits with 5, as for a cancelled batch.

    \b
    Example:
      goodsgate discard 019b2f0c64aa5e1f9c3b7d20448a91ce
    """
    client.discard(batch_id)
    finish_batch(client, batch_id, wait=wait, as_json=as_json)


@click.command()
@BATCH
@click.option("--preview", is_flag=True, help="Only tell what would go back.")
@WAIT
@JSON
@with_client
def revert(*, client: "Client", batch_id: str, preview: bool, wait: bool, as_json: bool) -> None:
    """Put the items that a batch has changed back as they were before it.

    Items that something else has changed since stay as they are. The revert is a new batch, which can be reverted, too.

    \b
    Examples:
      goodsgate revert 019b2f0c64aa5e1f9c3b7d20448a91ce --preview
      goodsgate revert 019b2f0c64aa5e1f9c3b7d20448a91ce
    """
    if preview:
        _print_revert_preview(client.preview_revert(batch_id), as_json=as_json)
        return
    finish_batch(client, client.revert(batch_id).id, wait=wait, as_json=as_json)


def _print_revert_preview(preview: Document, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(preview, ensure_ascii=False))
        return
    click.echo(f"Items that get back what they had: {preview['restored']:,}")
    click.echo(f"Items that the batch created, to be deleted: {preview['removed']:,}")
    click.echo(f"Items that the batch deleted, to come back: {preview['recreated']:,}")
    click.echo(f"Items that are already as they were: {preview['unchanged']:,}")
    click.echo(f"Items that were changed since, to stay: {preview['kept']:,} ({preview['stock_moved']:,} by orders)")
    for item in preview["kept_items"]:
        click.echo(mask_control(f"  {item['key']}"))


@click.command()
@BATCH
@WAIT
@JSON
@with_client
def cancel(*, client: "Client", batch_id: str, wait: bool, as_json: bool) -> None:
    """Cancel a batch. Changes already applied stay; the remaining records get the result `cancelled`.

    Exits with 5 if the batch was cancelled. If it had already ended, exits as `watch` does.

    \b
    Example:
      goodsgate cancel 019b2f0c64aa5e1f9c3b7d20448a91ce
    """
    client.cancel(batch_id)
    finish_batch(client, batch_id, wait=wait, as_json=as_json)


@click.command("list")
@click.option("--state", help="Only batches in this state.")
@click.option("--outcome", help="Only batches with this outcome.")
@click.option("--kind", help="Only batches of this kind.")
@click.option("--search", "q", metavar="TEXT",
              help="Words in label, kind, collection, protocol or key id, or the start of the id.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True,
              help="Maximum number of batches.")
@click.option("--json", "as_json", is_flag=True, help="Print one batch per line as JSON.")
@with_client
def list_batches(*, client: "Client", as_json: bool, **filters: Any) -> None:
    """List batches, newest first.

    \b
    Examples:
      goodsgate list
      goodsgate list --outcome rejected --json
    """
    from rich import box
    from rich.table import Table

    params = {name: value for name, value in filters.items() if value is not None}
    batches = client.request("GET", "/v1/batches", params=params)["batches"]
    if as_json:
        for batch in batches:
            click.echo(json.dumps(batch, ensure_ascii=False))
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("received", "id", "label", "state", "records", "rejected"):
        table.add_column(heading, justify="right" if heading in ("records", "rejected") else "left")
    for batch in batches:
        counts = batch["counts"]
        table.add_row(
            batch["received_at"][:19].replace("T", " "), batch["id"], mask_control(batch["label"]),
            f"{batch['outcome'] or batch['state']}{' (dry run)' if batch['policy']['dry_run'] else ''}",
            f"{counts['accounted']:,}", f"{counts['rejected']:,}",
        )
    create_console(sys.stdout).print(table)


def finish_batch(client: "Client", batch_id: str, *, wait: bool, as_json: bool) -> None:
    """Print the batch, once it has ended if `wait`, and exit with the matching code."""
    if wait:
        with ProgressDisplay(silent=as_json) as progress:
            batch = follow_batch(client, batch_id, progress=progress)
    else:
        batch = client.request("GET", f"/v1/batches/{batch_id}")
    print_result(client, batch, as_json=as_json)
    sys.exit(exit_code(batch) if wait else ExitCode.CLEAN)
