"""`check`: run the rules without a gate, on a temporary store with the real engine."""

import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from goodsgate.cli.local_gate import open_local_gate, reference_options
from goodsgate.cli.output import ProgressDisplay, exit_code, print_batch
from goodsgate.cli.source import open_feed
from goodsgate.cli.submit import parse_pairs, policy_options

if TYPE_CHECKING:
    from goodsgate.model.batch import Policy


@click.command()
@click.argument("file", metavar="FILE")
@policy_options
@reference_options
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
    with closing(open_feed(file)) as source, open_local_gate(
        file, references_from=references_from, rules_from=rules_from
    ) as gate:
        policy = parse_policy(maps, options)
        with ProgressDisplay(silent=as_json) as progress:
            batch = gate.process(source, kind=kind, policy=policy, format=format, progress=progress)
        if report_to:
            gate.write_report(batch, report_to)
        document, examples = gate.document(batch), gate.examples(batch)
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
