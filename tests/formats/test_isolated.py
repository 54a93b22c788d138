"""Parsers in a process of their own: hostile files end it, and nothing else."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import pytest

from goodsgate.formats import Limits, open_reader
from goodsgate.formats.isolated import (
    ParserError,
    ParserKilledError,
    ParserMemoryError,
    ParserProcess,
    ParserTimeError,
    fault_of,
)
from tests.formats import hostile_workbooks as hostile
from tests.formats.helpers import peak, read

ROOT = Path(__file__).parent.parent.parent
MEMORY_BYTES = 256 * 1024**2
UNPACKED_BYTES = 16 * 1024**2


@pytest.mark.parametrize(("make", "stopped", "words"), [
    (hostile.far_cell, "payload_corrupt", "not in order"),
    (hostile.far_cell_over_a_boundary, "payload_corrupt", "not in order"),
    (hostile.far_cell_by_entities, "payload_corrupt", "not in order"),
    (hostile.entities, "payload_corrupt", "document type"),
    (hostile.zip_bomb, "payload_inflates", "at most 16,777,216 bytes"),
    (hostile.deep, "payload_corrupt", "XLSX"),
    (hostile.shared_bomb, None, ""),
    (hostile.merged_cells, None, ""),
    (hostile.many_styles, None, ""),
    (hostile.many_sheets, None, ""),
    (hostile.many_parts, None, ""),
])  # fmt: skip
def test_a_hostile_workbook_is_read_or_refused(make: Callable[[], bytes], stopped: str | None, words: str) -> None:
    """Either its two rows are read, or none and there is a sentence; this process needs no memory for it."""
    workbook = make()
    found, bytes_max = peak(lambda: read(
        workbook, "xlsx", parser_memory_bytes_max=MEMORY_BYTES, xlsx_unpacked_bytes_max=UNPACKED_BYTES
    ))
    assert found.stopped == stopped
    assert found.records == ([] if stopped else [["A-1", "Teapot"], ["A-2", "Cup"]])
    if found.reader.stopped is not None:
        assert words in found.reader.stopped.message
    assert bytes_max < UNPACKED_BYTES


def test_a_wide_row_costs_what_its_named_columns_cost() -> None:
    """The others are reported; nothing of them leaves the parser."""
    found = read(hostile.wide_row(), "xlsx", parser_memory_bytes_max=MEMORY_BYTES)
    assert (found.stopped, len(found.records)) == (None, 1)
    assert found.notices[0][0] == "cells_without_header"
    assert found.notices[0][1].startswith("C (1, from row 2), D (1, from row 2), ")


def test_one_long_string_in_many_cells_ends_the_reading() -> None:
    """What the parser delivers is bounded, in one chunk and in all of them."""
    workbook = hostile.long_string()
    limits = Limits(chunk_bytes=4 * 1024**2)
    reader = open_reader(iter([workbook]), format="xlsx", content_encoding="identity", limits=limits)
    sizes, bytes_max = peak(lambda: [sum(map(len, chain(*chunk.rows))) for chunk in reader.chunks()])
    assert reader.stopped is not None
    assert reader.stopped.code == "payload_inflates"
    assert sum(sizes) < 16 * 1024**2
    assert bytes_max < 32 * 1024**2


def test_a_worker_is_not_held_up_while_the_parser_works() -> None:
    """Chunks without records come until the first rows do; none is lost."""
    limits = Limits(chunk_seconds=0.001)
    reader = open_reader(iter([hostile.workbook()]), format="xlsx", content_encoding="identity", limits=limits)
    chunks = [*reader.chunks()]
    assert not len(chunks[0])
    assert [row for chunk in chunks for row in chunk.rows] == [["A-1", "Teapot"], ["A-2", "Cup"]]


def test_a_long_row_is_one_invalid_record() -> None:
    """The rows around it are read; of its cells only the beginnings are kept."""
    rows = hostile.HEADER + hostile.row(2, "A-1", "x" * 3_000) + hostile.row(3, "A-2", "Cup")
    found = read(hostile.workbook(rows), "xlsx", line_bytes_max=2_000)
    assert found.unreadable == {0: "line_too_long"}
    assert found.records == [["A-1", "x" * 64], ["A-2", "Cup"]]


def test_time_is_limited() -> None:
    """A parser that does not answer is ended, whether it works or sleeps."""
    found = read(hostile.workbook(), "xlsx", parser_seconds_max=0.0001)
    assert (found.stopped, found.records) == ("parsing_too_slow", [])
    process = _start()
    os.kill(process.pid, signal.SIGXCPU)  # what the kernel sends at the limit
    with pytest.raises(ParserTimeError):
        next(process.frames())


def test_a_parser_that_others_kill_does_not_condemn_the_file() -> None:
    """The reader raises, so that the file is read again."""
    process = _start()
    os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(ParserKilledError):
        next(process.frames())


@pytest.mark.parametrize(("code", "fault"), [
    (3, ParserMemoryError), (-signal.SIGABRT, ParserMemoryError), (-signal.SIGXCPU, ParserTimeError),
    (-signal.SIGKILL, ParserKilledError), (-signal.SIGTERM, ParserKilledError), (-signal.SIGSEGV, ParserError),
    (0, ParserError), (1, ParserError),
])  # fmt: skip
def test_the_exit_of_a_parser_says_why_it_ended(code: int, fault: type[Exception]) -> None:
    """Only what the file caused condemns it."""
    assert type(fault_of(code)) is fault


def test_a_parser_has_no_secrets_no_files_and_limits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its environment is empty, it has its pipes alone and can open nothing."""
    monkeypatch.setenv("GOODSGATE_SECRETS", "a:very-secret")
    with open(tmp_path / "store.db", "wb") as store:
        os.set_inheritable(store.fileno(), True)
        process = _start()
        system = Path(f"/proc/{process.pid}")
        deadline = time.monotonic() + 60
        while "Max open files            3 " not in (limits := (system / "limits").read_text()):
            assert time.monotonic() < deadline, limits
            time.sleep(0.005)
        assert b"GOODSGATE" not in (system / "environ").read_bytes()
        opened = [os.readlink(each) for each in (system / "fd").iterdir()]
    assert len(opened) == 3
    assert all(name.startswith("pipe:") or name == "/dev/null" for name in opened)
    assert f"Max address space         {MEMORY_BYTES} " in limits
    assert "Max cpu time              10 " in limits
    process.close()


def test_lower_limits_of_the_operator_are_kept() -> None:
    """Under a limit of processor time that nobody may raise, a workbook is read."""
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_CPU, (15, 15))\n"
        "from tests.formats.helpers import read; from tests.formats.hostile_workbooks import workbook\n"
        "assert len(read(workbook(), 'xlsx').records) == 2"
    )
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], env=environ, cwd=ROOT, check=True, timeout=60)


def test_a_parser_ends_with_its_reader() -> None:
    """A reader that is dropped, as a preview does after some rows, leaves no process."""
    others = _children()
    reader = open_reader(
        iter([hostile.workbook()]), format="xlsx", content_encoding="identity", limits=Limits(chunk_records_max=1)
    )
    chunks = filter(len, reader.chunks())
    assert next(chunks).rows == [["A-1", "Teapot"]]
    (parser,) = _children() - others
    del reader, chunks
    assert parser not in _children()


def _start() -> ParserProcess:
    return ParserProcess(
        "workbook.process", packages=["isal"], memory_bytes_max=MEMORY_BYTES, seconds_max=10,
        frame_bytes_max=1_000_000, arguments=["1000000", "1000", "1000", "1000"],
    )


def _children() -> set[str]:
    """Return the processes that this thread has started and that run."""
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())
