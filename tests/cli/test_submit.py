"""Submit, report, fix, retry, cancel and watch, against a served gate."""

import json
from pathlib import Path
from uuid import UUID

from tests.cli.conftest import write_csv, write_ndjson
from tests.cli.gate import Gate
from tests.cli.proxy import CuttingProxy
from tests.factories import product


def test_a_clean_feed_gives_exit_code_0(gate: Gate, tmp_path: Path):
    """A script can rely on the exit code."""
    feed = write_ndjson(tmp_path / "clean.ndjson", [product(number, title=f"Clean {number}") for number in range(9)])
    batch = gate.document("submit", str(feed), "--collection", "clean", code=0)
    assert batch["outcome"] == "clean"
    assert batch["counts"]["created"] == 9
    assert batch["label"] == "clean.ndjson"


def test_rejected_records_give_exit_code_1_and_a_summary(gate: Gate, feed: Path):
    """The output shows counts, grouped issues and the next step; valid records are applied."""
    done = gate.run("submit", str(feed), "--collection", "named")
    assert done.returncode == 1
    assert "feed.csv: partial" in done.stdout
    assert "3 created, 2 rejected" in done.stdout
    assert "read as  format csv (detected), delimiter comma (detected)" in done.stdout
    assert "on request" in done.stdout
    assert "goodsgate report" in done.stdout


def test_a_corrected_report_makes_the_batch_clean(gate: Gate, feed: Path, tmp_path: Path):
    """The corrected records belong to the same batch, and nothing is counted twice."""
    batch = gate.document("submit", str(feed), "--collection", "fixed", code=1)
    saved = gate.run("report", batch["id"]).stdout.strip()
    file = gate.folder / saved
    text = file.read_text("utf-8-sig")
    assert text.splitlines()[0].replace('"', "").endswith("_row,_codes,_messages")
    assert len(text.splitlines()) == 3
    rows = text.replace("on request", "19.99 EUR").replace("SKU-0002,,", "SKU-0002,Linen shirt 2,")
    file.write_text(rows, "utf-8")
    other = gate.run("fix", str(feed), "--batch", batch["id"])
    assert (other.returncode, "0 of 5 records replace" in other.stderr) == (3, True)
    assert "keep its column `_row`" in other.stderr
    fixed = gate.document("fix", str(file), code=0)
    assert fixed["id"] == batch["id"]
    assert fixed["outcome"] == "clean"
    assert fixed["counts"]["created"] == fixed["counts"]["total"] == 5


def test_retry_succeeds_after_reference_data_was_loaded(gate: Gate, tmp_path: Path):
    """Records that were rejected for an unknown brand pass once the brand exists."""
    brands = write_csv(tmp_path / "brands.csv", [{"code": "Brightware", "name": "Brightware"}])
    assert "brand: 1 entry" in gate.run("reference", "load", "brand", str(brands)).stdout
    feed = write_ndjson(tmp_path / "hearth.ndjson", [product(1, brand="Hearth & Co")])
    options = ["--collection", "retried", "--references", "refuse"]
    batch = gate.document("submit", str(feed), *options, code=1)
    assert [group["code"] for group in batch["issues"]] == ["brand_unknown"]
    brands = write_csv(tmp_path / "more.csv", [{"code": "Hearth & Co", "name": "Hearth & Co"}])
    assert gate.run("reference", "load", "brand", str(brands)).returncode == 0
    assert "Hearth & Co" in gate.run("reference", "list", "brand", "--search", "hearth").stdout
    assert gate.document("retry", batch["id"], code=0)["outcome"] == "clean"


def test_an_upload_is_repeated_after_a_lost_connection(gate: Gate, tmp_path: Path):
    """The upload is sent again with the same idempotency key and applied once."""
    rows = [product(number, description="x" * 2000) for number in range(400)]
    feed = write_ndjson(tmp_path / "cut.ndjson", rows)
    proxy = CuttingProxy(int(gate.url.rpartition(":")[2]), after_bytes=300_000, cuts=2)
    try:
        done = gate.run("submit", str(feed), "--collection", "cut", url=proxy.url)
    finally:
        proxy.close()
    assert done.returncode == 0, done.stderr
    assert "retrying with the same idempotency key" in done.stderr
    assert "400 created" in done.stdout
    listed = gate.run("list", "--search", "cut.ndjson", "--json").stdout.splitlines()
    assert [json.loads(line)["counts"]["created"] for line in listed] == [400]


def test_standard_input_is_repeated_after_a_lost_connection(gate: Gate):
    """It cannot be read twice, so it is saved while it is sent."""
    rows = b"".join(json.dumps(product(n, description="y" * 2000)).encode() + b"\n" for n in range(300))
    proxy = CuttingProxy(int(gate.url.rpartition(":")[2]), after_bytes=200_000)
    try:
        batch = gate.document("submit", "-", "--collection", "stdin", url=proxy.url, stdin=rows, code=0)
    finally:
        proxy.close()
    assert batch["counts"]["created"] == 300


def test_runs_with_the_same_idempotency_key_are_one_submission(gate: Gate, tmp_path: Path):
    """The same file gives the same batch; another file is refused."""
    feed = write_ndjson(tmp_path / "once.ndjson", [product(1)])
    options = ["--idempotency-key", "nightly-2026-11-01", "--collection", "once"]
    first = gate.document("submit", str(feed), *options, code=0)
    assert gate.document("submit", str(feed), *options, code=0)["id"] == first["id"]
    other = write_ndjson(tmp_path / "other.ndjson", [product(2)])
    refused = gate.run("submit", str(other), *options)
    assert refused.returncode == 3
    assert "key_reused" in refused.stderr


def test_an_accepted_batch_can_be_watched_later(gate: Gate, feed: Path):
    """--no-wait gives exit code 0 once the feed is durable; watch gives that of the batch, also by its id as a UUID."""
    batch = gate.document("submit", str(feed), "--no-wait", "--collection", "later", code=0)
    for id in (batch["id"], str(UUID(batch["id"])).upper()):
        assert gate.document("watch", id, code=1)["outcome"] == "partial"
    cancelled = gate.document("cancel", batch["id"], code=1)
    assert cancelled["state"] == "finished", "a batch that has ended stays as it is"


def test_deletions_of_a_full_feed_are_withheld_until_confirmed(gate: Gate, tmp_path: Path):
    """A feed that lost half its lines must not empty the catalogue."""
    full = write_ndjson(tmp_path / "full.ndjson", [product(number) for number in range(10)])
    half = write_ndjson(tmp_path / "half.ndjson", [product(number) for number in range(5)])
    assert gate.run("submit", str(full), "--collection", "whole").returncode == 0
    batch = gate.document("submit", str(half), "--collection", "whole", "--mode", "full", code=6)
    assert batch["withheld"]["deletions"] == 5
    assert gate.run("confirm", batch["id"], "--deletions", "4").returncode == 3
    assert gate.document("confirm", batch["id"], "--deletions", "5", code=0)["counts"]["deleted"] == 5


def test_columns_are_mapped_by_option_and_by_saved_profile(gate: Gate, tmp_path: Path):
    """A column with an unknown name can be mapped either way."""
    row = {name: value for name, value in product(7).items() if name not in ("title", "description")}
    feed = write_csv(tmp_path / "own.csv", [row | {"Xyzzy": "Linen shirt"}])
    assert gate.run("submit", str(feed), "--collection", "own").returncode == 1
    assert gate.run("submit", str(feed), "--collection", "own", "--map", "Xyzzy:title").returncode == 0
    assert gate.run("profile", "save", "own", "--map", "Xyzzy:title").returncode == 0
    assert gate.run("submit", str(feed), "--collection", "own", "--profile", "own").returncode == 0
    assert "recognized" in gate.run("profile", "save", "own", "--from", str(feed), "--map", "Xyzzy:title").stdout
    assert '"Xyzzy": ["title"]' in gate.run("profile", "list").stdout
    assert gate.run("submit", str(feed), "--collection", "own").returncode == 0
    assert gate.run("profile", "delete", "own").returncode == 0


def test_several_files_give_several_batches_and_the_worst_exit_code(gate: Gate, feed: Path, tmp_path: Path):
    """Each file becomes a batch, in order; a refused file does not stop the others."""
    clean = write_ndjson(tmp_path / "good.ndjson", [product(77)])
    empty = tmp_path / "empty.csv"
    empty.write_bytes(b"")
    done = gate.run("submit", str(clean), str(empty), str(feed), "--collection", "many", "--json")
    assert done.returncode == 3
    assert "payload_empty" in done.stderr
    assert [json.loads(line)["outcome"] for line in done.stdout.splitlines()] == ["clean", "partial"]


def test_values_cannot_control_the_terminal(gate: Gate, tmp_path: Path):
    """Escape sequences in a feed are shown as dots, markup as text."""
    feed = write_ndjson(tmp_path / "evil.ndjson", [product(1, price="\x1b[31m[bold]free[/bold]")])
    done = gate.run("submit", str(feed), "--collection", "evil")
    assert "\x1b" not in done.stdout + done.stderr
    assert "[bold]free" in done.stdout


def test_a_dry_run_prints_what_would_change(gate: Gate, tmp_path: Path):
    """In groups at once, each change on request, and all of them as a file."""
    real = write_ndjson(tmp_path / "real.ndjson", [product(1), product(2)])
    gate.document("submit", str(real), "--collection", "dry", code=0)
    feed = write_ndjson(tmp_path / "dry.ndjson", [product(1, price="1.00 EUR"), product(3)])
    done = gate.run("submit", str(feed), "--collection", "dry", "--dry-run")
    assert done.returncode == 0
    assert "price falls in 1 item, by −95 %; 1 by more than half\nNothing was applied" in done.stdout
    batch = done.stdout.split()[-1]
    assert "clean (dry run)" in gate.run("list", "--limit", "1").stdout
    shown = gate.run("diff", batch, "--operation", "updated").stdout
    assert "SKU-0001 (row 1): updated\n  price: 19.99 EUR → 1.00 EUR\n" in shown
    assert gate.document("diff", batch, code=0)["groups"][0]["effect"] == "created"
    saved = gate.folder / gate.run("diff", batch, "-o", "changes.csv").stdout.strip()
    assert saved.read_text("utf-8").splitlines()[1] == "1,updated,SKU-0001,,price,19.99 EUR,1.00 EUR,1,1"
