"""`inspect`: show how a file would be read, before it is submitted and without a gate."""

import json
import sys
import tempfile
from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from goodsgate.cli.check import parse_policy
from goodsgate.cli.client import Document
from goodsgate.cli.errors import CommandError
from goodsgate.cli.local_gate import MERCHANT
from goodsgate.cli.output import create_console, format_reading, mask_control, print_groups
from goodsgate.cli.source import feed_name, open_feed
from goodsgate.cli.submit import policy_options

if TYPE_CHECKING:
    from goodsgate.engine.inspection import Inspection
    from goodsgate.model.batch import Policy
    from goodsgate_client.sources import Source

COLUMNS_MAX = 200
"""Columns that are printed; with --json all are."""


@click.command(name="inspect")
@click.argument("file", metavar="FILE")
@policy_options
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def inspect_command(
    *, file: str, maps: tuple[str, ...], as_json: bool, format: str | None, kind: str, **options: Any
) -> None:
    """Show how a file would be read. Nothing is stored or sent.

    Prints what was detected or given (encoding, delimiter, profile …), which field each column fills and in how many
    of the first records, three records as they would be held, and the issues of the first records. The options are
    those of `submit`; try them here until the file is read as it is meant.

    \b
    Examples:
      goodsgate inspect products.csv
      goodsgate inspect --encoding Windows-1250 --map Zboží:title cenik.csv
    """
    policy = parse_policy(maps, options)
    with closing(open_feed(file)) as source:
        inspection = inspect_source(source, kind=kind, policy=policy, format=format or source.format)
    from goodsgate.engine.inspection import inspection_document

    document = {"file": feed_name(file), **inspection_document(inspection)}
    if as_json:
        click.echo(json.dumps(document, ensure_ascii=False))
    else:
        _print(document)


def inspect_source(source: "Source", *, kind: str, policy: "Policy", format: str | None) -> "Inspection":
    """Inspect the first bytes of a file, with the rules of a gate that has no reference data."""
    from goodsgate import app
    from goodsgate.config import Config
    from goodsgate.engine import Refusal
    from goodsgate.engine.inspection import head_bytes, inspect_file
    from goodsgate.formats import UnknownFormatError, detect
    from goodsgate.model.batch import Kind, now
    from goodsgate.model.catalogue import Merchant

    with tempfile.TemporaryDirectory(prefix="goodsgate-inspect-") as folder:
        config = Config(store=folder)
        limits = app.read_limits(config)
        store = app.open_store(config)
        try:
            pieces = source.pieces()
            head = next(pieces, b"")
            format, content_encoding = detect(
                content_type=None, content_encoding=None, filename=source.label, head=head, format=format
            )
            while len(head) < head_bytes(format, content_encoding, limits) and (piece := next(pieces, b"")):
                head += piece
            store.migrate()
            store.add_merchant(Merchant(id=MERCHANT, name=MERCHANT, created_at=now()))
            return inspect_file(
                app.create_dry_runner(store, config), head, limits, is_whole=not next(pieces, b""), merchant=MERCHANT,
                kind=Kind(kind), collection="products", policy=policy, format=format,
                content_encoding=content_encoding,
            )
        except (Refusal, UnknownFormatError) as error:
            raise CommandError(f"{source.label or 'standard input'}: {error}") from error
        finally:
            store.close()


def _print(document: Document) -> None:
    out = create_console(sys.stdout)
    out.print(mask_control(f"{document['file']}: {document['format'].upper()}"), style="bold")
    if document["contents"]:
        out.print(mask_control(f"  contents {document['contents']['summary']}"), soft_wrap=True)
    if document["reading"]:
        out.print(mask_control(f"  read as  {format_reading(document['reading'])}"), soft_wrap=True)
    counts = document["counts"]
    results = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)
    which = "records" if document["is_whole"] else "first records"
    out.print(f"  {which}  {results or 'none'}")
    out.print("\nColumns")
    for column in document["columns"][:COLUMNS_MAX]:
        fields = ", ".join(column["fields"]) or "stored unchanged"
        hint = f"; did you mean {column['suggestion']}?" if column["suggestion"] else ""
        examples = " · ".join(column["examples"])
        out.print(mask_control(f"  {column['name']} → {fields}{hint}"), style="bold", soft_wrap=True)
        out.print(mask_control(f"      {column['filled']:.0%} filled  {examples}"), soft_wrap=True)
    if len(document["columns"]) > COLUMNS_MAX:
        out.print(f"  … and {len(document['columns']) - COLUMNS_MAX} more columns")
    for field in document["fields_missing"]:
        out.print(f"  No column for {field}, which every record needs. Map one: --map YourColumn:{field}")
    if document["items"]:
        out.print("\nRecords as they would be held")
    for item in document["items"]:
        out.print(mask_control(f"  {json.dumps(item['record'], ensure_ascii=False)}"), soft_wrap=True)
    if document["issues"]:
        out.print("\nIssues")
        print_groups(out, document["issues"], {})
