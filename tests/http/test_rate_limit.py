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


def test_a_burst_and_then_one_at_a_time():
    """Ten at once, the eleventh a tenth of a second later."""
    clock = Clock()
    bucket = RateLimit(10, burst=10, clock=clock)
    assert [bucket.take("a") for _ in range(10)] == [0.0] * 10
    assert bucket.take("a") == pytest.approx(0.1)
    clock.now += 0.11
    assert bucket.take("a") == 0.0
    assert bucket.take("a") > 0


def test_each_has_a_bucket_of_its_own():
    """One who asks too much harms nobody else."""
    bucket = RateLimit(1, burst=1, clock=Clock())
    assert bucket.take("a") == 0.0
    assert bucket.take("a") > 0
    assert bucket.take("b") == 0.0


@settings(deadline=None)
@given(st.lists(st.floats(0, 3), max_size=200))
def test_nobody_asks_more_than_the_bucket_holds(pauses):
    """In any time: the burst, and what has flowed in since."""
    clock = Clock()
    bucket = RateLimit(10, burst=10, clock=clock)
    passed = 0
    for pause in pauses:
        clock.now += pause
        passed += bucket.take("a") == 0.0
        assert passed <= 10 + (clock.now - 1000.0) * 10 + 1e-6


def test_buckets_of_the_silent_are_forgotten(monkeypatch):
    """So that they do not grow with everybody who ever asked."""
    monkeypatch.setattr(rate_limit, "CALLERS_MAX", 3)
    clock = Clock()
    bucket = RateLimit(1, burst=1, clock=clock)
    for caller in "abc":
        bucket.take(caller)
    clock.now += 10
    bucket.take("d")
    assert list(bucket._buckets) == ["d"]
