"""A disk that fills up while a gate is served: refusals, and nothing acknowledged is lost."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.crash.gate_process import GateProcess
from tests.factories import product
from tests.shop import ndjson

DISK_MB = 16


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own; skipped where the machine does not let us mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(mount, check=False, capture_output=True, text=True)
        reason = mounted.stderr.strip() if mounted.returncode else ""
    except OSError as fault:
        reason = str(fault)
    if reason:
        pytest.skip(f"cannot mount a small disk ({reason}); the store's own tests fill one by other means")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_refuses_and_loses_nothing(disk: Path) -> None:
    """Batches until the disk is full, then room is made: all that were acknowledged end, the others never were."""
    gate = GateProcess(disk)
    try:
        headers = {"Authorization": f"Bearer {gate.key}", "Content-Type": "application/x-ndjson"}
        accepted, refused = [], 0
        with httpx.Client(base_url=gate.url, headers=headers, timeout=30) as client:
            for turn in range(60):
                numbers = range(turn * 1000, turn * 1000 + 1000)
                body = ndjson([product(n, description="Long text. " * 60) for n in numbers])
                answer = client.post("/v1/batches", content=body, params={"collection": "products"})
                if answer.status_code == 202:
                    accepted.append(answer.json()["id"])
                    continue
                assert answer.status_code in (503, 507), answer.text
                assert answer.headers["content-type"] == "application/problem+json"
                assert answer.json()["code"] in ("store_full", "store_busy")
                refused += 1
                if refused == 3:
                    break
            assert refused, "the disk was never full"
            assert accepted
            assert client.get("/healthz").status_code == 200
            for batch in accepted:
                assert client.get(f"/v1/batches/{batch}").status_code == 200
            subprocess.run(["mount", "-o", "remount,size=400m", str(disk)], check=True)
            documents = [gate.finished(batch) for batch in accepted]
            assert all(document["counts"]["created"] == 1000 for document in documents)
            listed = client.get("/v1/batches", params={"limit": "100"}).json()
            assert len(listed["batches"]) == len(accepted)
    finally:
        gate.close()
