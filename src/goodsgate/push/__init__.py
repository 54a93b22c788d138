"""A client of the platforms whose protocols the gate speaks: pushes checked records to them.

`goodsgate push` reads and checks a file as `goodsgate check` does and hands the accepted records to this package:

1. `contract` has the values, and what a platform says of itself.
2. `pusher` packs records into chunks, sends each once, asks for its status, and collects the platform's errors.
3. `transport` sends one request: pauses for 429, repeats what may be repeated, and says what may not.
4. `state` is the file from which a push that was killed goes on.

A module for each platform turns records into its wire format and its errors into issues of records. `values` and
`konnect_products` read the members of records. The package knows neither engine nor store: it is a client, and shares
with the protocols of this gate only what their vendors have published.
"""

from importlib import import_module
from typing import cast

from goodsgate.push.contract import (
    ConfigurationError,
    Platform,
    PlatformConnection,
    PlatformIssue,
    PlatformUnreachableError,
    PushError,
    RefusedError,
    SourceRecord,
)
from goodsgate.push.pusher import Pusher, PushProgress, PushResult
from goodsgate.push.state import PushState

__all__ = [
    "ConfigurationError",
    "Platform",
    "PlatformConnection",
    "PlatformIssue",
    "PlatformUnreachableError",
    "PushError",
    "PushProgress",
    "PushResult",
    "PushState",
    "Pusher",
    "RefusedError",
    "SourceRecord",
    "load_platform",
]


def load_platform(name: str) -> type[Platform]:
    """Return the class of a platform: `PLATFORM` of the module that has its name. Raises ModuleNotFoundError."""
    return cast(type[Platform], import_module(f"{__name__}.{name}").PLATFORM)
