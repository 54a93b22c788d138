"""What every place does that can be written: a folder, an SFTP server, a bucket."""

import os
from collections.abc import Iterator

import pytest

from goodsgate.remote import RemoteError
from goodsgate.remote.contract import PIECE_BYTES, RemotePlace
from tests.remote.conftest import Place

BODY = bytes(range(256)) * 10_000  # more than two pieces


def _write(place: RemotePlace, *names: str, body: bytes = b"sku\nA\n") -> None:
    for name in names:
        place.write(name, [body])


def test_a_file_is_read_as_it_was_written(place: Place) -> None:
    """In pieces of bounded size, from any offset on; an old file of the name is replaced."""
    with place.open() as folder:
        _write(folder, "a.csv")
        folder.write("a.csv", iter([BODY[:7], BODY[7:]]))
        (file,) = folder.files()
        pieces = list(folder.read(file))
        assert b"".join(pieces) == BODY
        assert max(map(len, pieces)) <= PIECE_BYTES
        assert b"".join(folder.read(file, offset=1_500_001)) == BODY[1_500_001:]
        assert (file.size, bool(file.version)) == (len(BODY), True)


def test_an_address_means_a_file_a_pattern_or_a_folder(place: Place) -> None:
    """Hidden files, which may be half written, and those of other folders are never meant."""
    with place.open() as folder:
        _write(folder, "a.csv", "b.csv", "b.csv.gz", ".c.csv.part")
        folder.move("b.csv.gz", "done/b.csv.gz")
        assert {file.name for file in folder.files()} == {"a.csv", "b.csv"}
    for path, names in (("*.csv", {"a.csv", "b.csv"}), ("a.csv", {"a.csv"}), ("[bc].csv", {"b.csv"}), ("x*", set())):
        with place.open(path) as found:
            assert {file.name for file in found.files()} == names
    with place.open("missing.csv") as found, pytest.raises(RemoteError) as missing:
        found.files()
    assert not missing.value.final  # it may come


def test_a_file_that_changes_under_the_reader_is_not_read_to_its_end(place: Place) -> None:
    """Nor is one that is another than the one that was listed."""
    with place.open() as folder:
        folder.write("a.csv", [BODY])
        (file,) = folder.files()
        folder.write("a.csv", [BODY + b"more"])
        with pytest.raises(RemoteError, match="changed while it was read"):
            list(folder.read(file))


def test_a_file_that_cannot_be_written_to_its_end_leaves_nothing(place: Place) -> None:
    """The old file stays."""
    def pieces() -> Iterator[bytes]:
        yield BODY
        raise KeyError

    with place.open() as folder:
        _write(folder, "a.csv")
        with pytest.raises((KeyError, RemoteError)):
            folder.write("a.csv", pieces())
        (file,) = folder.files()
        assert list(folder.read(file)) == [b"sku\nA\n"]
    if place.kind == "file":
        assert os.listdir(place.settings.folders[0]) == ["a.csv"]


def test_files_are_moved_and_deleted_within_the_folder(place: Place) -> None:
    """One that is there is replaced; one that is not there is deleted already."""
    with place.open() as folder:
        _write(folder, "a.csv", "b.csv")
        folder.move("a.csv", "b.csv")
        assert [file.name for file in folder.files()] == ["b.csv"]
        folder.delete("b.csv")
        folder.delete("b.csv")
        assert folder.files() == []
        with pytest.raises(RemoteError):
            folder.move("none.csv", "x.csv")
        for path in ("../x.csv", "/etc/x", "a//b", "", "a/../../b"):
            with pytest.raises(RemoteError, match="no path within"):
                folder.move("a.csv", path)


def test_a_place_that_is_not_allowed_is_not_opened(place: Place) -> None:
    """Whatever it holds."""
    place.settings = type(place.settings)()
    with pytest.raises(RemoteError, match=r"not allowed") as refused, place.open():
        pass
    assert refused.value.final
