"""Objects in a folder and in S3, which behave alike."""

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from goodsgate.store.contract import StoreBusyError, StoreError
from goodsgate.store.object_folder import PIECE_BYTES
from goodsgate.store.objects import OWNER, Objects, open_objects
from tests.aws import Aws


@pytest.fixture(params=["folder", "s3"])
def objects(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Objects:
    """An empty place."""
    if request.param == "folder":
        return Objects(str(tmp_path / "kept here"))
    return _bucket(request.getfixturevalue("aws"), monkeypatch)


def _bucket(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> Objects:
    for name, value in aws.environ.items():
        monkeypatch.setenv(name, value)
    return Objects(f"s3://{aws.bucket()}/below")


def test_what_is_put_is_got(objects):
    """Empty, small, and longer than a piece."""
    for path, content in {"empty": b"", "a/b c.json": b"{}", "a/long": os.urandom(3 * PIECE_BYTES + 7)}.items():
        assert not objects.has(path)
        objects.put(path, content)
        assert objects.has(path)
        assert b"".join(objects.get(path)) == content


def test_put_replaces_an_object(objects):
    """And nothing of the one before."""
    objects.put("a", b"longer than the next")
    objects.put("a", b"next")
    assert b"".join(objects.get("a")) == b"next"


def test_pieces_are_put_as_one(objects):
    """More of them than fit in memory would be no matter."""
    objects.put("a", (b"%d" % at * 100_000 for at in range(80)))
    assert b"".join(objects.get("a")) == b"".join(b"%d" % at * 100_000 for at in range(80))


def test_pieces_that_break_off_leave_what_was_there(objects):
    """An export that failed half-way is no export."""

    def broken() -> Iterator[bytes]:
        yield b"half"
        raise RuntimeError("broke off")

    objects.put("a", b"whole")
    for path in ("a", "b"):
        with pytest.raises(RuntimeError, match="broke off"):
            objects.put(path, broken())
    assert b"".join(objects.get("a")) == b"whole"
    assert objects.get("b") is None


def test_a_deleted_object_does_not_exist(objects):
    """Twice is no matter."""
    objects.put("a/b", b"1")
    objects.delete("a/b")
    objects.delete("a/b")
    assert objects.get("a/b") is None


@pytest.mark.parametrize("path", ["../a", "a/../../b", "a//b", "a/./b"])
def test_no_path_leads_out(objects, path):
    """Whatever a caller was talked into."""
    with pytest.raises(ValueError, match=r"[Pp]ath"):
        objects.put(path, b"1")


def test_a_signed_link_is_read_by_anybody(aws, monkeypatch):
    """With the type it was put with, without any header."""
    objects = _bucket(aws, monkeypatch)
    objects.put("reports/1.json", b'{"a":1}', media_type="application/json")
    link = objects.sign("reports/1.json", 3600)
    assert "X-Amz-Expires=3600" in link
    answered = httpx.get(link, trust_env=False)
    assert (answered.status_code, answered.content) == (200, b'{"a":1}')
    assert answered.headers["content-type"] == "application/json"


def test_a_folder_signs_nothing(tmp_path):
    """Who has the folder hands out what is in it."""
    assert Objects(str(tmp_path)).sign("a", 60) is None


def test_unavailable_storage_is_a_busy_store(monkeypatch, aws):
    """So that callers try again."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "k")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    objects = Objects("s3://nowhere")
    for asked in (lambda: objects.put("a", b"1"), lambda: objects.get("a"), lambda: objects.delete("a")):
        with pytest.raises(StoreBusyError, match="is unavailable"):
            asked()


@pytest.mark.parametrize("address", ["gs://bucket", "s3://", "ftp://a/b"])
def test_an_address_that_is_none_is_refused(address):
    """When it is opened, not when it is first used."""
    with pytest.raises(StoreError, match="cannot store objects"):
        Objects(address)


def test_without_a_setting_objects_are_in_the_folder_of_the_store(tmp_path):
    """In a folder of their own."""
    objects = open_objects("", store=str(tmp_path), name="images", owner=lambda: "s1")
    objects.put("a", b"1")
    assert (tmp_path / "images" / "a").read_bytes() == b"1"
    elsewhere = open_objects(str(tmp_path / "there"), store="postgresql://db/x", name="images", owner=lambda: "s1")
    assert elsewhere.folder == tmp_path / "there"


def test_a_store_on_a_server_requires_the_setting():
    """A folder of one host is not there for the others."""
    with pytest.raises(StoreError, match="the setting images must name"):
        open_objects("", store="postgresql://db/x", name="images", owner=lambda: "s1")


def test_objects_of_another_store_are_refused(tmp_path):
    """The first store marks the folder; it is told apart from the folder of another store for good."""
    address = str(tmp_path / "shared")
    for _ in range(2):
        open_objects(address, store="postgresql://db/x", name="images", owner=lambda: "s1").put("a", b"1")
    with pytest.raises(StoreError, match="has the images of another store"):
        open_objects(address, store="postgresql://db/y", name="images", owner=lambda: "s2")
    (tmp_path / "shared" / OWNER).unlink()
    assert open_objects(address, store="postgresql://db/y", name="images", owner=lambda: "s2").has("a")
