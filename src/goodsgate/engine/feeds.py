"""Puts together what fetches and writes feeds, from the settings."""

from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from goodsgate.engine.api import Engine
from goodsgate.engine.credentials import Credentials
from goodsgate.engine.destination_definitions import DESTINATION
from goodsgate.engine.destination_runs import DestinationJobs, DestinationRunSettings
from goodsgate.engine.destinations import Destinations
from goodsgate.engine.jobs import JobHandler, JobRunner, JobSettings
from goodsgate.engine.secrets import Secrets
from goodsgate.engine.source_definitions import SOURCE
from goodsgate.engine.source_runs import SourceJobs, SourceRunSettings
from goodsgate.engine.sources import Sources
from goodsgate.remote import RemoteSettings
from goodsgate.store.contract import Store
from goodsgate.store.objects import Objects


class FeedSettings(msgspec.Struct, frozen=True, kw_only=True):
    """See the settings of the same names."""

    environ: Mapping[str, str]
    """Variables that credentials may name, if `feed_variables` allows them."""
    feed_hosts: str
    feed_private: str
    feed_http: str
    feed_folders: str
    feed_variables: str
    feed_threads: int
    feed_idle_seconds: float
    feed_seconds_max: float
    feed_bytes_per_second_max: int
    feed_retry_seconds: str
    sources_max: int
    destinations_max: int
    lease_seconds: float
    stop_seconds: float


def remote_settings(settings: FeedSettings) -> RemoteSettings:
    """Return which places of files the operator allows."""
    return RemoteSettings(
        hosts=frozenset(_names(settings.feed_hosts.lower())), folders=tuple(map(Path, _names(settings.feed_folders))),
        allow_private=settings.feed_private == "allow", allow_http=settings.feed_http == "allow",
        idle_seconds=settings.feed_idle_seconds,
    )


def create_credentials(secrets: Secrets, settings: FeedSettings) -> Credentials:
    """Return what seals and opens credentials."""
    return Credentials(secrets, frozenset(_names(settings.feed_variables)), settings.environ)


def create_sources(store: Store, secrets: Secrets, settings: FeedSettings) -> Sources:
    """Return the sources of merchants."""
    credentials = create_credentials(secrets, settings)
    return Sources(store, credentials, remote_settings(settings), sources_max=settings.sources_max)


def create_destinations(store: Store, secrets: Secrets, settings: FeedSettings, *,
                        open_exports: Callable[[], Objects]) -> Destinations:
    """Return the destinations of merchants."""
    credentials = create_credentials(secrets, settings)
    return Destinations(
        store, credentials, secrets, remote_settings(settings), open_objects=open_exports,
        destinations_max=settings.destinations_max,
    )


def create_runner(engine: Engine, settings: FeedSettings, *, open_exports: Callable[[], Objects]) -> JobRunner:
    """Return what works the jobs of merchants in a worker process."""
    runs = SourceRunSettings(
        seconds_max=settings.feed_seconds_max, bytes_per_second_max=settings.feed_bytes_per_second_max,
        retry_seconds=tuple(float(seconds) for seconds in settings.feed_retry_seconds.split(",")),
    )
    destinations = create_destinations(engine.store, engine.secrets, settings, open_exports=open_exports)
    handlers: dict[str, JobHandler] = {
        SOURCE: SourceJobs(engine, create_sources(engine.store, engine.secrets, settings), runs),
        DESTINATION: DestinationJobs(
            destinations, DestinationRunSettings(seconds_max=runs.seconds_max, retry_seconds=runs.retry_seconds)
        ),
    }
    return JobRunner(engine.store, handlers, JobSettings(
        threads=settings.feed_threads, lease_seconds=settings.lease_seconds, stop_seconds=settings.stop_seconds
    ))


def _names(setting: str) -> list[str]:
    return [name.strip() for name in setting.split(",") if name.strip()]
