"""Messages are carried, at least once each, whatever becomes of others."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from goodsgate.app import delivery_settings
from goodsgate.engine.outbox import Outbox
from goodsgate.model.catalogue import Merchant
from goodsgate.model.message import DeliveryState, Message, NewMessage
from tests.engine.conftest import Opens
from tests.engine.receiver import HttpSender, Receiver
from tests.factories import NOW
from tests.shop import Shop

TOPIC = "tested/word"
SECONDS_MAX = 60.0


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Listens."""
    with Receiver().open() as opened:
        yield opened


def _tell(shop: Shop, count: int, merchant: str = "acme", topic: str = TOPIC) -> None:
    messages = [NewMessage(topic=topic, subject=f"s{n}", body=b'{"n":%d}' % n) for n in range(count)]
    shop.store.add_resource(merchant, "tested/thing", name=topic, body=b"{}", resources_max=9, messages=messages)


@contextmanager
def _carrying(shop: Shop, courier: object) -> Iterator[None]:
    outbox = Outbox(shop.store, {TOPIC: courier}, delivery_settings(shop.config))  # type: ignore[dict-item]
    outbox.start()
    try:
        yield
    finally:
        outbox.stop()


def _until(shop: Shop, messages: DeliveryState, count: int, merchant: str = "acme") -> list[Message]:
    """Messages that have come so far, once there are so many."""
    until = time.monotonic() + SECONDS_MAX
    while len(found := shop.store.messages(merchant, delivery_state=messages)) < count:
        assert time.monotonic() < until, shop.store.messages(merchant)
        time.sleep(0.02)
    return found


def test_messages_arrive(shop: Shop, receiver: Receiver) -> None:
    """Each with its body, of every merchant; one after the other, so in their order."""
    _tell(shop, 5)
    _tell(shop, 2, "other")
    with _carrying(shop, HttpSender(receiver.port, 5)):
        _until(shop, DeliveryState.SENT, 5)
        _until(shop, DeliveryState.SENT, 2, "other")
    assert [one for one in receiver.arrived if one[0] == "acme"] == [("acme", n + 1, b'{"n":%d}' % n) for n in range(5)]
    assert sorted(one[1] for one in receiver.arrived if one[0] == "other") == [1, 2]


def test_what_fails_comes_again_and_is_given_up_in_the_end(opens: Opens, receiver: Receiver) -> None:
    """After as many attempts as there are pauses, and one; the reason is kept. Sent again, it arrives."""
    shop = opens("acme", delivery_retry_seconds="0,0")
    receiver.status["acme"] = 500
    _tell(shop, 1)
    with _carrying(shop, HttpSender(receiver.port, 5)):
        (found,) = _until(shop, DeliveryState.GIVEN_UP, 1)
        assert (found.attempts, found.last_error, len(receiver.arrived)) == (3, "answered 500", 3)
        receiver.status.clear()
        assert shop.store.replay("acme", [1]) == 1
        (found,) = _until(shop, DeliveryState.SENT, 1)
    assert (found.attempts, found.last_error) == (1, "")


def test_pauses_grow(opens: Opens, receiver: Receiver) -> None:
    """By the setting, and a tenth at random."""
    shop = opens("acme", delivery_retry_seconds="500,9")
    receiver.status["acme"] = 500
    _tell(shop, 1)
    with _carrying(shop, HttpSender(receiver.port, 5)):
        until = time.monotonic() + SECONDS_MAX
        while not (found := shop.store.messages("acme")[0]).last_error:
            assert time.monotonic() < until
            time.sleep(0.02)
    assert found.due_at is not None
    assert 500 <= (found.due_at - found.created_at).total_seconds() < 500 * 1.1 + SECONDS_MAX
    assert len(receiver.arrived) == 1


def test_what_can_never_arrive_is_given_up_at_once(shop: Shop, receiver: Receiver) -> None:
    """The courier says so."""
    receiver.status["acme"] = 410
    _tell(shop, 1)
    with _carrying(shop, HttpSender(receiver.port, 5)):
        (found,) = _until(shop, DeliveryState.GIVEN_UP, 1)
    assert (found.attempts, found.last_error) == (1, "answered 410")


def test_dead_addresses_hold_up_nobody_else(opens: Opens, receiver: Receiver) -> None:
    """More of them than there are threads, each with more messages than it ever gets rid of."""
    dead = [f"dead{n}" for n in range(6)]
    shop = opens("acme", *dead, delivery_threads=2, delivery_retry_seconds="0," * 200 + "0")
    receiver.silent.update(dead)
    for merchant in dead:
        _tell(shop, 3, merchant)
    with _carrying(shop, HttpSender(receiver.port, 0.2)):
        receiver.something.wait(SECONDS_MAX)
        _tell(shop, 10)
        _until(shop, DeliveryState.SENT, 10)
        assert not any(shop.store.messages(merchant, delivery_state=DeliveryState.SENT) for merchant in dead)


def test_a_message_that_nobody_carries_waits(opens: Opens, receiver: Receiver) -> None:
    """It may be one of a protocol that comes back; others go on."""
    shop = opens("acme", delivery_retry_seconds="500")
    _tell(shop, 1, topic="lost/word")
    _tell(shop, 1)
    with _carrying(shop, HttpSender(receiver.port, 5)):
        _until(shop, DeliveryState.SENT, 1)
    (lost,) = shop.store.messages("acme", delivery_state=DeliveryState.WAITING)
    assert lost.last_error == "no sender for the topic lost/word"


def test_a_fault_of_a_courier_is_a_failed_attempt(opens: Opens) -> None:
    """Its message is not lost, and the thread goes on."""

    class Broken:
        def send(self, message: Message) -> None:
            if message.number == 1:
                raise RuntimeError("out of order")

    shop = opens("acme", delivery_retry_seconds="500")
    _tell(shop, 2)
    with _carrying(shop, Broken()):
        _until(shop, DeliveryState.SENT, 1)
    (failed,) = shop.store.messages("acme", delivery_state=DeliveryState.WAITING)
    assert failed.last_error.startswith("internal fault ")


class Hanging:
    """A sender whose messages to some merchants hang until `closing` is set."""

    def __init__(self, *merchants: str) -> None:
        self._merchants = merchants
        self.hanging = threading.Semaphore(0)
        self.closing = threading.Event()

    def send(self, message: Message) -> None:
        """Hang, or return at once."""
        if message.merchant in self._merchants:
            self.hanging.release()
            assert self.closing.wait(SECONDS_MAX)


def test_slow_deliveries_leave_their_threads_to_others(opens: Opens, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as there are threads hang; the messages of another merchant arrive meanwhile."""
    monkeypatch.setattr("goodsgate.engine.outbox.SLOW_SECONDS", 0.05)
    slow = ["slow1", "slow2"]
    shop = opens("acme", *slow, delivery_threads=2)
    sender = Hanging(*slow)
    for merchant in slow:
        _tell(shop, 3, merchant)
    with _carrying(shop, sender):
        assert all(sender.hanging.acquire(timeout=SECONDS_MAX) for _ in slow)
        _tell(shop, 5)
        _until(shop, DeliveryState.SENT, 5)
        assert not any(shop.store.messages(merchant, delivery_state=DeliveryState.SENT) for merchant in slow)
        sender.closing.set()


def test_a_stop_waits_for_a_hanging_delivery_no_longer_than_it_may(opens: Opens) -> None:
    """Its message waits, to be sent again when its lease has ended."""
    shop = opens("acme", stop_seconds=0.05)
    sender = Hanging("acme")
    _tell(shop, 1)
    with _carrying(shop, sender):
        assert sender.hanging.acquire(timeout=SECONDS_MAX)
    assert not sender.closing.is_set()
    (waiting,) = shop.store.messages("acme", delivery_state=DeliveryState.WAITING)
    assert waiting.attempts == 1
    sender.closing.set()


def test_who_stops_waits_for_what_is_on_its_way(shop: Shop) -> None:
    """It is sent and marked; the next is not begun."""
    begun, may_end = threading.Event(), threading.Event()

    class Slow:
        def send(self, message: Message) -> None:
            begun.set()
            assert may_end.wait(SECONDS_MAX)

    _tell(shop, 2)
    outbox = Outbox(shop.store, {TOPIC: Slow()}, delivery_settings(shop.config))
    outbox.start()
    assert begun.wait(SECONDS_MAX)
    stopping = threading.Thread(target=outbox.stop)
    stopping.start()
    may_end.set()
    stopping.join()
    assert [message.delivery_state for message in shop.store.messages("acme")] == [DeliveryState.SENT,
        DeliveryState.WAITING]


def test_without_couriers_nothing_is_touched(shop: Shop) -> None:
    """Not even counted."""
    _tell(shop, 1)
    outbox = Outbox(shop.store, {}, delivery_settings(shop.config))
    outbox.start()
    outbox.stop()
    assert shop.store.messages("acme")[0].attempts == 0


def test_merchants_made_later_are_served_too(shop: Shop, receiver: Receiver) -> None:
    """Who carries knows no list of them."""
    with _carrying(shop, HttpSender(receiver.port, 5)):
        shop.store.add_merchant(Merchant(id="later", name="later", created_at=NOW))
        _tell(shop, 1, "later")
        _until(shop, DeliveryState.SENT, 1, "later")
