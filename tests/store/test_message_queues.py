"""Messages in order: one queue for each topic and subject, of which only the first message can be claimed."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from goodsgate.model.message import BEHIND, HELD, Attempt, DeliveryState, Message, NewMessage
from goodsgate.store.contract import Retention
from tests.factories import NOW
from tests.store.scene import Record, Scene

TOPIC = "tested/hook"
KEPT = Retention(
    payload_seconds=10**9, report_seconds=10**9, batch_seconds=10**9, answer_seconds=10**9, tombstone_seconds=10**9,
    message_seconds=60,
)


def _add(scene: Scene, *bodies: int, subject: str = "1", in_order: bool = True) -> None:
    messages = [NewMessage(topic=TOPIC, subject=subject, body=b"%d" % body, in_order=in_order) for body in bodies]
    scene.store.add_resource(
        "acme", "tested/thing", name=f"{subject}{bodies}", body=b"{}", resources_max=100, messages=messages
    )


def _claim(scene: Scene) -> list[Message]:
    """Claim all that can be claimed of the merchant."""
    claimed: list[Message] = []
    while messages := scene.store.claim_messages(lease_seconds=60, limit=9):
        claimed += messages
    return claimed


def _bodies(messages: list[Message]) -> list[int]:
    return [int(message.body) for message in messages]


ENDS: dict[str, Callable[[Scene, Message], object]] = {
    "sent": lambda scene, message: scene.store.mark_sent(message),
    "given up": lambda scene, message: scene.store.give_up_message(message, last_error="gone"),
    "left": lambda scene, message: scene.store.postpone_message(
        message, seconds=9, last_error="refused", leave_queue=True
    ),
}


@pytest.mark.parametrize("end", ENDS)
def test_only_the_first_message_of_a_queue_is_claimed(scene: Scene, end: str) -> None:
    """The next one follows when it is sent, given up, or has left the queue; other queues go on meanwhile."""
    _add(scene, 1, 2)
    _add(scene, 3)
    _add(scene, 10, 11, subject="2")
    _add(scene, 20, 21, subject="1", in_order=False)
    claimed = _claim(scene)
    assert _bodies(claimed) == [1, 10, 20, 21]
    assert [message.next_attempt_at for message in scene.store.messages("acme")][1:3] == [None, None]
    ENDS[end](scene, claimed[0])
    (second,) = _claim(scene)
    assert _bodies([second]) == [2]
    scene.store.mark_sent(second)
    assert _bodies(_claim(scene)) == [3]


def test_a_message_that_failed_holds_up_its_queue(scene: Scene) -> None:
    """So does one whose carrier died, until its lease has ended; a message that is added meanwhile waits, too."""
    _add(scene, 1, 2)
    (first,) = _claim(scene)
    assert scene.store.postpone_message(first, seconds=30, last_error="no route")
    _add(scene, 3)
    assert _claim(scene) == []
    scene.clock.forward(30)
    assert _bodies(_claim(scene)) == [1]
    scene.clock.forward(60)
    assert _bodies(_claim(scene)) == [1]
    status = scene.store.queue_status("acme", TOPIC, "1")
    assert (status.waiting, status.retrying, status.waiting_since, status.last_error) == (3, 1, NOW, "no route")


def test_messages_behind_are_given_up_with_the_first_if_they_are_as_old(scene: Scene) -> None:
    """The next younger one follows."""
    _add(scene, 1, 2)
    scene.clock.forward(10)
    _add(scene, 3)
    (first,) = _claim(scene)
    assert scene.store.give_up_message(first, last_error="no route", before=NOW + timedelta(seconds=5))
    given_up = scene.store.messages("acme", delivery_state=DeliveryState.GIVEN_UP)
    assert [(int(message.body), message.last_error) for message in given_up] == [(1, "no route"), (2, "no route")]
    assert _bodies(_claim(scene)) == [3]
    status = scene.store.queue_status("acme", TOPIC, "1")
    assert (status.waiting, status.retrying, status.given_up_at) == (1, 0, scene.clock())


def test_a_queue_is_held_and_released(scene: Scene) -> None:
    """The attempt does not count; messages that were never tried and are on their way are not released twice."""
    _add(scene, 1, 2)
    (first,) = _claim(scene)
    assert scene.store.hold_message(first)
    scene.clock.forward(10**6)
    assert _claim(scene) == []
    held = scene.store.messages("acme")[0]
    assert (held.attempts, held.due_at, held.next_attempt_at) == (0, HELD, None)
    assert scene.store.messages("acme")[1].due_at == BEHIND
    assert scene.store.statistics()["messages.waiting"] == 0
    assert scene.store.release_messages("acme", TOPIC, "1") == 1
    (first,) = _claim(scene)
    assert (first.attempts, scene.store.release_messages("acme", TOPIC, "1")) == (1, 0)
    scene.store.postpone_message(first, seconds=3600, last_error="no route")
    assert scene.store.release_messages("acme", TOPIC, "1") == 1
    assert _bodies(_claim(scene)) == [1]
    assert scene.store.release_messages("bolt", TOPIC, "1") == 0


def test_a_replayed_message_is_out_of_order(scene: Scene) -> None:
    """One that still waits in its queue stays there."""
    _add(scene, 1, 2, 3)
    (first,) = _claim(scene)
    scene.store.mark_sent(first)
    assert scene.store.replay("acme", [1, 3]) == 2
    assert sorted(_bodies(_claim(scene))) == [1, 2]
    assert [message.in_order for message in scene.store.messages("acme")] == [False, True, True]


def test_the_attempts_of_a_message_are_kept(scene: Scene) -> None:
    """With their errors; the newest messages of a subject come first."""
    _add(scene, 1, 2)
    attempts = [Attempt(at=NOW, seconds=0.5, error="answered 500"), Attempt(at=NOW, seconds=0.25)]
    scene.store.postpone_message(_claim(scene)[0], seconds=0, last_error="answered 500", attempt=attempts[0])
    scene.store.mark_sent(_claim(scene)[0], attempt=attempts[1])
    scene.store.give_up_message(_claim(scene)[0], last_error="gone")
    newest = scene.store.newest_messages("acme", TOPIC, "1")
    assert [(message.number, message.history) for message in newest] == [(2, []), (1, attempts)]
    assert scene.store.newest_messages("acme", TOPIC, "1", before=2, limit=1) == newest[1:]
    given_up = scene.store.newest_messages("acme", TOPIC, "1", delivery_state=DeliveryState.GIVEN_UP)
    assert [message.number for message in given_up] == [2]
    assert scene.store.newest_messages("acme", TOPIC, "2") == []
    assert scene.store.queue_status("acme", TOPIC, "1").last_error == "gone"
    assert scene.store.queue_status("acme", TOPIC, "2").waiting == 0


def test_a_queue_does_not_wait_for_ever(scene: Scene) -> None:
    """Messages that wait longer than sent ones are kept are given up by the sweep, and the others follow."""
    _add(scene, 1, 2)
    assert scene.store.hold_message(_claim(scene)[0])
    scene.clock.forward(30)
    _add(scene, 3)
    scene.seal()
    scene.run([Record("a")])  # who works is who sweeps
    scene.clock.forward(31)
    scene.store.sweep(KEPT, steps_max=10)
    states = [message.delivery_state for message in scene.store.messages("acme")]
    assert states == [DeliveryState.GIVEN_UP, DeliveryState.GIVEN_UP, DeliveryState.WAITING]
    assert _bodies(_claim(scene)) == [3]


def test_the_outbox_hears_of_stored_messages(scene: Scene) -> None:
    """After the commit, and only if there are any."""
    heard: list[int] = []
    scene.store.listen_for_messages(lambda: heard.append(len(scene.store.messages("acme"))))
    _add(scene, 1, 2)
    _add(scene, subject="2")
    scene.seal()
    scene.run([Record("a")])
    assert heard == [2]
    scene.seal(notify="tested/ended")
    scene.run([Record("b")])
    assert heard == [2, 3]
