"""kill -9 of who carries messages, in the middle of one: the next carries it again, and none is lost."""

from pathlib import Path

from goodsgate.model.message import DeliveryState, NewMessage
from tests import forked
from tests.crash import carrier
from tests.crash.scene import CHUNK_RECORDS, TOPIC
from tests.engine.receiver import Receiver
from tests.shop import Shop

COUNT = 20
SECONDS_MAX = 60


def test_a_carrier_that_dies_is_followed_by_another(tmp_path: Path, kind: str) -> None:
    """Who was killed had the message in its hands: it arrives twice, the others once, all of them are marked."""
    with Receiver().open() as receiver, Shop(tmp_path, "acme", kind=kind, **CHUNK_RECORDS) as shop:
        messages = [NewMessage(topic=TOPIC, subject=str(n)) for n in range(COUNT)]
        shop.store.add_resource("acme", "tested/thing", name="a", body=b"{}", resources_max=9, messages=messages)
        receiver.silent.add("acme")
        first = forked.start(carrier.carry, tmp_path, receiver.port)
        try:
            assert receiver.something.wait(SECONDS_MAX)
        finally:
            first.kill()
            first.join()
        receiver.silent.clear()
        held = [number for _, number, _ in receiver.arrived]
        second = forked.start(carrier.carry, tmp_path, receiver.port)
        try:
            second.join(SECONDS_MAX)
            assert second.exitcode == 0
        finally:
            second.kill()
            second.join()
        assert len(shop.store.messages("acme", delivery_state=DeliveryState.SENT)) == COUNT
        numbers = [number for _, number, _ in receiver.arrived]
        assert sorted(numbers) == sorted([*range(1, COUNT + 1), *held])
