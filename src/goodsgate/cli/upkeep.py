"""For those who run the gate: migrate and doctor."""

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from goodsgate.cli.exits import Exit
from goodsgate.cli.settings import open_store, with_settings

if TYPE_CHECKING:
    from goodsgate.config import Config

FREE_BYTES_MIN = 1024**3
"""Below this much free disk the doctor speaks up."""


@click.command()
@with_settings
def migrate(*, config: "Config") -> None:
    """Bring the store's schema up to date and say what was done. `serve` does the same when it starts.

    \b
    Example:
      goodsgate migrate --store /var/lib/goodsgate
    """
    store = open_store(config, migrate=False)
    try:
        applied = store.migrate()
    finally:
        store.close()
    for title in applied:
        click.echo(f"applied {title}")
    if not applied:
        click.echo("The schema is up to date.")


@click.command()
@click.option("--settings", is_flag=True, help="Also print every setting that is in force.")
@with_settings
def doctor(*, config: "Config", settings: bool) -> None:
    """Look at the store, the disk and the queue and say what is not well. Exits with 7 if something is not.

    \b
    Examples:
      goodsgate doctor
      goodsgate doctor --settings --store /var/lib/goodsgate
    """
    store = open_store(config, migrate=False)
    try:
        facts = [*store.check(), _disk(config)]
        figures = store.figures()
    finally:
        store.close()
    for name, well, detail in facts:
        click.echo(f"{'ok  ' if well else 'BAD '} {name}: {detail}")
    for name, value in sorted(figures.items()):
        click.echo(f"     {name}: {value:g}")
    if settings:
        for name in config.__struct_fields__:
            click.echo(f"     {name} = {getattr(config, name)!r}")
    sys.exit(Exit.CLEAN if all(well for _, well, _ in facts) else Exit.UNSOUND)


def _disk(config: "Config") -> tuple[str, bool, str]:
    usage = shutil.disk_usage(Path(config.store))
    return "disk", usage.free >= FREE_BYTES_MIN, f"{usage.free / 1e9:,.1f} GB free of {usage.total / 1e9:,.1f} GB"
