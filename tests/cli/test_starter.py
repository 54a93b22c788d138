"""Loading a set of reference data, and settings of keys."""

import json
import subprocess
import sys
from pathlib import Path

from goodsgate.model.catalogue import REFERENCE_KINDS
from tests.cli.gate import Gate
from tests.data import SAMPLES

SCRIPT = Path(__file__).resolve().parents[2] / "demo/starter.py"


def _entries(gate: Gate, kind: str, key: str, *search: str) -> list[dict[str, object]]:
    listed = gate.run("reference", "list", kind, "--limit", "1000", *search, key=key).stdout
    return [json.loads(line) for line in listed.splitlines()]


def _add_merchant(gate: Gate, name: str) -> str:
    return gate.run("merchant", "add", name, "--quiet").stdout.strip()


def test_the_starter_set_contains_every_kind(gate: Gate):
    """Every reference to another entry is valid."""
    key = _add_merchant(gate, "small")
    done = gate.run("reference", "starter", key=key)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len(REFERENCE_KINDS)
    entries = {kind: {str(entry["code"]): entry for entry in _entries(gate, kind, key)} for kind in REFERENCE_KINDS}
    assert all(entries.values())
    assert all(entry.get("parent") in {None, *entries["category"]} for entry in entries["category"].values())
    assert {code.partition("/")[0] for code in entries["attribute"]} <= set(entries["category"])


def test_a_large_set_is_created_from_public_data(gate: Gate, tmp_path: Path):
    """The licences are copied."""
    subprocess.run([sys.executable, str(SCRIPT), str(SAMPLES), str(tmp_path / "set")], check=True, capture_output=True)
    assert (tmp_path / "set/licences/bestbuy/LICENSE-CC0").exists()
    assert (tmp_path / "set/licences/reference/NOTICE.md").exists()
    key = _add_merchant(gate, "large")
    done = gate.run("reference", "starter", str(tmp_path / "set"), key=key)
    assert done.returncode == 0, done.stderr
    assert "category: 223 entries" in done.stdout
    assert len(_entries(gate, "hs_code", key, "--search", "footwear")) > 10


def test_a_folder_without_a_file_of_any_kind_is_refused(gate: Gate, tmp_path: Path):
    """The message lists the possible names."""
    (tmp_path / "brands.csv").write_text("code\nA\n")
    done = gate.run("reference", "starter", str(tmp_path))
    assert done.returncode != 0
    assert "department" in done.stderr


def test_settings_of_a_key_are_stored_and_listed(gate: Gate):
    """Unknown settings and bad values are refused with the nearest known name, and no key is created."""
    _add_merchant(gate, "facts")
    created = gate.run("merchant", "key", "add", "facts", "--set", "location=BLR-01", "--set", "profile=reference")
    assert created.returncode == 0, created.stderr
    assert "location=BLR-01 profile=reference" in gate.run("merchant", "key", "list", "facts").stdout
    for wrong, message in {
        "location": "is not NAME=VALUE", "=x": "is not NAME=VALUE", "Location=x": "is not NAME=VALUE",
        "a=": "is not NAME=VALUE",
        "loaction=BLR-01": "Unknown setting 'loaction'; did you mean 'location'?",
        "zzz=1": "Unknown setting 'zzz'; the settings of keys are bytes_per_day_max, company_id, location, "
                 "open_rounds_max, profile, project, requests_per_minute_max, strict",
        "account=123456789012": "'account' is a setting of merchants, not of keys",
        "profile=short": "The setting 'profile' must be 'guide' or 'reference'.",
    }.items():
        refused = gate.run("merchant", "key", "add", "facts", "--set", wrong)
        assert refused.returncode == 2
        assert message in " ".join(refused.stderr.replace("│", "").split())
    assert len(gate.run("merchant", "key", "list", "facts").stdout.splitlines()) == 2
