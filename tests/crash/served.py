"""`goodsgate serve` in a process that is forked; idempotency keys are free again soon after a crash."""

import os
from collections.abc import Mapping

from goodsgate.cli import main
from goodsgate.engine import idempotency, receive
from goodsgate.http.endpoints import load_openapi
from goodsgate.protocols import PROTOCOLS

RESERVE_SECONDS = 1.0

for _name in PROTOCOLS:
    load_openapi(f"goodsgate.protocols.{_name}")
"""Read once, for every gate that is forked."""


def serve(environ: Mapping[str, str]) -> None:
    """Serve in this environment; what is printed is lost."""
    os.environ.clear()
    os.environ.update(environ)
    idempotency.RESERVE_SECONDS = receive.RESERVE_SECONDS = RESERVE_SECONDS
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for number in (1, 2):
        os.dup2(nowhere, number)
    main(["serve"], prog_name="goodsgate")
