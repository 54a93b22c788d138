"""The soak tells memory that grows from memory that moves."""

import random

import pytest

from bench.soak import Readings, faults

MINUTES = 2


def _readings(name: str, *, growth: float = 0.0, step: float = 0.0) -> Readings:
    """Readings of some minutes, once a second, with a noise of a few MB."""
    tries = random.Random(1)
    start = {"api": 100, "worker": 340}[name]
    times = [second / 60 for second in range(MINUTES * 60)]
    return [(at, start + tries.uniform(0, 6) + growth * at + (step if at > MINUTES / 2 else 0)) for at in times]


@pytest.mark.parametrize("name", ["api", "worker"])
def test_memory_that_stays_or_takes_one_step_passes(name: str) -> None:
    """The allocator takes memory in steps."""
    for readings in (_readings(name), _readings(name, growth=0.5), _readings(name, step=5)):
        assert [*faults(name, readings)] == []


@pytest.mark.parametrize("name", ["api", "worker"])
def test_memory_that_grows_does_not_pass(name: str) -> None:
    """Even in two minutes."""
    assert [*faults(name, _readings(name, growth=20))] == [f"{name} grows by more than 1 MB a minute"]


def test_a_peak_or_an_end_of_a_process_does_not_pass() -> None:
    """One reading suffices."""
    peak, end = _readings("worker"), _readings("worker")
    peak[50], end[50] = (peak[50][0], 470.0), (end[50][0], 0.0)
    assert [*faults("worker", peak)] == ["worker took 470 MB, more than 450"]
    assert [*faults("worker", end)] == [*faults("worker", [])] == ["worker was not running all the time"]
