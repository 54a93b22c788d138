"""`goodsgate serve` in a process that is forked; idempotency keys are free again soon after a crash."""

import os

from goodsgate.cli import main
from goodsgate.engine import idempotency, receive
from goodsgate.http.endpoints import load_openapi
from goodsgate.protocols import PROTOCOLS

RESERVE_SECONDS = 1.0

for _name in PROTOCOLS:
    load_openapi(f"goodsgate.protocols.{_name}")
"""Read once, for every gate that is forked."""


def serve() -> None:
    """Serve as the environment says, and log nothing."""
    idempotency.RESERVE_SECONDS = receive.RESERVE_SECONDS = RESERVE_SECONDS
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    main(["serve"], prog_name="goodsgate")
