"""Settings of the engine's parts, each with only what the part needs; `app.py` builds them from the configuration."""

import msgspec

from goodsgate.engine.merchant_limits import UsageLimits
from goodsgate.formats import Limits
from goodsgate.store.contract import Retention


class CheckLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of checking records."""

    issues_per_record_max: int = 100
    clock_ahead_seconds_max: int = 86_400
    """So far may the time of observation of a record be after its submission."""
    depth_max: int = 16
    """Nesting of a record."""
    chunk_seconds: float = 1.0
    """Checking a chunk may take half of this time, or that of a single record; processor time, because on a busy
    machine smaller chunks would only cost more."""
    valid_cache_records: int = 2**21
    """Records found valid that a worker recognizes without checking them again; 8 bytes each."""


class PassingLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of batches that pass others of their lane."""

    records_max: int = 1_000
    """Records of a batch that passes; 0: none does."""
    keys_max: int = 5_000_000
    """Keys of batches in front that a worker holds for one that is passed; 8 bytes each."""


class WorkerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of a worker."""

    lease_seconds: float
    poll_seconds: float
    """Longest wait for new work before the worker looks for it."""
    claim_rounds_max: int
    """Small batches of a lane that are committed together."""
    claim_bytes_max: int
    """Their size, and at the same time the size of what is read of a lane at once."""
    worker_deaths_max: int
    """Workers that may die at a round, without a committed chunk between, before it ends broken."""
    hold_hours: float = 72.0
    """How long guards hold a batch until it is discarded, unless they or the submission say otherwise."""
    sweep_seconds: float
    """Pause between two removals of expired data."""
    retention: Retention
    read_limits: Limits
    check_limits: CheckLimits
    passing: PassingLimits = PassingLimits()


class EngineSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the engine's API."""

    body_bytes_max: int
    usage_limits: UsageLimits
    """What a merchant may use up that has no limits of its own."""
    reference_entries_max: int
    """Entries of one kind of one merchant."""
    waiting_hours: float = 72.0
    """How long records wait for what they refer to, unless their submission says otherwise."""
    read_limits: Limits
    journal: bool
    """Whether changes are written to the journal."""
