"""`doctor`: check store, queue and settings, say what is wrong, and what to do about it.

Each check is one function in a list; see `store/contract/health.py`.
"""

import json
import os
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from goodsgate.cli.errors import ExitCode
from goodsgate.cli.maintenance import use_store
from goodsgate.cli.output import json_option
from goodsgate.cli.settings import SOURCES, with_settings
from goodsgate.model.counting import counted

if TYPE_CHECKING:
    from goodsgate.config import Config
    from goodsgate.store.contract import HealthCheck, Store


@click.command()
@click.option("--settings", is_flag=True, help="Also print the settings that have their defaults.")
@json_option
@with_settings
def doctor(*, config: "Config", settings: bool, as_json: bool) -> None:
    """Check store, disk, queue and settings, and say what to do about problems. Exits with 7 if there are any.

    It ends with the settings that differ from their defaults, and where each comes from: the file, a variable or the
    command line.

    \b
    Examples:
      goodsgate doctor
      goodsgate doctor --settings --store /var/lib/goodsgate
    """
    with use_store(config, "cannot be checked") as store:
        checks, figures = examine(store, config)
    if as_json:
        listed = [
            {"name": check.name, "level": check.level, "detail": check.detail, "remedy": check.remedy}
            for check in checks
        ]
        click.echo(json.dumps({"checks": listed, "statistics": figures}, ensure_ascii=False))
    else:
        for check in checks:
            print_check(check)
        for name, figure in sorted(figures.items()):
            click.echo(f"     {name}: {figure:g}")
        print_settings(config, click.get_current_context().meta[SOURCES], with_defaults=settings)
    sys.exit(ExitCode.CLEAN if all(check.is_ok for check in checks) else ExitCode.UNHEALTHY)


class Examination:
    """What the checks look at that are not the store's own."""

    def __init__(self, store: "Store", config: "Config", figures: dict[str, float]) -> None:
        self.store = store
        self.config = config
        self.figures = figures
        """Statistics of the store."""


def examine(store: "Store", config: "Config") -> tuple[list["HealthCheck"], dict[str, float]]:
    """Return the results of all checks, and the statistics of the store.

    If the store cannot be read, only the checks that found that out.
    """
    from goodsgate.cli.masking import without_password, without_secrets
    from goodsgate.store.contract import StoreError, bad, run_checks

    checks = store.quick_checks()
    if not all(check.is_ok for check in checks if check.name.startswith(NECESSARY)):
        return checks, {}
    try:
        figures = store.statistics()
    except (OSError, StoreError) as error:
        reason = without_secrets(str(error), address=config.store)
        remedy = "solve the problem that the message names, then run `goodsgate doctor` again"
        return [*checks, bad("store", f"{without_password(config.store)}: {reason}", remedy)], {}
    return [*checks, *store.health_checks(), *run_checks(CHECKS, Examination(store, config, figures))], figures


def print_check(check: "HealthCheck") -> None:
    """Print one result, and what to do about it."""
    click.echo(f"{check.level.upper():4} {check.name}: {check.detail}")
    if check.remedy:
        click.echo(f"     → {check.remedy}")


def print_settings(config: "Config", sources: dict[str, str], *, with_defaults: bool) -> None:
    """Print the settings in force and their sources, without secrets."""
    from goodsgate.cli.masking import without_password
    from goodsgate.config import SECRET_SETTINGS
    from goodsgate.engine.secrets import parse_masters

    redacted = {name: "***" if getattr(config, name) else "" for name in SECRET_SETTINGS} | {
        "store": without_password(config.store), "secrets": ", ".join(parse_masters(config.secrets)),
    }
    for name in config.__struct_fields__:
        if with_defaults or sources[name] != "default":
            click.echo(f"     {name} = {redacted.get(name, getattr(config, name))!r} ({sources[name]})")


# -- checks -----------------------------------------------------------------------------------------------------------

WEBHOOKS_NAMED_MAX = 5
TRACES_SECONDS = 2.0
NECESSARY = ("schema", "server")
"""If one of these checks of the store fails, no further check can succeed."""


def check_queue(examination: Examination) -> "Iterator[HealthCheck]":
    """Report how much work there is; whether somebody does it is checked by the store."""
    from goodsgate.store.contract import ok

    figures = examination.figures
    yield ok(
        "queue", f"lanes with work: {figures.get('lanes', 0.0):,.0f}, rounds in progress: "
        f"{figures.get('rounds.working', 0.0):,.0f}, oldest queued: {figures.get('oldest_queued_seconds', 0.0):,.0f} s",
    )


def check_outbox(examination: Examination) -> "Iterator[HealthCheck]":
    """Warn of messages that were given up. They are no problem of the gate: a customer's address may be dead."""
    from goodsgate.store.contract import ok, warn

    figures = examination.figures
    waiting, given_up = figures.get("messages.waiting", 0.0), figures.get("messages.given_up", 0.0)
    detail = f"{counted(waiting, 'message')} waiting, {given_up:,.0f} given up"
    if given_up:
        yield warn("outbox", detail, "`goodsgate outbox list` shows why; `goodsgate outbox replay` sends them again")
    else:
        yield ok("outbox", detail)


def check_webhooks(examination: Examination) -> "Iterator[HealthCheck]":
    """Warn of webhooks to which messages were given up, and name some of them."""
    from goodsgate.engine.webhooks import failing_webhooks
    from goodsgate.store.contract import warn

    if not examination.figures.get("messages.given_up"):
        return
    failing = [*islice(failing_webhooks(examination.store), WEBHOOKS_NAMED_MAX)]
    if failing:
        listed = "; ".join(f"{each.merchant} {each.number} ({each.url}): {each.reason}" for each in failing)
        yield warn("webhooks", f"failing: {listed}", "`goodsgate webhook test` tries one; `webhook replay` sends again")


def check_sources(examination: Examination) -> "Iterator[HealthCheck]":
    """Warn of sources that are failing or overdue."""
    from goodsgate.engine.source_definitions import SOURCE
    from goodsgate.store.contract import warn

    alerts = examination.store.job_alerts()
    for alert in ("failing", "overdue"):
        if count := alerts.get((SOURCE, alert), 0):
            yield warn("sources", f"{alert}: {count:,}", "`goodsgate source list` shows why")


def check_secrets(examination: Examination) -> "Iterator[HealthCheck]":
    """Report which master secret is in use."""
    from goodsgate.engine.secrets import parse_masters
    from goodsgate.store.contract import ok

    current, *others = [*parse_masters(examination.config.secrets)] or [""]
    if not current:
        yield ok("secrets", "no master secret is set; derived from one in the store, so as safe as the store")
    else:
        yield ok("secrets", f"current {current}" + (f"; also accepted: {', '.join(others)}" if others else ""))


def check_signatures(examination: Examination) -> "Iterator[HealthCheck]":
    """Check that signatures are verified."""
    from goodsgate.store.contract import bad, ok

    if examination.config.signatures == "verify":
        yield ok("signatures", "verified")
    else:
        yield bad("signatures", "NOT VERIFIED", "set signatures = verify")


def check_client_tests(examination: Examination) -> "Iterator[HealthCheck]":
    """Warn about settings that are meant for tests of clients."""
    from goodsgate.store.contract import warn

    if examination.config.trouble == "allow":
        yield warn("trouble", "admins may order failures of submissions", "set trouble = refuse unless this is a test")
    if examination.config.traffic_bytes_max:
        detail = "requests and responses of all merchants are kept in memory, for admins"
        yield warn("traffic", detail, "set traffic_bytes_max = 0 unless this is a test")


def check_rules(examination: Examination) -> "Iterator[HealthCheck]":
    """Warn of merchants' rules that failed on records lately. They are no problem of the gate."""
    from goodsgate.engine.saved_rules import recent_counts, saved_rules
    from goodsgate.store.contract import warn

    for merchant in _merchants(examination.store):
        if not (rules := saved_rules(examination.store, merchant)):
            continue
        for name, counts in recent_counts(examination.store, merchant).items():
            if counts.faults and name in rules:
                failed = counted(counts.faults, "record")
                detail = f"rule {name} of {merchant} failed on {failed} lately: {counts.fault}"
                yield warn("rules", detail, f"correct it with `goodsgate rule put {name}`; records are not affected")


def check_objects(examination: Examination) -> "Iterator[HealthCheck]":
    """Check that the folders and buckets of the settings can be written; a bucket gets an object for a moment."""
    from goodsgate import app
    from goodsgate.model.batch import new_id
    from goodsgate.store.contract import StoreError, bad, ok

    for name in ("reports", "images", "exports", "payloads", "changes"):
        address = getattr(examination.config, name)
        if "://" not in address:
            yield from _check_folder(name, address)
            continue
        probe = f"goodsgate-doctor-{new_id()}"
        try:
            objects = app.open_bucket(address)
            objects.put(probe, b"")
            objects.delete(probe)
        except StoreError as fault:
            remedy = f"correct the setting {name}, and check AWS_REGION, AWS_ENDPOINT_URL and the credentials"
            yield bad(name, f"{address}: {fault}", remedy)
        else:
            yield ok(name, f"{address} can be written")


def check_changes(examination: Examination) -> "Iterator[HealthCheck]":
    """Check that changes are kept, and are in the files that the settings ask for."""
    from goodsgate import app
    from goodsgate.engine.change_file_checks import NAME, check_change_files
    from goodsgate.store.contract import StoreError, ok, warn

    config = examination.config
    if config.journal_days:
        yield ok("changes", f"kept for {config.journal_days:g} days; batches can be reverted and followed so long")
    elif config.changes:
        yield warn("changes", "no journal is kept, so that no files of changes are written", "set journal_days")
    else:
        yield ok("changes", "no journal is kept: nothing can be reverted or followed")
    if not config.changes or not config.journal_days:
        return
    try:
        yield from check_change_files(examination.store, app.open_change_files(examination.store, config))
    except StoreError as fault:
        yield warn(NAME, str(fault), "correct the setting changes; the files go on where they ended")


def check_waiting_records(examination: Examination) -> "Iterator[HealthCheck]":
    """Warn of records whose references have arrived and that nobody works."""
    from goodsgate.store.contract import ok, warn

    name = "waiting records"
    ready = examination.store.ready_batches(limit=1)
    if ready and not examination.figures.get("workers"):
        merchant, batch = ready[0]
        detail = f"what records waited for has arrived, and no worker is running; the first batch: {merchant} {batch}"
        yield warn(name, detail, "start a worker: it works them before their time is over")
    else:
        yield ok(name, "none is ready and left behind")


def check_proxies(examination: Examination) -> "Iterator[HealthCheck]":
    """Warn if the gate is behind a proxy that it does not know."""
    from goodsgate.store.contract import ok, warn

    config = examination.config
    if config.trusted_proxies:
        yield ok("trusted_proxies", f"{config.trusted_proxies} ({config.proxy_header})")
    elif config.public_url and config.host in ("127.0.0.1", "::1", "localhost"):
        detail = "clients come through a proxy that is not trusted, so that log lines and limits have its address"
        yield warn("trusted_proxies", detail, f"set trusted_proxies = {config.host}, if the proxy names its clients")


def check_traces(examination: Examination) -> "Iterator[HealthCheck]":
    """Check that somebody listens where spans are sent."""
    import socket
    from urllib.parse import urlsplit

    from goodsgate.store.contract import ok, warn

    address = urlsplit(examination.config.traces)
    if not address.hostname:
        return
    port = address.port or (443 if address.scheme == "https" else 80)
    try:
        socket.create_connection((address.hostname, port), timeout=TRACES_SECONDS).close()
    except OSError as error:
        detail = f"{examination.config.traces} cannot be reached: {error}; spans are dropped, requests do not wait"
        yield warn("traces", detail, "start the collector, or correct the setting traces")
    else:
        yield ok("traces", f"sent to {examination.config.traces}")


def _check_folder(name: str, address: str) -> "Iterator[HealthCheck]":
    from goodsgate.store.contract import bad, ok, warn

    if not address:
        return
    if not Path(address).exists():
        detail = f"{address} does not exist; it is created when it is first used"
        yield warn(name, detail, f"mount or create it if it should exist, or correct the setting {name}")
    elif os.access(address, os.W_OK | os.X_OK):
        yield ok(name, f"{address} is writable")
    else:
        yield bad(name, f"{address} is not writable", "give it to the user that runs the gate")


def check_public_url(examination: Examination) -> "Iterator[HealthCheck]":
    """Warn if the gate sends links to merchants and does not know its public URL."""
    from goodsgate import app
    from goodsgate.store.contract import ok, warn

    config = examination.config
    names = {name for name, setting in app.known_settings().merchants.items() if setting.sends_links}
    if config.public_url:
        yield ok("public_url", config.public_url)
    elif not config.reports and (merchant := _merchant_with(examination.store, names)) is not None:
        detail = f"not set; links that the gate sends, to {merchant} for example, lead to {config.host}:{config.port}"
        yield warn("public_url", detail, "set public_url to the address at which merchants reach the gate")


def _merchant_with(store: "Store", names: set[str]) -> str | None:
    """Return the first merchant that has one of the settings; None if there is none."""
    from goodsgate.engine.merchant_documents import merchant_settings

    return next((each for each in _merchants(store) if names & merchant_settings(store, each).keys()), None)


def _merchants(store: "Store") -> "Iterator[str]":
    """Yield the ids of all merchants."""
    after: str | None = None
    while True:
        page = store.merchants(after=after, limit=1000)
        yield from (merchant.id for merchant in page.rows)
        after = page.next
        if after is None:
            return


CHECKS = (
    check_public_url, check_queue, check_outbox, check_webhooks, check_sources, check_secrets, check_signatures,
    check_client_tests,
    check_rules, check_objects, check_changes,
    check_waiting_records, check_proxies, check_traces,
)
