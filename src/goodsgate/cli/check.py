"""The rules without a gate: a feed goes through the real engine on a store that is thrown away."""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from goodsgate.cli.client import Document
from goodsgate.cli.exits import Unusable
from goodsgate.cli.show import Progress, exit_code, show_batch
from goodsgate.cli.source import PIECE_BYTES, Source, format_of, untold
from goodsgate.cli.submit import map_pairs, policy_options

if TYPE_CHECKING:
    from goodsgate.engine import Engine
    from goodsgate.model.batch import Batch, Policy

NOBODY = "nobody"
"""The merchant of the store that is thrown away."""


@click.command()
@click.argument("file", metavar="FILE")
@policy_options
@click.option("--reference", "references_from", multiple=True, metavar="KIND=FILE",
              help="Reference data to check against, e.g. brand=brands.csv; may be given often.")
@click.option("--report", "report_to", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Write the records that would be rejected here, with what is wrong with each.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON and no progress.")
def check(
    *, file: str, maps: tuple[str, ...], references_from: tuple[str, ...], report_to: Path | None, as_json: bool,
    format: str | None, kind: str, **options: Any,
) -> None:
    """Check a file with the same rules, without a gate. Nothing is kept and nothing is sent.

    What depends on the catalogue (whether a key is held, what is older) is answered for an empty one. Exits with 0 if
    every record would be accepted, with 1 if some would be rejected.

    \b
    Examples:
      goodsgate check products.csv
      goodsgate check products.csv --reference brand=brands.csv --references refuse
      goodsgate check --kind stock --report wrong.csv stock.csv
    """
    from goodsgate import app
    from goodsgate.config import Config
    from goodsgate.engine import Refusal
    from goodsgate.formats import FormatUnknown
    from goodsgate.model.batch import now
    from goodsgate.model.catalogue import Merchant

    source = Source(file)
    with tempfile.TemporaryDirectory(prefix="goodsgate-check-") as folder:
        config = Config(store=folder)
        store = app.open_store(config)
        try:
            store.migrate()
            store.add_merchant(Merchant(id=NOBODY, name=NOBODY, made_at=now()))
            engine = app.create_engine(store, config)
            for pair in references_from:
                _load(engine, pair)
            policy = _policy(maps, options)
            with Progress(silent=as_json) as progress:
                batch = _run(
                    engine, source, kind=kind, policy=policy, format=format or source.format, progress=progress
                )
            if report_to:
                _write(report_to, engine.report(NOBODY, batch.id).pieces)
            document = _document(batch, engine)
        except (Refusal, FormatUnknown) as fault:
            raise Unusable(f"{source.name}: {fault}") from fault
        finally:
            source.close()
            store.close()
    show_batch(document, as_json=as_json)
    sys.exit(exit_code(document))


def _policy(maps: tuple[str, ...], options: dict[str, Any]) -> "Policy":
    import msgspec

    from goodsgate.model.batch import Policy

    mapping: dict[str, list[str]] = {}
    for column, field in map_pairs(maps):
        mapping.setdefault(column, []).extend([field] if field else [])
    given = {name: value for name, value in options.items() if value is not None}
    return msgspec.convert(given | {"mapping": mapping}, Policy)


def _load(engine: "Engine", pair: str) -> None:
    kind, found, name = pair.partition("=")
    if not found:
        raise click.UsageError(f"--reference {pair!r} is not KIND=FILE.")
    source = Source(name)
    try:
        pieces = source.pieces(untold)
        engine.load_reference(NOBODY, kind, pieces, format=format_of(name) or "csv")
    finally:
        source.close()


def _run(
    engine: "Engine", source: Source, *, kind: str, policy: "Policy", format: str | None, progress: Progress,
) -> "Batch":
    """Submit and work the feed here and now."""
    from goodsgate import app
    from goodsgate.formats import detect
    from goodsgate.model.batch import FINAL_STATES, Kind

    pieces = source.pieces(progress.upload(source.name, source.bytes_total))
    head = next(pieces, b"")
    known, packing = detect(
        content_type=None, content_encoding=None, filename=source.name, head=head[:PIECE_BYTES], format=format
    )
    submission = engine.submit(
        merchant=NOBODY, kind=Kind(kind), collection="products", policy=policy, format=known, packing=packing,
        label=source.label,
    )
    submission.write(head)
    for piece in pieces:
        submission.write(piece)
    batch = submission.finish().batch
    if batch is None:
        raise AssertionError("a submission without an idempotency key makes a batch")
    worker = app.create_worker(engine.store, engine.config, schemas={})
    while batch.state not in FINAL_STATES:
        worker.step()
        batch = engine.batch(NOBODY, batch.id)
    return batch


def _write(target: Path, pieces: Iterator[bytes]) -> None:
    try:
        with target.open("wb") as file:
            file.writelines(pieces)
    except OSError as fault:
        raise Unusable(f"{target}: {fault.strerror}") from fault


def _document(batch: "Batch", engine: "Engine") -> Document:
    """The batch in the words in which a gate answers."""
    import msgspec

    counts = {name: getattr(batch.counts, name) for name in batch.counts.__struct_fields__}
    counts |= {"total": batch.total, "accounted": batch.counts.accounted, "warned": batch.warned}
    groups = [
        msgspec.to_builtins(group) | {"top": [{"value": value, "count": count} for value, count in group.top]}
        for group in engine.groups(NOBODY, batch.id)
    ]
    return {
        "label": batch.label, "state": str(batch.state), "outcome": batch.outcome and str(batch.outcome),
        "counts": counts, "issues": groups, "withheld": None,
    }
