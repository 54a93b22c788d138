"""Reference data of a running gate."""

import json
from collections.abc import Iterator
from contextlib import closing
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from goodsgate.cli.client import Document, with_client
from goodsgate.cli.errors import CommandError
from goodsgate.cli.output import json_option, print_line
from goodsgate.cli.source import open_feed
from goodsgate.cli.submit import FORMAT_HELP, FORMATS
from goodsgate.model.counting import counted

if TYPE_CHECKING:
    from goodsgate_client import Client

KINDS = ("department", "category", "brand", "template", "attribute", "hs_code", "tax_rule", "location")
ALL_KINDS = (*KINDS, "currency", "country", "unit")
STARTER = Path(str(files("goodsgate.cli") / "starter"))
"""The set that comes with Goodsgate."""


@click.group()
def reference() -> None:
    """Load and list reference data: brands, categories, attributes and so on.

    Records are checked only against kinds that have entries.
    """


@reference.command()
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("file", metavar="FILE")
@click.option("--replace", is_flag=True, help="Remove entries of this kind that are not in the file.")
@click.option("--format", "format", type=FORMATS, help=FORMAT_HELP)
@json_option
@with_client
def load(*, client: "Client", kind: str, file: str, replace: bool, format: str | None, as_json: bool) -> None:
    """Load entries from a file, all or none. Columns: code, name, parent, and others that depend on the kind.

    \b
    Examples:
      goodsgate reference load brand brands.csv
      goodsgate reference load category categories.csv --replace
    """
    _print_loaded(_load(client, kind, file, replace=replace, format=format), as_json=as_json)


@reference.command()
@click.argument("folder", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--replace", is_flag=True, help="Remove entries of these kinds that are not in the files.")
@json_option
@with_client
def starter(*, client: "Client", folder: Path | None, replace: bool, as_json: bool) -> None:
    """Load a complete set: departments, categories, brands, templates, attributes, codes, rules, locations.

    Without FOLDER, load the small set that comes with Goodsgate. A folder contains one file per kind, named after it:
    brand.csv, category.ndjson and so on.

    \b
    Examples:
      goodsgate reference starter
      goodsgate reference starter ./my-reference --replace
    """
    for loaded in load_folder(client, folder or STARTER, replace=replace):
        _print_loaded(loaded, as_json=as_json)


def load_folder(client: "Client", folder: Path, *, replace: bool = False) -> Iterator[Document]:
    """Load the files of a folder that are named after kinds; yield what the gate answers. Raises CommandError."""
    paths = [(kind, path) for kind in KINDS for path in sorted(folder.glob(f"{kind}.*")) if path.suffix != ".md"]
    if not paths:
        raise CommandError(f"no file in {folder} is named after a kind: {', '.join(KINDS)}")
    for kind, path in paths:
        yield _load(client, kind, str(path), replace=replace, format=None)


def _load(client: "Client", kind: str, file: str, *, replace: bool, format: str | None) -> Document:
    with closing(open_feed(file)) as source:
        return client.load_reference(kind, source, replace=replace or None, format=format)


def _print_loaded(loaded: Document, *, as_json: bool) -> None:
    count = loaded["entries"]
    print_line(f"{loaded['kind']}: {counted(count, 'entry', 'entries')}", loaded, as_json=as_json)


@reference.command("list")
@click.argument("kind", type=click.Choice(ALL_KINDS))
@click.option("--search", "q", metavar="TEXT", help="Text in the code or name.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True,
              help="Maximum number of entries.")
@json_option
@with_client
def list_entries(*, client: "Client", kind: str, q: str | None, limit: int, as_json: bool) -> None:
    """List entries, one JSON object per line.

    \b
    Example:
      goodsgate reference list category --search coffee
    """
    params = {"limit": limit} | ({"q": q} if q else {})
    for entry in client.request("GET", f"/v1/reference/{kind}", params=params)["entries"]:
        print_line(json.dumps(entry, ensure_ascii=False), entry, as_json=as_json)


@reference.command("export")
@click.argument("kind", type=click.Choice(ALL_KINDS))
@click.option("-o", "--output", type=click.File("wb"), default="-", metavar="FILE",
              help="File to write. Default: standard output.")
@with_client
def export_entries(*, client: "Client", kind: str, output: BinaryIO) -> None:
    """Print all entries, one JSON object per line, as `reference load` reads them again.

    \b
    Examples:
      goodsgate reference export brand > brands.ndjson
      goodsgate reference export category -o category.ndjson
    """
    import msgspec

    path: str | None = f"/v1/reference/{kind}?limit=1000"
    while path:
        page = msgspec.json.decode(client.send("GET", path).content, type=dict[str, msgspec.Raw])
        for entry in msgspec.json.decode(page["entries"], type=list[msgspec.Raw]):
            output.write(bytes(entry) + b"\n")  # as it arrived, so that numbers stay exact
        path = msgspec.json.decode(page["next"], type=str | None)
