"""A process that carries messages for crash tests: until it is killed, or none waits."""

import time
from pathlib import Path

from goodsgate.app import delivery_settings
from goodsgate.engine.outbox import Outbox
from goodsgate.model.message import DeliveryState
from tests.crash.scene import TOPIC, settings_of
from tests.engine.receiver import HttpSender
from tests.shop import open_store


def carry(folder: Path, port: int) -> None:
    """Carry the messages of the folder's store to this port."""
    config = settings_of(folder)
    store = open_store(config)
    outbox = Outbox(store, {TOPIC: HttpSender(port, config.delivery_seconds)}, delivery_settings(config))
    outbox.start()
    while store.messages("acme", delivery_state=DeliveryState.WAITING, limit=1):
        time.sleep(0.01)
    outbox.stop()
    store.close()
