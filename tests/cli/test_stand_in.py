"""A stand-in for each vendor, as a client meets it."""

import json
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from goodsgate.cli.protocol_choice import protocol_folders
from goodsgate.cli.stand_in_setup import StandIn
from goodsgate.store.contract import BatchFilter
from tests.cli.gate import COMMAND, RUN_SECONDS_MAX, clean_environment
from tests.http_gate import HttpGate
from tests.shop import Shop

FIRST_RESPONSES = {
    "konnect": '"item_code":"CS-001"', "productsup": '"name":"Web shop"', "justwalkout": '"ingestionId":"',
    "mircate": '"sku":"LAMP_1"',
}
"""What the first request of each printed command returns, among other things."""


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpGate]:
    """A gate with a worker in this process."""
    with Shop(tmp_path_factory.mktemp("stand-in"), kind="sqlite", poll_seconds=0.005) as shop:
        served = HttpGate(shop)
        working = threading.Thread(target=shop.worker.run)
        working.start()
        yield served
        served.close()
        shop.worker.stop()
        working.join()


def _complete(gate: HttpGate, protocol: str, seed: int = 1) -> dict[str, object]:
    prepared = StandIn(protocol, gate.shop.config, seed=seed)
    prepared.prepare(gate.shop.store)
    return prepared.complete(gate.url)


def test_every_vendor_has_a_stand_in():
    """A new protocol needs only its files."""
    assert [*protocol_folders()] == sorted(FIRST_RESPONSES)


@pytest.mark.parametrize("protocol", FIRST_RESPONSES)
def test_the_first_request_works_as_printed(gate: HttpGate, protocol: str, tmp_path: Path):
    """No variable need be set; a second start finds the same credentials and adds nothing."""
    document = _complete(gate, protocol)
    done = subprocess.run(
        ["bash", "-c", str(document["first_request"])], env=clean_environment(), cwd=tmp_path, capture_output=True,
        text=True, timeout=RUN_SECONDS_MAX, check=True,
    )
    assert FIRST_RESPONSES[protocol] in done.stdout.replace(": ", ":")
    merchant = str(document["merchant"])
    batches = len(gate.shop.store.batches(merchant, BatchFilter(), limit=100).rows)
    assert _complete(gate, protocol, seed=2)["environment"] == document["environment"]
    assert len(gate.shop.store.batches(merchant, BatchFilter(), limit=100).rows) == batches
    assert gate.shop.store.collections(merchant)


def test_a_seed_draws_the_same_prices_again():
    """Another seed draws others."""
    config = None
    drawn = [StandIn("mircate", config, seed=seed)._numbers for seed in (1, 1, 2)]  # type: ignore[arg-type]
    assert drawn[0] == drawn[1] != drawn[2]


def test_a_stand_in_is_one_command_that_leaves_nothing(tmp_path: Path):
    """It prints one JSON document with --json, ends with 0 on SIGTERM, and removes its temporary store."""
    (tmp_path / "temporary").mkdir()
    environment = clean_environment() | {"TMPDIR": str(tmp_path / "temporary")}
    environment["GOODSGATE_STORE"] = str(tmp_path / "mine")
    with subprocess.Popen(
        [*COMMAND, "stand-in", "justwalkout", "--port", "0", "--json"], env=environment, cwd=tmp_path,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:
        line = process.stdout.readline()
        assert list((tmp_path / "temporary").iterdir())
        process.send_signal(signal.SIGTERM)
        assert process.wait(RUN_SECONDS_MAX) == 0, process.stderr.read()
    document = json.loads(line)
    names = {"JUSTWALKOUT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "GOODSGATE_URL", "GOODSGATE_KEY"}
    assert set(document["environment"]) == names
    assert list(tmp_path.iterdir()) == [tmp_path / "temporary"]  # not the store of other commands
    assert not list((tmp_path / "temporary").iterdir())
