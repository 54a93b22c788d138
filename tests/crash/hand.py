"""A worker for crash tests: works a folder's store until nothing is left; run with GOODSGATE_TEST_CRASH_AT."""

import sys
import time
from pathlib import Path

from goodsgate.app import create_worker
from tests.crash.scene import settings_of
from tests.shop import open_store


def main() -> None:
    """Work until nothing is queued; a lane that a dead worker holds is waited for."""
    config = settings_of(Path(sys.argv[1]))
    store = open_store(config)
    store.migrate()
    schemas = None if "protocols" in sys.argv[2:] else {}  # loading them takes a second
    worker = create_worker(store, config, "hand", schemas=schemas)
    while worker.step() or store.statistics()["lanes"]:
        time.sleep(0.001)
    store.close()


if __name__ == "__main__":
    main()
