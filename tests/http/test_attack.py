"""The short form of `make attack`, without hostile files, which the tests of formats cover."""

from bench.attack import SETTINGS, Campaign
from bench.gate import Gate

REQUESTS = 200


def test_hostile_clients_and_requests_do_no_harm():
    """No answer is 5xx, no connection outlives its limit, and the batches of another merchant finish."""
    with Gate(**SETTINGS) as gate:
        campaign = Campaign(gate, requests=REQUESTS, seconds=0.5, files=False)
        list(campaign.run())
    assert campaign.faults == []
    assert not campaign.still_open
    assert campaign.ended.total() > 0
    assert sum(campaign.statuses.values()) == REQUESTS
    assert campaign.finishes_seconds
