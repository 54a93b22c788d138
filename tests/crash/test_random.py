"""kill -9 of the API, of the worker and of its parser at random moments; nothing acknowledged is lost."""

import os
import random
import threading
import time
from pathlib import Path

import pytest

from goodsgate.formats import write
from goodsgate.model.batch import Batch
from tests.crash.gate_process import END_SECONDS_MAX, TEST_SECONDS_MAX, GateProcess, submit
from tests.crash.scene import changes_by_key
from tests.factories import product
from tests.shop import Shop, ndjson

KILLS = int(os.environ.get("GOODSGATE_TEST_KILLS", "4"))
"""`make crash` sets a larger number."""
KILL_SECONDS_MAX = 3
"""Time for a pause and a kill, on average."""


def bodies() -> list[bytes]:
    """Batches that overwrite each other, dirt included; every third one is a workbook."""
    sent = []
    for turn in range(30):
        numbers = range(turn * 5, turn * 5 + 60)
        records = [product(n, title="" if (n + turn) % 11 == 0 else f"Turn {turn} of {n}") for n in numbers]
        sent.append(workbook(records) if turn % 3 == 0 else ndjson(records))
    return sent


def workbook(records: list[dict[str, object]]) -> bytes:
    """Return records as an XLSX."""
    rows = ([str(value) for value in record.values()] for record in records)
    return b"".join(write(rows, format="xlsx", header=[*records[0]]))


@pytest.mark.timeout(TEST_SECONDS_MAX + KILLS * KILL_SECONDS_MAX)
def test_random_kills(tmp_path: Path, kind: str) -> None:
    """The catalogue, and every batch's counts and issues, equal those of a run in peace."""
    sent = bodies()
    peace = Shop(tmp_path / "peace")
    expected = [peace.run(body, format="xlsx" if body.startswith(b"PK") else "ndjson") for body in sent]
    gate = GateProcess(tmp_path, kind)
    try:
        _disturb(gate, tmp_path, sent=sent, peace=peace, expected=expected)
    finally:
        gate.close()
        peace.store.close()


def _disturb(gate: GateProcess, folder: Path, *, sent: list[bytes], peace: Shop, expected: list[Batch]) -> None:
    """Send, kill, wait, compare."""
    ids: list[str] = []
    sender = threading.Thread(
        target=lambda: ids.extend(submit(gate.url, gate.key, number=n, body=body) for n, body in enumerate(sent))
    )
    sender.start()
    chance = random.Random(7)
    for turn in range(KILLS):
        time.sleep(chance.uniform(0.05, 0.6))
        gate.kill(("api", "worker", "parser")[turn % 3])
    sender.join(END_SECONDS_MAX)
    assert len(ids) == len(sent)
    with Shop(folder, "acme") as after:
        _compare(gate, after, ids=ids, peace=peace, expected=expected)


def _compare(gate: GateProcess, after: Shop, *, ids: list[str], peace: Shop, expected: list[Batch]) -> None:
    """Once every batch has ended."""
    deadline = time.monotonic() + END_SECONDS_MAX
    while time.monotonic() < deadline and any(after.engine.batch("acme", one).outcome is None for one in ids):
        time.sleep(0.1)
    gate.stop()
    for one, want in zip(ids, expected, strict=True):
        batch = after.engine.batch("acme", one)
        assert (batch.counts, batch.total, batch.warned) == (want.counts, want.total, want.warned)
        assert after.findings(one) == peace.findings(want.id)
    assert after.items() == peace.items()
    assert changes_by_key(after, ids) == changes_by_key(peace, [want.id for want in expected])
