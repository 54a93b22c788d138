"""Commands for operators: migrate, doctor and backup."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from goodsgate.cli.errors import CommandError, ExitCode
from goodsgate.cli.settings import open_store, store_error, with_settings

if TYPE_CHECKING:
    from goodsgate.config import Config
    from goodsgate.store.contract import Store

QUEUED_SECONDS_MAX = 300.0
"""If a round is queued longer than this and none is being processed, there is no worker."""

CheckResult = tuple[str, bool, str]
"""Name, whether all is well, and details."""


@click.command()
@with_settings
def migrate(*, config: "Config") -> None:
    """Bring the store's schema up to date and list the migrations applied. `serve` does this when it starts.

    \b
    Example:
      goodsgate migrate --store /var/lib/goodsgate
    """
    with _store(config, "cannot be brought up to date") as store:
        applied = store.migrate()
    for title in applied:
        click.echo(f"applied {title}")
    if not applied:
        click.echo("The schema is up to date.")


@click.command()
@click.option("--settings", is_flag=True, help="Also print all settings and their current values.")
@with_settings
def doctor(*, config: "Config", settings: bool) -> None:
    """Check store, disk and queue and report problems. Exits with 7 if there are any.

    \b
    Examples:
      goodsgate doctor
      goodsgate doctor --settings --store /var/lib/goodsgate
    """
    from goodsgate.config import without_password
    from goodsgate.engine.secrets import parse_masters

    with _store(config, "cannot be checked") as store:
        checks, figures = _check(store, config)
    for name, is_ok, detail in checks:
        click.echo(f"{'ok  ' if is_ok else 'BAD '} {name}: {detail}")
    for name, figure in sorted(figures.items()):
        click.echo(f"     {name}: {figure:g}")
    if settings:
        redacted = {"store": without_password(config.store), "secrets": ", ".join(parse_masters(config.secrets))}
        for name in config.__struct_fields__:
            value = redacted.get(name, getattr(config, name))
            click.echo(f"     {name} = {value!r}")
    sys.exit(ExitCode.CLEAN if all(is_ok for _, is_ok, _ in checks) else ExitCode.UNHEALTHY)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@with_settings
def backup(*, config: "Config", folder: Path) -> None:
    """Copy the embedded store to FOLDER while the gate runs. The copy is a complete store.

    The copy contains every batch acknowledged before the command started, and is created completely or not at all.
    FOLDER must be empty or not exist. To use the copy: `serve --store FOLDER`. Back up PostgreSQL stores with pg_dump.

    \b
    Example:
      goodsgate backup /backup/goodsgate-2026-11-01 --store /var/lib/goodsgate
    """
    from goodsgate.store.backup import SupportsBackup

    with _store(config, f"cannot be copied to {folder}") as store:
        if not isinstance(store, SupportsBackup):
            raise CommandError("a PostgreSQL store is backed up with pg_dump; see docs/how-to/back-up.md")
        copied = store.back_up(folder)
    click.echo(f"Copied {copied.bytes:,} bytes to {folder}, including {copied.payloads:,} large payloads.")
    if copied.payloads_lost:
        click.echo(f"Large payloads missing from the store: {copied.payloads_lost:,}", err=True)
        sys.exit(ExitCode.UNHEALTHY)


@contextmanager
def _store(config: "Config", problem: str) -> Iterator["Store"]:
    """Open the store without migrating it; a failure becomes a one-line error that names the `problem`."""
    from goodsgate.store.contract import StoreError

    store = open_store(config, migrate=False)
    try:
        yield store
    except (OSError, StoreError) as error:
        raise store_error(config, problem, error) from error
    finally:
        store.close()


def _check(store: "Store", config: "Config") -> tuple[list[CheckResult], dict[str, float]]:
    """Return check results and figures; only the first checks if those already fail."""
    from goodsgate.config import without_password, without_secrets
    from goodsgate.store.contract import StoreError

    checks: list[CheckResult] = []
    try:
        checks += store.quick_checks()
        if not all(is_ok for name, is_ok, _ in checks if name.startswith(("schema", "server"))):
            return checks, {}
        figures = store.statistics()
        checks += [
            *store.health_checks(), _check_queue(figures), _check_outbox(figures), _check_secrets(config),
            _check_signatures(config),
        ]
        return checks, figures
    except StoreError as error:
        reason = without_secrets(str(error), address=config.store)
        return [*checks, ("store", False, f"{without_password(config.store)}: {reason}")], {}


def _check_signatures(config: "Config") -> CheckResult:
    is_ok = config.signatures == "verify"
    return "signatures", is_ok, "verified" if is_ok else "NOT VERIFIED; set signatures to verify"


def _check_outbox(figures: dict[str, float]) -> CheckResult:
    """Never fail: a dead address of a customer is not a problem of the gate."""
    waiting, given_up = figures.get("messages.waiting", 0.0), figures.get("messages.given_up", 0.0)
    detail = f"{waiting:,.0f} messages waiting, {given_up:,.0f} given up"
    return "outbox", True, f"{detail}; see `goodsgate outbox list`" if given_up else detail


def _check_secrets(config: "Config") -> CheckResult:
    from goodsgate.engine.secrets import parse_masters

    names = [*parse_masters(config.secrets)]
    if not names:
        return "secrets", True, "no master secret is set; derived from one in the store, so as safe as the store"
    return "secrets", True, f"current {names[0]}" + (f"; also accepted: {', '.join(names[1:])}" if names[1:] else "")


def _check_queue(figures: dict[str, float]) -> CheckResult:
    queued_seconds, working = figures.get("oldest_queued_seconds", 0.0), figures.get("rounds.working", 0.0)
    no_worker = not working and queued_seconds > QUEUED_SECONDS_MAX
    detail = (
        f"{figures.get('lanes', 0.0):,.0f} lanes with work, {working:,.0f} rounds in progress, "
        f"oldest queued {queued_seconds:,.0f} s"
    )
    return "queue", not no_worker, f"{detail}; is a worker running?" if no_worker else detail
