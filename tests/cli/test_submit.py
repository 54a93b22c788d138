"""Submit, report, fix, retry, cancel and watch, against a served gate."""

import json
from pathlib import Path

from tests.cli.conftest import write_csv, write_ndjson
from tests.cli.gate import Gate
from tests.cli.proxy import CuttingProxy
from tests.make import product


def test_a_clean_feed_ends_with_0(gate: Gate, tmp_path: Path):
    """A script need not read anything to know that all is well."""
    feed = write_ndjson(tmp_path / "clean.ndjson", [product(number, title=f"Clean {number}") for number in range(9)])
    batch = gate.document("submit", str(feed), "--collection", "clean", code=0)
    assert batch["outcome"] == "clean"
    assert batch["counts"]["created"] == 9
    assert batch["label"] == "clean.ndjson"


def test_rejected_records_end_with_1_and_are_named(gate: Gate, feed: Path):
    """People see counts, grouped issues and the next step; neighbours of a bad record are applied."""
    done = gate.run("submit", str(feed), "--collection", "named")
    assert done.returncode == 1
    assert "feed.csv: partial" in done.stdout
    assert "3 created, 2 rejected" in done.stdout
    assert "on request" in done.stdout
    assert "goodsgate report" in done.stdout


def test_a_corrected_report_makes_the_batch_clean(gate: Gate, feed: Path, tmp_path: Path):
    """Download, correct in place, send back: the same batch ends clean, and nothing counts twice."""
    batch = gate.document("submit", str(feed), "--collection", "fixed", code=1)
    saved = gate.run("report", batch["id"]).stdout.strip()
    file = gate.folder / saved
    text = file.read_text("utf-8-sig")
    assert text.splitlines()[0].replace('"', "").endswith("_row,_codes,_messages")
    assert len(text.splitlines()) == 3
    rows = text.replace("on request", "19.99 EUR").replace("SKU-0002,,", "SKU-0002,Linen shirt 2,")
    file.write_text(rows, "utf-8")
    fixed = gate.document("fix", str(file), code=0)
    assert fixed["id"] == batch["id"]
    assert fixed["outcome"] == "clean"
    assert fixed["counts"]["created"] == fixed["counts"]["total"] == 5


def test_retry_after_reference_data_was_mended(gate: Gate, tmp_path: Path):
    """What was rejected for want of a brand goes through once the brand is there."""
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


def test_a_connection_cut_in_the_middle_of_an_upload_is_taken_up(gate: Gate, tmp_path: Path):
    """The same bytes go again under the same key, and arrive once."""
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


def test_standard_input_survives_a_cut_too(gate: Gate):
    """It cannot be read twice, so it is kept while it is sent."""
    rows = b"".join(json.dumps(product(n, description="y" * 2000)).encode() + b"\n" for n in range(300))
    proxy = CuttingProxy(int(gate.url.rpartition(":")[2]), after_bytes=200_000)
    try:
        batch = gate.document("submit", "-", "--collection", "stdin", url=proxy.url, stdin=rows, code=0)
    finally:
        proxy.close()
    assert batch["counts"]["created"] == 300


def test_a_repeated_run_under_one_key_is_one_submission(gate: Gate, tmp_path: Path):
    """For scripts that do not know whether they ran."""
    feed = write_ndjson(tmp_path / "once.ndjson", [product(1)])
    options = ["--idempotency-key", "nightly-2026-11-01", "--collection", "once"]
    first = gate.document("submit", str(feed), *options, code=0)
    assert gate.document("submit", str(feed), *options, code=0)["id"] == first["id"]
    other = write_ndjson(tmp_path / "other.ndjson", [product(2)])
    refused = gate.run("submit", str(other), *options)
    assert refused.returncode == 3
    assert "key_reused" in refused.stderr


def test_what_was_accepted_is_watched_later(gate: Gate, feed: Path):
    """--no-wait ends with 0 once the feed is durable; watch ends as the batch does."""
    batch = gate.document("submit", str(feed), "--no-wait", "--collection", "later", code=0)
    assert gate.document("watch", batch["id"], code=1)["outcome"] == "partial"
    cancelled = gate.document("cancel", batch["id"], code=1)
    assert cancelled["state"] == "finished", "a batch that has ended stays as it is"


def test_deletions_of_a_full_feed_are_withheld_until_confirmed(gate: Gate, tmp_path: Path):
    """A feed that lost half its lines must not empty the shop."""
    full = write_ndjson(tmp_path / "full.ndjson", [product(number) for number in range(10)])
    half = write_ndjson(tmp_path / "half.ndjson", [product(number) for number in range(5)])
    assert gate.run("submit", str(full), "--collection", "whole").returncode == 0
    batch = gate.document("submit", str(half), "--collection", "whole", "--mode", "full", code=6)
    assert batch["withheld"]["deletions"] == 5
    assert gate.run("confirm", batch["id"], "--deletions", "4").returncode == 3
    assert gate.document("confirm", batch["id"], "--deletions", "5", code=0)["counts"]["deleted"] == 5


def test_columns_are_mapped_by_hand_and_by_name(gate: Gate, tmp_path: Path):
    """A column that nobody could guess, on the command line or saved for later."""
    row = {name: value for name, value in product(7).items() if name != "title"}
    feed = write_csv(tmp_path / "own.csv", [row | {"Xyzzy": "Linen shirt"}])
    assert gate.run("submit", str(feed), "--collection", "own").returncode == 1
    assert gate.run("submit", str(feed), "--collection", "own", "--map", "Xyzzy:title").returncode == 0
    assert gate.run("mapping", "save", "own", "--map", "Xyzzy:title").returncode == 0
    assert '"Xyzzy": ["title"]' in gate.run("mapping", "list").stdout
    assert gate.run("submit", str(feed), "--collection", "own", "--mapping", "own").returncode == 0


def test_several_files_are_several_batches_and_the_worst_code(gate: Gate, feed: Path, tmp_path: Path):
    """Each file gets its batch, in order; one that is refused does not stop the others."""
    clean = write_ndjson(tmp_path / "good.ndjson", [product(77)])
    empty = tmp_path / "empty.csv"
    empty.write_bytes(b"")
    done = gate.run("submit", str(clean), str(empty), str(feed), "--collection", "many", "--json")
    assert done.returncode == 3
    assert "payload_empty" in done.stderr
    assert [json.loads(line)["outcome"] for line in done.stdout.splitlines()] == ["clean", "partial"]


def test_a_value_cannot_speak_to_the_terminal(gate: Gate, tmp_path: Path):
    """Escape sequences in a feed are shown as dots, markup as it is."""
    feed = write_ndjson(tmp_path / "evil.ndjson", [product(1, price="\x1b[31m[bold]free[/bold]")])
    done = gate.run("submit", str(feed), "--collection", "evil")
    assert "\x1b" not in done.stdout + done.stderr
    assert "[bold]free" in done.stdout
