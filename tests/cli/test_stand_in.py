"""A stand-in for each vendor, as a client meets it."""

import json
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from goodsgate.cli import main
from goodsgate.cli.protocol_choice import protocol_folders
from goodsgate.cli.stand_in_setup import StandIn
from goodsgate.cli.transcripts import differences
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


@pytest.mark.parametrize("protocol", FIRST_RESPONSES)
def test_a_stand_in_conforms_to_the_transcripts(gate: HttpGate, protocol: str, monkeypatch: pytest.MonkeyPatch):
    """With the variables that it prints, and twice, as no run leaves anything in the way of the next."""
    environment = _complete(gate, protocol)["environment"]
    for _ in range(2 if protocol != "productsup" else 1):  # a rate limit would make it wait
        done = CliRunner().invoke(main, ["conformance", protocol], env=environment)
        assert done.exit_code == 0, done.output + repr(done.exception)
    assert "transcripts are as expected" in done.stdout


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


@pytest.mark.parametrize(("expected", "actual", "found"), [
    ({"a": 1}, {"a": 1, "b": 2}, []),
    ({"a": {"b": [1, 2]}}, {"a": {"b": [1]}}, ["/a/b: [1], expected a list of 2: [1, 2]"]),
    ({"a": 1}, {}, ["/a: missing, expected 1"]),
    ({"a": {"$absent": True}}, {}, []),
    ({"a": {"$absent": True}}, {"a": None}, ["/a: null, expected none"]),
    ({"a": True}, {"a": 1}, ["/a: 1, expected true"]),
    ({"a": {"$type": "number"}}, {"a": False}, ["/a: false, expected number"]),
    ({"a": "~ [0-9]+"}, {"a": "12"}, []),
    ({"a": "~ [0-9]+"}, {"a": "12x"}, ['/a: "12x", expected a text like [0-9]+']),
    ({"$contains": [{"a": 1}]}, [{"a": 2}, {"a": 1, "b": 1}], []),
    ({"$contains": [{"a": 1}]}, [{"a": 2}], ['body: [{"a": 2}], expected to contain {"a": 1}']),
    ({"$one_of": [1, 2]}, 3, ["body: 3, expected one of [1, 2]"]),
    ({"$length": 2}, [1, 2], []),
    ({}, [], ["body: [], expected an object"]),
])
def test_a_response_is_compared_by_what_it_holds(expected: object, actual: object, found: list[str]):
    """Members that are not named are free; each difference names its place."""
    assert list(differences(expected, actual)) == found


def test_what_differs_is_printed_with_exit_code_1(gate: HttpGate):
    """The step, the difference, the request and the response; without a server it is 4, without credentials 2."""
    environment = dict(_complete(gate, "mircate")["environment"])
    command = ["conformance", "mircate", "--only", "stock"]
    done = CliRunner().invoke(main, [*command, "--set", "channel=", "--json"], env=environment)
    assert done.exit_code == 1
    document = json.loads(done.stdout)
    assert document["as_expected"] is False
    assert document["request"].startswith("POST http://")
    assert document["differences"]
    done = CliRunner().invoke(main, [*command, "--base-url", "http://127.0.0.1:9"], env=environment)
    assert done.exit_code == 4
    assert CliRunner().invoke(main, command, env={**environment, "MIRCATE_API_KEY": ""}).exit_code == 2
    assert "channel" in CliRunner().invoke(main, [*command, "--list"], env={}).stdout
