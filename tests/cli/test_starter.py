"""Reference data to begin with, loaded in one go; and facts of keys."""

import json
import subprocess
import sys
from pathlib import Path

from goodsgate.model.catalogue import REFERENCE_KINDS
from tests.cli.gate import Gate
from tests.data import SAMPLES

MAKE = Path(__file__).resolve().parents[2] / "demo/starter.py"


def _entries(gate: Gate, kind: str, key: str, *search: str) -> list[dict[str, object]]:
    listed = gate.run("reference", "list", kind, "--limit", "1000", *search, key=key).stdout
    return [json.loads(line) for line in listed.splitlines()]


def _seller(gate: Gate, name: str) -> str:
    return gate.run("merchant", "add", name, "--quiet").stdout.strip()


def test_the_set_that_comes_along_holds_every_kind(gate: Gate):
    """What refers to other entries finds them."""
    key = _seller(gate, "small")
    done = gate.run("reference", "starter", key=key)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len(REFERENCE_KINDS)
    held = {kind: {str(entry["code"]): entry for entry in _entries(gate, kind, key)} for kind in REFERENCE_KINDS}
    assert all(held.values())
    assert all(entry.get("parent") in {None, *held["category"]} for entry in held["category"].values())
    assert {code.partition("/")[0] for code in held["attribute"]} <= set(held["category"])


def test_a_large_set_is_made_from_public_data(gate: Gate, tmp_path: Path):
    """With the licences it came under."""
    subprocess.run([sys.executable, str(MAKE), str(SAMPLES), str(tmp_path / "set")], check=True, capture_output=True)
    assert (tmp_path / "set/licences/bestbuy/LICENSE-CC0").exists()
    assert (tmp_path / "set/licences/reference/NOTICE.md").exists()
    key = _seller(gate, "large")
    done = gate.run("reference", "starter", str(tmp_path / "set"), key=key)
    assert done.returncode == 0, done.stderr
    assert "category: 223 entries" in done.stdout
    assert len(_entries(gate, "hs_code", key, "--search", "footwear")) > 10


def test_a_folder_without_a_kind_is_refused(gate: Gate, tmp_path: Path):
    """It says what files may be called."""
    (tmp_path / "brands.csv").write_text("code\nA\n")
    done = gate.run("reference", "starter", str(tmp_path))
    assert done.returncode != 0
    assert "department" in done.stderr


def test_facts_are_kept_with_a_key(gate: Gate):
    """And listed; what is no fact is refused."""
    _seller(gate, "facts")
    made = gate.run("merchant", "key", "add", "facts", "--fact", "location=BLR-01", "--fact", "profile=reference")
    assert made.returncode == 0, made.stderr
    assert "location=BLR-01 profile=reference" in gate.run("merchant", "key", "list", "facts").stdout
    for wrong in ("location", "=x", "Location=x", "a="):
        assert gate.run("merchant", "key", "add", "facts", "--fact", wrong).returncode != 0
