"""Sending records: a feed, or corrections of one."""

import sys
import uuid
from pathlib import Path
from typing import Any

import click

from goodsgate.cli.batches import BATCH_ID, follow
from goodsgate.cli.client import Document, Gate, with_gate
from goodsgate.cli.exits import Exit, Refused
from goodsgate.cli.show import Progress, exit_code, show_batch
from goodsgate.cli.source import Source

FORMATS = click.Choice(["ndjson", "json", "csv", "tsv", "xlsx"])
TREATMENTS = click.Choice(["refuse", "warn", "off"])
WORST_FIRST = (Exit.UNREACHABLE, Exit.REFUSED, Exit.UNFINISHED, Exit.WITHHELD, Exit.REJECTED, Exit.CLEAN)


def policy_options(command: Any) -> Any:
    """The options that say how records are to be treated; shared by `submit` and `check`."""
    for option in reversed((
        click.option("--kind", type=click.Choice(["product", "price", "stock"]), default="product", show_default=True,
                     help="What the records describe."),
        click.option("--verb", type=click.Choice(["upsert", "create", "update", "delete"]),
                     help="What records ask for that do not say it themselves. Default: upsert."),
        click.option("--map", "maps", multiple=True, metavar="COLUMN:FIELD",
                     help="A column of yours and our field for it; may be given often. 'COLUMN:' leaves it unchecked."),
        click.option("--duplicates", type=TREATMENTS, help="A key twice in the batch. Default: warn, the later wins."),
        click.option("--references", type=TREATMENTS, help="A brand or category that is not held. Default: warn."),
        click.option("--currency", metavar="CODE", help="Currency of prices that name none, e.g. EUR."),
        click.option("--decimal", type=click.Choice(["point", "comma"]), help="What separates decimals."),
        click.option("--format", "format", type=FORMATS, help="Default: by the file's name, else by its first bytes."),
    )):
        command = option(command)
    return command


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE…")
@policy_options
@click.option("--mapping", metavar="NAME", help="A saved mapping; see `goodsgate mapping`.")
@click.option("--collection", metavar="NAME", help="The set of items to write to. Default: products.")
@click.option("--mode", type=click.Choice(["delta", "full"]), help="full: what the feed lacks is deleted.")
@click.option("--delete-share-max", type=click.FloatRange(0, 1), metavar="SHARE",
              help="Share of the items that --mode full may delete unasked. Default: 0.1.")
@click.option("--idempotency-key", metavar="TEXT", help="One of your own, to repeat a run safely; for one file.")
@click.option("--wait/--no-wait", default=True, help="Wait until the batch has ended, or only until it is accepted.")
@click.option("--json", "as_json", is_flag=True, help="Print the batch as JSON, one line a file, and no progress.")
@with_gate
def submit(
    *, gate: Gate, files: tuple[str, ...], maps: tuple[str, ...], mapping: str | None, idempotency_key: str | None,
    wait: bool, as_json: bool, format: str | None, **policy: Any,
) -> None:
    """Send files to the gate and see what becomes of every record.

    A file is streamed as it is, whatever its length, packed (.gz, .zst) or not; '-' is standard input. A lost
    connection is taken up again and nothing arrives twice. See docs/reference/cli.md for the exit codes.

    \b
    Examples:
      goodsgate submit products.csv
      goodsgate submit --kind stock --collection eu stock.ndjson.gz
      goodsgate submit --map Artikelnummer:sku --map Bezeichnung:title katalog.xlsx
      mysql --batch -e 'SELECT …' | goodsgate submit --format tsv --json -
    """
    if idempotency_key and len(files) > 1:
        raise click.UsageError("--idempotency-key is for one file.")
    if mapping and maps:
        raise click.UsageError("give either --map or --mapping.")
    params = {name: value for name, value in policy.items() if value is not None} | _map(maps, mapping)
    codes: list[Exit] = []
    accepted: list[Document] = []
    with Progress(silent=as_json) as progress:
        for name in files:
            source = Source(name)
            told = params | _told(label=source.label, format=format or source.format)
            try:
                accepted.append(send(gate, "/v1/batches", source, told, progress=progress, key=idempotency_key))
            except Refused as refused:
                codes.append(Exit.REFUSED)
                click.echo(f"Error: {source.name}: {refused.message}", err=True)
            finally:
                source.close()
        batches = [follow(gate, batch["id"], progress=progress) for batch in accepted] if wait else accepted
    for batch in batches:
        show_batch(batch, as_json=as_json)
    codes += [exit_code(batch) for batch in batches] if wait else []
    sys.exit(next((code for code in WORST_FIRST if code in codes), Exit.CLEAN))


@click.command()
@click.argument("file", metavar="FILE")
@click.option("--batch", "batch_id", metavar="ID", help="The batch to mend. Default: the id in the file's name.")
@click.option("--format", "format", type=FORMATS, help="Default: by the file's name, else by its first bytes.")
@click.option("--wait/--no-wait", default=True, help="Wait until the batch has ended, or only until it is accepted.")
@click.option("--json", "as_json", is_flag=True, help="Print the batch as JSON and no progress.")
@with_gate
def fix(*, gate: Gate, file: str, batch_id: str | None, format: str | None, wait: bool, as_json: bool) -> None:
    """Send a corrected report back to its batch.

    Only the records in the file run again; their results take the place of the earlier ones in the batch's counts, so
    a batch can end clean. Keep the column _row: it says which record a line corrects.

    \b
    Examples:
      goodsgate fix 019b2f0c64aa5e1f9c3b7d20448a91ce-rejected.csv
      goodsgate fix corrected.xlsx --batch 019b2f0c64aa5e1f9c3b7d20448a91ce
    """
    named = BATCH_ID.search(Path(file).name)
    if not batch_id and not named:
        raise click.UsageError(f"the name {file!r} holds no batch id; give --batch.")
    target = batch_id or (named.group() if named else "")
    source = Source(file)
    try:
        with Progress(silent=as_json) as progress:
            told = _told(format=format or source.format)
            batch = send(gate, f"/v1/batches/{target}/fix", source, told, progress=progress)
            batch = follow(gate, batch["id"], progress=progress) if wait else batch
    finally:
        source.close()
    show_batch(batch, as_json=as_json)
    sys.exit(exit_code(batch) if wait else Exit.CLEAN)


def send(
    gate: Gate, path: str, source: Source, params: dict[str, str], *, progress: Progress, key: str | None = None,
) -> Document:
    """Send a feed until it is accepted; the idempotency key makes many attempts one submission."""
    sent = progress.upload(source.name, source.bytes_total)

    def lost(reason: str) -> None:
        progress.note(f"{source.name}: {reason}; sending it again under the same idempotency key")

    headers = {"Idempotency-Key": f'"{key or uuid.uuid4()}"', "Content-Type": "application/octet-stream"}
    if source.bytes_total is not None:
        headers["Content-Length"] = str(source.bytes_total)
    document = gate.ask(
        "POST", path, params=params, headers=headers, body=lambda: source.pieces(sent), on_loss=lost,
    )
    progress.note(f"{source.name}: accepted as {document['id']}")
    return document


def _told(**params: str | None) -> dict[str, str]:
    return {name: value for name, value in params.items() if value}


def map_pairs(maps: tuple[str, ...]) -> list[tuple[str, str]]:
    """Columns and fields of --map; raises UsageError for what is no pair."""
    wrong = next((pair for pair in maps if ":" not in pair), None)
    if wrong is not None:
        raise click.UsageError(f"--map {wrong!r} is not COLUMN:FIELD.")
    return [(column.strip(), field.strip()) for column, _, field in (pair.rpartition(":") for pair in maps)]


def _map(maps: tuple[str, ...], mapping: str | None) -> dict[str, str]:
    pairs = map_pairs(maps)
    if any("," in column + field for column, field in pairs):
        raise click.UsageError("a column name that holds a comma needs a saved mapping: goodsgate mapping save")
    return _told(map=mapping or ",".join(f"{column}:{field}" for column, field in pairs))
