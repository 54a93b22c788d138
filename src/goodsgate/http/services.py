"""What `app.py` builds for the protocols: the store, secrets, stock, object stores, and their settings."""

from collections.abc import Callable
from typing import Literal

import msgspec

from goodsgate.engine.destinations import Destinations
from goodsgate.engine.secrets import Secrets
from goodsgate.engine.sources import Sources
from goodsgate.engine.stock import Stock
from goodsgate.http.known_settings import KnownSettings
from goodsgate.store.contract import Store
from goodsgate.store.objects import Objects


class HttpLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of requests to one API process; see the settings of the same names."""

    threads: int
    report_threads: int
    reports_max: int
    reports_per_merchant_max: int
    sessions_max: int
    sessions_per_merchant_max: int
    uploads_max: int
    uploads_per_merchant_max: int
    body_bytes_per_second_min: int
    stop_seconds: float
    body_bytes_max: int
    body_idle_seconds: float
    document_bytes_max: int
    reference_body_bytes_max: int
    wait_seconds_max: float
    page_rows_max: int
    session_seconds: float
    """Lifetime of a session of the console."""


class MailSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The SMTP server for mail, and what is sent."""

    host: str
    port: int
    security: Literal["starttls", "tls", "none"]
    user: str
    """Empty: without authentication."""
    password: str
    sender: str
    """The address, or ``name <address>``."""
    domains: frozenset[str]
    """Domains in lower case; ``*.host`` allows every subdomain, ``*`` every domain."""
    per_hour_max: int
    """Mails of one process to the receivers of one merchant."""
    templates: str
    """A folder with texts that replace those of the gate; empty: there is none."""
    language: str


class WebhookSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Addresses to which webhooks may be sent."""

    mail: MailSettings | None = None
    """None if no mail is sent."""

    hosts: frozenset[str]
    """Host names in lower case; ``*.host`` allows every subdomain, ``*`` every host."""
    allow_private: bool
    """Whether a host may resolve to a private address."""
    webhooks_max: int = 10
    """Webhooks of one merchant."""
    overlap_seconds: float = 86_400
    """How long a replaced secret still signs."""


class ProtocolSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings that protocols read, in an API process as in a worker."""

    public_url: str
    """URL at which clients reach the gate, without a slash at the end; empty: the one of each request."""
    local_url: str
    """URL at which the gate listens, for links in messages when there is no public URL."""
    rate_limits: bool
    """Whether published rate limits are enforced."""
    import_streams_at_once: bool
    """Whether a stream that is no site's source is imported as uploads arrive."""
    verify_signatures: bool
    metrics_token: str
    """Secret with which metrics can be read; empty: only with an admin's key."""
    call_aliases: str
    """Other names of calls and of members of their bodies, separated by commas."""
    token_seconds: float
    """Lifetime of a token."""
    report_link_seconds: float
    """Life of a link to a report."""
    order_days: float
    """Retention of orders after their last change."""
    courier_seconds: float
    """Delay between an order's invoice and the simulated parcel courier."""
    delivery_seconds: float
    """Time limit of one delivery attempt."""
    delivery_retries_max: int
    """Attempts after the first one."""
    webhooks: WebhookSettings


class ProtocolServices(msgspec.Struct, frozen=True, kw_only=True):
    """Shared parts of one process, for handlers of requests and for senders of messages alike."""

    store: Store
    secrets: Secrets
    stock: Stock
    sources: Sources
    destinations: Destinations
    settings: ProtocolSettings
    known_settings: KnownSettings
    """Settings of keys and merchants that protocols read."""
    open_images: Callable[[], Objects]
    """Return the storage of images; raises StoreError if the settings name none that can be used."""
    open_exports: Callable[[], Objects]
    """Return the storage of exported files; raises StoreError if the settings name none that can be used."""
    reports: Objects | None
    """Storage of downloadable reports; None: the gate serves them itself."""
