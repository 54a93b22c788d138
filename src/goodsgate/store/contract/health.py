"""Health checks: what they return, and how a list of them is run.

A check is a function that takes what it examines and yields results. To add one, write the function and put it into
a list: `QUICK_CHECKS` (also asked by `/readyz`) or `THOROUGH_CHECKS` of a store's `health` module, or `CHECKS` of
`cli/doctor.py` for what is not in the store.
"""

from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from typing import TypeVar

import msgspec

T = TypeVar("T")


class HealthLevel(StrEnum):
    """How serious the result of a check is."""

    OK = "ok"
    WARN = "warn"
    """It works, and will not for ever, or not as the operator may expect."""
    BAD = "bad"
    """Something cannot be accepted, processed or kept."""


class HealthCheck(msgspec.Struct, frozen=True):
    """The result of one check."""

    name: str
    level: HealthLevel
    detail: str
    """What was seen."""
    remedy: str = ""
    """What the operator should do; empty if all is well."""

    @property
    def is_ok(self) -> bool:
        """Whether nothing is broken; warnings are no failures."""
        return self.level is not HealthLevel.BAD


def ok(name: str, detail: str) -> HealthCheck:
    """Return the result of a check that found nothing wrong."""
    return HealthCheck(name, HealthLevel.OK, detail)


def warn(name: str, detail: str, remedy: str) -> HealthCheck:
    """Return the result of a check that found a risk."""
    return HealthCheck(name, HealthLevel.WARN, detail, remedy)


def bad(name: str, detail: str, remedy: str) -> HealthCheck:
    """Return the result of a check that found a problem."""
    return HealthCheck(name, HealthLevel.BAD, detail, remedy)


Check = Callable[[T], Iterable[HealthCheck]]


def run_checks(checks: Sequence[Check[T]], subject: T) -> list[HealthCheck]:
    """Run all checks and return their results; one that fails itself is a problem and does not stop the others."""
    results: list[HealthCheck] = []
    for check in checks:
        try:
            results += check(subject)
        except Exception as fault:
            name = check.__name__.removeprefix("check_").replace("_", " ")
            detail = " ".join(str(fault).split()) or type(fault).__name__
            results.append(bad(name, detail, "solve the problem that the message names, then run the check again"))
    return results
