"""Each kind of work has threads of its own: while one kind waits, requests of the others are answered."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from goodsgate.formats import writer
from goodsgate.formats.isolated import ParserProcess
from goodsgate.http.threads import FILE_THREADS
from tests.formats.hostile_workbooks import row, workbook
from tests.http_gate import HttpGate
from tests.shop import Shop

GUARD_SECONDS = 60
ITEMS = "/v1/collections/products/items"
RECORD = b'{"id":"A","title":"T"}'


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """Return a shop with few threads, whose store does not answer for long."""
    with Shop(tmp_path, threads=2, report_threads=1, reports_max=2, reports_per_merchant_max=1) as shop:
        yield shop


@pytest.fixture
def served(shop: Shop) -> Iterator[HttpGate]:
    """Return the shop, served."""
    served = HttpGate(shop)
    yield served
    served.close()


class Held:
    """Calls that wait until they are released."""

    def __init__(self) -> None:
        self.release = threading.Event()
        self.waiting = threading.Semaphore(0)

    def wait(self) -> None:
        """Wait, and tell that somebody does."""
        self.waiting.release()
        assert self.release.wait(GUARD_SECONDS)

    def expect(self, number: int) -> None:
        """Wait until so many calls wait."""
        for _ in range(number):
            assert self.waiting.acquire(timeout=GUARD_SECONDS)


def _in_threads(number: int, work: Any) -> list[threading.Thread]:
    threads = [threading.Thread(target=work) for _ in range(number)]
    for thread in threads:
        thread.start()
    return threads


def _until(is_so: Callable[[], bool]) -> None:
    ends_at = time.monotonic() + GUARD_SECONDS
    while not is_so():
        assert time.monotonic() < ends_at
        time.sleep(0.01)


def test_submissions_and_health_are_answered_while_reads_wait(
    served: HttpGate, monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every thread for reads waits for the store."""
    held = Held()
    inner = served.shop.store.items

    def items(*args: Any, **options: Any) -> Any:
        held.wait()
        return inner(*args, **options)

    monkeypatch.setattr(served.shop.store, "items", items)
    reader, sender = served.client(), served.client()
    statuses: list[int] = []
    threads = _in_threads(4, lambda: statuses.append(reader.get(ITEMS).status_code))
    try:
        held.expect(2)
        assert sender.post("/v1/batches?format=ndjson", content=RECORD).status_code == 202
        assert served.anonymous().get("/readyz").status_code == 200
        assert statuses == []
    finally:
        held.release.set()
    for thread in threads:
        thread.join(GUARD_SECONDS)
    assert statuses == [200] * 4


def test_readiness_is_answered_while_the_store_does_not(served: HttpGate, monkeypatch: pytest.MonkeyPatch) -> None:
    """As not ready; the check that waits is not started again."""
    held = Held()
    monkeypatch.setattr("goodsgate.protocols.native.service.CHECK_SECONDS_MAX", 0.05)
    monkeypatch.setattr("goodsgate.protocols.native.service.READINESS_SECONDS", 0.0)
    inner = served.shop.store.quick_checks

    def quick_checks() -> Any:
        held.wait()
        return inner()

    monkeypatch.setattr(served.shop.store, "quick_checks", quick_checks)
    client = served.anonymous()
    try:
        for _ in range(4):
            answer = client.get("/readyz")
            assert (answer.status_code, answer.json()) == (503, {"ready": False, "failed": ["store"]})
        held.expect(1)
        assert not held.waiting.acquire(blocking=False)
    finally:
        held.release.set()


def test_reports_are_limited_and_others_are_served_meanwhile(
    served: HttpGate, monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One report of a merchant and two of all; one too many is refused with a pause."""
    held = Held()
    inner = writer._fill_row

    def fill_row(*args: Any) -> None:
        held.wait()
        inner(*args)

    monkeypatch.setattr(writer, "_fill_row", fill_row)
    clients = [served.client() for _ in range(3)]
    batches = [client.submit(b'{"id":"A"}')["id"] for client in clients]
    paths = [f"/v1/batches/{batch}/report?format=xlsx" for batch in batches]
    statuses: list[int] = []
    threads = _in_threads(1, lambda: statuses.append(clients[0].get(paths[0]).status_code))
    try:
        held.expect(1)
        refused = clients[0].get(paths[0])
        assert (refused.status_code, refused.json()["code"]) == (429, "merchant_reports_full")
        threads += _in_threads(1, lambda: statuses.append(clients[1].get(paths[1]).status_code))
        _until(lambda: served.application.context.reports.total == 2)
        assert clients[2].get("/v1/batches").status_code == 200
        refused = clients[2].get(paths[2])
        assert (refused.status_code, refused.json()["code"]) == (503, "reports_full")
        assert refused.headers["retry-after"] == "5"
    finally:
        held.release.set()
    for thread in threads:
        thread.join(GUARD_SECONDS)
    assert statuses == [200, 200]
    _until(lambda: served.application.context.reports.total == 0)
    assert clients[2].get(paths[2]).status_code == 200


def test_reports_are_written_in_turns(served: HttpGate, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one thread, a short report ends while a long one is being written."""
    monkeypatch.setattr("goodsgate.http.threads.SLICE_SECONDS", 0.0)
    monkeypatch.setattr(writer, "PAUSE_ROWS", 1)
    long, short = served.client(), served.client()
    lines = b"\n".join(b'{"id":"A%d"}' % number for number in range(300))
    paths = [f"/v1/batches/{client.submit(body)['id']}/report?format=xlsx"
             for client, body in ((long, lines), (short, b'{"id":"A"}'))]
    has_begun, may_end = threading.Event(), threading.Event()
    rows = itertools.count()
    inner = writer._fill_row

    def fill_row(*args: Any) -> None:
        if next(rows) == 2:
            has_begun.set()
        inner(*args)

    monkeypatch.setattr(writer, "_fill_row", fill_row)
    ends: list[str] = []

    def download_long() -> None:
        assert long.get(paths[0]).status_code == 200
        ends.append("long")
        may_end.set()

    (thread,) = _in_threads(1, download_long)
    assert has_begun.wait(GUARD_SECONDS)
    assert short.get(paths[1]).status_code == 200
    ends.append("short")
    thread.join(GUARD_SECONDS)
    assert sorted(ends) == ["long", "short"]


def test_a_lock_of_the_database_holds_up_only_who_needs_it(tmp_path: Path) -> None:
    """On PostgreSQL: reads of items wait for a locked table, submissions and health checks do not."""
    with Shop(tmp_path, kind="postgres", threads=2) as shop:
        served = HttpGate(shop)
        try:
            reader, sender = served.client(), served.client()
            reader.submit(RECORD)
            statuses: list[int] = []
            with psycopg.connect(shop.config.store) as lock:
                lock.execute("LOCK TABLE goodsgate.item IN ACCESS EXCLUSIVE MODE")
                threads = _in_threads(3, lambda: statuses.append(reader.get(ITEMS).status_code))
                waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'goodsgate.item'::regclass"
                with psycopg.connect(shop.config.store, autocommit=True) as look:
                    _until(lambda: look.execute(waiting).fetchone() == (2,))
                assert sender.post("/v1/batches?format=ndjson", content=RECORD).status_code == 202
                assert served.anonymous().get("/readyz").status_code in (200, 503)
                assert statuses == []
            for thread in threads:
                thread.join(GUARD_SECONDS)
            assert statuses == [200] * 3
        finally:
            served.close()


def test_submissions_are_answered_while_workbooks_are_parsed(
    served: HttpGate, monkeypatch: pytest.MonkeyPatch,
) -> None:
    """More files than there are threads wait for their parsers."""
    held = Held()
    frames = ParserProcess.frames

    def wait(process: ParserProcess, **options: Any) -> Iterator[bytes | None]:
        held.wait()
        return frames(process, **options)

    monkeypatch.setattr(ParserProcess, "frames", wait)
    client = served.client()
    brands = workbook(row(1, "code") + row(2, "acme"))
    answers: list[int] = []
    loading = _in_threads(FILE_THREADS + 1, lambda: answers.append(
        client.put("/v1/reference/brand", params={"format": "xlsx"}, content=brands).status_code
    ))
    try:
        held.expect(FILE_THREADS)
        other = served.client()
        assert other.post("/v1/batches", params={"format": "ndjson"}, content=RECORD).status_code == 202
        assert other.get("/v1/reference/brand").status_code == 200
    finally:
        held.release.set()
    for thread in loading:
        thread.join(GUARD_SECONDS)
    assert answers == [200] * (FILE_THREADS + 1)
