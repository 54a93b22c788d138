"""The files of an embedded store know each other: none works beside an older copy, or one of another store."""

import os
import resource
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from goodsgate.cli import main
from goodsgate.engine.refusal import Refusal
from goodsgate.model.batch import State
from goodsgate.model.catalogue import Merchant
from goodsgate.store.contract import StoreBusyError, StoreError
from goodsgate.store.sqlite import SqliteStore
from tests.factories import NOW
from tests.shop import Shop


def _open(folder: Path) -> SqliteStore:
    return SqliteStore(folder, cache_bytes=1024**2, small_payload_bytes=100)


def _feed(shop: Shop, name: str) -> None:
    assert shop.run([{"id": f"{name}-{number}", "title": name} for number in range(9)]).state is State.FINISHED


@pytest.fixture(scope="module")
def states(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of one store at several times, and one of another store."""
    below = tmp_path_factory.mktemp("states")
    with Shop(below / "live", kind="sqlite") as shop:
        _feed(shop, "first")
        shop.store.store.back_up(below / "same run")  # type: ignore[attr-defined]
        _feed(shop, "second")
        shutil.copytree(below / "live" / "store", below / "with logs")
    shutil.copytree(below / "live" / "store", below / "one run ago")
    with Shop(below / "live", kind="sqlite") as shop:
        shop.work()
    shutil.copytree(below / "live" / "store", below / "now")
    with Shop(below / "another", kind="sqlite") as shop:
        _feed(shop, "other")
    return {path.name: path for path in below.iterdir()} | {"other store": below / "another" / "store"}


def _replaced(name: str, by: str) -> Callable[[dict[str, Path], Path], None]:
    """Return a change that puts another state's file into the folder, without its log."""
    def change(states: dict[str, Path], folder: Path) -> None:
        shutil.copy(states[by] / name, folder / name)

    return change


def _gone(name: str) -> Callable[[dict[str, Path], Path], None]:
    return lambda _states, folder: (folder / name).unlink()


def _empty(name: str) -> Callable[[dict[str, Path], Path], None]:
    return lambda _states, folder: (folder / name).write_bytes(b"")


MISMATCHES: dict[str, tuple[str, Callable[[dict[str, Path], Path], None], str]] = {
    f"{name} {what}": (base, change, rf"{name}.* {said}")
    for name in ("intake.db", "catalogue.db") for what, base, change, said in (
        ("gone", "now", _gone(name), "missing"),
        ("empty", "now", _empty(name), "missing"),
        ("of the last run", "now", _replaced(name, "one run ago"), "older copy"),
        ("of a backup in the same run", "one run ago", _replaced(name, "same run"), "older copy"),
        ("of another store", "now", _replaced(name, "other store"), "different stores"),
        ("without its log", "with logs", _gone(f"{name}-wal"), "missing|older"),
    )
}


@pytest.mark.parametrize("case", MISMATCHES)
def test_files_that_do_not_match_are_refused(case: str, states: dict[str, Path], tmp_path: Path) -> None:
    """At the start and by `doctor`, with the name of the file and what to do; nothing is changed."""
    base, change, message = MISMATCHES[case]
    folder = tmp_path / "store"
    shutil.copytree(states[base], folder)
    for shared_memory in folder.glob("*-shm"):
        shared_memory.unlink()
    change(states, folder)
    before = {path.name for path in folder.iterdir() if path.suffix == ".db"}
    store = _open(folder)
    with pytest.raises(StoreError, match=f"{message}.*restore the whole folder"):
        store.migrate()
    assert not {check.name: check for check in store.quick_checks()}["identity"].is_ok
    with pytest.raises(StoreError, match=message):
        store.require_current()
    store.close()
    assert {path.name for path in folder.iterdir() if path.suffix == ".db"} >= before


@pytest.mark.parametrize("state", ["same run", "one run ago", "now", "with logs"])
def test_files_of_one_time_are_accepted(state: str, states: dict[str, Path], tmp_path: Path) -> None:
    """A backup, a copy of a stopped store, and one with its logs."""
    shutil.copytree(states[state], tmp_path / "store")
    store = _open(tmp_path / "store")
    assert store.migrate() == []
    assert all(check.is_ok for check in store.quick_checks())
    store.close()


@pytest.mark.parametrize("reached", ["begin_generation", "set_catalogue_generation", "end_generation"])
def test_a_start_that_was_killed_leaves_files_that_match(reached: str, tmp_path: Path) -> None:
    """Wherever the new generation was just being written."""
    store = _open(tmp_path / "store")
    store.migrate()
    identity = store.database.identity
    with store.database.intake.writing() as db:
        generation = identity.raise_generation(db)
    if reached != "begin_generation":
        with store.database.catalogue.writing() as db:
            db.change("set_catalogue_generation", {"generation": generation})
    if reached == "end_generation":
        identity.end_raising(generation)
    store.close()
    again = _open(tmp_path / "store")
    again.migrate()
    assert again.claim("w", lease_seconds=5, rounds_max=1, bytes_max=1) is None
    assert again.database.identity.mismatch() is None
    again.close()


def test_a_clean_stop_leaves_complete_files(tmp_path: Path) -> None:
    """The logs are copied, so that the two files alone are the store."""
    with Shop(tmp_path, kind="sqlite") as shop:
        _feed(shop, "first")
        reader = _open(tmp_path / "store")  # as an API process that outlives the worker
        reader.require_current()
    reader.close()
    for log in (tmp_path / "store").glob("*-wal"):
        assert not log.stat().st_size
        log.unlink()
    with Shop(tmp_path, kind="sqlite") as shop:
        assert len(shop.items()) == 9


def test_a_merchant_number_is_never_given_out_twice(tmp_path: Path) -> None:
    """Not even if the intake has forgotten the merchant."""
    store = _open(tmp_path)
    store.migrate()
    database = store.database
    numbers = []
    for merchant in ("acme", "bolt"):
        store.add_merchant(Merchant(id=merchant, name=merchant, created_at=NOW))
        numbers.append(database.number(merchant))
        with database.intake.writing() as db:
            db.connection.execute("DELETE FROM merchant")
    assert len(set(numbers)) == 2
    store.close()


# -- payloads ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("left", [0, 1000, None])
def test_a_payload_that_is_not_whole_breaks_the_batch(left: int | None, tmp_path: Path) -> None:
    """It is not finished over the records that are left; `doctor` says it before."""
    with Shop(tmp_path, kind="sqlite", small_payload_bytes=100) as shop:
        batch = shop.send([{"id": f"k{number}", "title": "t"} for number in range(500)])
        payload = next((tmp_path / "store" / "payloads").iterdir())
        if left is None:
            payload.unlink()
        else:
            os.truncate(payload, left)
        assert not {check.name: check for check in shop.store.health_checks()}["payloads"].is_ok
        shop.work()
        assert shop.engine.batch("acme", batch).state is State.BROKEN
        assert shop.codes(batch)[0] [-1:] == ["payload_corrupt"]
        assert not shop.items()


# -- the disk ---------------------------------------------------------------------------------------------------------


def test_a_store_without_space_is_not_ready(tmp_path: Path) -> None:
    """As long as a limit of the process, a quota or the disk lets it write no more; then it is ready again."""
    with Shop(tmp_path, kind="sqlite", small_payload_bytes=100) as shop:
        def is_ready() -> bool:
            return {check.name: check for check in shop.store.quick_checks()}["free space"].is_ok

        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (64 * 1024, before[1]))
        try:
            with pytest.raises(Refusal, match=r"full|space"):
                shop.send(b'{"id":"a","title":"%s"}\n' % (b"x" * 200_000))
            assert not is_ready()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            signal.signal(signal.SIGXFSZ, handler)
        assert is_ready()
        _feed(shop, "after")


# -- the folder -------------------------------------------------------------------------------------------------------


def _move(folder: Path) -> None:
    folder.rename(folder.with_name("moved"))


def _replace(folder: Path) -> None:
    _move(folder)
    shutil.copytree(folder.with_name("moved"), folder)


@pytest.mark.parametrize("change", [_move, _replace, shutil.rmtree])
def test_a_folder_that_is_moved_under_a_running_gate_accepts_nothing(
    change: Callable[[Path], None], tmp_path: Path,
) -> None:
    """Submissions are refused for the moment, and the gate is not ready."""
    with Shop(tmp_path, kind="sqlite", small_payload_bytes=100) as shop:
        _feed(shop, "first")
        change(tmp_path / "store")
        for body in (b'{"id":"a"}', b'{"id":"a","title":"%s"}' % (b"x" * 500)):
            with pytest.raises((Refusal, StoreBusyError), match=r"nothing was accepted|moved, deleted|payloads"):
                shop.send(body)
        assert not all(check.is_ok for check in shop.store.quick_checks())
        with pytest.raises(StoreBusyError, match="put it back, or restart"):
            shop.store.add_merchant(Merchant(id="bolt", name="bolt", created_at=NOW))


@pytest.fixture
def open_umask() -> Iterator[None]:
    """A umask that hides nothing."""
    before = os.umask(0)
    yield
    os.umask(before)


def test_a_store_is_private_from_the_first_byte(tmp_path: Path, open_umask: None) -> None:
    """Whatever the umask; `doctor` names what is not."""
    with Shop(tmp_path, kind="sqlite", small_payload_bytes=100) as shop:
        shop.send([{"id": f"k{number}", "title": "t"} for number in range(50)])
        shop.work()
        shop.store.store.back_up(tmp_path / "copy")  # type: ignore[attr-defined]
        for path in (*(tmp_path / "store").rglob("*"), *(tmp_path / "copy").rglob("*")):
            assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
        assert stat.S_IMODE((tmp_path / "store").stat().st_mode) == 0o700
        assert {check.name: check for check in shop.store.health_checks()}["permissions"].is_ok
        (tmp_path / "store" / "intake.db").chmod(0o640)
        check = {check.name: check for check in shop.store.health_checks()}["permissions"]
        assert not check.is_ok
        assert "intake.db" in check.detail


READING = ["doctor", "backup copy", "merchant list", "merchant key list acme", "merchant key revoke acme 1",
           "merchant key add acme", "merchant set acme", "outbox list acme", "outbox replay acme 1"]


@pytest.mark.parametrize("command", READING)
def test_a_command_for_a_store_that_exists_creates_none(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:
    """A mistyped folder is an error with its name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["goodsgate", *command.split(), "--store", str(tmp_path / "typo")])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code
    said = capsys.readouterr()
    assert "typo" in said.out + said.err or command == "doctor"
    assert not [*tmp_path.iterdir()]


def test_a_schema_is_never_migrated_in_silence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A command that lists merchants names the command that migrates."""
    store = _open(tmp_path / "store")
    store.migrate()
    with store.database.intake.writer() as db:
        db.connection.execute("PRAGMA user_version=99")
    store.close()
    with pytest.raises(SystemExit):
        main(["merchant", "list", "--store", str(tmp_path / "store")])
    assert "run `goodsgate migrate`" in capsys.readouterr().err


WITHOUT_PRIVILEGES = """
import ctypes, sys
from goodsgate.cli import main
# Root may do everything with every file; without these two capabilities the modes apply to it, too.
header, data = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
libc = ctypes.CDLL(None)
assert not libc.capget(header, data)
for word in range(3):
    data[word] &= ~0b110
assert not libc.capset(header, data)
main()
"""


@pytest.mark.parametrize(("mode", "command"), [(0o500, "serve --port 0"), (0o000, "serve --port 0"), (0o000, "doctor")])
def test_a_store_that_cannot_be_used_gives_a_sentence(mode: int, command: str, tmp_path: Path) -> None:
    """Not a traceback."""
    folder = tmp_path / "store"
    store = _open(folder)
    store.migrate()
    store.close()
    folder.chmod(mode)
    try:
        ended = subprocess.run(
            [sys.executable, "-c", WITHOUT_PRIVILEGES, *command.split(), "--store", str(folder)], capture_output=True,
            text=True, check=False, timeout=60,
        )
    finally:
        folder.chmod(0o700)
    assert ended.returncode
    assert "Traceback" not in ended.stderr
    assert str(folder) in ended.stderr + ended.stdout
