"""`make demo`, without the installation."""

import subprocess
import sys
from pathlib import Path

from goodsgate.model.remedies import REMEDIES
from tests.cli.gate import RUN_SECONDS_MAX, clean_environment

DEMO = Path(__file__).resolve().parents[2] / "demo"


def test_the_demo_runs_and_leaves_only_its_report(tmp_path: Path):
    """It works in any folder, shows counts and grouped issues, corrects a report and exits with 0."""
    done = subprocess.run(
        [sys.executable, str(DEMO / "run.py")], cwd=tmp_path, env=clean_environment() | {"TMPDIR": str(tmp_path)},
        capture_output=True, text=True, timeout=RUN_SECONDS_MAX, check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "products.csv: partial" in done.stdout
    assert REMEDIES["group_sku_missing"] in " ".join(done.stdout.split())
    assert "87 created, 124 merged" in done.stdout
    assert "profile google" in done.stdout
    corrected = done.stdout.rpartition("$ goodsgate fix")[2]
    assert "products.csv: clean" in corrected
    report = Path(done.stdout.rpartition(": ")[2].strip())
    header, *lines = report.read_text("utf-8-sig").splitlines()
    assert header.replace('"', "").endswith("_row,_codes,_messages")
    assert lines
    assert sorted(path.name for path in report.parent.iterdir()) == sorted([report.name, "gate.log"])


def test_every_demo_feed_has_a_licence():
    """Licence and notice are in the folder of the feed."""
    for folder in (DEMO / "feed").iterdir():
        assert {"LICENSE", "NOTICE.md"} <= {path.name for path in folder.iterdir()}
