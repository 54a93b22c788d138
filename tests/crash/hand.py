"""A worker's process for crash tests: works a store's folder until nothing is left; run with GOODSGATE_CRASH_AT."""

import sys
from pathlib import Path

from goodsgate.engine import Worker
from tests.crash.scene import settings_of
from tests.shop import open_store


def main() -> None:
    """Work until idle."""
    config = settings_of(Path(sys.argv[1]))
    store = open_store(config)
    store.migrate()
    worker = Worker(store, config, "hand")
    while worker.step():
        pass
    store.close()


if __name__ == "__main__":
    main()
