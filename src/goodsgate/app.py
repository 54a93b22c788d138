"""The composition root: builds the parts of a process from the settings. No other module imports all of them.

Each function imports the parts that it builds. A command that only opens the store loads neither the engine nor HTTP,
which takes three quarters of the time, and a worker does not load the server.
"""

import logging
import math
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from secrets import token_bytes
from typing import TYPE_CHECKING

import msgspec

from goodsgate.config import Config, parse_networks
from goodsgate.http_settings import create_openid_provider, http_limits, protocol_settings
from goodsgate.model import tracing
from goodsgate.model.extras import ExtraMissingError, needed_extra
from goodsgate.store.contract import Retention, Store, StoreError

if TYPE_CHECKING:
    import threading

    import uvicorn
    from starlette.types import ASGIApp

    from goodsgate.engine import Engine, Worker
    from goodsgate.engine.change_files import ChangeFiles
    from goodsgate.engine.dry_run import DryRunner
    from goodsgate.engine.feeds import FeedSettings
    from goodsgate.engine.jobs import JobRunner
    from goodsgate.engine.outbox import DeliverySettings, Outbox
    from goodsgate.engine.secrets import Secrets
    from goodsgate.engine.settings import EngineSettings, WorkerSettings
    from goodsgate.engine.stock import Stock
    from goodsgate.formats import Limits
    from goodsgate.http.application import Application
    from goodsgate.http.connections import ConnectionLimits
    from goodsgate.http.known_settings import KnownSettings
    from goodsgate.http.services import ProtocolServices
    from goodsgate.http.spans import SpanTracer
    from goodsgate.model.batch import Kind
    from goodsgate.model.issue import Issue
    from goodsgate.rules import Schema
    from goodsgate.store.objects import Objects

OWNER_BYTES = 32
SCRATCH_CACHE_BYTES = 8 * 1024**2
SCRATCH_VALID_CACHE_RECORDS = 1_024
"""Size of the caches of a dry run."""
REFUSAL_SECONDS = 5
"""Time after `stop_seconds` in which the requests that are still in progress are refused."""

DESCRIPTORS_RESERVED = 96
"""Files that an API process needs besides those of clients and request threads: store, workers, refused clients."""
DESCRIPTORS_A_THREAD = 8
"""Files that a request thread may have open: its connection to the store and a payload."""

log = logging.getLogger("goodsgate")

PAYLOADS_MARK = "payloads"
"""Secret that exists since the storage of payloads was marked."""
POSTGRES_SCHEMES = ("postgresql://", "postgres://")


def open_store(config: Config) -> Store:
    """Return the store that the settings name, without migrating its schema. Raises StoreError."""
    item_terms = _item_terms if config.search == "on" else None
    if config.store.startswith(POSTGRES_SCHEMES):
        try:
            with needed_extra("postgres", "A store on PostgreSQL"):
                from goodsgate.store.postgres import PostgresStore
        except ExtraMissingError as error:
            raise StoreError(str(error)) from error
        store: Store = PostgresStore(
            config.store, open_payloads=(lambda: open_payloads(store, config)) if config.payloads else None,
            connections_max=config.connections_max, small_payload_bytes=config.small_payload_bytes,
            journal=config.journal_days > 0, item_terms=item_terms,
        )
        return store
    if config.payloads:
        raise StoreError("the setting payloads is for a store on PostgreSQL; the embedded one has them in its folder")
    from goodsgate.store.sqlite import SqliteStore

    return SqliteStore(
        Path(config.store), cache_bytes=config.catalogue_cache_bytes, small_payload_bytes=config.small_payload_bytes,
        journal=config.journal_days > 0,
        item_terms=item_terms,
    )


def _item_terms(kind: "Kind", keys: Sequence[str], documents: Sequence[bytes]) -> list[str]:
    """Return the terms of items; only a process that writes items loads the engine for it."""
    from goodsgate.engine.search_terms import item_terms

    return item_terms(kind, keys, documents)


def store_owner(store: Store) -> str:
    """Return the id by which folders and buckets know their store; it is created when it is first needed."""
    from goodsgate.store.objects import owner_of

    secret = store.secret("objects", token_bytes(OWNER_BYTES))
    assert secret is not None  # there is a default
    return owner_of(secret)


def open_payloads(store: Store, config: Config) -> "Objects":
    """Return the storage of payloads. Raises StoreError if it cannot be used."""
    from goodsgate.store.objects import open_objects

    has_mark = store.secret(PAYLOADS_MARK, None) is not None
    objects = open_objects(
        config.payloads, store=config.store, name="payloads", owner=partial(store_owner, store), must_exist=has_mark
    )
    if not has_mark:
        store.secret(PAYLOADS_MARK, b"marked")
    return objects


def open_bucket(address: str) -> "Objects":
    """Return the objects in a bucket that a setting names. Raises StoreError."""
    from goodsgate.store.objects import Objects

    return Objects(address)


def known_settings() -> "KnownSettings":
    """Return the settings of keys and merchants that the protocols know."""
    from goodsgate.protocols import load_known_settings

    return load_known_settings()


def create_secrets(store: Store, config: Config) -> "Secrets":
    """Return the secrets that are derived from the master secrets of the settings, or else of the store."""
    from goodsgate.engine.secrets import Secrets, parse_masters

    return Secrets(store, parse_masters(config.secrets))


def create_engine(store: Store, config: Config, *, type: "type[Engine] | None" = None) -> "Engine":
    """Return the engine over a store, for requests, possibly of a subclass."""
    from goodsgate.engine import Engine
    from goodsgate.engine.stock import Stock

    return (type or Engine)(store, engine_settings(config), secrets=create_secrets(store, config), stock=Stock(store))


def create_worker(store: Store, config: Config, name: str | None = None, *,
                  schemas: "Mapping[str, Schema] | None" = None, stop: "threading.Event | None" = None,
                  known_issues: "Mapping[int, list[Issue]] | None" = None) -> "Worker":
    """Return a worker that knows the given schemas, by default those of every protocol; `stop` ends its run.

    `known_issues` are found about records before they are checked, by record number; for a worker of one batch.
    """
    from goodsgate.engine import Worker
    from goodsgate.protocols import ProtocolSchemas

    known = ProtocolSchemas() if schemas is None else schemas
    return Worker(store, worker_settings(config), name, schemas=known, stop=stop, known_issues=known_issues)


def create_dry_runner(store: Store, config: Config) -> "DryRunner":
    """Return what works submissions without effect."""
    from goodsgate.engine.dry_run import DryRunner

    scratch_config = msgspec.structs.replace(
        config, catalogue_cache_bytes=SCRATCH_CACHE_BYTES, valid_cache_records=SCRATCH_VALID_CACHE_RECORDS,
        search="off",
    )
    return DryRunner(
        store, open_scratch=lambda folder: open_store(msgspec.structs.replace(scratch_config, store=str(folder))),
        create_engine=lambda scratch: create_engine(scratch, scratch_config),
        create_worker=lambda scratch, records_max: create_worker(
            scratch, msgspec.structs.replace(scratch_config, records_max=records_max or config.records_max), schemas={}
        ),
    )


def read_limits(config: Config) -> "Limits":
    """Return the bounds of reading."""
    from goodsgate.formats import Limits

    return Limits(**{name: getattr(config, name) for name in Limits.__struct_fields__})


def engine_settings(config: Config) -> "EngineSettings":
    """Return the settings of the engine's API."""
    from goodsgate.engine.merchant_limits import UsageLimits
    from goodsgate.engine.settings import EngineSettings

    return EngineSettings(
        body_bytes_max=config.body_bytes_max,
        usage_limits=UsageLimits(**{name: getattr(config, name) for name in UsageLimits.__struct_fields__}),
        reference_entries_max=config.reference_entries_max, read_limits=read_limits(config),
        waiting_hours=config.waiting_hours, journal=config.journal_days > 0,
    )


def worker_settings(config: Config) -> "WorkerSettings":
    """Return the settings of a worker."""
    from goodsgate.engine.settings import CheckLimits, PassingLimits, WorkerSettings

    return WorkerSettings(
        lease_seconds=config.lease_seconds, poll_seconds=config.poll_seconds,
        claim_rounds_max=config.claim_rounds_max, claim_bytes_max=config.claim_bytes_max,
        worker_deaths_max=config.worker_deaths_max, hold_hours=config.hold_hours,
        sweep_seconds=config.sweep_seconds, retention=retention(config), read_limits=read_limits(config),
        check_limits=CheckLimits(**{name: getattr(config, name) for name in CheckLimits.__struct_fields__}),
        passing=PassingLimits(records_max=config.passing_records_max, keys_max=config.passing_keys_max),
    )


def retention(config: Config) -> Retention:
    """Return how long data is kept."""
    day = 86_400
    return Retention(
        payload_seconds=int(config.payload_days * day), report_seconds=int(config.report_days * day),
        batch_seconds=int(config.batch_days * day), answer_seconds=int(config.idempotency_hours * 3_600),
        tombstone_seconds=int(max(config.tombstone_days, config.journal_days) * day),
        journal_seconds=int(config.journal_days * day), message_seconds=int(config.message_days * day),
        stock_order_seconds=int(config.stock_order_days * day), audit_seconds=int(config.audit_days * day),
    )


def start_tracing(config: Config, *, instance: str) -> "SpanTracer | None":
    """Let this process record spans if the settings say so; close the tracer at the end. Raises ExtraMissingError."""
    if not config.traces:
        return None
    with needed_extra("otel", "The setting traces"):
        from goodsgate.http.spans import SpanTracer, create_provider
    tracer = SpanTracer(create_provider(config.traces, instance=instance))
    tracing.install(tracer)
    return tracer


def create_outbox(store: Store, config: Config) -> "Outbox":
    """Return the outbox with the senders of every protocol; start it beside a worker and stop it after the worker."""
    from goodsgate.engine.item_changes import ItemChangeSource
    from goodsgate.engine.outbox import Outbox
    from goodsgate.protocols import load_message_senders

    senders = load_message_senders(create_services(store, config))
    return Outbox(store, senders, delivery_settings(config), sources=[ItemChangeSource(store)])


def create_jobs(store: Store, config: Config) -> "JobRunner":
    """Return what works the jobs of merchants; start it beside a worker and stop it after the worker."""
    from goodsgate.engine.feeds import create_runner

    return create_runner(
        create_engine(store, config), feed_settings(config), open_exports=partial(open_exports, store, config)
    )


def open_exports(store: Store, config: Config) -> "Objects":
    """Return the storage of exports and of feeds that the gate serves. Raises StoreError if it cannot be used."""
    from goodsgate.store.objects import open_objects

    return open_objects(config.exports, store=config.store, name="exports", owner=partial(store_owner, store))


def feed_settings(config: Config) -> "FeedSettings":
    """Return the settings of feeds."""
    from goodsgate.engine.feeds import FeedSettings

    return FeedSettings(environ=os.environ, **{
        name: getattr(config, name) for name in FeedSettings.__struct_fields__ if name != "environ"
    })


def create_change_files(store: Store, config: Config) -> "ChangeFiles | None":
    """Return the writer of files of changes, to run beside a worker; None if the settings ask for none."""
    from goodsgate.engine.change_files import ChangeFiles

    if not config.changes or not config.journal_days:
        return None
    return ChangeFiles(store, partial(open_change_files, store, config), interval_seconds=config.changes_seconds)


def open_change_files(store: Store, config: Config) -> "Objects":
    """Return the storage of the files of changes. Raises StoreError if it cannot be used."""
    from goodsgate.store.objects import open_objects

    return open_objects(config.changes, store=config.store, name="changes", owner=partial(store_owner, store))


def create_app(store: Store, config: Config, *, workers_alive: Callable[[], int] | None = None) -> "Application":
    """Return the gate as an ASGI application; `workers_alive` counts the worker processes that this process watches."""
    from goodsgate.console import Console
    from goodsgate.engine.change_file_checks import ChangeFileWatch
    from goodsgate.http.application import Application
    from goodsgate.http.context import ServerContext
    from goodsgate.http.proxies import TrustedProxies
    from goodsgate.http.traffic import TrafficLog
    from goodsgate.http.trouble import OrderedTrouble, TroubledApplication, TroubledContext, TroubledEngine
    from goodsgate.protocols import load_protocols

    allows_trouble = config.trouble == "allow"
    engine = create_engine(store, config, type=TroubledEngine if allows_trouble else None)
    services = create_services(store, config, secrets=engine.secrets, stock=engine.stock)
    dry_runner = create_dry_runner(store, config)
    context = (TroubledContext if allows_trouble else ServerContext)(
        engine, services, http_limits(config), dry_runner=dry_runner, workers_alive=workers_alive,
        logs_requests=config.request_log == "all",
    )
    if isinstance(engine, TroubledEngine):
        context.trouble = engine.ordered = OrderedTrouble()
    if config.changes and config.journal_days:
        context.checks.append(ChangeFileWatch(
            store, partial(open_change_files, store, config), interval_seconds=config.changes_seconds
        ).checks)
    if config.trusted_proxies:
        context.proxies = TrustedProxies(parse_networks(config.trusted_proxies), header=config.proxy_header)
    if config.traffic_bytes_max:
        context.traffic = TrafficLog(bytes_max=config.traffic_bytes_max)
    protocols = load_protocols(context)
    titles = [(protocol.name, protocol.title) for protocol in protocols]
    console = Console(context, titles, dry_runner=dry_runner, openid=create_openid_provider(config))
    return (TroubledApplication if allows_trouble else Application)(
        context, protocols, routes=console.routes(), background=[console.history],
        cors_origins=[*filter(None, config.cors_origins.replace(" ", "").split(","))],
    )


def create_services(store: Store, config: Config, *, secrets: "Secrets | None" = None,
                    stock: "Stock | None" = None) -> "ProtocolServices":
    """Return what the protocols share in one process. Raises StoreError if `reports` names no usable bucket."""
    from goodsgate.engine.feeds import create_destinations, create_sources
    from goodsgate.engine.stock import Stock
    from goodsgate.http.services import ProtocolServices
    from goodsgate.protocols import load_known_settings
    from goodsgate.store.objects import Objects, open_objects

    owner = partial(store_owner, store)
    secrets = secrets or create_secrets(store, config)
    return ProtocolServices(
        store=store, secrets=secrets, stock=stock or Stock(store),
        sources=create_sources(store, secrets, feed_settings(config)),
        destinations=create_destinations(
            store, secrets, feed_settings(config), open_exports=partial(open_exports, store, config)
        ),
        settings=protocol_settings(config), known_settings=load_known_settings(),
        open_images=partial(open_objects, config.images, store=config.store, name="images", owner=owner),
        open_exports=partial(open_exports, store, config),
        reports=Objects(config.reports) if config.reports else None,
    )


def delivery_settings(config: Config) -> "DeliverySettings":
    """Return the settings of the outbox."""
    from goodsgate.engine.outbox import DeliverySettings

    return DeliverySettings(
        threads=config.delivery_threads, timeout_seconds=config.delivery_seconds, stop_seconds=config.stop_seconds,
        retry_seconds=tuple(float(seconds) for seconds in config.delivery_retry_seconds.split(",")),
    )


def connection_limits(config: Config, *, descriptors: float = math.inf) -> "ConnectionLimits":
    """Return the bounds of connections, lowered if the process may not open that many files (`descriptors`)."""
    from goodsgate.http.connections import ConnectionLimits, fit_descriptors
    from goodsgate.http.threads import threads_of

    limits = ConnectionLimits(**{name: getattr(config, name) for name in ConnectionLimits.__struct_fields__})
    own = DESCRIPTORS_RESERVED + threads_of(http_limits(config)) * DESCRIPTORS_A_THREAD
    fitted = fit_descriptors(limits, max(DESCRIPTORS_RESERVED / 2, descriptors - own))
    if fitted != limits:
        log.warning(
            "this process may open %d files, so it accepts %d connections, %d of one address; raise the limit (ulimit "
            "-n, LimitNOFILE) to %d for http_connections_max", descriptors, fitted.http_connections_max,
            fitted.http_connections_per_address_max, own + limits.http_connections_max,
        )
    return fitted


def server_config(application: "Application", limits: "ConnectionLimits", *,
                  tracer: "SpanTracer | None" = None) -> "uvicorn.Config":
    """Return the configuration of uvicorn, with bounds on its connections, and spans if there is a tracer."""
    import uvicorn

    from goodsgate.http.connections import OpenConnections, bounded_http
    from goodsgate.http.proxies import ProxiedApplication
    from goodsgate.http.traffic import TrafficRecorder

    traffic, proxies = application.context.traffic, application.context.proxies
    open_connections = OpenConnections(
        limits, application.context.metrics, buffer_bytes=application.context.uploads.buffer_bytes,
        is_proxy=None if proxies is None else proxies.trusts,
    )
    served: ASGIApp = application if traffic is None else TrafficRecorder(application, traffic)
    if tracer is not None:
        from goodsgate.http.spans import TracedApplication

        served = TracedApplication(served, tracer)
    return uvicorn.Config(
        served if proxies is None else ProxiedApplication(served, proxies), loop="uvloop",
        http=bounded_http(open_connections, application.begin_stop), ws="none",
        lifespan="on", log_config=None, access_log=False, server_header=False, proxy_headers=False,
        timeout_keep_alive=math.ceil(limits.keep_alive_seconds), backlog=2048,
        timeout_graceful_shutdown=math.ceil(application.context.limits.stop_seconds) + REFUSAL_SECONDS,
    )
