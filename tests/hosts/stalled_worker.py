"""A worker that stops at a crash point.

It sends itself SIGSTOP, continues at SIGCONT, and prints in the end how often it has lost its lease.
"""

import logging
import os
import signal
import sys
import time
from pathlib import Path

from goodsgate.app import create_worker
from goodsgate.model import crash
from goodsgate.store.contract import StoreError
from goodsgate.store.postgres import server
from tests.crash.scene import settings_of
from tests.shop import open_store

IDLE_SECONDS_MAX = 0.5
"""Time for which the server waits for an idle transaction, shortened for the tests."""

STOPPING_SECONDS = 0.2
"""Any thread may receive the signal, so the thread that sent it waits."""


class Losses(logging.Handler):
    """Log handler that counts warnings of a lost lease."""

    number = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Count the record if it is such a warning."""
        self.number += record.getMessage() == "lease lost"


def stop_at(point: str, times: int) -> None:
    """Stop the process when it reaches this crash point for the nth time."""
    left = times

    def stop_or_continue(name: str, /) -> None:
        nonlocal left
        left -= name == point
        if name == point and left == 0:
            os.kill(os.getpid(), signal.SIGSTOP)
            time.sleep(STOPPING_SECONDS)

    crash.point = stop_or_continue


def work(folder: Path, point: str, times: int) -> None:
    """Process batches until nothing is queued."""
    server.IDLE_SECONDS_MAX = IDLE_SECONDS_MAX
    losses = Losses()
    logging.getLogger("goodsgate").addHandler(losses)
    stop_at(point, times)
    config = settings_of(folder)
    store = open_store(config)
    worker = create_worker(store, config, "slow")
    while True:
        try:
            if not worker.step() and not store.statistics()["lanes"]:
                break
        except StoreError as fault:
            print(repr(fault), file=sys.stderr)
        time.sleep(0.01)
    store.close()
    print(losses.number)
