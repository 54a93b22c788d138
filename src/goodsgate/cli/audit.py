"""The audit log: who did what, and whether the log still is what was written."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from goodsgate.cli.client import Document, with_client
from goodsgate.cli.errors import CommandError, ExitCode
from goodsgate.cli.output import json_option, mask_control, print_line
from goodsgate.model.counting import counted

if TYPE_CHECKING:
    from goodsgate_client import Client

PAGE_ENTRIES = 1_000
HEAD = re.compile(r"([0-9]{1,15}):([0-9a-f]{64})")


class BrokenLogError(click.ClickException):
    """A chain that does not hold."""

    exit_code = ExitCode.REJECTED


installation_option = click.option(
    "--installation", is_flag=True, help="The entries that belong to no merchant: new merchants, refused sign-ins."
)


@click.group()
def audit() -> None:
    """Read the audit log, and verify its chain of hashes."""


@audit.command("list")
@installation_option
@click.option("--action", metavar="ACTION", help="Only this action, e.g. key.add, or its first word.")
@click.option("--actor", metavar="TEXT", help="Only actors that begin so, e.g. key:7hq2c9.")
@click.option("--since", metavar="TIME", help="Only entries from this time on, e.g. 2026-01-31T08:00:00Z.")
@click.option("--until", metavar="TIME", help="Only entries before this time.")
@json_option
@with_client
def list_entries(*, client: "Client", installation: bool, as_json: bool, **filters: str | None) -> None:
    """Print who did what, oldest first: number, time, action, subject, actor, address and details.

    With --json, one JSON object per line, which `goodsgate audit verify FILE` reads.

    \b
    Examples:
      goodsgate audit list --action key
      goodsgate audit list --since 2026-01-31T08:00:00Z --json > audit.ndjson
    """
    for entry in _entries(client, installation=installation, **filters):
        detail = " ".join(f"{name}={text}" for name, text in entry["detail"].items())
        cells = [entry[name] for name in ("number", "at", "action", "subject", "actor", "address")]
        print_line("\t".join(map(mask_control, [*cells, detail])), entry, as_json=as_json)


@audit.command()
@click.argument("file", required=False, metavar="[FILE]", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@installation_option
@click.option("--head", "heads", metavar="NUMBER:HASH", multiple=True,
              help="End of the chain at an earlier verification, which it must still contain. Repeatable.")
@json_option
@with_client
def verify(*, client: "Client", file: Path | None, installation: bool, heads: tuple[str, ...], as_json: bool) -> None:
    """Compute every hash of the chain again, and name the first entry that was changed or is missing.

    Prints the number and the hash of the last entry. Keep them elsewhere, and give them to the next verification as
    --head: nothing else shows that the end of the chain was cut off.

    \b
    Examples:
      goodsgate audit verify
      goodsgate audit verify --head 1208:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
      goodsgate audit verify audit.ndjson
    """
    from goodsgate.model.audit import ChainError, read_audit_document, verify_chain

    expected = dict(_head(text) for text in heads)
    documents = _entries(client, installation=installation) if file is None else _lines(file)
    try:
        end = verify_chain(map(read_audit_document, documents), expected)
    except ChainError as error:
        raise BrokenLogError(f"the audit log is broken: {error}") from error
    except ValueError as error:
        raise CommandError(f"not an entry of an audit log: {error}") from error
    document = {"chain": end.chain, "entries": end.entries, "number": end.number, "hash": end.hash.hex()}
    text = f"The chain holds: {counted(end.entries, 'entry', 'entries')}, up to {end.number}:{end.hash.hex()}"
    print_line(text if end.entries else "The audit log is empty.", document, as_json=as_json)


def _head(text: str) -> tuple[int, bytes]:
    match = HEAD.fullmatch(text)
    if match is None:
        raise click.UsageError(f"{text!r} is not NUMBER:HASH, as `goodsgate audit verify` prints it")
    return int(match[1]), bytes.fromhex(match[2])


def _entries(client: "Client", *, installation: bool, **filters: str | None) -> Iterator[Document]:
    """Yield the entries that the gate has, oldest first."""
    params: dict[str, Any] = {name: value for name, value in filters.items() if value is not None}
    params |= {"limit": PAGE_ENTRIES, "chain": "installation" if installation else "merchant"}
    while True:
        page = client.request("GET", "/v1/audit", params=params)
        yield from page["entries"]
        if page["next"] is None:
            return
        params["after"] = page["entries"][-1]["number"]


def _lines(file: Path) -> Iterator[Document]:
    with file.open("rb") as lines:
        for line in lines:
            if line.strip():
                yield json.loads(line)
