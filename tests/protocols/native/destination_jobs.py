"""A worker of destinations, for a gate in this process."""

from goodsgate.engine.destination_definitions import DESTINATION
from goodsgate.engine.destination_runs import DestinationJobs, DestinationRunSettings
from goodsgate.engine.jobs import ClaimedJob
from tests.http_gate import HttpGate


def work_destinations(gate: HttpGate) -> None:
    """Work the jobs that are due."""
    shop = gate.shop
    destinations = gate.application.context.services.destinations
    jobs = DestinationJobs(destinations, DestinationRunSettings(seconds_max=600, retry_seconds=()))
    while (job := shop.store.claim_job([DESTINATION], lease_seconds=60)) is not None:
        jobs.work(ClaimedJob(shop.store, job))
