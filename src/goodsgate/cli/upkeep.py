"""For those who run the gate: migrate and doctor."""

import sys
from typing import TYPE_CHECKING

import click

from goodsgate.cli.exits import Exit
from goodsgate.cli.settings import open_store, with_settings

if TYPE_CHECKING:
    from goodsgate.config import Config

WAITED_SECONDS_MAX = 300.0
"""A round that waits longer, while none is worked, says that there is no worker."""


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
    """Look at store, disk and queue and say what is not well. Exits with 7 if something is not.

    \b
    Examples:
      goodsgate doctor
      goodsgate doctor --settings --store /var/lib/goodsgate
    """
    store = open_store(config, migrate=False)
    try:
        figures = store.figures()
        facts = [*store.check(), _queue(figures)]
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


def _queue(figures: dict[str, float]) -> tuple[str, bool, str]:
    waited, working = figures.get("oldest_queued_seconds", 0.0), figures.get("rounds.working", 0.0)
    idle = not working and waited > WAITED_SECONDS_MAX
    told = f"the oldest round has waited {waited:,.0f} s, {working:,.0f} are being worked"
    return "queue", not idle, f"{told}; is a worker running?" if idle else told
