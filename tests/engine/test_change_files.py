"""Files of changes: every change is in a file, whoever dies and whatever the storage does."""

import hashlib
import json
import threading
from collections.abc import Iterable
from typing import Any

import pytest

from goodsgate.engine import change_files, outage
from goodsgate.engine.change_file_checks import ChangeFileWatch
from goodsgate.engine.change_files import ChangeFiles, Manifest, late_merchants, read_manifest
from goodsgate.model import zstd
from goodsgate.store.contract import Retention, StoreBusyError, StoreError
from goodsgate.store.objects import Objects
from tests.shop import Shop


@pytest.fixture(params=["folder", "s3"])
def objects(request: pytest.FixtureRequest, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Objects:
    """An empty storage."""
    if request.param == "folder":
        return Objects(str(tmp_path / "changes"))
    aws = request.getfixturevalue("aws")
    for name, value in aws.environ.items():
        monkeypatch.setenv(name, value)
    return Objects(f"s3://{aws.bucket()}/changes")


@pytest.fixture
def folder(tmp_path: Any) -> Objects:
    """An empty folder."""
    return Objects(str(tmp_path / "changes"))


def writer(shop: Shop, objects: Objects) -> ChangeFiles:
    """Return a writer, as in a process of its own."""
    return ChangeFiles(shop.store, lambda: objects, interval_seconds=1)


def mugs(*numbers: int, title: str = "Mug") -> list[dict[str, object]]:
    """Return products."""
    return [{"id": f"MUG-{number}", "title": title, "price": "7.90 EUR"} for number in numbers]


def content(objects: Objects, path: str) -> bytes:
    """Return an object, which exists."""
    pieces = objects.get(path)
    assert pieces is not None, path
    return b"".join(pieces)


def read_files(objects: Objects) -> list[dict[str, Any]]:
    """Return the changes of all segments, as a warehouse loads them: by the manifests, with their digests checked."""
    changes: list[dict[str, Any]] = []
    manifest = json.loads(content(objects, "acme/manifest.json"))
    for day in manifest["days"]:
        for segment in json.loads(content(objects, f"acme/{day}/manifest.json"))["segments"]:
            file = content(objects, f"acme/{segment['name']}")
            assert (len(file), hashlib.sha256(file).hexdigest()) == (segment["bytes"], segment["sha256"])
            rows = [json.loads(line) for line in zstd.decompress(file).splitlines()]
            span = (len(rows), rows[0]["number"], rows[-1]["number"], rows[-1]["cursor"])
            assert span == (segment["changes"], segment["first"], segment["last"], segment["cursor"])
            changes += rows
    assert manifest["cursor"] == changes[-1]["cursor"]
    return changes


def test_every_change_is_in_a_segment(shop: Shop, objects: Objects) -> None:
    """With the records before and after; a second look writes only what is new."""
    files = writer(shop, objects)
    files.write_new()
    assert read_manifest(objects, "acme") == Manifest(merchant="acme")
    shop.run(mugs(*range(5)))
    files.write_new()
    shop.run(mugs(1, title="Cup"))
    assert [*late_merchants(shop.store, objects)] == [("acme", 1, [])]
    files.write_new()
    files.write_new()
    changes = read_files(objects)
    assert [change["number"] for change in changes] == [*range(1, 7)]
    last = changes[-1]
    assert (last["operation"], last["key"]) == ("updated", "MUG-1")
    assert (last["before"]["title"], last["after"]["title"]) == ("Mug", "Cup")
    assert [*late_merchants(shop.store, objects)] == []


def test_long_segments_are_cut(shop: Shop, folder: Objects, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind the page that fills them."""
    monkeypatch.setattr(change_files, "PAGE_CHANGES", 2)
    monkeypatch.setattr(change_files, "SEGMENT_CHANGES_MAX", 4)
    shop.run(mugs(*range(9)))
    writer(shop, folder).write_new()
    assert [change["number"] for change in read_files(folder)] == [*range(1, 10)]
    (day,) = read_manifest(folder, "acme").days
    segments = json.loads(content(folder, f"acme/{day}/manifest.json"))["segments"]
    assert [segment["changes"] for segment in segments] == [4, 4, 1]


def test_one_process_writes_and_another_goes_on(shop: Shop, folder: Objects, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the lease of the first one has ended."""
    first, second = writer(shop, folder), writer(shop, folder)
    shop.run(mugs(1))
    first.write_new()
    shop.run(mugs(2))
    second.write_new()
    assert read_manifest(folder, "acme").last == 1
    monkeypatch.setattr(change_files, "LEASE_SECONDS", -1)
    first.write_new()
    shop.run(mugs(3))
    second.write_new()
    assert [change["number"] for change in read_files(folder)] == [1, 2, 3]


class FailingObjects:
    """A storage that fails once, at the put with a number, before or behind it."""

    def __init__(self, objects: Objects, *, at: int, has_arrived: bool) -> None:
        self._objects = objects
        self._left = at
        self._has_arrived = has_arrived
        self.get = objects.get

    def put(self, path: str, content: bytes | Iterable[bytes], *, media_type: str) -> None:
        """Store an object, or fail."""
        self._left -= 1
        if self._left or self._has_arrived:
            self._objects.put(path, content, media_type=media_type)
        if not self._left:
            raise StoreBusyError("the storage is unavailable")


@pytest.mark.parametrize("has_arrived", [False, True])
@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_storage_that_fails_loses_nothing(shop: Shop, folder: Objects, at: int, has_arrived: bool) -> None:
    """The manifest says where to go on; what was written in vain is replaced, or comes again."""
    shop.run(mugs(1, 2))
    failing: Any = FailingObjects(folder, at=at, has_arrived=has_arrived)
    files = writer(shop, failing)
    with pytest.raises(StoreError):
        files.write_new()
    shop.run(mugs(3))
    files.write_new()
    numbers = [change["number"] for change in read_files(folder)]
    assert sorted(set(numbers)) == [1, 2, 3]
    assert numbers == sorted(numbers)


def test_changes_that_are_gone_are_noted(shop: Shop, folder: Objects, caplog: pytest.LogCaptureFixture) -> None:
    """In the manifest and in the log; the files go on with the oldest change that is kept."""
    files = writer(shop, folder)
    shop.run(mugs(1))
    files.write_new()
    shop.run(mugs(2, 3))
    nothing_kept = Retention(**(dict.fromkeys(Retention.__struct_fields__, 10**9) | {"journal_seconds": 0}))
    shop.store.sweep(nothing_kept, steps_max=100)
    shop.run(mugs(4))
    files.write_new()
    assert [change["number"] for change in read_files(folder)] == [1, 4]
    ((merchant, missing, gaps),) = late_merchants(shop.store, folder)
    assert (merchant, missing, [(gap.after, gap.reason) for gap in gaps]) == ("acme", 0, [(1, "expired")])
    assert "load an export" in caplog.text


def test_a_manifest_that_cannot_be_read_is_refused(shop: Shop, folder: Objects) -> None:
    """It is not overwritten, since it may say what a warehouse has."""
    shop.run(mugs(1))
    folder.put("acme/manifest.json", b"{")
    with pytest.raises(StoreError, match="delete it to write the files again"):
        writer(shop, folder).write_new()
    assert content(folder, "acme/manifest.json") == b"{"


def test_a_thread_writes_the_files(shop: Shop, folder: Objects, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is started beside a worker, goes on after the storage has failed, and stops with the worker."""
    has_written = threading.Event()
    written = ChangeFiles.write_new

    def write_new(files: ChangeFiles) -> None:
        written(files)
        has_written.set()

    monkeypatch.setattr(ChangeFiles, "write_new", write_new)
    monkeypatch.setattr(outage, "PAUSE_SECONDS_MIN", 0.01)
    shop.run(mugs(1))
    failing: Any = FailingObjects(folder, at=2, has_arrived=False)
    files = writer(shop, failing)
    files.start()
    assert has_written.wait(120)
    files.stop()
    assert len(read_files(folder)) == 1


def test_files_that_stand_still_are_told_to_who_asks_for_readiness(shop: Shop, objects: Objects) -> None:
    """Not those that go on a little later, and no more often than once a minute is the storage looked at."""
    now = [0.0]
    looks = []

    def open_objects() -> Objects:
        looks.append(now[0])
        return objects

    watch = ChangeFileWatch(shop.store, open_objects, interval_seconds=60, clock=lambda: now[0])
    files = writer(shop, objects)
    shop.run(mugs(1))
    assert watch.checks() == []
    for now[0] in (100.0, 299.0, 301.0):
        assert watch.checks() == []
    now[0] = 360.0
    found = watch.checks()
    ((name, level, detail),) = [(check.name, check.level, check.detail) for check in found]
    assert (name, level, detail) == ("change files", "warn", "acme: 1 change is in no file yet")
    now[0] = 370.0
    assert watch.checks() == found
    assert looks == [0.0, 100.0, 299.0, 360.0]
    files.write_new()
    shop.run(mugs(2))
    now[0] = 500.0
    assert watch.checks() == []


def test_a_storage_that_cannot_be_read_is_a_warning(shop: Shop) -> None:
    """The gate is ready nevertheless."""
    def open_objects() -> Objects:
        raise StoreError("no such bucket")

    (check,) = ChangeFileWatch(shop.store, open_objects, interval_seconds=60).checks()
    assert (check.is_ok, check.detail) == (True, "no such bucket")
