"""Reference data and saved mappings, through the gate."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import click

from goodsgate.cli.client import Gate, with_gate
from goodsgate.cli.exits import Unusable
from goodsgate.cli.source import Source, untold
from goodsgate.cli.submit import FORMATS, map_pairs

KINDS = ("department", "category", "brand", "template", "attribute", "hs_code", "tax_rule", "location")
ALL_KINDS = (*KINDS, "currency", "country", "unit")


@click.group()
def reference() -> None:
    """Load and list what rules look up: brands, categories, attributes …

    A kind that holds no entries is not checked.
    """


@reference.command()
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("file", metavar="FILE")
@click.option("--replace", is_flag=True, help="Remove entries of this kind that the file does not hold.")
@click.option("--format", "format", type=FORMATS, help="Default: by the file's name, else by its first bytes.")
@with_gate
def load(*, gate: Gate, kind: str, file: str, replace: bool, format: str | None) -> None:
    """Load entries from a file, all or none. Columns: code, name, parent, and the kind's own.

    \b
    Examples:
      goodsgate reference load brand brands.csv
      goodsgate reference load category categories.csv --replace
    """
    _load(gate, kind, file, replace=replace, format=format)


@reference.command()
@click.argument("folder", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--replace", is_flag=True, help="Remove entries of these kinds that the set does not hold.")
@with_gate
def starter(*, gate: Gate, folder: Path | None, replace: bool) -> None:
    """Load a whole set in one go: departments, categories, brands, templates, attributes, codes, rules, locations.

    Without FOLDER, a small set that comes with Goodsgate. A folder holds one file a kind, named after it: brand.csv,
    category.ndjson …

    \b
    Examples:
      goodsgate reference starter
      goodsgate reference starter ./my-reference --replace
    """
    held = folder or Path(str(files("goodsgate.cli") / "starter"))
    found = [(kind, path) for kind in KINDS for path in sorted(held.glob(f"{kind}.*")) if path.suffix != ".md"]
    if not found:
        raise Unusable(f"{folder} holds no file named after a kind: {', '.join(KINDS)}")
    for kind, path in found:
        _load(gate, kind, str(path), replace=replace, format=None)


def _load(gate: Gate, kind: str, file: str, *, replace: bool, format: str | None) -> None:
    source = Source(file)
    params: dict[str, Any] = {"replace": "true"} if replace else {}
    if format or source.format:
        params["format"] = format or source.format
    try:
        loaded = gate.ask(
            "PUT", f"/v1/reference/{kind}", params=params, headers={"Content-Type": "application/octet-stream"},
            body=lambda: source.pieces(untold),
        )
    finally:
        source.close()
    click.echo(f"{loaded['entries']:,} entries of {loaded['kind']} are now held.")


@reference.command("list")
@click.argument("kind", type=click.Choice(ALL_KINDS))
@click.option("--search", "q", metavar="TEXT", help="Text anywhere in code or name.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="How many.")
@with_gate
def list_entries(*, gate: Gate, kind: str, q: str | None, limit: int) -> None:
    """List entries, one a line as JSON.

    \b
    Example:
      goodsgate reference list category --search coffee
    """
    params = {"limit": limit} | ({"q": q} if q else {})
    for entry in gate.ask("GET", f"/v1/reference/{kind}", params=params)["entries"]:
        click.echo(json.dumps(entry, ensure_ascii=False))


@click.group()
def mapping() -> None:
    """Save, list and remove how your column names become ours."""


@mapping.command()
@click.argument("name", metavar="NAME")
@click.option("--map", "maps", multiple=True, required=True, metavar="COLUMN:FIELD",
              help="A column of yours and our field for it; may be given often. 'COLUMN:' leaves it unchecked.")
@with_gate
def save(*, gate: Gate, name: str, maps: tuple[str, ...]) -> None:
    """Save a mapping under a name, in place of the one of that name.

    \b
    Example:
      goodsgate mapping save warehouse --map Artikelnummer:sku --map 'Interne Notiz:'
    """
    pairs: dict[str, list[str]] = {}
    for column, field in map_pairs(maps):
        pairs.setdefault(column, []).extend([field] if field else [])
    gate.ask("PUT", f"/v1/mappings/{name}", json=pairs)
    click.echo(f"Saved. Use it with: goodsgate submit --mapping {name} FILE")


@mapping.command()
@click.argument("name", metavar="NAME")
@with_gate
def remove(*, gate: Gate, name: str) -> None:
    """Remove a saved mapping; batches already submitted keep theirs.

    \b
    Example:
      goodsgate mapping remove warehouse
    """
    gate.ask("DELETE", f"/v1/mappings/{name}")
    click.echo("Removed.")


@mapping.command("list")
@with_gate
def list_mappings(*, gate: Gate) -> None:
    """List saved mappings, one a line: name and mapping as JSON.

    \b
    Example:
      goodsgate mapping list
    """
    for name, pairs in gate.ask("GET", "/v1/mappings")["mappings"].items():
        click.echo(f"{name}\t{json.dumps(pairs, ensure_ascii=False)}")
