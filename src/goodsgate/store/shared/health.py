"""Health checks that all stores share."""

from goodsgate.model.counting import counted
from goodsgate.store.contract import HealthCheck, bad, ok, warn
from goodsgate.store.shared.database import ALL_MERCHANTS, Database

DISTURBED_MAX = 5
"""Batches that are named."""
WORKERLESS_SECONDS_MAX = 60.0
"""If work waits longer and no worker lives, none will: a worker that crashed is restarted sooner."""


def judge_deaths(database: Database) -> HealthCheck:
    """Judge whether batches end the workers that process them. The gate goes on: such a batch ends broken."""
    name = "worker deaths"
    rows = database.intake.query("disturbed_rounds", {"limit": DISTURBED_MAX}, ALL_MERCHANTS)
    if not rows:
        return ok(name, "no batch in the queue has ended a worker")
    batches = [(merchant, batch.hex(), deaths) for merchant, batch, deaths in rows]
    listed = "; ".join(f"{merchant} {batch}: {deaths}" for merchant, batch, deaths in batches)
    return warn(
        name, f"workers that died, by batch that is retried: {listed}",
        f"the log of the workers says why; `goodsgate cancel {batches[0][1]}` ends it; it also ends as broken "
        "after as many deaths as the setting worker_deaths_max allows",
    )


def judge_worker(database: Database, *, is_worked: bool, absence: str = "no worker is running") -> HealthCheck:
    """Judge whether somebody works while work waits. Without work a worker may be absent: a backup has none.

    `absence` says what was seen if nobody works.
    """
    now = database.now()
    waiting, oldest_at = database.intake.query("waiting_rounds", {"now": now}, ALL_MERCHANTS)[0]
    if is_worked:
        return ok("worker", "a worker is running")
    if not waiting:
        return ok("worker", f"{absence}, and no work waits")
    seconds = max(0.0, (now - oldest_at) / 1e6)
    detail = f"{absence}, and work waits; rounds waiting: {waiting:,}, the oldest for {seconds:,.0f} s"
    remedy = "start a worker: `goodsgate work`, or `goodsgate serve` with workers = 1"
    return (bad if seconds > WORKERLESS_SECONDS_MAX else warn)("worker", detail, remedy)


def judge_search(database: Database) -> HealthCheck:
    """Judge whether the search index has all items."""
    if database.item_terms is None:
        return ok("search", "the index is off: searches examine items one by one")
    (collections, items), *_ = database.catalogue.query("collections_to_fill", {}, ALL_MERCHANTS)
    if not collections:
        return ok("search", "the index has all items")
    return warn(
        "search", f"the index lacks items; collections: {collections:,} with {counted(items, 'item')}; until it has "
        "them, searches examine items one by one",
        "keep a worker running with the setting search=on: it adds them between its batches",
    )
