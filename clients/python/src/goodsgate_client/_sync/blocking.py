"""How this half of the client waits: it blocks."""

import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def sleep(seconds: float) -> None:
    """Wait."""
    time.sleep(seconds)


def run(function: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
    """Call a function that reads or writes a file."""
    return function(*args, **options)
