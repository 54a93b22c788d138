"""Puts together what fetches feeds, from the settings."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from goodsgate.engine.api import Engine
from goodsgate.engine.credentials import Credentials
from goodsgate.engine.jobs import JobRunner, JobSettings
from goodsgate.engine.secrets import Secrets
from goodsgate.engine.source_definitions import SOURCE
from goodsgate.engine.source_runs import SourceJobs, SourceRunSettings
from goodsgate.engine.sources import Sources
from goodsgate.remote import RemoteSettings
from goodsgate.store.contract import Store


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


def create_runner(engine: Engine, settings: FeedSettings) -> JobRunner:
    """Return what works the jobs of merchants in a worker process."""
    runs = SourceRunSettings(
        seconds_max=settings.feed_seconds_max, bytes_per_second_max=settings.feed_bytes_per_second_max,
        retry_seconds=tuple(float(seconds) for seconds in settings.feed_retry_seconds.split(",")),
    )
    handlers = {SOURCE: SourceJobs(engine, create_sources(engine.store, engine.secrets, settings), runs)}
    return JobRunner(engine.store, handlers, JobSettings(
        threads=settings.feed_threads, lease_seconds=settings.lease_seconds, stop_seconds=settings.stop_seconds
    ))


def _names(setting: str) -> list[str]:
    return [name.strip() for name in setting.split(",") if name.strip()]
