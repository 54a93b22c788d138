"""`check` reports offline what a gate would report."""

import json
from pathlib import Path

from tests.cli.conftest import write_csv
from tests.cli.gate import Gate
from tests.factories import product


def test_check_finds_the_same_issues_as_a_gate(gate: Gate, feed: Path):
    """Counts, groups of issues and exit code are equal."""
    online = gate.document("submit", str(feed), "--collection", "equal", code=1)
    offline = gate.document("check", str(feed), code=1)
    members = ("code", "severity", "field", "count", "top")
    assert [[group[name] for name in members] for group in offline["issues"]] == [
        [group[name] for name in members] for group in online["issues"]
    ]
    assert offline["counts"] == online["counts"]


def test_check_needs_no_gate_and_leaves_no_files(gate: Gate, tmp_path: Path):
    """Reference data is read from files; only the requested report is written."""
    brands = write_csv(tmp_path / "brands.csv", [{"code": "Brightware"}])
    feed = write_csv(tmp_path / "feed.csv", [product(1, brand="Brightwear"), product(2, brand="Brightware")])
    wrong = tmp_path / "wrong.csv"
    done = gate.run(
        "check", str(feed), "--reference", f"brand={brands}", "--references", "refuse", "--report", str(wrong),
        "--json", url="http://127.0.0.1:9",
    )
    assert done.returncode == 1, done.stderr
    assert [group["code"] for group in json.loads(done.stdout)["issues"]] == ["brand_unknown"]
    assert "Brightwear" in wrong.read_text("utf-8")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["brands.csv", "feed.csv", "wrong.csv"]
