"""Buckets of tokens, on a clock that the tests wind."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goodsgate.http import rate_limit
from goodsgate.http.rate_limit import RateLimit


class Clock:
    """Stands still until it is wound."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now


def test_a_burst_is_followed_by_one_request_at_a_time():
    """Ten requests pass at once, the eleventh a tenth of a second later."""
    clock = Clock()
    bucket = RateLimit(10, burst=10, clock=clock)
    assert [bucket.take("a") for _ in range(10)] == [0.0] * 10
    assert bucket.take("a") == pytest.approx(0.1)
    clock.now += 0.11
    assert bucket.take("a") == 0.0
    assert bucket.take("a") > 0


def test_each_caller_has_its_own_bucket():
    """A caller that exceeds its limit does not affect others."""
    bucket = RateLimit(1, burst=1, clock=Clock())
    assert bucket.take("a") == 0.0
    assert bucket.take("a") > 0
    assert bucket.take("b") == 0.0


@settings(deadline=None)
@given(st.lists(st.floats(0, 3), max_size=200))
def test_no_caller_exceeds_burst_and_rate(pauses):
    """In any period, at most the burst and the tokens added since then pass."""
    clock = Clock()
    bucket = RateLimit(10, burst=10, clock=clock)
    passed = 0
    for pause in pauses:
        clock.now += pause
        passed += bucket.take("a") == 0.0
        assert passed <= 10 + (clock.now - 1000.0) * 10 + 1e-6


def test_full_buckets_are_removed(monkeypatch):
    """Memory does not grow with the number of callers."""
    monkeypatch.setattr(rate_limit, "CALLERS_MAX", 3)
    clock = Clock()
    bucket = RateLimit(1, burst=1, clock=clock)
    for caller in "abc":
        bucket.take(caller)
    clock.now += 10
    bucket.take("d")
    assert list(bucket._buckets) == ["d"]
