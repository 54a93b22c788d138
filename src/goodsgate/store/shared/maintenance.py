"""Statistics, lanes and simple retention."""

from collections import Counter

from goodsgate.store.contract import LaneStatus
from goodsgate.store.shared.database import ALL_MERCHANTS, Database
from goodsgate.store.shared.processes import WORKER_SECONDS
from goodsgate.store.shared.rounds import HELD, lane_status


def read_statistics(database: Database) -> dict[str, float]:
    """Return the metrics that do not depend on the kind of store."""
    now = database.now()
    with database.intake.reading(ALL_MERCHANTS) as db:
        lanes, queued, working, oldest_round, held = db.rows("queue_statistics", {"held": HELD})[0]
        messages, oldest_message = db.rows("message_statistics", {"now": now})[0]
        given_up = db.value("given_up_messages")
        alerts = Counter[str]()
        for _, alert, count in db.rows("job_alerts"):
            alerts[alert] += count
        workers, heard_at = db.rows("worker_statistics", {"since": now - int(WORKER_SECONDS * 1e6)})[0]
    with database.catalogue.reading(ALL_MERCHANTS) as db:
        totals = {name: float(count) for name, count in db.rows("totals")}
    return {
        "lanes": lanes,
        "rounds.queued": queued,
        "rounds.working": working - held,
        "rounds.held": held,
        "oldest_queued_seconds": max(now - oldest_round, 0) / 1e6 if oldest_round is not None else 0.0,
        "messages.waiting": messages,
        "messages.given_up": given_up,
        "jobs.failing": alerts["failing"],
        "jobs.overdue": alerts["overdue"],
        "oldest_message_seconds": max(now - oldest_message, 0) / 1e6 if oldest_message is not None else 0.0,
        "workers": workers,
        "worker_seen_seconds": max(now - heard_at, 0) / 1e6 if heard_at is not None else 0.0,
        **totals,
    }


def list_lanes(database: Database, merchant: str | None, limit: int) -> list[LaneStatus]:
    """Return lanes with work, the next to be served first."""
    rows = database.intake.query("lanes", {"id": merchant, "limit": limit, "held": HELD}, ALL_MERCHANTS)
    return [lane_status(*row, now=database.now()) for row in rows]
