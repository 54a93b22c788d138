"""Health checks that all stores share."""

from goodsgate.store.contract import HealthCheck, bad, ok, warn
from goodsgate.store.shared.database import ALL_MERCHANTS, Database

WORKERLESS_SECONDS_MAX = 60.0
"""If work waits longer and no worker lives, none will: a worker that crashed is restarted sooner."""


def judge_worker(database: Database, *, is_worked: bool) -> HealthCheck:
    """Judge whether somebody works while work waits. Without work a worker may be absent: a backup has none."""
    now = database.now()
    waiting, oldest_at = database.intake.query("waiting_rounds", {"now": now}, ALL_MERCHANTS)[0]
    if is_worked:
        return ok("worker", "a worker is running")
    if not waiting:
        return ok("worker", "no worker is running, and no work waits")
    seconds = max(0.0, (now - oldest_at) / 1e6)
    detail = f"no worker is running, and work waits; rounds waiting: {waiting:,}, the oldest for {seconds:,.0f} s"
    remedy = "start a worker: `goodsgate work`, or `goodsgate serve` with workers = 1"
    return (bad if seconds > WORKERLESS_SECONDS_MAX else warn)("worker", detail, remedy)
