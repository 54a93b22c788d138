"""A worker that stands still at a named step, as its host may: `python -m tests.hosts.hand FOLDER POINT TIMES`.

It stops itself as by SIGSTOP, and goes on when it gets SIGCONT; how often it found its lease lost is its last word.
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
"""For the tests' sake the server waits no longer for a transaction that stands still."""

STOPPING_SECONDS = 0.2
"""Any thread of the process may take the signal; the one that sent it must not go on meanwhile."""


class Losses(logging.Handler):
    """Counts the warnings of a lost lease."""

    number = 0

    def emit(self, record: logging.LogRecord) -> None:
        """One more, if it is one."""
        self.number += record.getMessage() == "lease lost"


def stop_at(point: str, times: int) -> None:
    """Stand still at this step when it comes by for the so-manieth time."""
    left = times

    def pass_by(name: str, /) -> None:
        nonlocal left
        left -= name == point
        if name == point and left == 0:
            os.kill(os.getpid(), signal.SIGSTOP)
            time.sleep(STOPPING_SECONDS)

    crash.point = pass_by


def main() -> None:
    """Work until nothing is queued."""
    server.IDLE_SECONDS_MAX = IDLE_SECONDS_MAX
    losses = Losses()
    logging.getLogger("goodsgate").addHandler(losses)
    stop_at(sys.argv[2], int(sys.argv[3]))
    config = settings_of(Path(sys.argv[1]))
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


if __name__ == "__main__":
    main()
