"""What became of batches: watch, report, retry, cancel, confirm, list."""

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import click

from goodsgate.cli.client import Document, Gate, with_gate
from goodsgate.cli.exits import Exit, Unusable
from goodsgate.cli.show import Progress, console, ended, exit_code, plain, show_batch

BATCH_ID = re.compile(r"[0-9a-f]{32}")


def _batch_id(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    if not BATCH_ID.fullmatch(value):
        raise click.BadParameter(f"{value!r} is not a batch id: 32 hexadecimal digits.")
    return value


BATCH = click.argument("batch_id", metavar="ID", callback=_batch_id)
JSON = click.option("--json", "as_json", is_flag=True, help="Print the batch as JSON and no progress.")
WAIT = click.option("--wait/--no-wait", default=True, help="Wait until the batch has ended.")


def follow(gate: Gate, batch_id: str, *, progress: Progress) -> Document:
    """Watch a batch until it has ended; the last document."""
    events = gate.events(f"/v1/batches/{batch_id}/events", on_loss=lambda reason: progress.note(f"{reason}; again"))
    for batch in events:
        progress.work(batch)
        if ended(batch):
            return batch
    raise AssertionError("a stream of events ends with an ended batch or an error")


@click.command()
@BATCH
@JSON
@with_gate
def watch(*, gate: Gate, batch_id: str, as_json: bool) -> None:
    """Follow a batch until it has ended.

    \b
    Example:
      goodsgate watch 019b2f0c64aa5e1f9c3b7d20448a91ce
    """
    _finish(gate, batch_id, wait=True, as_json=as_json)


@click.command()
@BATCH
@click.option("-o", "--output", metavar="FILE", help="Where to write it; '-' is standard output. Default: by batch id.")
@click.option("--only", type=click.Choice(["rejected", "all"]), default="rejected", show_default=True,
              help="Which records.")
@click.option("--format", "format", type=click.Choice(["ndjson", "json", "csv", "tsv", "xlsx"]),
              help="Default: the format of the submission.")
@with_gate
def report(*, gate: Gate, batch_id: str, output: str | None, only: str, format: str | None) -> None:
    """Download the records of a batch in your own columns, with what is wrong with each.

    Correct the file and send it back with `goodsgate fix`.

    \b
    Examples:
      goodsgate report 019b2f0c64aa5e1f9c3b7d20448a91ce
      goodsgate report 019b2f0c64aa5e1f9c3b7d20448a91ce --format xlsx -o rejected.xlsx
      goodsgate report 019b2f0c64aa5e1f9c3b7d20448a91ce --only all --format ndjson -o - | head
    """
    params = {"only": only} | ({"format": format} if format else {})
    with gate.stream(f"/v1/batches/{batch_id}/report", params=params) as response:
        if output == "-":
            for piece in response.iter_bytes():
                sys.stdout.buffer.write(piece)
            return
        named = re.search(r'filename="?([\w.-]+)"?', response.headers.get("Content-Disposition", ""))
        target = Path(output or (named.group(1) if named else f"{batch_id}-{only}"))
        part = target.with_name(target.name + ".part")
        try:
            with part.open("wb") as file:
                for piece in response.iter_bytes():
                    file.write(piece)
            os.replace(part, target)
        except OSError as fault:
            raise Unusable(f"{target}: {fault.strerror}") from fault
        finally:
            part.unlink(missing_ok=True)
        click.echo(target)


@click.command()
@BATCH
@WAIT
@JSON
@with_gate
def retry(*, gate: Gate, batch_id: str, wait: bool, as_json: bool) -> None:
    """Run the rejected records of a batch again as they are, after reference data was mended.

    \b
    Example:
      goodsgate retry 019b2f0c64aa5e1f9c3b7d20448a91ce
    """
    gate.ask("POST", f"/v1/batches/{batch_id}/retry")
    _finish(gate, batch_id, wait=wait, as_json=as_json)


@click.command()
@BATCH
@click.option("--missing", type=int, required=True, help="The number of deletions you mean, as the batch says it.")
@WAIT
@JSON
@with_gate
def confirm(*, gate: Gate, batch_id: str, missing: int, wait: bool, as_json: bool) -> None:
    """Let the withheld deletions of a full feed happen.

    \b
    Example:
      goodsgate confirm 019b2f0c64aa5e1f9c3b7d20448a91ce --missing 120
    """
    gate.ask("POST", f"/v1/batches/{batch_id}/confirm", json={"missing": missing})
    _finish(gate, batch_id, wait=wait, as_json=as_json)


@click.command()
@BATCH
@WAIT
@JSON
@with_gate
def cancel(*, gate: Gate, batch_id: str, wait: bool, as_json: bool) -> None:
    """Stop a batch; records not reached yet get the result `cancelled`, what was applied stays.

    Exits with 5 if the batch was cancelled, and as `watch` does if it had ended before.

    \b
    Example:
      goodsgate cancel 019b2f0c64aa5e1f9c3b7d20448a91ce
    """
    gate.ask("POST", f"/v1/batches/{batch_id}/cancel")
    _finish(gate, batch_id, wait=wait, as_json=as_json)


@click.command("list")
@click.option("--state", help="Only batches in this state.")
@click.option("--outcome", help="Only batches with this outcome.")
@click.option("--kind", help="Only batches of this kind.")
@click.option("--search", "q", metavar="TEXT", help="Text in the label, or the start of the id.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many.")
@click.option("--json", "as_json", is_flag=True, help="One batch a line as JSON.")
@with_gate
def list_batches(*, gate: Gate, as_json: bool, **filters: Any) -> None:
    """List batches, newest first.

    \b
    Examples:
      goodsgate list
      goodsgate list --outcome rejected --json
    """
    from rich import box
    from rich.table import Table

    params = {name: value for name, value in filters.items() if value is not None}
    batches = gate.ask("GET", "/v1/batches", params=params)["batches"]
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
            batch["received_at"][:19].replace("T", " "), batch["id"], plain(batch["label"]),
            batch["outcome"] or batch["state"], f"{counts['accounted']:,}", f"{counts['rejected']:,}",
        )
    console(sys.stdout).print(table)


def _finish(gate: Gate, batch_id: str, *, wait: bool, as_json: bool) -> None:
    """Print what a batch has come to, and end with the exit code that says so."""
    if wait:
        with Progress(silent=as_json) as progress:
            batch = follow(gate, batch_id, progress=progress)
    else:
        batch = gate.ask("GET", f"/v1/batches/{batch_id}")
    show_batch(batch, as_json=as_json)
    sys.exit(exit_code(batch) if wait else Exit.CLEAN)
