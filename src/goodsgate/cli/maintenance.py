"""Commands for operators: migrate, backup, and store."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from goodsgate.cli.errors import CommandError, ExitCode
from goodsgate.cli.output import json_option, print_line
from goodsgate.cli.settings import open_store, store_error, with_settings

if TYPE_CHECKING:
    from goodsgate.config import Config
    from goodsgate.store.contract import Store

@click.command()
@click.option(
    "--partitions", type=click.IntRange(1, 256), metavar="N",
    help="PostgreSQL: into how many partitions each large table of a new store is divided (1 to 256). Default: 16.",
)
@json_option
@with_settings
def migrate(*, config: "Config", partitions: int | None, as_json: bool) -> None:
    """Bring the store's schema up to date and list the migrations applied. `serve` does this when it starts.

    \b
    Examples:
      goodsgate migrate --store /var/lib/goodsgate
      goodsgate migrate --partitions 64
    """
    from goodsgate.store.partitions import SupportsPartitions

    with use_store(config, "cannot be brought up to date") as store:
        if partitions is None:
            applied = store.migrate()
        elif isinstance(store, SupportsPartitions):
            applied = store.migrate_with_partitions(partitions)
        else:
            raise CommandError("an embedded store has no partitions: leave out --partitions")
    text = "\n".join(f"applied {title}" for title in applied) or "The schema is up to date."
    print_line(text, {"applied": list(applied)}, as_json=as_json)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@json_option
@with_settings
def backup(*, config: "Config", folder: Path, as_json: bool) -> None:
    """Copy the embedded store to FOLDER while the gate runs. The copy is a complete store.

    The copy contains every batch acknowledged before the command started, and is created completely or not at all.
    FOLDER must be empty or not exist. To use the copy: `serve --store FOLDER`. Back up PostgreSQL stores with pg_dump.

    \b
    Example:
      goodsgate backup /backup/goodsgate-2026-11-01 --store /var/lib/goodsgate
    """
    from goodsgate.store.backup import SupportsBackup

    with use_store(config, f"cannot be copied to {folder}") as store:
        if not isinstance(store, SupportsBackup):
            raise CommandError("a PostgreSQL store is backed up with pg_dump; see docs/how-to/back-up.md")
        copied = store.back_up(folder)
    text = f"Copied {copied.bytes:,} bytes to {folder}, including {copied.payloads:,} large payloads."
    document = {
        "folder": str(folder), "bytes": copied.bytes, "payloads": copied.payloads,
        "payloads_lost": copied.payloads_lost,
    }
    print_line(text, document, as_json=as_json)
    if copied.payloads_lost:
        click.echo(f"Large payloads missing from the store: {copied.payloads_lost:,}", err=True)
        sys.exit(ExitCode.UNHEALTHY)


@click.group("store")
def store_group() -> None:
    """Change how the store keeps its data."""


@store_group.command()
@click.argument("merchant")
@json_option
@with_settings
def isolate(*, config: "Config", merchant: str, as_json: bool) -> None:
    """Give a large MERCHANT partitions of its own in PostgreSQL, while gates and workers go on.

    Vacuums and indexes of other merchants no longer depend on its size. The partitions that it shares are copied, so
    the disk needs room for their size once more. If the command is killed, run it again.

    \b
    Example:
      goodsgate store isolate acme
    """
    from goodsgate.store.partitions import SupportsPartitions

    with use_store(config, f"could not isolate {merchant}") as store:
        if not isinstance(store, SupportsPartitions):
            raise CommandError("an embedded store has no partitions; only a PostgreSQL store has")
        store.require_current()
        split = store.isolate(merchant, lambda progress: click.echo(progress, err=True))
    text = f"{merchant} has partitions of its own" + (f": {', '.join(split)}." if split else " already.")
    print_line(text, {"merchant": merchant, "split": split}, as_json=as_json)


@contextmanager
def use_store(config: "Config", problem: str) -> Iterator["Store"]:
    """Open the store without migrating it, and close it after the block; a failure is one line with the `problem`."""
    from goodsgate.store.contract import StoreError

    store = open_store(config, migrate=False)
    try:
        yield store
    except (OSError, StoreError) as error:
        raise store_error(config, problem, error) from error
    finally:
        store.close()
