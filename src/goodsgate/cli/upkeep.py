"""For those who run the gate: migrate, doctor and backup."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from goodsgate.cli.exits import Exit, Unusable
from goodsgate.cli.settings import open_store, unusable, with_settings

if TYPE_CHECKING:
    from goodsgate.config import Config
    from goodsgate.store.contract import Store

WAITED_SECONDS_MAX = 300.0
"""A round that waits longer, while none is worked, says that there is no worker."""

Fact = tuple[str, bool, str]


@click.command()
@with_settings
def migrate(*, config: "Config") -> None:
    """Bring the store's schema up to date and say what was done. `serve` does the same when it starts.

    \b
    Example:
      goodsgate migrate --store /var/lib/goodsgate
    """
    with _opened(config, "cannot be brought up to date") as store:
        applied = store.migrate()
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
    from goodsgate.config import without_password
    from goodsgate.engine.secrets import masters_of

    with _opened(config, "cannot be examined") as store:
        facts, figures = _examined(store, config)
    for name, well, detail in facts:
        click.echo(f"{'ok  ' if well else 'BAD '} {name}: {detail}")
    for name, figure in sorted(figures.items()):
        click.echo(f"     {name}: {figure:g}")
    if settings:
        shown = {"store": without_password(config.store), "secrets": ", ".join(masters_of(config.secrets))}
        for name in config.__struct_fields__:
            value = shown.get(name, getattr(config, name))
            click.echo(f"     {name} = {value!r}")
    sys.exit(Exit.CLEAN if all(well for _, well, _ in facts) else Exit.UNSOUND)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@with_settings
def backup(*, config: "Config", folder: Path) -> None:
    """Copy the embedded store into FOLDER, while the gate runs. The copy is a store: `serve --store FOLDER`.

    It holds every batch that was acknowledged before, and appears whole or not at all. FOLDER must be empty or not
    there. A store on PostgreSQL is copied by PostgreSQL's own pg_dump.

    \b
    Example:
      goodsgate backup /backup/goodsgate-2026-11-01 --store /var/lib/goodsgate
    """
    from goodsgate.store.backup import SupportsBackup

    with _opened(config, f"cannot be copied to {folder}") as store:
        if not isinstance(store, SupportsBackup):
            raise Unusable("this store is backed up with pg_dump: see docs/how-to/back-up.md")
        copied = store.back_up(folder)
    click.echo(f"Copied {copied.bytes:,} bytes to {folder}, {copied.payloads:,} large payloads among them.")
    if copied.payloads_lost:
        click.echo(f"{copied.payloads_lost:,} large payloads are named in the store and not there.", err=True)
        sys.exit(Exit.UNSOUND)


@contextmanager
def _opened(config: "Config", what: str) -> Iterator["Store"]:
    """The store as it is, closed at the end; where it fails, one line that says at what."""
    from goodsgate.store.contract import StoreError

    store = open_store(config, migrate=False)
    try:
        yield store
    except (OSError, StoreError) as fault:
        raise unusable(config, what, fault) from fault
    finally:
        store.close()


def _examined(store: "Store", config: "Config") -> tuple[list[Fact], dict[str, float]]:
    """Facts and figures; of a store that is not well enough to be asked more, what could be found out."""
    from goodsgate.config import without_password, without_secrets
    from goodsgate.store.contract import StoreError

    facts: list[Fact] = []
    try:
        facts += store.check()
        if not all(well for name, well, _ in facts if name.startswith(("schema", "server"))):
            return facts, {}
        figures = store.figures()
        facts += [*store.examine(), _queue(figures), _outbox(figures), _secrets(config), _signatures(config)]
        return facts, figures
    except StoreError as fault:
        told = without_secrets(str(fault), address=config.store)
        return [*facts, ("answers", False, f"{without_password(config.store)}: {told}")], {}


def _signatures(config: "Config") -> Fact:
    verified = config.signatures == "verify"
    return "signatures", verified, "verified" if verified else "ANY IS ACCEPTED: set signatures to verify"


def _outbox(figures: dict[str, float]) -> Fact:
    """Well either way: whose address is dead is not the gate's to mend."""
    waiting, given_up = figures.get("messages.waiting", 0.0), figures.get("messages.given_up", 0.0)
    told = f"messages waiting {waiting:,.0f}, given up {given_up:,.0f}"
    return "outbox", True, f"{told}; see `goodsgate outbox list`" if given_up else told


def _secrets(config: "Config") -> Fact:
    from goodsgate.engine.secrets import masters_of

    names = [*masters_of(config.secrets)]
    if not names:
        return "secrets", True, "the settings name none: derived from one in the store, as good as who may read that"
    return "secrets", True, f"new ones by {names[0]}" + (f", still good {', '.join(names[1:])}" if names[1:] else "")


def _queue(figures: dict[str, float]) -> Fact:
    waited, working = figures.get("oldest_queued_seconds", 0.0), figures.get("rounds.working", 0.0)
    idle = not working and waited > WAITED_SECONDS_MAX
    lanes = figures.get("lanes", 0.0)
    told = f"lanes with work {lanes:,.0f}, rounds being worked {working:,.0f}, the oldest has waited {waited:,.0f} s"
    return "queue", not idle, f"{told}; is a worker running?" if idle else told
