"""Payloads of a store on PostgreSQL as objects in a folder or a bucket."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from goodsgate.app import open_payloads
from goodsgate.engine import Refusal
from goodsgate.model.batch import State
from goodsgate.store.contract import HealthCheck, HealthLevel, Retention, StoreBusyError, StoreError, SweepCounts
from tests import forked, stores
from tests.aws import Aws
from tests.shop import Shop

SMALL_BYTES = 1_000
RECORDS = 2_000
KEPT = Retention(payload_seconds=0, report_seconds=3600, batch_seconds=3600, answer_seconds=0, tombstone_seconds=0)


def _shop(folder: Path, payloads: str) -> Shop:
    return Shop(folder, kind="postgres", payloads=payloads, small_payload_bytes=SMALL_BYTES)


def _records(count: int = RECORDS) -> bytes:
    """Return records that do not get smaller by much, so that they are several pieces."""
    noise = random.Random(1)
    record = b'{"id": "A%d", "title": "T", "price": "1.00 EUR", "description": "%01500x"}\n'
    return b"".join(record % (n, noise.getrandbits(6000)) for n in range(count))


def _objects(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.glob("*/*/*")}


def _levels(checks: list[HealthCheck]) -> dict[str, HealthLevel]:
    return {check.name: check.level for check in checks}


def _sweep(shop: Shop) -> None:
    while shop.store.sweep(KEPT, steps_max=2) != SweepCounts():
        pass


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Name a folder of payloads that does not exist yet."""
    return tmp_path / "payloads"


@pytest.fixture
def shop(tmp_path: Path, place: Path) -> Iterator[Shop]:
    """Open a shop whose payloads are in the folder."""
    with _shop(tmp_path, str(place)) as opened:
        yield opened
    stores.drop(tmp_path)


def test_only_large_payloads_are_in_the_folder(shop: Shop, place: Path, tmp_path: Path) -> None:
    """Small ones are with their batch; no byte of a large one is in the database, and it goes with its time."""
    large, small = _records(), b'{"id": "B"}\n'
    batches = shop.send(large), shop.send(small)
    assert [b"".join(shop.store.payload("acme", batch, 0) or ()) for batch in batches] == [large, small]
    with stores.raw(tmp_path) as db:
        rows = db.execute("SELECT count(bytes), count(*), sum(length(bytes)) FROM payload").fetchone()
    assert rows == (1, len(_objects(place)) + 1, len(small))
    assert len(_objects(place)) > 2
    shop.work()
    assert shop.engine.batch("acme", batches[0]).counts.created == RECORDS
    _sweep(shop)
    assert [path.name for path in place.rglob("*") if path.parent.parent == place] == []
    assert shop.store.payload("acme", batches[0], 0) is None


def test_a_bucket_works_like_a_folder(tmp_path: Path, aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each piece is one object, which the sweep deletes."""
    for name, value in aws.environ.items():
        monkeypatch.setenv(name, value)
    with _shop(tmp_path, f"s3://{aws.bucket()}/below") as shop:
        body = _records()
        batch = shop.send(body)
        assert b"".join(shop.store.payload("acme", batch, 0) or ()) == body
        shop.work()
        assert shop.engine.batch("acme", batch).counts.created == RECORDS
        with stores.raw(tmp_path) as db:
            row = db.execute("SELECT merchant, encode(uuid_send(upload), 'hex') FROM payload").fetchone()
        assert row is not None
        path = f"{row[0]}/{row[1]}/000000"
        objects = open_payloads(shop.store, shop.config)
        assert objects.has(path)
        _sweep(shop)
        assert not objects.has(path)
    stores.drop(tmp_path)


def _submit(folder: Path, place: str) -> None:
    with _shop(folder, place) as shop:
        shop.send(_records())


def _sweep_once(folder: Path, place: str) -> None:
    with _shop(folder, place) as shop:
        _sweep(shop)


@pytest.mark.parametrize("point", ["piece-noted", "piece-noted:2", "piece-stored", "seal-synced", "seal-written"])
def test_a_killed_submission_leaves_no_object(shop: Shop, place: Path, tmp_path: Path, point: str) -> None:
    """There is no batch, and an hour later the sweep deletes what was put."""
    assert forked.run(_submit, tmp_path, str(place), crash_at=point) == -9
    assert _objects(place) or point.startswith("piece-noted")
    before = _objects(place)
    _sweep(shop)
    assert _objects(place) == before, "an upload may still be going on"
    with stores.raw(tmp_path) as db:
        db.execute("UPDATE upload SET touched_at = touched_at - 3700 * 1000000::bigint")
    _sweep(shop)
    assert not _objects(place)
    with stores.raw(tmp_path) as db:
        assert db.execute("SELECT (SELECT count(*) FROM upload), (SELECT count(*) FROM payload)").fetchone() == (0, 0)


def test_a_killed_sweep_is_finished_by_the_next_one(shop: Shop, place: Path, tmp_path: Path) -> None:
    """Objects go before the rows that name them."""
    shop.send(_records())
    shop.work()
    assert forked.run(_sweep_once, tmp_path, str(place), crash_at="sweep-halved") == -9
    stores.wait_for_sweep(tmp_path)
    _sweep(shop)
    assert not _objects(place)
    with stores.raw(tmp_path) as db:
        assert db.execute("SELECT count(*) FROM payload").fetchone() == (0,)


def test_a_lost_storage_is_waited_for(shop: Shop, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Submissions are refused, the worker rejects nothing, and everything goes on when the storage is back."""
    monkeypatch.setattr("goodsgate.store.postgres.payload_objects.PAUSE_SECONDS", 0.0)
    batch = shop.send(_records())
    away = place.with_name("away")
    place.rename(away)
    place.write_text("no folder")
    with pytest.raises(StoreBusyError, match="payloads cannot be stored or read"):
        shop.worker.step()
    with pytest.raises(Refusal) as refusal:
        shop.send(_records())
    assert refusal.value.code == "store_busy"
    assert _levels(shop.store.quick_checks())["payloads"] is HealthLevel.WARN
    assert _levels(shop.store.health_checks())["payload storage"] is HealthLevel.BAD
    waiting = shop.engine.batch("acme", batch)
    assert (waiting.counts.rejected, waiting.state in (State.QUEUED, State.WORKING)) == (0, True)
    place.unlink()
    away.rename(place)
    shop.work()
    assert shop.engine.batch("acme", batch).counts.created == RECORDS
    assert "payloads" not in _levels(shop.store.quick_checks())
    assert _levels(shop.store.health_checks())["payload storage"] is HealthLevel.OK


def test_a_folder_that_is_not_mounted_is_not_taken_for_the_storage(shop: Shop, place: Path, tmp_path: Path) -> None:
    """Its payloads seem to be missing, so that it is refused by the mark that it has not."""
    batch = shop.send(_records())
    with _shop(tmp_path, str(tmp_path / "empty")) as other:
        with pytest.raises(StoreBusyError, match="mount the folder, or correct the setting payloads"):
            b"".join(other.store.payload("acme", batch, 0) or ())
        assert not _objects(tmp_path / "empty")
    with Shop(tmp_path, kind="postgres") as without, pytest.raises(StoreBusyError, match="set it again"):
        b"".join(without.store.payload("acme", batch, 0) or ())
    assert _objects(place)


def test_a_missing_object_rejects_nothing(shop: Shop, place: Path) -> None:
    """The batch waits until the object is restored."""
    batch = shop.send(_records())
    piece = next(place.rglob("000001"))
    content = piece.read_bytes()
    piece.unlink()
    with pytest.raises(StoreBusyError, match="is missing in the storage of payloads"):
        shop.work()
    assert shop.engine.batch("acme", batch).counts.rejected == 0
    piece.write_bytes(content)
    shop.work()
    assert shop.engine.batch("acme", batch).counts.created == RECORDS


def test_the_embedded_store_refuses_the_setting(tmp_path: Path) -> None:
    """Its payloads are in its folder already."""
    with pytest.raises(StoreError, match="is for a store on PostgreSQL"):
        Shop(tmp_path, kind="sqlite", payloads=str(tmp_path / "payloads"))
