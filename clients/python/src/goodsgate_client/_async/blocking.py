"""How this half of the client waits: it lets other tasks run."""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def sleep(seconds: float) -> None:
    """Wait."""
    await asyncio.sleep(seconds)


async def run(function: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
    """Call a function that reads or writes a file."""
    return await asyncio.to_thread(function, *args, **options)
