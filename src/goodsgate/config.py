"""The settings, each with its unit (at the end of its name), its default and its bounds.

They are read from the TOML file named by ``GOODSGATE_CONFIG`` (or ``goodsgate.toml`` in the working directory), then
from ``GOODSGATE_<NAME>`` in the environment, which takes precedence.
"""

import ipaddress
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_type_hints

import msgspec
from msgspec import Meta

from goodsgate.model.nearest import nearest_name
from goodsgate.setting_formats import (
    ALIASES,
    ALIASES_EXPECTED,
    FOLDERS,
    HOSTS,
    ISSUER,
    LANGUAGE,
    LEVELS,
    MAPPING,
    MAPPING_EXPECTED,
    MASTERS,
    MASTERS_EXPECTED,
    NETWORKS,
    NETWORKS_EXPECTED,
    ORIGINS,
    ORIGINS_EXPECTED,
    PAUSES,
    PUBLIC_URL,
    SENDER,
    SENDER_EXPECTED,
    TOKENS,
    TRACES,
    VARIABLES,
    VARIABLES_EXPECTED,
    Bytes,
    Count,
    Days,
    OneLineText,
    Seconds,
)


class ConfigError(Exception):
    """Settings that cannot be used; the message has one line for each, with its file and line, or its variable."""


Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings. Each is documented in ``docs/reference/settings.md`` (tested)."""

    # Process
    store: str = "goodsgate-data"
    """A folder (embedded store), or a postgresql:// address."""
    connections_max: Annotated[int, Meta(ge=4, le=1000)] = 12
    """Connections of one process to PostgreSQL."""
    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 8480
    """0 takes a free port."""
    workers: Annotated[int, Meta(ge=0, le=64)] = 1
    """Worker processes that `serve` starts; use one with the embedded store."""
    log_level: Annotated[str, Meta(pattern=r"^(?i:debug|info|warning|error)$", description=LEVELS)] = "info"
    secrets: Annotated[str, Meta(pattern=MASTERS, description=MASTERS_EXPECTED)] = ""
    """Master secrets, comma-separated ``name:base64``; the first one signs new keys, the others stay valid."""

    traces: Annotated[str, Meta(pattern=r"^(https?://[^?# ]+)?$", description=TRACES)] = ""
    """URL of a receiver of OpenTelemetry (OTLP/HTTP) for spans of requests, batches and deliveries; empty: none."""
    request_log: Literal["notable", "all"] = "notable"
    """Which requests have a log line at the level info: those refused, failed or slow, or all."""
    metrics_token: Annotated[str, Meta(pattern=r"^([!-~]{16,200})?$", description=TOKENS)] = ""
    """Secret with which a monitoring system reads `/metrics`; an admin's key does, too."""

    # HTTP
    body_bytes_max: Bytes = 64 * 1024**3
    body_idle_seconds: Seconds = 60.0
    """Time after which a body from which nothing arrives is refused."""
    body_bytes_per_second_min: Count = 1_000
    """Least average speed of a body, after `body_idle_seconds`."""
    http_connections_max: Count = 4_000
    """Connections of clients that one API process has open at once."""
    http_connections_per_address_max: Count = 1_000
    headers_bytes_max: Annotated[int, Meta(ge=1024, le=1024**2)] = 32 * 1024
    """Maximum headers of a request, and maximum trailers."""
    headers_seconds: Seconds = 20.0
    """Time for the headers of a request, and for the rest of a body that the gate did not need for its response."""
    keep_alive_seconds: Seconds = 75.0
    trusted_proxies: Annotated[str, Meta(pattern=NETWORKS, description=NETWORKS_EXPECTED)] = ""
    """Networks of proxies that name the address of a client, comma-separated; their own connections are not limited."""
    proxy_header: Literal["x-forwarded-for", "forwarded"] = "x-forwarded-for"
    """Header in which they do."""
    write_seconds: Seconds = 60.0
    """Time after which a client that takes nothing of a response is disconnected."""
    stop_seconds: Seconds = 10.0
    """Time for requests and deliveries in progress when the gate stops."""
    threads: Annotated[int, Meta(ge=1, le=256)] = 8
    """Threads of one API process for requests that read, and as many for requests that write."""
    report_threads: Annotated[int, Meta(ge=1, le=64)] = 2
    """Threads of one API process that write reports."""
    reports_max: Count = 32
    """Reports that are written or sent at once."""
    reports_per_merchant_max: Count = 8
    rate_limits: Literal["on", "off"] = "on"
    """Whether the rate limits that vendors publish for their protocols are enforced."""
    stream_imports: Literal["held", "at_once"] = "held"
    """When uploads to Productsup streams that no site imports are processed."""
    sessions_max: Count = 500
    """Long polls and event streams that are open at once."""
    sessions_per_merchant_max: Count = 200
    uploads_max: Count = 256
    """Bodies of requests that are arriving at once."""
    uploads_per_merchant_max: Count = 64
    wait_seconds_max: Seconds = 60.0
    page_rows_max: Count = 1_000
    reference_body_bytes_max: Bytes = 256 * 1024**2
    document_bytes_max: Bytes = 1024**2
    """Maximum body of a small administrative request."""
    open_rounds_max: Count = 10_000
    """Rounds of one merchant that are queued or working at once."""
    requests_per_minute_max: Annotated[int, Meta(ge=0, le=10**12)] = 0
    """Requests of one merchant in a minute; 0 for no limit. Merchants and keys can have limits of their own."""
    bytes_per_day_max: Annotated[int, Meta(ge=0, le=10**15)] = 0
    """Bytes of request bodies of one merchant in a day; 0 for no limit."""
    cors_origins: Annotated[str, Meta(pattern=ORIGINS, description=ORIGINS_EXPECTED)] = ""
    """Origins whose web pages may call the gate, comma-separated; ``*`` for all."""
    public_url: Annotated[str, Meta(pattern=r"^(https?://[^/?# ]+/?)?$", description=PUBLIC_URL)] = ""
    """Base URL of links, without a path; empty: the address to which the request was sent."""
    signatures: Literal["verify", "accept"] = "verify"
    """How signed requests are treated; ``accept`` takes any signature, for tests on one's own machine."""
    traffic_bytes_max: Annotated[int, Meta(ge=0, le=1024**3)] = 0
    """Memory for the latest requests and responses, which admins can read; 0 records nothing."""
    trouble: Literal["refuse", "allow"] = "refuse"
    """Whether admins may order failures for the next submissions of a merchant, for tests of clients."""
    call_aliases: Annotated[str, Meta(pattern=ALIASES, description=ALIASES_EXPECTED)] = ""
    """Other names of Mircate calls and members: ``Class/method=Class/method``, ``Class/method.member=member``."""
    small_payload_bytes: Bytes = 256 * 1024
    """Payloads up to this size are stored in the intake file itself."""
    search: Literal["on", "off"] = "on"
    """Whether the store has an index of words, GTINs and brands; without it, a search examines items one by one."""

    # Reading submissions
    chunk_bytes: Bytes = 16 * 1024**2
    chunk_records_max: Count = 16_384
    chunk_seconds: Seconds = 1.0
    """Time after which a chunk ends early, so that other merchants have their turn."""
    group_rows_max: Count = 5_000
    line_bytes_max: Bytes = 2 * 1024**2
    cell_bytes_max: Bytes = 256 * 1024
    columns_max: Count = 2_000
    records_max: Count = 50_000_000
    inflate_ratio_max: Count = 200
    unpacked_bytes_max: Bytes = 64 * 1024**3
    skipped_bytes_max: Bytes = 256 * 1024**2
    xlsx_bytes_max: Bytes = 64 * 1024**2
    xlsx_unpacked_bytes_max: Bytes = 128 * 1024**2
    parser_memory_bytes_max: Annotated[int, Meta(ge=64 * 1024**2, le=1024**4)] = 512 * 1024**2
    """Memory of the process that parses one XLSX; the gate itself needs none of it."""
    parser_seconds_max: Annotated[float, Meta(ge=1, le=3600)] = 20.0
    """Processor time of that process; three times as much may pass until it answers."""
    depth_max: Annotated[int, Meta(ge=2, le=100)] = 16
    """Maximum nesting of a record."""
    issues_per_record_max: Count = 100
    clock_ahead_seconds_max: Count = 86_400
    """So far may `observed_at` of a record be after its submission."""
    reference_entries_max: Count = 1_000_000
    """Maximum entries of one kind of reference data of one merchant."""
    waiting_hours: Annotated[float, Meta(gt=0, le=8760)] = 72.0
    """How long records wait for what they refer to, if a submission says `references=wait` and no time of its own."""
    hold_hours: Annotated[float, Meta(gt=0, le=8760)] = 72.0
    """How long guards hold a batch until it is discarded, if neither they nor the submission say so."""

    # Workers
    lease_seconds: Seconds = 15.0
    poll_seconds: Annotated[float, Meta(ge=0.001, le=60)] = 0.02
    worker_deaths_max: Count = 3
    """Workers that may die at a batch, without a committed chunk between, before it ends broken."""
    claim_rounds_max: Count = 40
    claim_bytes_max: Bytes = 8 * 1024**2
    """Small batches of a lane are committed together up to this number and these payload bytes."""
    passing_records_max: Annotated[int, Meta(ge=0, le=100_000)] = 1_000
    """A batch with up to so many records passes large ones of its lane that share no key with it; 0: none does."""
    passing_keys_max: Annotated[int, Meta(ge=1, le=2**28)] = 5_000_000
    """A large batch with more keys left is not passed; 8 bytes each."""
    valid_cache_records: Annotated[int, Meta(ge=1, le=2**28)] = 2**21
    """Valid records that a worker remembers by hash, so that it does not check them again; 8 bytes each."""
    catalogue_cache_bytes: Bytes = 128 * 1024**2

    # Delivery
    delivery_threads: Annotated[int, Meta(ge=1, le=256)] = 8
    """Messages that one worker process delivers at once."""
    delivery_seconds: Seconds = 15.0
    """Time limit of one delivery in all."""
    delivery_retry_seconds: Annotated[str, Meta(pattern=r"^[0-9]{1,7}(,[0-9]{1,7})*$", description=PAUSES)] = (
        "5,300,1800,7200,18000,36000,50400,72000,86400"
    )
    """Pauses before a failed message is delivered again; after the last one it is given up."""

    webhook_hosts: Annotated[str, Meta(pattern=r"^([A-Za-z0-9.*:_-]+(, ?|$))*$", description=HOSTS)] = ""
    """Hosts to which webhooks may be sent, comma-separated; ``*.host`` allows every subdomain, ``*`` every host."""
    webhook_private: Literal["refuse", "allow"] = "refuse"
    """What happens when such a host resolves to a private address."""
    webhooks_max: Annotated[int, Meta(ge=1, le=1000)] = 10
    """Webhooks of one merchant, not counting those for order events of Konnect."""
    webhook_overlap_hours: Annotated[float, Meta(ge=0, le=720)] = 24.0
    """How long a replaced secret of a webhook still signs, beside the new one."""
    mail_host: OneLineText = ""
    """SMTP server that takes mail of webhooks to ``mailto:`` addresses; empty: no mail is sent."""
    mail_port: Annotated[int, Meta(ge=1, le=65535)] = 587
    mail_security: Literal["starttls", "tls", "none"] = "starttls"
    mail_user: OneLineText = ""
    mail_password: OneLineText = ""
    mail_password_file: OneLineText = ""
    """A file with the password, instead of the setting."""
    mail_from: OneLineText = ""
    mail_domains: Annotated[str, Meta(pattern=r"^([A-Za-z0-9.*_-]+(, ?|$))*$", description=HOSTS)] = ""
    """Domains to which mail may be sent, comma-separated; ``*.host`` allows every subdomain, ``*`` every domain."""
    mails_per_hour_max: Annotated[int, Meta(ge=1, le=100_000)] = 60
    mail_templates: OneLineText = ""
    """A folder with texts that replace those of the gate."""
    mail_language: Annotated[str, Meta(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})?$", description=LANGUAGE)] = "en"
    courier_seconds: Annotated[float, Meta(ge=0, le=86400)] = 5.0
    """Time from the invoice of an order until the simulated parcel courier is assigned."""

    # Feeds that are fetched
    feed_hosts: Annotated[str, Meta(pattern=r"^([A-Za-z0-9.*:_-]+(, ?|$))*$", description=HOSTS)] = ""
    """Hosts of feeds, comma-separated; ``*.host`` allows every subdomain, ``*`` every host."""
    feed_private: Literal["refuse", "allow"] = "refuse"
    """What happens when such a host has a private address."""
    feed_http: Literal["refuse", "allow"] = "refuse"
    """Whether feeds may come without TLS."""
    feed_folders: Annotated[str, Meta(pattern=r"^(/[^,]*(,|$))*$", description=FOLDERS)] = ""
    """Folders of the gate's machine below which feeds may be, comma-separated."""
    feed_variables: Annotated[str, Meta(pattern=VARIABLES, description=VARIABLES_EXPECTED)] = ""
    """Variables that credentials of feeds may name: ``NAME``, or ``merchant/NAME`` for one merchant."""
    feed_threads: Annotated[int, Meta(ge=0, le=64)] = 2
    """Feeds that one worker process fetches at once; 0: it fetches none."""
    feed_idle_seconds: Seconds = 60.0
    """Time in which the next bytes of a feed must arrive."""
    feed_seconds_max: Annotated[float, Meta(ge=1, le=86_400)] = 14_400.0
    """Time limit of one run of a source."""
    feed_bytes_per_second_max: Annotated[int, Meta(ge=0, le=10**12)] = 0
    """Speed at which a feed is fetched at most; 0: as fast as it comes."""
    feed_retry_seconds: Annotated[str, Meta(pattern=r"^[0-9]{1,7}(,[0-9]{1,7})*$", description=PAUSES)] = (
        "60,300,1800"
    )
    """Pauses before a run that failed is made again; after the last one the source is failing."""
    sources_max: Annotated[int, Meta(ge=1, le=1000)] = 100
    """Sources of one merchant."""
    destinations_max: Annotated[int, Meta(ge=1, le=1000)] = 100
    """Destinations of one merchant."""

    # Signing in with OpenID Connect
    oidc_issuer: Annotated[str, Meta(pattern=r"^(https?://[^?# ]+)?$", description=ISSUER)] = ""
    """Issuer with which people sign in to the console; empty: with keys alone."""
    oidc_client_id: OneLineText = ""
    oidc_client_secret: OneLineText = ""
    oidc_client_secret_file: OneLineText = ""
    """A file with the client secret, instead of the setting."""
    oidc_name: OneLineText = "OpenID Connect"
    """How the page for signing in calls the provider."""
    oidc_scopes: OneLineText = "openid profile email"
    oidc_merchant: OneLineText = ""
    """Merchant of people without a claim that names theirs; empty: they are refused."""
    oidc_merchant_claim: OneLineText = "goodsgate_merchant"
    oidc_merchants: Annotated[str, Meta(pattern=MAPPING, description=MAPPING_EXPECTED)] = ""
    """Value of the claim → merchant, as ``value=merchant``, comma-separated; empty: the value is the merchant."""
    oidc_role_claim: OneLineText = "groups"
    oidc_roles: Annotated[str, Meta(pattern=MAPPING, description=MAPPING_EXPECTED)] = ""
    """Value of the claim → role, as ``value=clerk``, comma-separated."""
    oidc_private: Literal["refuse", "allow"] = "refuse"
    """What happens when the issuer has a private address, or no TLS."""
    oidc_leeway_seconds: Annotated[int, Meta(ge=0, le=600)] = 60
    """Difference of the clocks of issuer and gate that is accepted."""

    # Retention
    reports: Annotated[str, Meta(pattern=r"^(s3://[^ ]+)?$", description="`s3://bucket/prefix`, or empty")] = ""
    """``s3://bucket/prefix`` for reports that are downloaded with signed links; empty: the gate serves them itself."""
    images: Annotated[str, Meta(max_length=1000)] = ""
    """A folder or ``s3://bucket/prefix`` for images; empty: ``images`` in the folder of an embedded store."""
    exports: Annotated[str, Meta(max_length=1000)] = ""
    """A folder or ``s3://bucket/prefix`` for exported files; empty: ``exports`` in the folder of an embedded store."""
    payloads: Annotated[str, Meta(max_length=1000)] = ""
    """A folder or ``s3://bucket/prefix`` for payloads of a store on PostgreSQL; empty: they are in the database."""
    changes: Annotated[str, Meta(max_length=1000)] = ""
    """A folder or ``s3://bucket/prefix`` for files of changes, for warehouses; empty: none are written."""
    changes_seconds: Annotated[float, Meta(ge=1, le=86400)] = 60.0
    payload_days: Days = 7.0
    report_days: Days = 30.0
    batch_days: Days = 400.0
    idempotency_hours: Annotated[float, Meta(gt=0, le=8760)] = 24.0
    """How long an idempotency key is remembered."""
    token_hours: Annotated[float, Meta(gt=0, le=8760)] = 24.0
    """Lifetime of a token that was exchanged for a key."""
    session_hours: Annotated[float, Meta(gt=0, le=720)] = 12.0
    """Lifetime of a console session."""
    report_link_seconds: Annotated[float, Meta(ge=1, le=604_800)] = 3600.0
    """Life of a link to the report of a Just Walk Out ingestion; Amazon publishes an hour."""
    order_days: Days = 400.0
    """Orders and invoice numbers, after the last event."""
    tombstone_days: Days = 30.0
    """What is known of deleted items; at least `journal_days`."""
    journal_days: Annotated[float, Meta(ge=0, le=3650)] = 30.0
    """Changes of the catalogue, by which consumers follow it and batches are reverted; 0: no journal is written."""
    stock_order_days: Days = 400.0
    """Stock movements of an order, after the last one and while nothing is reserved."""
    message_days: Days = 30.0
    """Messages, after they were sent or given up."""
    audit_days: Days = 400.0
    """Entries of the audit log."""
    sweep_seconds: Seconds = 60.0


CLIENT_VARIABLES = frozenset({"GOODSGATE_CONFIG", "GOODSGATE_URL", "GOODSGATE_KEY", "GOODSGATE_CA"})
"""Variables of the command line that are not settings."""
_OTHER_VARIABLES = re.compile(
    r"GOODSGATE_TEST_\w+|GOODSGATE_(\w+_)?SERVICE_(HOST|PORT(_\w+)?)|GOODSGATE_(\w+_)?PORT_\d+_(TCP|UDP)(_\w+)?"
)
"""Variables of the tests, and those that Kubernetes adds for a service whose name begins with ``goodsgate``."""
_SERVICE_ADDRESS = re.compile(r"(tcp|udp)://.*")
"""Value of GOODSGATE_PORT in a Kubernetes cluster that has a service named ``goodsgate``; not a setting."""
SECRET_SETTINGS = frozenset({"store", "secrets", "metrics_token", "oidc_client_secret", "mail_password"})
"""Settings whose values error messages do not show."""
VALUE_CHARACTERS_MAX = 60


class LoadedConfig(msgspec.Struct, frozen=True):
    """The settings in force, and where each one comes from."""

    config: Config
    sources: dict[str, str]
    """Setting → ``default``, ``command line``, its variable, or its file and line."""


def load(path: Path | None = None, environ: Mapping[str, str] | None = None, **given: object) -> Config:
    """Return the settings of the file, the environment and `given`; later sources take precedence.

    Raises ConfigError.
    """
    return load_with_sources(path, environ, **given).config


def load_with_sources(path: Path | None = None, environ: Mapping[str, str] | None = None, **given: object,
                      ) -> LoadedConfig:
    """Return the settings as `load` does, and their sources. Raises ConfigError with everything that is wrong."""
    environ = os.environ if environ is None else environ
    values, sources, problems = _read_file(path, environ)
    problems += unknown_variables(environ)
    for name in Config.__struct_fields__:
        variable = f"GOODSGATE_{name.upper()}"
        text = environ.get(variable)
        if text is not None and not (name == "port" and _SERVICE_ADDRESS.fullmatch(text)):
            values[name], sources[name] = text, variable
    for name, value in given.items():
        if value is not None:
            values[name], sources[name] = value, "command line"
    hints = get_type_hints(Config, include_extras=True)
    converted: dict[str, Any] = {}
    for name, value in values.items():
        if name not in hints:
            problems.append(f"unknown setting `{name}` ({sources[name]}){_suggestion(name, hints)}")
            continue
        try:
            converted[name] = msgspec.convert(value, hints[name], strict=False)
            if name == "trusted_proxies":
                parse_networks(converted[name])
        except (msgspec.ValidationError, ValueError):
            shown = "" if name in SECRET_SETTINGS else f", not {_quoted(value)}"
            problems.append(f"the setting `{name}` ({sources[name]}) must be {_expected(hints[name])}{shown}")
    if converted.get("mail_host") and not SENDER.fullmatch(converted.get("mail_from", "")):
        problems.append(f"with `mail_host`, the setting `mail_from` must be {SENDER_EXPECTED}")
    if problems:
        raise ConfigError("\n".join(problems))
    sources = {name: sources.get(name, "default") for name in Config.__struct_fields__}
    return LoadedConfig(Config(**converted), sources)


def parse_networks(text: str) -> list[Network]:
    """Return the networks of a list with commas; an address is one of its own. Raises ValueError."""
    return [ipaddress.ip_network(part.strip(), strict=False) for part in text.split(",") if part.strip()]


def unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """Return a line for each variable that looks like one of Goodsgate's and is none, with the nearest name."""
    known = {f"GOODSGATE_{name.upper()}" for name in Config.__struct_fields__} | CLIENT_VARIABLES
    return [
        f"unknown variable {name} in the environment{_suggestion(name, known, quote='')}"
        for name in sorted(environ)
        if name.startswith("GOODSGATE_") and name not in known and not _OTHER_VARIABLES.fullmatch(name)
    ]


def _read_file(path: Path | None, environ: Mapping[str, str]) -> tuple[dict[str, object], dict[str, str], list[str]]:
    """Return the values of the settings file, their sources, and what is wrong with the file as a whole."""
    named = path or (Path(environ["GOODSGATE_CONFIG"]) if "GOODSGATE_CONFIG" in environ else None)
    file = named or Path("goodsgate.toml")
    if not named and not file.exists():
        return {}, {}, []
    try:
        text = file.read_text("utf-8")
        values: dict[str, object] = tomllib.loads(text)
    except OSError as fault:
        return {}, {}, [f"the settings file {file} cannot be read: {fault.strerror or fault}"]
    except UnicodeDecodeError:
        return {}, {}, [f"the settings file {file} is not UTF-8 text"]
    except tomllib.TOMLDecodeError as fault:
        return {}, {}, [f"the settings file {file} is not valid TOML: {fault}"]
    lines = text.splitlines()
    sources = {}
    for name in values:
        start = re.compile(rf"\s*\[?\s*[\"']?{re.escape(name)}\b")
        number = next((number for number, line in enumerate(lines, 1) if start.match(line)), None)
        sources[name] = f"{file}, line {number}" if number else str(file)
    return values, sources, []


def _suggestion(name: str, known: Iterable[str], *, quote: str = "`") -> str:
    nearest = nearest_name(name, sorted(known))
    return f"; did you mean {quote}{nearest}{quote}?" if nearest else "; see docs/reference/settings.md"


def _quoted(value: object) -> str:
    text = "".join(sign if sign.isprintable() else "·" for sign in str(value))
    return f"`{text[:VALUE_CHARACTERS_MAX]}…`" if len(text) > VALUE_CHARACTERS_MAX else f"`{text}`"


def _expected(hint: Any) -> str:
    """Return the values that a setting may have, in words."""
    base, *metas = get_args(hint) if hasattr(hint, "__metadata__") else (hint,)
    if getattr(base, "__origin__", None) is Literal:
        return " or ".join(f"`{choice}`" for choice in get_args(base))
    for meta in metas:
        if meta.description:
            return str(meta.description)
    if base is str:
        longest = next((meta.max_length for meta in metas if meta.max_length), None)
        return f"a text of at most {longest:,} characters" if longest else "a text"
    kind = "a whole number" if base is int else "a number"
    bounds = [
        f"{word} {bound:,}" for meta in metas
        for word, bound in (("at least", meta.ge), ("greater than", meta.gt), ("at most", meta.le)) if bound is not None
    ]
    return f"{kind}, {' and '.join(bounds)}" if bounds else kind
