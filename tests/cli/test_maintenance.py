"""The commands for operators: backup, doctor, migrate, and the passwords that they must not show."""

import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from goodsgate.cli import main
from goodsgate.cli.masking import without_password, without_secrets
from goodsgate.cli.settings import store_error
from goodsgate.config import SECRET_SETTINGS, Config
from goodsgate.engine.saved_rules import save_rule
from goodsgate.model.batch import Kind, Strictness
from goodsgate.model.catalogue import Merchant
from goodsgate.model.record_rule import RecordRule
from goodsgate.store.contract import StoreBusyError
from goodsgate.store.postgres import PostgresStore
from goodsgate.store.sqlite import SqliteStore
from tests import postgres
from tests.cli.conftest import write_ndjson
from tests.cli.gate import RUN_SECONDS_MAX, RUNNING_AT, Gate
from tests.factories import NOW, product
from tests.shop import Shop
from tests.store import child

if TYPE_CHECKING:
    from tests.aws import Aws


def run(*words: object, **environment: str) -> tuple[int, str]:
    """Run a command in this process; return its exit code and output."""
    done = CliRunner().invoke(main, [str(word) for word in words], env=environment)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


# -- backup -----------------------------------------------------------------------------------------------------------


def test_a_backup_contains_every_batch(gate: Gate, tmp_path: Path):
    """It is made while the gate runs, and a gate can serve it without changes."""
    feed = write_ndjson(tmp_path / "feed.ndjson", [product(number) for number in range(2_000)])
    for _ in range(3):
        gate.run("submit", str(feed), "--no-wait")
    done = gate.run("backup", str(tmp_path / "copy" / "store"))
    assert done.returncode == 0, done.stderr
    assert re.match(r"Copied [\d,]+ bytes to ", done.stdout)
    listed = {line.split('"')[3] for line in gate.run("list", "--json").stdout.splitlines()}
    code, output = run("doctor", "--store", tmp_path / "copy" / "store")
    assert code == 0, output
    copy = gate.launch("serve", "--port", "0", "--store", str(tmp_path / "copy" / "store"))
    try:
        url = RUNNING_AT.search(copy.stdout.readline())[1]
        for batch in listed:
            assert gate.document("watch", batch, url=url, code=0)["counts"]["total"] == 2_000
    finally:
        copy.terminate()
        assert copy.wait(RUN_SECONDS_MAX) == 0
        copy.stdout.close()


def test_a_backup_that_is_not_possible_gives_one_line(gate: Gate, tmp_path: Path):
    """The folder is not empty, or there is no store."""
    (tmp_path / "mine").touch()
    code, output = run("backup", tmp_path, "--store", gate.store)
    assert code == 2
    assert "not an empty folder" in output
    code, output = run("backup", tmp_path / "copy", "--store", tmp_path / "none")
    assert code == 2
    assert "no store of this version exists" in output
    assert not (tmp_path / "copy").exists()


def test_a_missing_payload_is_reported(tmp_path: Path):
    """The backup is made nevertheless, and the exit code reports the problem."""
    store = SqliteStore(tmp_path / "store", cache_bytes=1024**2, small_payload_bytes=100)
    store.migrate()
    store.add_merchant(Merchant(id="acme", name="Acme", created_at=NOW))
    child.submit(store, 3, padding=500)
    store.close()
    next((tmp_path / "store" / "payloads").iterdir()).unlink()
    code, output = run("backup", tmp_path / "copy", "--store", tmp_path / "store")
    assert code == 7
    assert "Large payloads missing from the store: 1" in output


def test_backup_refuses_a_postgresql_store(tmp_path: Path):
    """The message names pg_dump."""
    code, output = run("backup", tmp_path / "copy", GOODSGATE_STORE=postgres.server().blank())
    assert code == 2
    assert "pg_dump" in output
    assert not (tmp_path / "copy").exists()


# -- doctor -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_doctor_reports_a_queue_without_a_worker(kind: str, tmp_path: Path):
    """A round has been queued for longer than any worker needs to find it."""
    def long_ago() -> datetime:
        return NOW - timedelta(days=900)

    address = str(tmp_path / "store") if kind == "sqlite" else postgres.server().blank()
    store = SqliteStore(Path(address), cache_bytes=1024**2, small_payload_bytes=100, now=long_ago) \
        if kind == "sqlite" else PostgresStore(address, connections_max=4, small_payload_bytes=100, now=long_ago)
    store.migrate()
    store.add_merchant(Merchant(id="acme", name="Acme", created_at=NOW))
    child.submit(store, 3)
    store.close()
    code, output = run("doctor", GOODSGATE_STORE=address)
    assert code == 7
    absence = "is running" if kind == "sqlite" else "holds a lease"
    found = rf"^BAD  worker: no worker {absence}, .* rounds waiting: 1, the oldest for [\d,]+ s\n +→ start a worker"
    assert re.search(found, output, re.M)


def test_doctor_warns_of_rules_that_failed(tmp_path: Path):
    """With the rule, its merchant and the reason; it is no problem of the gate."""
    with Shop(tmp_path, "acme", "other") as shop:
        save_rule(shop.store, "acme", "red", RecordRule(expression="record.color == 'red'"))
        shop.run([product(1), product(2, color="red")])
    _, output = run("doctor", GOODSGATE_STORE=str(tmp_path / "store"))
    warning = r"^WARN rules: rule red of acme failed on 1 record lately: .*color.*\n +→ .*rule put red"
    assert re.search(warning, output, re.M), output


def test_doctor_checks_changes_proxies_traces_and_records_that_wait(tmp_path: Path):
    """Each of them only warns: the gate goes on."""
    with Shop(tmp_path / "store", kind="sqlite") as shop:
        store = shop.config.store
        shop.send([{"sku": "A", "price": "7.90 EUR"}], kind=Kind.PRICE, references=Strictness.WAIT)
        shop.work()
        shop.send([{"id": "A", "title": "Kettle"}])
        shop.worker.step()
    _, output = run("doctor", GOODSGATE_STORE=store)
    assert "OK   changes: kept for 30 days" in output
    assert "WARN waiting records: what records waited for has arrived, and no worker is running" in output
    _, output = run(
        "doctor", GOODSGATE_STORE=store, GOODSGATE_JOURNAL_DAYS="0", GOODSGATE_CHANGES=str(tmp_path / "changes"),
        GOODSGATE_PUBLIC_URL="https://gate.example.com", GOODSGATE_TRACES="http://127.0.0.1:1",
    )
    for name in ("changes", "trusted_proxies", "traces"):
        assert f"WARN {name}: " in output, output


def test_doctor_reports_a_store_without_a_schema(tmp_path: Path):
    """It makes no further checks, and `migrate` solves the problem."""
    for store in (str(tmp_path / "store"), postgres.server().blank()):
        code, output = run("doctor", GOODSGATE_STORE=store)
        assert code == 7
        assert re.search(r"^BAD  schema.*: 0 of \d+$", output, re.M)
        code, output = run("migrate", GOODSGATE_STORE=store)
        assert code == 0
        assert "applied 0001 initial" in output
        # The tests' own server is fast and unsafe, and the doctor says so.
        bad = re.findall(r"^BAD  (.*?):", run("doctor", GOODSGATE_STORE=store)[1], re.M)
        assert set(bad) <= {"setting fsync", "setting full_page_writes"}


def test_doctor_reports_a_broken_file(tmp_path: Path):
    """The message names the file, without a traceback."""
    run("migrate", "--store", tmp_path / "store")
    path = tmp_path / "store" / "intake.db"
    path.write_bytes(b"x" * path.stat().st_size)
    code, output = run("doctor", "--store", tmp_path / "store")
    assert code == 7
    assert re.search(r"^BAD  schema of intake\.db: intake\.db is corrupt.*\n +→ .*restore", output, re.M)


def test_doctor_reports_a_folder_that_is_not_there(tmp_path: Path):
    """It creates nothing, and does not call two missing files a match."""
    code, output = run("doctor", "--store", tmp_path / "none")
    assert code == 7
    assert re.search(r"^BAD  folder: .*/none does not exist, or may not be seen\n +→ mount the disk", output, re.M)
    assert "identity" not in output
    assert not (tmp_path / "none").exists()


def test_doctor_reports_half_a_store(tmp_path: Path):
    """A file that is missing or of another store is named, with what to restore."""
    for name in ("a", "b"):
        run("migrate", "--store", tmp_path / name)
    (tmp_path / "a" / "catalogue.db").replace(tmp_path / "catalogue.db")
    code, output = run("doctor", "--store", tmp_path / "a")
    assert code == 7
    assert re.search(r"^BAD  identity: catalogue.db is missing or empty\n +→ .*restore", output, re.M)
    (tmp_path / "catalogue.db").replace(tmp_path / "b" / "catalogue.db")
    code, output = run("doctor", "--store", tmp_path / "b")
    assert code == 7
    assert re.search(r"^BAD  identity: intake.db and catalogue.db are of different stores\n +→ .*restore", output, re.M)


def test_doctor_reports_buckets_and_folders_that_cannot_be_written(aws: "Aws", tmp_path: Path):
    """It writes an object for a moment, and says which setting to correct."""
    run("migrate", "--store", tmp_path / "store")
    code, output = run(
        "doctor", "--store", tmp_path / "store", GOODSGATE_REPORTS=f"s3://{aws.bucket()}/below",
        GOODSGATE_IMAGES="s3://no-such-bucket/below", GOODSGATE_EXPORTS=str(tmp_path / "none"), **aws.environ,
    )
    assert code == 7
    assert re.search(r"^OK   reports: s3://bucket-\d+/below can be written$", output, re.M)
    assert re.search(r"^BAD  images: s3://no-such-bucket/below: .*\n +→ correct the setting images", output, re.M)
    assert re.search(r"^WARN exports: .*/none does not exist; .*\n +→ mount or create it", output, re.M)
    assert not (tmp_path / "none").exists()


def test_doctor_shows_settings_with_their_sources_and_without_secrets(tmp_path: Path):
    """Those that differ from their defaults, or with --settings all."""
    run("migrate", "--store", tmp_path / "store")
    file = tmp_path / "gate.toml"
    file.write_text("threads = 4\n")
    secrets = {"GOODSGATE_SECRETS": "new:" + "bmV3" * 12} | {
        f"GOODSGATE_{name.upper()}": "geheim" * 4 for name in SECRET_SETTINGS - {"store", "secrets"}
    }
    arguments = ("doctor", "--store", tmp_path / "store", "--config", file)
    code, output = run(*arguments, **secrets)
    assert code == 0, output
    shown = {name: f"GOODSGATE_{name.upper()}" for name in SECRET_SETTINGS} | {
        "store": "command line", "threads": f"{file}, line 1",
    }
    assert dict(re.findall(r"^ +(\w+) = .* \((.*)\)$", output, re.M)) == shown
    assert "bmV3" not in output
    assert "geheim" not in output
    everything = run(*arguments, "--settings", **secrets)[1]
    assert set(re.findall(r"^ +(\w+) = .* \(.*\)$", everything, re.M)) == set(Config.__struct_fields__)


# -- secrets ----------------------------------------------------------------------------------------------------------


def test_an_address_is_shown_without_its_password():
    """The password is removed wherever an address may contain it."""
    for address, shown in {
        "goodsgate-data": "goodsgate-data",
        "/var/lib/good:s@gate": "/var/lib/good:s@gate",
        "postgresql://user:word@host:5432/db": "postgresql://user@host:5432/db",
        "postgresql://user@host/db": "postgresql://user@host/db",
        "postgresql:///db?host=/run": "postgresql:///db?host=/run",
        "postgresql://user:wo@rd/x@host/db": "postgresql://user@host/db",
        "postgresql://host/db?user=u&password=w@rd&sslmode=require&sslpassword=x":
            "postgresql://host/db?user=u&password=***&sslmode=require&sslpassword=***",
    }.items():
        assert without_password(address) == shown


secrets = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=6, max_size=20).map("§{}".format)


@settings(deadline=None)
@given(secrets, st.booleans(), st.sampled_from(["", ":1", ":x"]), st.booleans())
def test_no_command_shows_a_password(secret: str, escaped: bool, port: str, in_query: bool):
    """Any password is removed, also from an address that libpq cannot parse and from errors that quote it."""
    word = quote(secret, safe="") if escaped else secret
    place = f"host{port}/db"
    address = f"postgresql://{place}?password={quote(secret, safe='')}" if in_query \
        else f"postgresql://user:{word}@{place}"
    fault = StoreBusyError(f'server says: "{address}", {secret} and {word}')
    output = store_error(Config(store=address), "cannot be opened", fault).message
    assert secret not in output
    assert word not in output
    assert secret not in without_secrets(str(fault), address=address)


@pytest.mark.parametrize("secret", ["a", "server", "5432", "goodsgate"])
def test_a_password_that_is_a_word_leaves_messages_readable(secret: str):
    """It is removed from addresses and quotation marks; replacing it elsewhere would garble the message and show it."""
    address = f"postgresql://user:{secret}@host:5432/goodsgate"
    message = "connection to server at host, port 5432 failed: database goodsgate does not exist"
    assert without_secrets(message, address=address) == message
    for before, after in (('"', '"'), ("//user:", "@"), ("password=", "&x"), ("password=", "")):
        assert without_secrets(f"{before}{secret}{after}", address=address) == f"{before}***{after}"


@pytest.mark.parametrize("command", ["doctor", "migrate", "backup x", "merchant list", "work"])
def test_an_invalid_store_address_gives_one_line(command: str):
    """The exit code is 2 and the password is not shown."""
    code, output = run(*command.split(), GOODSGATE_STORE="postgresql://user:geheim%zz@host:5432/db")
    assert code == 2
    assert "geheim" not in output
    assert "postgresql://user@host:5432/db" in output


def test_doctor_reports_a_refused_login():
    """It does not show the password that it used."""
    address = postgres.server().blank()
    secret = quote(postgres.PASSWORD, safe="")
    code, output = run("doctor", "--settings", GOODSGATE_STORE=address.replace(secret, f"{secret}wrong"))
    assert code == 7
    assert re.search(r"^BAD  server: ", output, re.M)
    assert postgres.PASSWORD not in output
    assert secret not in output


# -- partitions -------------------------------------------------------------------------------------------------------


def test_an_embedded_store_has_no_partitions(tmp_path: Path):
    """Both commands say so, and change nothing."""
    code, output = run("migrate", "--partitions", 4, "--store", tmp_path / "store")
    assert code == 2
    assert "an embedded store has no partitions: leave out --partitions" in output
    run("migrate", "--store", tmp_path / "store")
    code, output = run("store", "isolate", "acme", "--store", tmp_path / "store")
    assert code == 2
    assert "an embedded store has no partitions" in output


def test_a_merchant_is_isolated_by_a_command():
    """With a number of partitions that the operator chose; a merchant that is isolated already is no error."""
    address = postgres.server().blank()
    code, output = run("migrate", "--partitions", 300, GOODSGATE_STORE=address)
    assert code == 2
    assert "1<=x<=256" in output
    assert run("migrate", "--partitions", 3, GOODSGATE_STORE=address)[0] == 0
    assert run("merchant", "add", "acme", GOODSGATE_STORE=address)[0] == 0
    code, output = run("store", "isolate", "acme", GOODSGATE_STORE=address)
    assert code == 0
    assert "acme has partitions of its own: chunk, finding" in output
    assert run("store", "isolate", "acme", GOODSGATE_STORE=address) == (0, "acme has partitions of its own already.\n")
    code, output = run("store", "isolate", "acne", GOODSGATE_STORE=address)
    assert code == 2
    assert "could not isolate acne: no such merchant: acne" in output
    code, output = run("doctor", GOODSGATE_STORE=address)
    assert "OK   partitions: 5 of each large table" in output
    assert "OK   schema content: as it was created" in output
    postgres.server().drop(address)
