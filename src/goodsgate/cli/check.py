"""`check`: run the rules without a gate, on a temporary store with the real engine."""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from goodsgate.cli.batches import EXAMPLE_RECORDS
from goodsgate.cli.client import Document
from goodsgate.cli.errors import CommandError
from goodsgate.cli.output import Examples, ProgressDisplay, examples_of, exit_code, print_batch
from goodsgate.cli.source import feed_name, open_feed
from goodsgate.cli.submit import parse_pairs, policy_options

if TYPE_CHECKING:
    from goodsgate.engine import Engine, Worker
    from goodsgate.model.batch import Batch, Policy
    from goodsgate_client.sources import Source

MERCHANT = "check"
"""Merchant of the temporary store."""


@click.command()
@click.argument("file", metavar="FILE")
@policy_options
@click.option("--reference", "references_from", multiple=True, metavar="KIND=FILE",
              help="Reference data to check against, e.g. brand=brands.csv. Repeatable.")
@click.option("--rules", "rules_from", metavar="FILE",
              help="Rules of a merchant to check by, as `goodsgate rule list --json` writes them.")
@click.option("--report", "report_to", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Write the records that would be rejected to this file, with their issues.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON, without progress.")
def check(
    *, file: str, maps: tuple[str, ...], references_from: tuple[str, ...], rules_from: str | None,
    report_to: Path | None, as_json: bool, format: str | None, kind: str, **options: Any,
) -> None:
    """Check a file offline with the rules of a gate. Nothing is stored or sent.

    Rules that depend on the catalogue (does the key exist, is the record older) assume an empty catalogue. Exits with
    0 if every record would be accepted, with 1 if some would be rejected.

    \b
    Examples:
      goodsgate check products.csv
      goodsgate check products.csv --reference brand=brands.csv --references refuse
      goodsgate check products.csv --rules rules.ndjson
      goodsgate check --kind stock --report rejected.csv stock.csv
    """
    import msgspec

    from goodsgate import app
    from goodsgate.config import Config
    from goodsgate.engine import Refusal
    from goodsgate.formats import UnknownFormatError
    from goodsgate.model.batch import now
    from goodsgate.model.catalogue import Merchant

    source = open_feed(file)
    with tempfile.TemporaryDirectory(prefix="goodsgate-check-") as folder:
        config = Config(store=folder)
        store = app.open_store(config)
        try:
            store.migrate()
            store.add_merchant(Merchant(id=MERCHANT, name=MERCHANT, created_at=now()))
            engine = app.create_engine(store, config)
            for pair in references_from:
                _load_reference(engine, pair)
            if rules_from is not None:
                _load_rules(engine, rules_from)
            policy = parse_policy(maps, options)
            with ProgressDisplay(silent=as_json) as progress:
                worker = app.create_worker(store, config, schemas={})
                batch = _process(
                    engine, worker, source, kind=kind, policy=msgspec.structs.replace(policy, format=format),
                    format=format, progress=progress,
                )
            if report_to:
                _write(report_to, engine.report(MERCHANT, batch.id).pieces)
            document = _document(batch, engine)
            examples = _examples(batch, engine)
        except (Refusal, UnknownFormatError) as error:
            raise CommandError(f"{feed_name(file)}: {error}") from error
        finally:
            source.close()
            store.close()
    print_batch(document, as_json=as_json, examples=lambda: examples)
    sys.exit(exit_code(document))


def parse_policy(maps: tuple[str, ...], options: dict[str, Any]) -> "Policy":
    """Return the policy of the options that `policy_options` adds."""
    import msgspec

    from goodsgate.engine.receive import parse_delimiter, parse_empty_words, parse_encoding
    from goodsgate.model.batch import Policy

    mapping: dict[str, list[str]] = {}
    for column, field in parse_pairs(maps):
        mapping.setdefault(column, []).extend([field] if field else [])
    given = {name: value for name, value in options.items() if value is not None}
    given["key"] = "derived" if given.pop("derive_keys", False) else None
    if "empty_words" in given:
        given["empty_words"] = parse_empty_words(given["empty_words"])
    if "encoding" in given:
        given["encoding"] = parse_encoding(given["encoding"])
    if "delimiter" in given:
        given["delimiter"] = parse_delimiter(given["delimiter"])
    return msgspec.convert(given | {"mapping": mapping}, Policy)


def _load_reference(engine: "Engine", pair: str) -> None:
    kind, equals, name = pair.partition("=")
    if not equals:
        raise click.UsageError(f"--reference {pair!r} is not KIND=FILE.")
    with closing(open_feed(name)) as source:
        engine.load_reference(MERCHANT, kind, source.pieces(), format=source.format or "csv")


def _load_rules(engine: "Engine", file: str) -> None:
    import msgspec

    from goodsgate.cli.rule import read_rules
    from goodsgate.engine.saved_rules import save_rule
    from goodsgate.model.record_rule import RecordRule

    for name, rule in read_rules(file):
        try:
            save_rule(engine.store, MERCHANT, name, msgspec.convert(rule, RecordRule))
        except msgspec.ValidationError as error:
            raise CommandError(f"{file}: rule {name}: {error}") from error


def _process(
    engine: "Engine", worker: "Worker", source: "Source", *, kind: str, policy: "Policy", format: str | None,
    progress: ProgressDisplay,
) -> "Batch":
    """Submit the feed, process it in this process, and return the ended batch."""
    from goodsgate.formats import detect
    from goodsgate.model.batch import FINAL_STATES, Kind

    source.on_bytes = progress.start_upload(source.label or "standard input", source.bytes_total)
    pieces = source.pieces()
    head = next(pieces, b"")
    format, content_encoding = detect(
        content_type=None, content_encoding=None, filename=source.label, head=head, format=format
    )
    submission = engine.submit(
        merchant=MERCHANT, kind=Kind(kind), collection="products", policy=policy, format=format,
        content_encoding=content_encoding,
        label=source.label,
    )
    submission.write(head)
    for piece in pieces:
        submission.write(piece)
    batch = submission.finish().batch
    if batch is None:
        raise AssertionError("a submission without an idempotency key creates a batch")
    while batch.state not in FINAL_STATES:
        worker.step()
        batch = engine.batch(MERCHANT, batch.id)
    return batch


def _write(target: Path, pieces: Iterator[bytes]) -> None:
    try:
        with target.open("wb") as file:
            file.writelines(pieces)
    except OSError as error:
        raise CommandError(f"{target}: {error.strerror}") from error


def _examples(batch: "Batch", engine: "Engine") -> Examples:
    findings = engine.store.findings(MERCHANT, batch.id, limit=EXAMPLE_RECORDS)
    return examples_of((each.code, each.path, finding.source_row) for finding in findings for each in finding.issues)


def _document(batch: "Batch", engine: "Engine") -> Document:
    """Return the batch in the form in which the API returns it, as far as `print_batch` needs it."""
    import msgspec

    from goodsgate.engine.contents import batch_contents, contents_document
    from goodsgate.engine.saved_rules import batch_rules_document

    counts = {name: getattr(batch.counts, name) for name in batch.counts.__struct_fields__}
    counts |= {"total": batch.total, "accounted": batch.counts.accounted, "warned": batch.warned}
    groups = [
        msgspec.to_builtins(group) | {
            "column": group.column, "title": group.title, "message": group.message, "remedy": group.remedy,
            "top": [{"value": value, "count": count} for value, count in group.top],
        }
        for group in engine.groups(MERCHANT, batch.id)
    ]
    return {
        "label": batch.label, "state": str(batch.state), "outcome": batch.outcome and str(batch.outcome),
        "counts": counts, "issues": groups, "withheld": None, "reading": msgspec.to_builtins(batch.reading),
        "contents": contents_document(batch_contents(batch)), "rules": batch_rules_document(batch),
    }
