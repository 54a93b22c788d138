"""The files that commands read: by name, or standard input."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from goodsgate.cli.errors import CommandError

if TYPE_CHECKING:
    from goodsgate_client.sources import Source


def open_feed(name: str) -> "Source":
    """Open a file, or standard input (`-`), which can then be read more than once. Raises CommandError."""
    from goodsgate_client.sources import file_source

    try:
        source = file_source(sys.stdin.buffer if name == "-" else name)
    except OSError as error:
        raise CommandError(f"{name}: {error.strerror}") from error
    if name == "-":
        source.label = ""
    return source


def feed_name(name: str) -> str:
    """Return the name of a feed in messages."""
    return "standard input" if name == "-" else Path(name).name
