"""A gate in this process: the real engine over a temporary store, for commands that need no running gate."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from goodsgate.cli.batches import EXAMPLE_RECORDS
from goodsgate.cli.client import Document
from goodsgate.cli.errors import CommandError
from goodsgate.cli.output import Examples, ProgressDisplay, examples_of
from goodsgate.cli.source import feed_name, open_feed

if TYPE_CHECKING:
    from goodsgate.config import Config
    from goodsgate.engine import Engine
    from goodsgate.model.batch import Batch, Policy
    from goodsgate.model.issue import Issue
    from goodsgate.push import SourceRecord
    from goodsgate.store.contract import Store
    from goodsgate_client.sources import Source

MERCHANT = "check"
"""Merchant of the temporary store."""
COLLECTION = "products"
PAGE_RECORDS = 1_000


def reference_options(command: Any) -> Any:
    """Add the options with what a gate would have beside the file: reference data and rules."""
    command = click.option(
        "--rules", "rules_from", metavar="FILE",
        help="Rules of a merchant to check by, as `goodsgate rule list --json` writes them.",
    )(command)
    return click.option(
        "--reference", "references_from", multiple=True, metavar="KIND=FILE",
        help="Reference data to check against, e.g. brand=brands.csv. Repeatable.",
    )(command)


@contextmanager
def open_local_gate(file: str, *, references_from: tuple[str, ...] = (), rules_from: str | None = None,
                    ) -> "Iterator[LocalGate]":
    """Open a gate without items for one file. Refusals of the file are raised as CommandError."""
    from goodsgate import app
    from goodsgate.config import Config
    from goodsgate.engine import Refusal
    from goodsgate.formats import UnknownFormatError
    from goodsgate.model.batch import now
    from goodsgate.model.catalogue import Merchant

    with tempfile.TemporaryDirectory(prefix="goodsgate-check-") as folder:
        config = Config(store=folder, search="off", journal_days=0)
        store = app.open_store(config)
        try:
            store.migrate()
            store.add_merchant(Merchant(id=MERCHANT, name=MERCHANT, created_at=now()))
            gate = LocalGate(store, config)
            for pair in references_from:
                gate.load_reference(pair)
            if rules_from is not None:
                gate.load_rules(rules_from)
            yield gate
        except (Refusal, UnknownFormatError) as error:
            raise CommandError(f"{feed_name(file)}: {error}") from error
        finally:
            store.close()


class LocalGate:
    """The engine and a store that is removed at the end."""

    def __init__(self, store: "Store", config: "Config") -> None:
        from goodsgate import app

        self._store = store
        self._config = config
        self.engine: Engine = app.create_engine(store, config)

    def load_reference(self, pair: str) -> None:
        """Load reference data that is given as KIND=FILE."""
        kind, equals, name = pair.partition("=")
        if not equals:
            raise click.UsageError(f"--reference {pair!r} is not KIND=FILE.")
        with closing(open_feed(name)) as source:
            self.engine.load_reference(MERCHANT, kind, source.pieces(), format=source.format or "csv")

    def load_rules(self, file: str) -> None:
        """Save the rules of a file."""
        import msgspec

        from goodsgate.cli.rule import read_rules
        from goodsgate.engine.saved_rules import save_rule
        from goodsgate.model.record_rule import RecordRule

        for name, rule in read_rules(file):
            try:
                save_rule(self._store, MERCHANT, name, msgspec.convert(rule, RecordRule))
            except msgspec.ValidationError as error:
                raise CommandError(f"{file}: rule {name}: {error}") from error

    def process(self, source: "Source", *, kind: str, policy: "Policy", format: str | None,
                progress: ProgressDisplay, known_issues: "Mapping[int, list[Issue]] | None" = None) -> "Batch":
        """Submit the feed, process it in this process, and return the ended batch.

        `known_issues` are found about its records before they are checked, by their number.
        """
        import msgspec

        from goodsgate import app
        from goodsgate.formats import detect
        from goodsgate.model.batch import FINAL_STATES, Kind

        policy = msgspec.structs.replace(policy, format=format)
        source.on_bytes = progress.start_upload(source.label or "standard input", source.bytes_total)
        pieces = source.pieces()
        head = next(pieces, b"")
        format, content_encoding = detect(
            content_type=None, content_encoding=None, filename=source.label, head=head, format=format
        )
        submission = self.engine.submit(
            merchant=MERCHANT, kind=Kind(kind), collection=COLLECTION, policy=policy, format=format,
            content_encoding=content_encoding, label=source.label,
        )
        submission.write(head)
        for piece in pieces:
            submission.write(piece)
        batch = submission.finish().batch
        if batch is None:
            raise AssertionError("a submission without an idempotency key creates a batch")
        worker = app.create_worker(self._store, self._config, schemas={}, known_issues=known_issues)
        while batch.state not in FINAL_STATES:
            worker.step()
            batch = self.engine.batch(MERCHANT, batch.id)
        return batch

    def records(self, batch: "Batch") -> "Iterator[SourceRecord]":
        """Yield the records of a batch that were accepted, each item once, in the order of the file.

        The store was empty, so that the first record of an item has created it, and a deletion found nothing.
        """
        from goodsgate.model.batch import Result
        from goodsgate.model.catalogue import split_key
        from goodsgate.model.json_text import read_json
        from goodsgate.push import SourceRecord

        after = 0
        deletions = (Result.UNCHANGED, Result.DELETED)
        while page := self._store.results(MERCHANT, batch.id, after=after, limit=PAGE_RECORDS):
            after = page[-1].number
            keys = [row.key for row in page if row.key and row.result in (Result.CREATED, *deletions)]
            items = self._store.current_items(MERCHANT, batch.kind, COLLECTION, [*dict.fromkeys(keys)], documents=True)
            for row in page:
                if row.key is None:
                    continue
                item = items.get(row.key)
                document = item.document if item is not None else None
                sku, location = split_key(row.key)
                if row.result is Result.CREATED and document is not None:
                    members = read_json(document)
                    yield SourceRecord(number=row.number, sku=sku, location=location, members=members)
                elif row.result in deletions and document is None:
                    yield SourceRecord(number=row.number, sku=sku, location=location, is_deletion=True)

    def write_report(self, batch: "Batch", target: Path, *, only: str = "rejected", format: str | None = None,
                     without: str = "") -> None:
        """Write a report of a batch; issues with the code `without` are left out.

        Raises CommandError if the file cannot be written, and Refusal.
        """
        pieces = self.engine.report(MERCHANT, batch.id, only=only, format=format, without=without).pieces
        try:
            with target.open("wb") as file:
                file.writelines(pieces)
        except OSError as error:
            raise CommandError(f"{target}: {error.strerror}") from error

    def examples(self, batch: "Batch") -> Examples:
        """Return the first place of each group of issues."""
        findings = self._store.findings(MERCHANT, batch.id, limit=EXAMPLE_RECORDS)
        return examples_of(
            (each.code, each.path, finding.place) for finding in findings for each in finding.issues
        )

    def document(self, batch: "Batch") -> Document:
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
            for group in self.engine.groups(MERCHANT, batch.id)
        ]
        return {
            "label": batch.label, "state": str(batch.state), "outcome": batch.outcome and str(batch.outcome),
            "counts": counts, "issues": groups, "withheld": None, "reading": msgspec.to_builtins(batch.reading),
            "contents": contents_document(batch_contents(batch)), "rules": batch_rules_document(batch),
        }
