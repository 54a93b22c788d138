"""Every setting: its unit (at the end of its name), its default, its bound.

Read from the TOML file named by ``GOODSGATE_CONFIG`` (or ``goodsgate.toml`` in the working folder), then from
``GOODSGATE_<NAME>`` in the environment, which wins.
"""

import os
import re
import tomllib
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import unquote

import msgspec
from msgspec import Meta


class ConfigError(Exception):
    """A setting is unknown or out of bounds; the message names it, its value and its bound."""


Seconds = Annotated[float, Meta(ge=0.01, le=3600)]
Bytes = Annotated[int, Meta(ge=1, le=1024**5)]
Days = Annotated[float, Meta(gt=0, le=3650)]
Count = Annotated[int, Meta(ge=1, le=10**9)]

_MASTER = r"[a-z][a-z0-9-]{0,31}:(?:[A-Za-z0-9+/]{4}){8,}(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"
_MASTERS = rf"^(?:{_MASTER}(?:,{_MASTER})*)?$"
"""Of 24 bytes at least, each."""
_ALIASES = r"^(([A-Za-z]\w*/\w+=[A-Za-z]\w*/\w+|[A-Za-z]\w*=[A-Za-z]\w*)(, ?|$))*$"

_PASSWORDS = re.compile(r"([?&](?:ssl)?password=)([^&]*)")
"""Among what follows the ? of an address."""


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings. Each is documented in ``docs/reference/settings.md`` (tested)."""

    # where
    store: str = "goodsgate-data"
    """A folder (embedded store), or a postgresql:// address."""
    connections_max: Annotated[int, Meta(ge=4, le=1000)] = 12
    """Of one process to PostgreSQL."""
    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 8480
    """0 takes a free port."""
    workers: Annotated[int, Meta(ge=0, le=64)] = 1
    """Worker processes that serve starts; the embedded store works with one."""
    log_level: str = "info"
    secrets: Annotated[str, Meta(pattern=_MASTERS)] = ""
    """Master secrets, ``name:base64`` one after the other with commas between; the first makes new ones."""

    # at the door
    body_bytes_max: Bytes = 64 * 1024**3
    body_idle_seconds: Seconds = 60.0
    """A body that stands still this long is given up."""
    threads: Annotated[int, Meta(ge=1, le=256)] = 8
    """Threads behind the door of one API process."""
    rate_limits: Literal["kept", "off"] = "kept"
    """Protocols that publish how often somebody may ask are kept to it."""
    sessions_max: Count = 500
    """Long polls and event streams open at once."""
    wait_seconds_max: Seconds = 60.0
    page_rows_max: Count = 1_000
    reference_body_bytes_max: Bytes = 256 * 1024**2
    document_bytes_max: Bytes = 1024**2
    """Bodies of small administrative requests."""
    open_rounds_max: Count = 10_000
    """Rounds of one merchant that are queued or worked at once."""
    public_url: Annotated[str, Meta(pattern=r"^(https?://[^/?# ]+[^?# ]*)?$")] = ""
    """Where clients reach the gate, for links that it makes; empty: where a request came to."""
    signatures: Literal["verify", "accept"] = "verify"
    """What becomes of signatures of requests; ``accept`` takes any, for trials on one's own machine."""
    call_aliases: Annotated[str, Meta(pattern=_ALIASES)] = ""
    """Other names of what clients call, the known one behind: ``Class/method=Class/method``, or ``Class=Class``."""
    small_payload_bytes: Bytes = 256 * 1024
    """Payloads up to this are kept in the intake file itself."""

    # reading
    chunk_bytes: Bytes = 16 * 1024**2
    chunk_records_max: Count = 16_384
    line_bytes_max: Bytes = 2 * 1024**2
    cell_bytes_max: Bytes = 256 * 1024
    columns_max: Count = 2_000
    records_max: Count = 50_000_000
    inflate_ratio_max: Count = 500
    unpacked_bytes_max: Bytes = 1024**4
    xlsx_bytes_max: Bytes = 64 * 1024**2
    xlsx_unpacked_bytes_max: Bytes = 128 * 1024**2
    depth_max: Annotated[int, Meta(ge=2, le=100)] = 16
    """Nesting of a record."""
    issues_per_record_max: Count = 100
    reference_entries_max: Count = 1_000_000
    """Entries of one kind of one merchant."""

    # working
    lease_seconds: Seconds = 15.0
    poll_seconds: Annotated[float, Meta(ge=0.001, le=60)] = 0.02
    claim_rounds_max: Count = 40
    claim_bytes_max: Bytes = 8 * 1024**2
    """Small batches of a lane are settled together up to these."""
    spotless_records: Annotated[int, Meta(ge=1, le=2**28)] = 2**21
    """Records found spotless that a worker knows again without looking; 8 bytes each."""
    catalogue_cache_bytes: Bytes = 128 * 1024**2

    # carrying
    carry_threads: Annotated[int, Meta(ge=1, le=256)] = 8
    """Messages of one worker process that are on their way at once."""
    carry_seconds: Seconds = 15.0
    """A message that has not arrived after this long has failed."""
    carry_again_seconds: Annotated[str, Meta(pattern=r"^[0-9]{1,7}(,[0-9]{1,7})*$")] = (
        "5,300,1800,7200,18000,36000,50400,72000,86400"
    )
    """Pauses before a message that failed is carried again; after the last it is given up."""

    webhook_hosts: Annotated[str, Meta(pattern=r"^([A-Za-z0-9.*:_-]+(, ?|$))*$")] = ""
    """Hosts to which events of orders may be sent, commas between; ``*.host`` is all below one, ``*`` any."""
    webhook_private: Literal["refuse", "allow"] = "refuse"
    """What becomes of a host that leads to a private address."""
    courier_seconds: Annotated[float, Meta(ge=0, le=86400)] = 5.0
    """From the invoice of an order to the courier that the gate makes up for it."""

    # keeping
    reports: Annotated[str, Meta(pattern=r"^(s3://[^ ]+)?$")] = ""
    """``s3://bucket/prefix`` for reports that are downloaded by signed links; empty: the gate serves them itself."""
    images: Annotated[str, Meta(max_length=1000)] = ""
    """A folder or ``s3://bucket/prefix`` for images; empty: ``images`` in the folder of an embedded store."""
    exports: Annotated[str, Meta(max_length=1000)] = ""
    """A folder or ``s3://bucket/prefix`` for exported files; empty: ``exports`` in the folder of an embedded store."""
    payload_days: Days = 7.0
    report_days: Days = 30.0
    batch_days: Days = 400.0
    answer_hours: Annotated[float, Meta(gt=0, le=8760)] = 24.0
    """How long an idempotency key is remembered."""
    token_hours: Annotated[float, Meta(gt=0, le=8760)] = 24.0
    """How long a token is good that a credential was exchanged for."""
    session_hours: Annotated[float, Meta(gt=0, le=720)] = 12.0
    """How long somebody stays signed in to the console."""
    order_days: Days = 400.0
    """Orders and numbers of invoices, after the last that happened."""
    tombstone_days: Days = 30.0
    stock_order_days: Days = 400.0
    """What is remembered of an order that moved stock, after its last movement; not while it has any reserved."""
    message_days: Days = 30.0
    """Messages, after they were sent or given up."""
    sweep_seconds: Seconds = 60.0


def load(path: Path | None = None, environ: dict[str, str] | None = None, **given: object) -> Config:
    """Settings from file, environment and `given` (which wins); raises ConfigError."""
    environ = dict(os.environ) if environ is None else environ
    named = path or (Path(environ["GOODSGATE_CONFIG"]) if "GOODSGATE_CONFIG" in environ else None)
    values: dict[str, object] = {}
    file = named or Path("goodsgate.toml")
    if named or file.exists():
        try:
            values.update(tomllib.loads(file.read_text("utf-8")))
        except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
            raise ConfigError(f"{file}: {fault}") from fault
    for name in Config.__struct_fields__:
        text = environ.get(f"GOODSGATE_{name.upper()}")
        if text is not None:
            values[name] = text
    values.update({name: value for name, value in given.items() if value is not None})
    unknown = sorted(set(values) - set(Config.__struct_fields__))
    if unknown:
        raise ConfigError(f"no such setting: {', '.join(unknown)}")
    try:
        return msgspec.convert(values, Config, strict=False)
    except msgspec.ValidationError as fault:
        raise ConfigError(str(fault)) from fault


def without_password(address: str) -> str:
    """A store's address as it may be shown: a folder as it is, a server's address without its secrets.

    Of an address that is put together wrongly it rather shows too little.
    """
    scheme, server, rest = address.partition("://")
    if not server:
        return address
    login, at, place = _PASSWORDS.sub(r"\1***", rest).rpartition("@")
    return f"{scheme}://{login.partition(':')[0]}{at}{place}"


def without_secrets(text: str, *, address: str) -> str:
    """A message about a store, in which its address and its passwords may stand, as it may be shown."""
    text = text.replace(address, without_password(address))
    _, server, rest = address.partition("://")
    if not server:
        return text
    secrets = {rest.rpartition("@")[0].partition(":")[2], *(found[2] for found in _PASSWORDS.finditer(rest))}
    for secret in secrets | {unquote(secret) for secret in secrets}:
        text = text.replace(secret, "***") if secret else text
    return text
