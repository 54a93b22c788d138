"""Promise 1: acknowledged means durable; and idempotency keys."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import msgspec
import pytest

from goodsgate.model.batch import Batch, Kind, Policy, RoundKind, State, new_id
from goodsgate.model.catalogue import Key, Merchant, Scope
from goodsgate.model.tracing import ORIGIN, Origin
from goodsgate.store.contract import (
    Idempotency,
    IdempotentAnswer,
    KeyInUseError,
    NewBatch,
    NewRound,
    QueueFullError,
    RoundAddedError,
    RoundOpenError,
    StoreBusyError,
    StoreError,
)
from tests.factories import NOW
from tests.store.scene import SMALL_BYTES, Record, Scene

SIZES = [1, SMALL_BYTES, SMALL_BYTES + 1, 3 * 1024**2]


def _files(scene: Scene) -> list[Path]:
    folder = scene.folder / "store" / "payloads"
    return list(folder.iterdir()) if folder.exists() else []


@pytest.mark.parametrize("size", SIZES)
def test_a_payload_is_returned_unchanged(scene: Scene, size: int) -> None:
    """In pieces, also after a restart, whether it is kept inline or as a file."""
    body = bytes(number % 251 for number in range(size))
    upload = new_id()
    for start in range(0, size, 700_000):
        scene.store.append_upload("acme", upload, body[start : start + 700_000])
    batch = NewBatch(
        merchant="acme", id=new_id(), kind=Kind.PRODUCT, collection="products", policy=Policy(currency="EUR"),
        format="csv", content_encoding="gzip", label="Sommer.csv", protocol="native", protocol_data={"a": "b"},
    )
    sealed = scene.store.add_batch(batch, upload=upload, open_rounds_max=10)
    assert (sealed.bytes_total, sealed.label, sealed.content_encoding, sealed.protocol_data) == (size, "Sommer.csv",
        "gzip",
        {"a": "b"})
    assert sealed.policy == Policy(currency="EUR")
    scene.reopen()
    stored = scene.store.batch("acme", batch.id)
    assert stored is not None
    assert msgspec.structs.replace(stored, revision=()) == msgspec.structs.replace(sealed, revision=())
    assert b"".join(scene.store.payload("acme", batch.id, 0) or ()) == body
    assert scene.store.payload("acme", batch.id, 1) is None


@pytest.mark.parametrize("size", SIZES)
def test_what_is_discarded_leaves_nothing(scene: Scene, size: int) -> None:
    """No file, no batch, and sealing it afterwards is an error."""
    upload = scene.upload(b"x" * size)
    scene.store.discard_upload("acme", upload)
    scene.store.discard_upload("acme", upload)
    assert not _files(scene)
    batch = NewBatch(
        merchant="acme", id=new_id(), kind=Kind.PRODUCT, collection="products", policy=Policy(), format="json",
        content_encoding="identity",
    )
    with pytest.raises(StoreError):
        scene.store.add_batch(batch, upload=upload, open_rounds_max=10)
    assert scene.store.batch("acme", batch.id) is None


def test_a_queue_has_an_end(scene: Scene) -> None:
    """At the limit a merchant's next round is refused and nothing of it remains; others are not concerned."""
    scene.seal(open_rounds_max=2)
    scene.seal(kind=Kind.PRICE, open_rounds_max=2)
    with pytest.raises(QueueFullError):
        scene.seal(kind=Kind.STOCK, open_rounds_max=2)
    scene.seal("bolt", open_rounds_max=2)
    assert scene.store.statistics()["rounds.queued"] == 3
    scene.run([Record("A")])
    scene.seal(kind=Kind.STOCK, open_rounds_max=2)


def test_an_id_is_used_once(scene: Scene) -> None:
    """A second batch of the same id is an error of the caller."""
    batch = NewBatch(
        merchant="acme", id=new_id(), kind=Kind.PRODUCT, collection="products", policy=Policy(), format="json",
        content_encoding="identity",
    )
    scene.store.add_batch(batch, upload=scene.upload(), open_rounds_max=10)
    with pytest.raises(StoreError):
        scene.store.add_batch(batch, upload=scene.upload(), open_rounds_max=10)
    assert scene.store.statistics()["rounds.queued"] == 1


def test_an_unknown_merchant_submits_nothing(scene: Scene) -> None:
    """Whatever the door let pass."""
    with pytest.raises(StoreError):
        scene.seal("nobody")
    with pytest.raises(StoreError):
        scene.store.reserve_idempotency_key("nobody", "k", lease_seconds=1)


# -- idempotency keys -------------------------------------------------------------------------------------------------


def _idempotency(key: str = "k") -> Idempotency:
    return Idempotency(merchant="acme", key=key, fingerprint=b"f" * 32, answer=lambda batch: batch.id.encode())


def test_an_answered_key_gives_its_first_answer(scene: Scene) -> None:
    """Worded inside the transaction, from the batch as it then was; for this merchant alone."""
    assert scene.store.reserve_idempotency_key("acme", "k", lease_seconds=5) is None
    batch = scene.seal(idempotency=_idempotency())
    expected = IdempotentAnswer(b"f" * 32, batch.encode(), batch)
    assert scene.store.reserve_idempotency_key("acme", "k", lease_seconds=5) == expected
    scene.store.release_idempotency_key("acme", "k")
    scene.reopen()
    assert scene.store.reserve_idempotency_key("acme", "k", lease_seconds=5) == expected
    assert scene.store.reserve_idempotency_key("bolt", "k", lease_seconds=5) is None


def test_a_reserved_key_is_in_use_until_its_lease_ends(scene: Scene) -> None:
    """Showing life makes it longer, giving it back ends it."""
    scene.store.reserve_idempotency_key("acme", "k", lease_seconds=5)
    scene.clock.forward(4)
    with pytest.raises(KeyInUseError):
        scene.store.reserve_idempotency_key("acme", "k", lease_seconds=5)
    scene.store.renew_idempotency_key("acme", "k", lease_seconds=5)
    scene.clock.forward(4)
    with pytest.raises(KeyInUseError):
        scene.store.reserve_idempotency_key("acme", "k", lease_seconds=5)
    scene.store.release_idempotency_key("acme", "k")
    assert scene.store.reserve_idempotency_key("acme", "k", lease_seconds=5) is None
    scene.clock.forward(6)
    assert scene.store.reserve_idempotency_key("acme", "k", lease_seconds=5) is None


def test_a_key_never_makes_two_batches(scene: Scene) -> None:
    """Of two submissions that hold it, because the first one's lease ended, the later seal makes nothing."""
    scene.store.reserve_idempotency_key("acme", "k", lease_seconds=1)
    scene.clock.forward(2)
    scene.store.reserve_idempotency_key("acme", "k", lease_seconds=1)
    scene.seal(idempotency=_idempotency())
    with pytest.raises(KeyInUseError):
        scene.seal(idempotency=_idempotency())
    assert scene.store.statistics()["rounds.queued"] == 1


def test_a_failing_answer_rolls_the_batch_back(scene: Scene) -> None:
    """It is part of the transaction."""
    def fails(batch: Batch) -> bytes:
        raise RuntimeError(batch.id)

    with pytest.raises(RuntimeError):
        scene.seal(idempotency=Idempotency(merchant="acme", key="k", fingerprint=b"f", answer=fails))
    assert scene.store.statistics()["rounds.queued"] == 0
    assert scene.store.reserve_idempotency_key("acme", "k", lease_seconds=1) is None


CHANGES: dict[str, Callable[[Scene, str, Idempotency | None], object]] = {
    "add_round": lambda scene, batch, idempotency: scene.store.add_round(
        NewRound(merchant="acme", batch=batch, kind=RoundKind.RETRY), upload=None, idempotency=idempotency,
        open_rounds_max=10),
    "cancel": lambda scene, batch, idempotency: scene.store.cancel("acme", batch, idempotency=idempotency),
    "add_merchant": lambda scene, batch, idempotency: scene.store.add_merchant(
        Merchant(id="later", name="", created_at=NOW), idempotency=idempotency),
    "add_key": lambda scene, batch, idempotency: scene.store.add_key(
        Key(id="k1", digest=b"d" * 32, merchant="bolt", scopes=frozenset({Scope.READ}), label="", created_at=NOW),
        idempotency=idempotency),
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_answers_its_key_in_its_transaction(scene: Scene, change: str) -> None:
    """The answer is stored with the change, and neither without the other."""
    batch = scene.seal()
    if change == "add_round":
        scene.run([Record("A")])

    def fails(_: object) -> bytes:
        raise RuntimeError

    before = _state(scene, batch)
    with pytest.raises(RuntimeError):
        CHANGES[change](scene, batch, Idempotency(merchant="acme", key="k", fingerprint=b"f", answer=fails))
    assert _state(scene, batch) == before
    assert scene.store.reserve_idempotency_key("acme", "k", lease_seconds=5) is None
    asked = Idempotency[Any](merchant="acme", key="k", fingerprint=b"f", answer=lambda _: b"answer")
    CHANGES[change](scene, batch, asked)
    assert _state(scene, batch) != before
    about = batch if change in ("add_round", "cancel") else None
    answer = IdempotentAnswer(b"f", b"answer", about)
    assert scene.store.reserve_idempotency_key("acme", "k", lease_seconds=5) == answer


def test_a_key_answered_meanwhile_lets_no_second_change_through(scene: Scene) -> None:
    """As for submissions: the lease of the first request ended, and both were carried out."""
    batch = scene.seal()
    for change in ("cancel", "add_merchant", "add_key"):
        key = _idempotency(change)
        scene.seal(kind=Kind.STOCK, idempotency=key)
        before = _state(scene, batch)
        with pytest.raises(KeyInUseError):
            CHANGES[change](scene, batch, key)
        assert _state(scene, batch) == before


def _state(scene: Scene, batch: str) -> object:
    found = scene.store.batch("acme", batch)
    assert found is not None
    return found.rounds, found.cancelling, scene.store.merchants(), scene.store.keys("bolt")


# -- rounds -----------------------------------------------------------------------------------------------------------


def test_a_batch_has_one_open_round(scene: Scene) -> None:
    """A fix comes when the batch has ended, and is queued behind what its lane holds."""
    batch = scene.seal()
    with pytest.raises(RoundOpenError):
        scene.again(batch, RoundKind.FIX)
    scene.run([Record("A")])
    scene.seal()
    found = scene.again(batch, RoundKind.FIX)
    assert found is not None
    assert (found.state, found.position, found.rounds, found.total) == (State.QUEUED, 1, 2, 1)
    assert (found.bytes_total, found.finished_at) == (15, None)
    assert b"".join(scene.store.payload("acme", batch, 1) or ()) == b"01234"
    with pytest.raises(RoundOpenError):
        scene.again(batch, RoundKind.RETRY)


def test_a_round_may_demand_that_no_other_was_added(scene: Scene) -> None:
    """What it corrects was read when the batch had so many rounds; a round that has ended since counts, too."""
    batch = scene.seal()
    scene.run([Record("A")])
    with pytest.raises(RoundAddedError):
        scene.again(batch, RoundKind.CORRECTION, rounds=2)
    assert scene.batch(batch).rounds == 1
    again = scene.again(batch, RoundKind.RETRY, rounds=1)
    assert again is not None
    with pytest.raises(RoundOpenError):
        scene.again(batch, RoundKind.RETRY, rounds=2)


def test_the_open_rounds_of_a_key_are_counted(scene: Scene) -> None:
    """Of all kinds; those of other keys and merchants, and those that have ended, are not."""
    origin = ORIGIN.set(Origin(key="0123456789ab"))
    try:
        scene.seal()
        scene.seal(kind=Kind.PRICE)
        scene.seal("bolt")
    finally:
        ORIGIN.reset(origin)
    scene.seal(kind=Kind.STOCK)
    assert scene.store.count_rounds_of_key("acme", "0123456789ab") == 2
    assert scene.store.count_rounds_of_key("acme", "ba9876543210") == 0
    assert scene.store.count_rounds_of_key("nobody", "0123456789ab") == 0
    scene.run([Record("A")])
    assert scene.store.count_rounds_of_key("acme", "0123456789ab") == 1


def test_only_the_merchants_own_batch_is_opened_again(scene: Scene) -> None:
    """An id of another merchant is an unknown id."""
    batch = scene.seal()
    scene.run([Record("A")])
    assert scene.again(batch, RoundKind.RETRY, merchant="bolt") is None
    assert scene.again(new_id(), RoundKind.RETRY) is None
    assert scene.again("not-an-id", RoundKind.RETRY) is None


def test_a_busy_store_keeps_nothing(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else writes for too long: refused whole, and calling again succeeds."""
    scene.only("sqlite", "of the server: tests/store/test_postgres_outages.py")
    monkeypatch.setattr("goodsgate.store.sqlite.file.BUSY_MILLISECONDS", 20)
    scene.reopen()
    other = apsw.Connection(str(scene.folder / "store" / "intake.db"))
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreBusyError):
        scene.seal()
    with pytest.raises(StoreBusyError):
        scene.store.reserve_idempotency_key("acme", "k", lease_seconds=5)
    scene.store.release_idempotency_key("acme", "k")
    assert scene.store.statistics()["rounds.queued"] == 0
    other.execute("ROLLBACK")
    other.close()
    scene.seal()
    assert scene.store.statistics()["rounds.queued"] == 1
