"""One served gate per module, and feeds with valid and invalid products."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.gate import Gate
from tests.factories import product


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    """A gate, its worker, and the merchant acme."""
    served = Gate(tmp_path_factory.mktemp("gate"), lease_seconds=2, poll_seconds=0.01)
    yield served
    assert served.stop() == 0


@pytest.fixture
def feed(gate: Gate, tmp_path: Path) -> Path:
    """A CSV file of three valid products and two invalid ones: one has no title, one has no numeric price."""
    rows = [product(number) for number in range(1, 6)]
    rows[1]["title"] = ""
    rows[3]["price"] = "on request"
    return write_csv(tmp_path / "feed.csv", rows)


def write_csv(path: Path, rows: list[dict[str, object]]) -> Path:
    """Write rows as CSV with every cell in quotes."""
    header = list(rows[0])
    lines = [header, *([str(row.get(name, "")) for name in header] for row in rows)]
    text = "".join(",".join('"' + cell.replace('"', '""') + '"' for cell in line) + "\n" for line in lines)
    path.write_text(text, "utf-8")
    return path


def write_ndjson(path: Path, rows: list[dict[str, object]]) -> Path:
    """Write rows as NDJSON."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path
