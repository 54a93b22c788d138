"""The outbox: a message is there with what it tells, is handed out in turn, to one at a time, and goes in the end."""

import threading
from datetime import timedelta

import msgspec
import pytest

from goodsgate.model.batch import RoundKind, State
from goodsgate.model.catalogue import Resource
from goodsgate.model.message import DeliveryState, Message, NewMessage
from goodsgate.store.contract import NameTakenError, Retention
from tests.factories import NOW
from tests.store.scene import Record, Scene, chunk_commit, rejected_record

SORT, TOPIC = "tested/shipment", "tested/moved"
KEPT = Retention(
    payload_seconds=10**9, report_seconds=10**9, batch_seconds=10**9, answer_seconds=10**9, tombstone_seconds=10**9,
    message_seconds=60,
)


def _add(scene: Scene, name: str, *subjects: str, merchant: str = "acme") -> Resource:
    new_messages = [NewMessage(topic=TOPIC, subject=subject, body=b'{"n":  1}') for subject in subjects or (name,)]
    return scene.store.add_resource(merchant, SORT, name=name, body=b"{}", resources_max=100, messages=new_messages)


def _take(scene: Scene, limit: int = 10, *without: str, seconds: float = 60) -> list[Message]:
    return scene.store.claim_messages(lease_seconds=seconds, limit=limit, without=without)


def _subjects(scene: Scene, merchant: str = "acme", **how: object) -> list[str]:
    return [message.subject for message in scene.store.messages(merchant, **how)]  # type: ignore[arg-type]


def test_a_message_is_there_with_what_it_tells(scene: Scene) -> None:
    """Or not at all: a change that is refused tells nothing; they are counted by merchant from 1."""
    made = _add(scene, "a", "one", "two")
    _add(scene, "b", merchant="bolt")
    with pytest.raises(NameTakenError):
        _add(scene, "a", "three")
    new_messages = [NewMessage(topic=TOPIC, subject="four")]
    assert scene.store.put_resource(msgspec.structs.replace(made, body=b"[]"), messages=new_messages) is not None
    assert scene.store.put_resource(msgspec.structs.replace(made, body=b"0"), messages=new_messages) is None
    scene.reopen()
    found = scene.store.messages("acme")
    assert [(one.number, one.subject) for one in found] == [(1, "one"), (2, "two"), (3, "four")]
    assert found[0] == Message(
        merchant="acme", number=1, topic=TOPIC, subject="one", body=b'{"n":  1}', created_at=NOW, attempts=0, due_at=NOW
    )
    assert _subjects(scene, "bolt") == ["b"]
    assert (_subjects(scene, after=1, limit=1), _subjects(scene, topic="x/y"), _subjects(scene, "nobody")) == (
        ["two"], [], []
    )


def test_a_message_may_wait_for_its_moment(scene: Scene) -> None:
    """Nobody carries it before; others do not wait for it."""
    later = NewMessage(topic=TOPIC, subject="later", due_at=scene.clock() + timedelta(seconds=60))
    new_messages = [later, NewMessage(topic=TOPIC, subject="now")]
    scene.store.add_resource("acme", SORT, name="a", body=b"{}", resources_max=9, messages=new_messages)
    assert [one.subject for one in _take(scene)] == ["now"]
    assert scene.store.statistics()["messages.waiting"] == 1
    scene.clock.forward(59)
    assert [one.subject for one in _take(scene)] == []
    scene.clock.forward(1)
    assert "later" in [one.subject for one in _take(scene)]


@pytest.mark.parametrize("ends", [State.FINISHED, State.CANCELLED, State.BROKEN])
def test_the_end_of_a_batch_adds_a_message(scene: Scene, ends: State) -> None:
    """Once for each end, however it came; not to who did not ask."""
    batch = scene.seal(notify="tested/ended")
    scene.run([rejected_record("A")] if ends is State.FINISHED else [], ends=ends)
    scene.seal()
    scene.run([Record("B")])
    found = scene.store.messages("acme")
    assert [(one.topic, one.subject, one.number) for one in found] == [("tested/ended", batch, 1)]
    assert msgspec.json.decode(found[0].body) == {"round": 0, "state": ends}
    scene.again(batch, RoundKind.FIX)
    assert len(scene.store.messages("acme")) == 1
    scene.run([], ends=State.FINISHED)
    assert [msgspec.json.decode(one.body)["round"] for one in scene.store.messages("acme")] == [0, 1]


def test_a_replay_of_the_end_tells_nothing(scene: Scene) -> None:
    """A chunk that is committed already changes nothing."""
    scene.seal(notify="tested/ended")
    claim = scene.claimed()
    committed = chunk_commit(claim.rounds[0], Record("A"), ends=State.FINISHED)
    for _ in range(3):
        scene.store.commit(claim, [committed])
    assert len(scene.store.messages("acme")) == 1


def test_several_batches_that_end_together_add_their_messages(scene: Scene) -> None:
    """In their order, each once."""
    sealed = [scene.seal(body=b"x", notify="tested/ended") for _ in range(5)]
    claim = scene.claimed(works=64)
    scene.store.commit(claim, [chunk_commit(work, Record(work.batch), ends=State.FINISHED) for work in claim.rounds])
    assert _subjects(scene) == sealed


def test_merchants_come_in_turn(scene: Scene) -> None:
    """One message of each, whoever has how many; one that is left out keeps nobody waiting."""
    _add(scene, "a", *(f"a{n}" for n in range(5)))
    _add(scene, "b", "b0", "b1", merchant="bolt")
    taken = [[one.subject for one in _take(scene, 1)] for _ in range(7)]
    assert sorted(taken[:4]) == [["a0"], ["a1"], ["b0"], ["b1"]]
    assert {one[0][0] for one in taken[:2]} == {"a", "b"}
    assert taken[4:] == [["a2"], ["a3"], ["a4"]]
    assert _take(scene) == []
    scene.clock.forward(61)
    assert [one.subject for one in _take(scene, 10, "acme")] == ["b0"]
    assert {one.subject for one in _take(scene, 10)} == {"a0", "b1"}
    assert _take(scene, 10, "acme", "bolt") == []


def test_a_message_is_one_carriers_until_its_lease_ends(scene: Scene) -> None:
    """Whoever took it before has no say any more, but for that it has arrived."""
    _add(scene, "a")
    (first,) = _take(scene, seconds=60)
    assert (first.attempts, first.due_at) == (1, NOW + timedelta(seconds=60))
    assert _take(scene) == []
    scene.clock.forward(60)
    (second,) = _take(scene)
    assert second.attempts == 2
    assert not scene.store.postpone_message(first, seconds=0, last_error="late")
    assert not scene.store.give_up_message(first, last_error="late")
    scene.store.mark_sent(first)
    assert not scene.store.postpone_message(second, seconds=0, last_error="no answer")
    (found,) = scene.store.messages("acme")
    assert (found.delivery_state, found.sent_at, found.last_error) == (DeliveryState.SENT, scene.clock(), "")


def test_what_has_not_arrived_comes_again_or_is_given_up(scene: Scene) -> None:
    """When it is due, with what went wrong; others of the merchant go before."""
    _add(scene, "a", "one", "two")
    (one,) = _take(scene, seconds=5)
    assert scene.store.postpone_message(one, seconds=300, last_error="no route")
    (two,) = _take(scene)
    assert (two.subject, scene.store.messages("acme")[0].last_error) == ("two", "no route")
    assert scene.store.give_up_message(two, last_error="gone")
    assert _take(scene) == []
    assert _subjects(scene, delivery_state=DeliveryState.WAITING) == ["one"]
    assert _subjects(scene, delivery_state=DeliveryState.GIVEN_UP) == ["two"]
    scene.clock.forward(300)
    assert [again.attempts for again in _take(scene)] == [2]


def test_messages_are_replayed(scene: Scene) -> None:
    """Sent ones, and those given up, as if just made; strangers' are not."""
    _add(scene, "a", "one", "two", "three")
    for end in (scene.store.mark_sent, lambda message: scene.store.give_up_message(message, last_error="gone")):
        end(_take(scene)[0])
    assert scene.store.replay("bolt", [1, 2]) == 0
    assert scene.store.replay("acme", [1, 2, 9]) == 2
    assert [(one.delivery_state, one.attempts) for one in scene.store.messages("acme")] == [(DeliveryState.WAITING,
        0)] * 3
    taken = [_take(scene)[0].subject for _ in range(3)]
    assert sorted(taken) == ["one", "three", "two"]


def test_what_has_ended_is_swept(scene: Scene) -> None:
    """After its time, and never what waits; numbers are not given again."""
    _add(scene, "a", "one", "two", "three")
    scene.store.mark_sent(_take(scene)[0])
    scene.store.give_up_message(_take(scene)[0], last_error="gone")
    scene.seal()
    scene.run([Record("a")])  # who works is who sweeps
    assert scene.store.sweep(KEPT, steps_max=10).messages == 0
    scene.clock.forward(61)
    assert scene.store.sweep(KEPT, steps_max=10).messages == 2
    assert _subjects(scene) == ["three"]
    _add(scene, "b")
    assert [one.number for one in scene.store.messages("acme")] == [3, 4]


def test_figures_tell_what_waits(scene: Scene) -> None:
    """How many, for how long, and how many were given up."""
    names = ("messages.waiting", "messages.given_up", "oldest_message_seconds")
    assert [scene.store.statistics()[name] for name in names] == [0, 0, 0]
    _add(scene, "a", "one", "two")
    _add(scene, "b", merchant="bolt")
    scene.clock.forward(5)
    scene.store.give_up_message(_take(scene)[0], last_error="gone")
    assert [scene.store.statistics()[name] for name in names] == [2, 1, 5]


def test_many_carriers_take_each_message_once(scene: Scene) -> None:
    """From several stores at the same time, as from several processes."""
    for number in range(20):
        _add(scene, f"a{number}")
        _add(scene, f"b{number}", merchant="bolt")
    stores = [scene.open() for _ in range(4)]
    taken: list[tuple[str, int]] = []

    def carry(at: int) -> None:
        empty = 0
        while empty < 3:  # a message may be held by a claim that is not committed yet
            found = stores[at].claim_messages(lease_seconds=60, limit=2)
            empty = 0 if found else empty + 1
            for message in found:
                taken.append((message.merchant, message.number))
                stores[at].mark_sent(message)

    threads = [threading.Thread(target=carry, args=(at,)) for at in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == sorted((merchant, n) for merchant in ("acme", "bolt") for n in range(1, 21))
    assert _subjects(scene, delivery_state=DeliveryState.WAITING) == []
