"""`goodsgate push` against the stand-in of each platform, over a socket."""

import csv
import itertools
import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from goodsgate.cli import main
from goodsgate.http.trouble import TroubleKind
from goodsgate.model import crash
from goodsgate.push import Platform, load_platform, pusher
from tests import forked
from tests.http_gate import HttpGate
from tests.push.conftest import SETTINGS, StandIns
from tests.push.products import MAPPING, write_products
from tests.shop import Shop

PLATFORMS = sorted(SETTINGS)
REFUSED_BY_PLATFORM = {
    "konnect": ("category", "Sports Shoes", "Slippers", 'Unknown category "Slippers"'),
    "justwalkout": ("Titel", "Cola", "Cola®", "UNSUPPORTED_CHARACTERS"),
}
"""Platform → column, a value that it takes, one that only it rejects, and what the issue says."""


class KilledError(BaseException):
    """Ends a push as a kill does: nothing catches it."""


def _report(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return [*csv.DictReader(file)]


def _kill_at(point: str, monkeypatch: pytest.MonkeyPatch, *, times: int = 1) -> None:
    left = [times]

    def reach(name: str) -> None:
        left[0] -= name == point
        if not left[0] and name == point:
            raise KilledError(point)

    monkeypatch.setattr(crash, "point", reach)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_file_arrives_and_bad_rows_come_back(stand_ins: StandIns, tmp_path: Path, platform: str):
    """The gate's rules reject a row before it is sent; the report has the supplier's columns and row numbers."""
    feed, report = tmp_path / "feed.csv", tmp_path / "report.csv"
    skus = write_products(feed, 4, titles={2: ""})
    document = stand_ins.push(feed, platform, *MAPPING, "--report", str(report), code=1)
    assert document["counts"]["accepted"] == 3, document
    assert document["counts"]["rejected"] == 1
    assert document["counts"]["accounted"] == document["counts"]["total"] == 4
    (row,) = _report(report)
    assert (row["Artikelnr"], row["_row"], row["_codes"]) == (skus[2], "3", "field_missing")
    assert not [*tmp_path.glob("*.push")]
    assert stand_ins.push(feed, platform, *MAPPING, code=1)["counts"] == document["counts"]  # now updates


@pytest.mark.parametrize("platform", REFUSED_BY_PLATFORM)
def test_what_only_the_platform_rejects_stands_at_its_row(stand_ins: StandIns, tmp_path: Path, platform: str):
    """With the supplier's name of the column, in every format of a report."""
    column, good, bad, text = REFUSED_BY_PLATFORM[platform]
    feed, report = tmp_path / "feed.csv", tmp_path / "report.ndjson"
    write_products(feed, 3)
    with feed.open(encoding="utf-8", newline="") as file:
        rows = [{**row, column: bad if at == 1 else good} for at, row in enumerate(csv.DictReader(file))]
    feed.write_text("\n".join(",".join(row) for row in (rows[0], *(row.values() for row in rows))), "utf-8")
    document = stand_ins.push(
        feed, platform, *MAPPING, "--report", str(report), "--report-format=ndjson", "--only=all", code=1
    )
    assert document["counts"]["accepted"] == 2
    records = [json.loads(line) for line in report.read_text("utf-8").splitlines()]
    assert [record["_row"] for record in records] == [1, 2, 3]
    assert [record["_result"] == "rejected" for record in records] == [False, True, False]
    assert records[1]["_codes"] == ["platform_rejected"]
    (message,) = records[1]["_messages"]
    assert message.startswith(f"{column} was rejected by the platform: ")
    assert text in message


@pytest.mark.parametrize(("kind", "header", "bad"), [("price", "price", "3 XXY"), ("stock", "quantity", "-4")])
@pytest.mark.parametrize("platform", ["konnect", "mircate"])
def test_prices_and_stock_are_set(stand_ins: StandIns, tmp_path: Path, platform: str, kind: str, header: str, bad: str):
    """By SKU and location; what the platform does not know comes back with its row."""
    skus = ("TR-001-41", "TR-001-42", "NOPE") if platform == "konnect" else ("LAMP_1", "LAMP_2", "LAMP_3")
    values = ("90 INR", "80 INR", "70 INR") if kind == "price" else ("9", "8", "7")
    feed, report = tmp_path / "levels.csv", tmp_path / "report.csv"
    lines = [f"{sku},BLR-01,{value}" for sku, value in zip(skus, values, strict=True)]
    feed.write_text("\n".join([f"sku,location,{header}", *lines, f"{skus[0]},OTHER,{bad}", ""]), "utf-8")
    document = stand_ins.push(feed, platform, f"--kind={kind}", "--report", str(report), code=1)
    rejected = {row["_row"]: row["_codes"] for row in _report(report)}
    assert rejected.pop("4")
    assert rejected == ({"3": "platform_rejected"} if platform == "konnect" else {})
    assert document["counts"]["accepted"] == 3 - len(rejected)


@pytest.mark.parametrize(("platform", "kind"), [
    *itertools.product(PLATFORMS, ["too_many_requests", "fault", "cut_off"]),
    ("konnect", "slow"), ("konnect", "duplicated"),
])
def test_trouble_on_the_way_changes_nothing(stand_ins: StandIns, tmp_path: Path, platform: str, kind: str):
    """Refused for a while, failed, answered late or not at all, received twice: each record is there, and clean."""
    feed = tmp_path / "feed.csv"
    write_products(feed, 3)
    stand_ins.order(platform, TroubleKind(kind))
    document = stand_ins.push(feed, platform, *MAPPING, code=0)
    assert document["outcome"] == "clean"
    assert document["counts"]["accepted"] == 3
    assert not document["push"]["problems"]


@pytest.mark.parametrize("kind", ["rejected", "partly_rejected", "broken"])
@pytest.mark.parametrize("platform", PLATFORMS)
def test_what_fails_at_the_platform_is_never_clean(stand_ins: StandIns, tmp_path: Path, platform: str, kind: str):
    """Each record that the platform rejects has an issue, or the push says that it cannot name it."""
    feed = tmp_path / "feed.csv"
    write_products(feed, 4)
    stand_ins.order(platform, TroubleKind(kind))
    document = stand_ins.push(feed, platform, *MAPPING, code=1)
    named = document["counts"]["rejected"]
    if document["push"]["problems"]:
        assert platform == "productsup" or kind == "broken"
        assert document["outcome"] in ("partial", "rejected")
    else:
        assert named == (2 if kind == "partly_rejected" else 4)


@pytest.mark.parametrize(("platform", "point"), [
    *itertools.product(PLATFORMS, ["push-answered", "push-accepted"]),
    ("konnect", "push-begun"), ("konnect", "push-ended"), ("productsup", "push-begun"), ("productsup", "push-ended"),
])
def test_a_push_goes_on_after_a_kill(
    stand_ins: StandIns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, platform: str, point: str
):
    """What was answered is not sent again; what was not is sent in a form that has no second effect, and told."""
    monkeypatch.setattr(load_platform(platform), "UNITS_MAX", 2)
    feed = tmp_path / "feed.csv"
    write_products(feed, 6)
    before = len(stand_ins.batches(platform))
    with monkeypatch.context() as killed:
        _kill_at(point, killed, times=2)
        with pytest.raises(KilledError):
            CliRunner().invoke(
                main, stand_ins.arguments(feed, platform, *MAPPING), env=stand_ins.environment(platform)
            )
    state = tmp_path / f"feed.csv.{platform}.push"
    state.write_bytes(state.read_bytes() + b'{"type":"beg')  # a line that was cut off
    document = stand_ins.push(feed, platform, *MAPPING, code=0)
    assert document["counts"]["accepted"] == 6
    assert document["outcome"] == "clean"
    assert not state.exists()
    batches = len(stand_ins.batches(platform)) - before
    if point != "push-answered":
        assert batches == 3
    else:  # a create that is still in work when it is looked for is sent once more, fails, and becomes an update
        assert batches in ((4, 5) if platform == "konnect" else (4,))


def test_a_create_that_arrives_late_does_not_make_the_next_one_fail(tmp_path: Path):
    """Konnect has accepted a create whose answer was lost, and does not show the products yet: they become updates."""
    with Shop(tmp_path / "shop", kind="sqlite", trouble="allow", poll_seconds=0.005) as shop:
        stand_ins = StandIns(HttpGate(shop))
        working = threading.Thread(target=shop.worker.run)
        working.start()
        stand_ins.environment("konnect")
        shop.worker.stop()
        working.join()
        before = len(stand_ins.batches("konnect"))
        resumed = threading.Thread(target=lambda: _work_from(stand_ins, before + 2), daemon=True)
        resumed.start()
        stand_ins.order("konnect", TroubleKind.CUT_OFF)
        feed = tmp_path / "feed.csv"
        write_products(feed, 2)
        document = stand_ins.push(feed, "konnect", *MAPPING, code=0)
        stand_ins.gate.close()
        resumed.join(60)
        verbs = [str(batch.policy.verb) for batch in stand_ins.batches("konnect")][: -before or None]
    assert document["counts"]["accepted"] == 2
    assert document["outcome"] == "clean"
    assert sorted(verbs) == ["create", "create", "update"]


def _work_from(stand_ins: StandIns, batches: int) -> None:
    """Work once there are so many batches, and end when another one has been worked, too."""
    shop = stand_ins.gate.shop
    while len(stand_ins.batches("konnect")) < batches:
        time.sleep(0.01)
    while len(stand_ins.batches("konnect")) <= batches:
        shop.work()
        time.sleep(0.01)
    shop.work()


def _push_in_a_process(arguments: list[str], environment: dict[str, str]) -> None:
    CliRunner().invoke(main, arguments, env=environment)


def test_a_process_that_is_killed_leaves_a_state(stand_ins: StandIns, tmp_path: Path):
    """SIGKILL between the platform's answer and the note of it; with the state of another file nothing is sent."""
    feed = tmp_path / "feed.csv"
    write_products(feed, 2)
    arguments = stand_ins.arguments(feed, "konnect", *MAPPING)
    assert forked.run(_push_in_a_process, arguments, stand_ins.environment("konnect"), crash_at="push-answered") == -9
    before = feed.read_bytes()
    write_products(feed, 2)
    batches = len(stand_ins.batches("konnect"))
    assert "content of the file differ" in stand_ins.push(feed, "konnect", *MAPPING, code=2)["error"]
    assert len(stand_ins.batches("konnect")) == batches
    feed.write_bytes(before)
    assert stand_ins.push(feed, "konnect", *MAPPING, code=0)["counts"]["accepted"] == 2


@pytest.mark.parametrize(("platform", "variable"), [
    ("konnect", "KONNECT_PASSWORD"), ("productsup", "PRODUCTSUP_TOKEN"), ("justwalkout", "AWS_SECRET_ACCESS_KEY"),
    ("mircate", "MIRCATE_API_KEY"),
])
def test_a_wrong_key_or_address_is_said_at_once(stand_ins: StandIns, tmp_path: Path, platform: str, variable: str):
    """Exit codes as those of `submit`; the message names the credential or the address, and never a secret."""
    feed = tmp_path / "feed.csv"
    write_products(feed, 1)
    wrong = stand_ins.push(feed, platform, *MAPPING, code=3, **{variable: "not-the-right-one"})["error"]
    assert variable in wrong
    assert "not-the-right-one" not in wrong
    other = stand_ins.push(feed, platform, *MAPPING, "--base-url", f"{stand_ins.gate.url}/console", code=3)["error"]
    assert "--base-url" in other or variable in other
    nobody = stand_ins.push(
        feed, platform, *MAPPING, "--base-url", "http://127.0.0.1:9", "--retry-timeout=0", code=4
    )["error"]
    assert "127.0.0.1:9" in nobody
    assert variable in stand_ins.push(feed, platform, *MAPPING, code=2, **{variable: ""})["error"]


def test_credentials_come_from_a_file(stand_ins: StandIns, tmp_path: Path):
    """As `stand-in` prints them; a file that others can read, and a credential on the command line, are warned of."""
    feed, secrets = tmp_path / "feed.csv", tmp_path / "mircate.env"
    write_products(feed, 1)
    environment = stand_ins.environment("mircate")
    secrets.write_text(f"# key\nexport MIRCATE_API_KEY='{environment['MIRCATE_API_KEY']}'\n", "utf-8")
    secrets.chmod(0o600)
    document = stand_ins.push(
        feed, "mircate", *MAPPING, "--credentials-file", str(secrets), code=0, MIRCATE_API_KEY=""
    )
    assert not document["error"]
    secrets.chmod(0o644)
    pair = f"--credential=MIRCATE_PROJECT={environment['MIRCATE_PROJECT']}"
    error = stand_ins.push(feed, "mircate", *MAPPING, pair, "--credentials-file", str(secrets), code=0)["error"]
    assert error.count("Warning: other users") == 2
    assert environment["MIRCATE_API_KEY"] not in error


def test_a_request_that_is_refused_for_one_record_is_halved(stand_ins: StandIns, tmp_path: Path):
    """Just Walk Out refuses a whole upload for one unknown store: the others arrive."""
    feed, report = tmp_path / "feed.csv", tmp_path / "report.csv"
    write_products(feed, 6)
    lines = feed.read_text("utf-8").splitlines()
    lines = [f"{line},{'store_id' if at == 0 else 'STORE-9' if at == 5 else ''}" for at, line in enumerate(lines)]
    feed.write_text("\n".join([*lines, ""]), "utf-8")
    document = stand_ins.push(feed, "justwalkout", *MAPPING, "--report", str(report), code=1)
    assert document["counts"]["accepted"] == 5
    (row,) = _report(report)
    assert row["_row"] == "5"
    assert "StoreID" in row["_messages"]


def test_a_platform_that_refuses_everything_is_not_asked_for_ever(
    stand_ins: StandIns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """If nothing was accepted after some halves, the whole push is refused, and leaves no state."""
    monkeypatch.setattr(pusher, "REFUSALS_MAX", 2)
    feed = tmp_path / "feed.csv"
    write_products(feed, 6)
    refused = stand_ins.push(feed, "justwalkout", *MAPPING, "--set=stores=STORE-8", code=3)
    assert "StoreID" in refused["error"]
    assert [*tmp_path.iterdir()] == [feed]


@pytest.mark.parametrize("platform", PLATFORMS)
def test_records_are_deleted(stand_ins: StandIns, tmp_path: Path, platform: str):
    """Those that the platform has; of the others it says so."""
    feed = tmp_path / "feed.csv"
    skus = write_products(feed, 2)
    stand_ins.push(feed, platform, *MAPPING, code=0)
    feed.write_text("\n".join(["sku", *skus, ""]), "utf-8")
    stores = ["--set=stores=STORE-1,STORE-2"] if platform == "justwalkout" else []
    report = tmp_path / "report.ndjson"
    wanted = [f"--report={report}", "--report-format=ndjson", "--only=all"]
    document = stand_ins.push(feed, platform, "--verb=delete", *stores, *wanted, code=0)
    assert document["counts"]["accepted"] == 2
    assert not document["issues"]
    assert [json.loads(line)["_codes"] for line in report.read_bytes().splitlines()] == [[], []]


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_dry_run_writes_the_requests(stand_ins: StandIns, tmp_path: Path, platform: str):
    """As they would be sent, and without credentials; nothing is sent, and no state stays."""
    feed, folder = tmp_path / "feed.csv", tmp_path / "requests"
    skus = write_products(feed, 2)
    before = len(stand_ins.batches(platform))
    stand_ins.push(feed, platform, *MAPPING, "--dry-run", str(folder), code=0)
    (request,) = folder.iterdir()
    text = request.read_text("utf-8")
    assert request.name.startswith("00001-POST-")
    assert all(sku in text for sku in skus)
    assert not [value for name, value in stand_ins.environment(platform).items() if "URL" not in name and value in text]
    assert len(stand_ins.batches(platform)) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["feed.csv", "requests"]
    assert "not empty" in stand_ins.push(feed, platform, *MAPPING, "--dry-run", str(folder), code=2)["error"]


def test_a_push_that_nothing_answers_in_time_can_be_waited_for_again(stand_ins: StandIns, tmp_path: Path):
    """`--no-wait` ends when everything is accepted, and the state stays; a wait that is too short exits with 8."""
    feed = tmp_path / "feed.csv"
    write_products(feed, 2)
    document = stand_ins.push(feed, "mircate", *MAPPING, "--no-wait", code=0)
    assert document["counts"]["accepted"] + document["counts"]["waiting"] == 2
    stores = stand_ins.push(feed, "justwalkout", *MAPPING, "--set=stores=STORE-1,STORE-2", "--no-wait", code=0)
    assert stores["counts"]["accepted"] + stores["counts"]["waiting"] == 2  # records, not items
    if document["counts"]["waiting"]:
        assert Path(document["push"]["state"]).exists()
        assert stand_ins.push(feed, "mircate", *MAPPING, code=0)["push"]["requests"] == 0


@pytest.mark.parametrize(("options", "text"), [
    (["--to=konnect", "--verb=update"], "--verb"), (["--to=konnect", "--references=wait"], "--references"),
    (["--to=konnect", "--set=stores=1"], "unknown"), (["--to=justwalkout", "--kind=price"], "product"),
    (["--to=productsup"], "stream"), (["--to=mircate", "--credential=X"], "NAME=VALUE"),
])
def test_options_that_make_no_sense_are_refused(stand_ins: StandIns, tmp_path: Path, options: list[str], text: str):
    """Before anything is sent."""
    feed = tmp_path / "feed.csv"
    write_products(feed, 1)
    environment: dict[str, Any] = {}
    for platform in PLATFORMS:
        environment |= stand_ins.environment(platform)
    done = CliRunner().invoke(main, ["push", str(feed), *MAPPING, *options], env=environment)
    assert done.exit_code == 2, done.output
    assert text in done.stderr


def test_every_platform_has_bounds_and_settings():
    """Each is a client of a protocol of this gate, and keeps its published limits."""
    for name in PLATFORMS:
        platform = load_platform(name)
        assert issubclass(platform, Platform)
        assert 0 < platform.UNITS_MAX <= 10_000
        assert platform.SETTINGS
