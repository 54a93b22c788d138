"""A gate in this process that stands in for each platform, with a worker, and pushes to it."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from goodsgate.cli import main
from goodsgate.cli.stand_in_setup import StandIn
from goodsgate.http.trouble import TroubleKind
from goodsgate.model.batch import Batch
from goodsgate.store.contract import BatchFilter
from tests.http_gate import HttpGate
from tests.shop import Shop

TRADER = json.dumps([{"type": "Manufacturer", "name": "Acme Ltd", "address": ["1 Mill Road, Pune"]}])
SETTINGS = {
    "konnect": {
        "template": "footwear", "departments": "5956", "trader": TRADER, "country_of_origin": "India",
        "tax_rule": "66f0c0ffee0000000000aa01", "hs_code": "640411", "product_type": "Sports Shoes", "brand": "Acme",
    },
    "productsup": {"stream": "1"},
    "justwalkout": {"stores": "STORE-1"},
    "mircate": {"family": "lamps"},
}
"""Platform → what its stand-in needs of a product that has only a title, a price and a GTIN."""


class StandIns:
    """A gate that stands in for every platform."""

    def __init__(self, gate: HttpGate) -> None:
        self.gate = gate
        self._merchants: dict[str, str] = {}
        self._environments: dict[str, dict[str, str]] = {}

    def environment(self, platform: str) -> dict[str, str]:
        """Return address and credentials of a stand-in, which is set up when it is first needed."""
        if platform not in self._environments:
            prepared = StandIn(platform, self.gate.shop.config)
            prepared.prepare(self.gate.shop.store)
            self._environments[platform] = prepared.complete(self.gate.url)["environment"]
            self._merchants[platform] = prepared.merchant
            if platform == "productsup":  # a stream that belongs to no site is imported at once
                attributes = {"name": "Pushed", "type": "chunked"}
                created = self.gate.client(secret=self._environments[platform]["PRODUCTSUP_TOKEN"]).post(
                    "/streams", json={"data": {"type": "stream", "attributes": attributes}}
                )
                SETTINGS[platform]["stream"] = created.json()["data"]["id"]
        return self._environments[platform]

    def batches(self, platform: str) -> list[Batch]:
        """Return everything that the platform has accepted so far."""
        self.environment(platform)
        return self.gate.shop.store.batches(self._merchants[platform], BatchFilter(), limit=1_000).rows

    def order(self, platform: str, kind: TroubleKind, times: int = 1) -> None:
        """Order trouble for the next submissions."""
        self.environment(platform)
        ordered = self.gate.application.context.trouble
        assert ordered is not None
        ordered.add(self._merchants[platform], kind, times=times, seconds=None, delay_seconds=0.05)

    def arguments(self, file: Path, platform: str, *options: str) -> list[str]:
        """Return a command line, with what the stand-in needs."""
        settings = [f"--set={name}={value}" for name, value in SETTINGS[platform].items()]
        return ["push", str(file), "--to", platform, *settings, "--wait-timeout=60", "--json", *options]

    def push(self, file: Path, platform: str, *options: str, code: int, **variables: str) -> dict[str, Any]:
        """Push a file, check the exit code, and return the document, or what was printed if there is none."""
        environment = {**self.environment(platform), **variables}
        done = CliRunner().invoke(main, self.arguments(file, platform, *options), env=environment)
        assert done.exit_code == code, f"{done.output}{done.exception!r}"
        document: dict[str, Any] = {"error": done.stderr}
        for line in done.stdout.splitlines():
            document |= json.loads(line)
        return document


@pytest.fixture(scope="module")
def stand_ins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIns]:
    """One gate for all tests of a module."""
    with Shop(
        tmp_path_factory.mktemp("push"), kind="sqlite", poll_seconds=0.005, trouble="allow", stream_imports="at_once",
        rate_limits="off",
    ) as shop:
        served = HttpGate(shop)
        working = threading.Thread(target=shop.worker.run)
        working.start()
        yield StandIns(served)
        served.close()
        shop.worker.stop()
        working.join()
