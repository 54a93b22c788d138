"""A store that fails for long: loops back off, and log one line for each attempt, without a traceback."""

import logging
import re
import threading
from pathlib import Path

import pytest

from goodsgate import app
from goodsgate.engine import outage
from goodsgate.engine.outage import StoreOutage
from goodsgate.store.contract import StoreBusyError
from tests.shop import Shop

HANG_SECONDS = 60


def test_pauses_grow_and_begin_again_after_a_success(caplog: pytest.LogCaptureFixture) -> None:
    """Each line names the loop, the pause and the fault."""
    caplog.set_level(logging.INFO, outage.__name__)
    stop = threading.Event()
    stop.set()
    store_outage = StoreOutage("the worker")
    for _ in range(6):
        store_outage.wait(StoreBusyError("the disk is gone"), stop)
    store_outage.end()
    store_outage.end()
    store_outage.wait(StoreBusyError("the disk is gone"), stop)
    messages = [record.getMessage() for record in caplog.records]
    waits = [
        f"the worker cannot use the store, trying again in {seconds} s: the disk is gone"
        for seconds in (1, 2, 4, 8, 15, 15, 1)
    ]
    assert messages == [*waits[:6], "the worker can use the store again, after 0 s", waits[6]]


@pytest.mark.parametrize("loop", ["worker", "outbox"])
def test_a_loop_survives_a_store_that_stays_away(
    loop: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no traceback, however often it tries."""
    monkeypatch.setattr(outage, "PAUSE_SECONDS_MIN", 0.01)
    monkeypatch.setattr(outage, "PAUSE_SECONDS_MAX", 0.01)
    stop, tried = threading.Event(), threading.Event()
    with Shop(tmp_path, kind="sqlite") as shop:
        shop.store.close()

        class Counter(logging.Handler):
            """Stops the wait of the test after the third attempt."""

            attempts = 0

            def emit(self, record: logging.LogRecord) -> None:
                """Count an attempt."""
                self.attempts += "trying again" in record.getMessage()
                if self.attempts >= 3:
                    tried.set()

        counter = Counter()
        logging.getLogger(outage.__name__).addHandler(counter)
        try:
            if loop == "worker":
                thread = threading.Thread(target=app.create_worker(shop.store, shop.config, stop=stop).run)
                thread.start()
                assert tried.wait(HANG_SECONDS)
                stop.set()
                thread.join(HANG_SECONDS)
                assert not thread.is_alive()
            else:
                outbox = app.create_outbox(shop.store, shop.config)
                outbox.start()
                assert tried.wait(HANG_SECONDS)
                outbox.stop()
        finally:
            logging.getLogger(outage.__name__).removeHandler(counter)
    assert all(record.exc_info is None for record in caplog.records)
    pattern = rf"the {loop} cannot use the store, trying again in \d s: the store is closed"
    assert {bool(re.fullmatch(pattern, record.getMessage())) for record in caplog.records} == {True}
