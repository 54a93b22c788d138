"""`submit` and `fix`: send a feed, or the corrected records of one."""

import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from goodsgate.cli.batches import BATCH_ID, follow_batch, print_result
from goodsgate.cli.client import Document, with_client
from goodsgate.cli.diff import print_diff_groups
from goodsgate.cli.errors import ExitCode, command_error
from goodsgate.cli.output import ProgressDisplay, exit_code
from goodsgate.cli.source import feed_name, open_feed
from goodsgate.model.counting import counted

if TYPE_CHECKING:
    from goodsgate_client import Client, FixMatch
    from goodsgate_client.sources import Source

FORMATS = click.Choice(["ndjson", "json", "csv", "tsv", "xlsx", "xml"])
FORMAT_HELP = "File format. Default: detected from the file name, else from the content."
STRICTNESS = click.Choice(["refuse", "wait", "warn", "off"])
WAIT_HELP = "Wait until the batch has ended, or only until it is accepted."
WORST_FIRST = (
    ExitCode.UNREACHABLE, ExitCode.REFUSED, ExitCode.INCOMPLETE, ExitCode.HELD, ExitCode.WITHHELD,
    ExitCode.REJECTED, ExitCode.WAITING, ExitCode.CLEAN,
)


def policy_options(command: Any) -> Any:
    """Add the options that `submit` and `check` share: how records are read and treated."""
    for option in reversed((
        click.option("--kind", type=click.Choice(["product", "price", "stock"]), default="product", show_default=True,
                     help="Kind of records in the file."),
        click.option("--verb", type=click.Choice(["upsert", "create", "update", "delete"]),
                     help="Operation for records without `_verb`. Default: upsert."),
        click.option("--map", "maps", multiple=True, metavar="COLUMN:FIELD",
                     help="Map a column to a field. Repeatable. 'COLUMN:' stores the column unchecked."),
        click.option("--profile", metavar="NAME",
                     help="Profile that says what the columns mean, e.g. shopify, or one of yours. Default: detected."),
        click.option("--duplicates", type=click.Choice(["reject", "merge", "last"]),
                     help="Duplicate SKUs: reject, merge, or let the last one replace. Default: reject for products."),
        click.option("--replace", is_flag=True, default=None,
                     help="Replace whole items. Default: fields that a record lacks keep their values."),
        click.option("--empty", type=click.Choice(["keep", "clear"]),
                     help="Empty cells keep or clear a field. Default: keep."),
        click.option("--references", type=STRICTNESS,
                     help="Unknown brands, SKUs of stock etc.; wait: apply records when these arrive. Default: warn."),
        click.option("--waiting-hours", type=click.FloatRange(0.01, 8760), metavar="HOURS",
                     help="How long records wait with --references wait. Default: the setting waiting_hours."),
        click.option("--currency", metavar="CODE", help="Default currency, e.g. EUR."),
        click.option("--decimal", type=click.Choice(["point", "comma"]), help="Decimal separator. Default: point."),
        click.option("--empty-words", metavar="WORDS", help="Cells that count as empty, e.g. 'n/a,none'."),
        click.option("--encoding", metavar="CHARSET",
                     help="Charset of a text file, e.g. Windows-1250. Default: detected."),
        click.option("--sheet", metavar="NAME", help="Sheet of a workbook, by name or number. Default: detected."),
        click.option("--header-row", type=click.IntRange(1, 50), metavar="ROW",
                     help="Row of the header in a table. Default: detected."),
        click.option("--delimiter", metavar="CHARACTER",
                     help="Delimiter of a CSV: comma, semicolon, tab, pipe or any character. Default: detected."),
        click.option("--records-at", metavar="PATH",
                     help="Element (XML) or list (JSON) that holds the records, e.g. data.items. Default: detected."),
        click.option("--group", metavar="COLUMN",
                     help="Column by which rows belong to one product. Default: by the profile of the file."),
        click.option("--derive-keys", is_flag=True,
                     help="Make a SKU of product and options where a row of a product has none."),
        click.option("--format", "format", type=FORMATS, help=FORMAT_HELP),
    )):
        command = option(command)
    return command


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE…")
@policy_options
@click.option("--collection", metavar="NAME", help="Collection to write to. Default: products.")
@click.option("--mode", type=click.Choice(["delta", "full"]),
              help="full: delete items that are missing from the feed. Default: delta.")
@click.option("--delete-share-max", type=click.FloatRange(0, 1), metavar="SHARE",
              help="Share of items that --mode full may delete without confirmation. Default: 0.1.")
@click.option("--dry-run", is_flag=True, default=None,
              help="Apply nothing, and show what the file would change. See also `goodsgate diff`.")
@click.option("--hold-if", "hold_if", multiple=True, metavar="CONDITION:LIMIT",
              help="Hold the batch if e.g. prices_halved:1% or rejected:10. Repeatable.")
@click.option("--hold", type=click.Choice(["wait", "pass"]),
              help="Batches behind a held one wait, or are let past it. Default: wait.")
@click.option("--hold-hours", type=click.FloatRange(0.01, 8760), metavar="HOURS",
              help="How long the batch is held until it is discarded. Default: the setting hold_hours.")
@click.option("--idempotency-key", metavar="TEXT", help="Your own key, to repeat a run safely. One file only.")
@click.option("--wait/--no-wait", default=True, help=WAIT_HELP)
@click.option("--json", "as_json", is_flag=True, help="Print the batch as JSON, one line per file, without progress.")
@with_client
def submit(
    *, client: "Client", files: tuple[str, ...], maps: tuple[str, ...], hold_if: tuple[str, ...],
    idempotency_key: str | None, wait: bool, as_json: bool, format: str | None, derive_keys: bool, **policy: Any,
) -> None:
    """Submit files and report what happened to every record.

    Files of any size are streamed as they are, compressed (.gz, .zst, .zip) or not; '-' is standard input. If the
    connection is lost, the upload is repeated and applied only once. Exit codes: docs/reference/cli.md.

    \b
    Examples:
      goodsgate submit products.csv
      goodsgate submit --kind stock --collection eu stock.ndjson.gz
      goodsgate submit --map Artikelnummer:sku --map Bezeichnung:title katalog.xlsx
      goodsgate submit --dry-run --kind price prices.csv
      goodsgate submit --hold-if prices_halved:1% --kind price prices.csv
      mysql --batch -e 'SELECT …' | goodsgate submit --format tsv --json -
    """
    from goodsgate_client import RefusedError

    if idempotency_key and len(files) > 1:
        raise click.UsageError("--idempotency-key accepts only one file.")
    policy |= {"key": "derived" if derive_keys else None, "hold_if": ",".join(hold_if) or None}
    options: dict[str, Any] = {**policy, "map": _mapping(maps), "format": format}
    codes: list[ExitCode] = []
    accepted: list[Document] = []
    with ProgressDisplay(silent=as_json) as progress:
        for name in files:
            try:
                accepted.append(_submit_file(client, name, options, key=idempotency_key, progress=progress))
            except RefusedError as refused:
                codes.append(ExitCode.REFUSED)
                click.echo(f"Error: {feed_name(name)}: {command_error(refused).message}", err=True)
        batches = [follow_batch(client, batch["id"], progress=progress) for batch in accepted] if wait else accepted
    for batch in batches:
        print_result(client, batch, as_json=as_json)
        if wait and policy["dry_run"] and not as_json:
            print_diff_groups(client, batch["id"])
    codes += [exit_code(batch) for batch in batches] if wait else []
    sys.exit(next((code for code in WORST_FIRST if code in codes), ExitCode.CLEAN))


@click.command()
@click.argument("file", metavar="FILE")
@click.option("--batch", "batch_id", metavar="ID", help="Batch to correct. Default: the id in the file name.")
@click.option("--format", "format", type=FORMATS, help=FORMAT_HELP)
@click.option("--encoding", metavar="CHARSET", help="Charset of a text file, e.g. Windows-1250. Default: detected.")
@click.option("--new-records", is_flag=True, help="Add records with an empty _row to the batch as new records.")
@click.option("--wait/--no-wait", default=True, help=WAIT_HELP)
@click.option("--json", "as_json", is_flag=True, help="Print the batch as JSON, without progress.")
@with_client
def fix(
    *, client: "Client", file: str, batch_id: str | None, format: str | None, encoding: str | None,
    new_records: bool, wait: bool, as_json: bool,
) -> None:
    """Send a corrected report back to its batch.

    Only the records in the file are processed again. Their results replace the earlier ones, so that a batch can end
    clean. Keep the column _row: it identifies the record that a line corrects. Before the file is sent, the number of
    records that it replaces is printed.

    \b
    Examples:
      goodsgate fix 019b2f0c64aa5e1f9c3b7d20448a91ce-rejected.csv
      goodsgate fix corrected.xlsx --batch 019b2f0c64aa5e1f9c3b7d20448a91ce
    """
    id_in_name = BATCH_ID.search(Path(file).name)
    if not batch_id and not id_in_name:
        raise click.UsageError(f"No batch id in the file name {file!r}. Use --batch.")
    target = batch_id or (id_in_name.group() if id_in_name else "")
    with ProgressDisplay(silent=as_json) as progress, closing(open_feed(file)) as source:
        if not as_json:
            match = client.preview_fix(target, source, format=format, encoding=encoding)
            progress.note(f"{feed_name(file)}: {_describe_match(match)}")
        accepted = client.fix_file(
            target, source, format=format, encoding=encoding, new_records=new_records or None,
            **_upload_progress(progress, file, source),
        )
        progress.note(f"{feed_name(file)}: accepted as {accepted.id}")
        batch = follow_batch(client, accepted.id, progress=progress) if wait else accepted.raw
    print_result(client, batch, as_json=as_json)
    sys.exit(exit_code(batch) if wait else ExitCode.CLEAN)


def _submit_file(
    client: "Client", name: str, options: dict[str, Any], *, key: str | None, progress: ProgressDisplay
) -> Document:
    with closing(open_feed(name)) as source:
        given = {name: value for name, value in options.items() if value is not None}
        batch = client.submit_file(source, idempotency_key=key, **_upload_progress(progress, name, source), **given)
    progress.note(f"{feed_name(name)}: accepted as {batch.id}")
    return batch.raw


def _upload_progress(progress: ProgressDisplay, name: str, source: "Source") -> dict[str, Any]:
    """Start the display of an upload; return what the client calls."""

    def on_retry(reason: str) -> None:
        progress.note(f"{feed_name(name)}: {reason}; retrying with the same idempotency key")

    return {"on_bytes": progress.start_upload(feed_name(name), source.bytes_total), "on_retry": on_retry}


def _describe_match(match: "FixMatch") -> str:
    replace = "replaces a rejected record" if match.replacing == 1 else "replace rejected records"
    text = f"{match.replacing:,} of {counted(match.records, 'record')} {replace} of the batch"
    if match.unmatched:
        text += f"; {match.unmatched:,} name no rejected record and will be rejected"
    if match.without_row:
        text += f"; {match.without_row:,} have no _row"
    return text


def parse_pairs(maps: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return the column and field of each --map; raises UsageError for a value without a colon."""
    wrong = next((pair for pair in maps if ":" not in pair), None)
    if wrong is not None:
        raise click.UsageError(f"--map {wrong!r} is not COLUMN:FIELD.")
    return [(column.strip(), field.strip()) for column, _, field in (pair.rpartition(":") for pair in maps)]


def _mapping(maps: tuple[str, ...]) -> dict[str, list[str]] | None:
    mapping: dict[str, list[str]] = {}
    for column, field in parse_pairs(maps):
        if "," in column + field:
            raise click.UsageError(
                "--map cannot map a column with a comma in its name. Use `goodsgate profile save`."
            )
        mapping.setdefault(column, []).append(field)
    return mapping or None
