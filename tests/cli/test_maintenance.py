"""The commands of whoever runs the gate: backup, doctor, and what they must not say."""

import re
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from goodsgate.cli import main
from goodsgate.cli.settings import store_error
from goodsgate.config import Config, without_password, without_secrets
from goodsgate.model.catalogue import Merchant
from goodsgate.store.contract import StoreBusyError
from goodsgate.store.sqlite import SqliteStore
from tests import postgres
from tests.cli.conftest import write_ndjson
from tests.cli.gate import RUN_SECONDS_MAX, RUNNING_AT, Gate
from tests.make import NOW, product
from tests.store import child


def run(*words: object, **environment: str) -> tuple[int, str]:
    """The command line in this process: how it ended and all it said."""
    done = CliRunner().invoke(main, [str(word) for word in words], env=environment)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


# -- backup -----------------------------------------------------------------------------------------------------------


def test_a_gate_on_a_backup_answers_for_every_batch(gate: Gate, tmp_path: Path):
    """Taken while it is served; the copy is served as it is."""
    feed = write_ndjson(tmp_path / "feed.ndjson", [product(number) for number in range(2_000)])
    for _ in range(3):
        gate.run("submit", str(feed), "--no-wait")
    done = gate.run("backup", str(tmp_path / "copy" / "store"))
    assert done.returncode == 0, done.stderr
    assert re.match(r"Copied [\d,]+ bytes to ", done.stdout)
    listed = {line.split('"')[3] for line in gate.run("list", "--json").stdout.splitlines()}
    code, told = run("doctor", "--store", tmp_path / "copy" / "store")
    assert code == 0, told
    copy = gate.launch("serve", "--port", "0", "--store", str(tmp_path / "copy" / "store"))
    try:
        url = RUNNING_AT.search(copy.stdout.readline())[1]
        for batch in listed:
            assert gate.document("watch", batch, url=url, code=0)["counts"]["total"] == 2_000
    finally:
        copy.terminate()
        assert copy.wait(RUN_SECONDS_MAX) == 0
        copy.stdout.close()


def test_a_backup_that_cannot_be_made_is_told_in_one_line(gate: Gate, tmp_path: Path):
    """Where something is already, and where there is no store."""
    (tmp_path / "mine").touch()
    code, told = run("backup", tmp_path, "--store", gate.store)
    assert code == 2
    assert "not an empty folder" in told
    code, told = run("backup", tmp_path / "copy", "--store", tmp_path / "none")
    assert code == 2
    assert "there is no store" in told
    assert not (tmp_path / "copy").exists()


def test_a_lost_payload_is_told(tmp_path: Path):
    """The backup is made all the same, and a script sees that something is to be mended."""
    store = SqliteStore(tmp_path / "store", cache_bytes=1024**2, small_payload_bytes=100)
    store.migrate()
    store.add_merchant(Merchant(id="acme", name="Acme", created_at=NOW))
    child.submit(store, 3, padding=500)
    store.close()
    next((tmp_path / "store" / "payloads").iterdir()).unlink()
    code, told = run("backup", tmp_path / "copy", "--store", tmp_path / "store")
    assert code == 7
    assert "Large payloads missing from the store: 1" in told


def test_a_database_is_not_copied_into_a_folder(tmp_path: Path):
    """What does it is named."""
    code, told = run("backup", tmp_path / "copy", GOODSGATE_STORE=postgres.server().blank())
    assert code == 2
    assert "pg_dump" in told
    assert not (tmp_path / "copy").exists()


# -- doctor -----------------------------------------------------------------------------------------------------------


def test_a_queue_that_nobody_works_is_not_well(tmp_path: Path):
    """A round that has waited for longer than any worker takes to look."""
    store = SqliteStore(
        tmp_path / "store", cache_bytes=1024**2, small_payload_bytes=100, now=lambda: NOW - timedelta(days=900)
    )
    store.migrate()
    store.add_merchant(Merchant(id="acme", name="Acme", created_at=NOW))
    child.submit(store, 3)
    store.close()
    code, told = run("doctor", "--store", tmp_path / "store")
    assert code == 7
    assert re.search(r"^BAD  queue: 1 lanes with work, .* is a worker running\?$", told, re.M)


def test_a_store_without_a_schema(tmp_path: Path):
    """More is not asked of it."""
    for store in (str(tmp_path / "store"), postgres.server().blank()):
        code, told = run("doctor", GOODSGATE_STORE=store)
        assert code == 7
        assert re.search(r"^BAD  schema.*: 0 of \d+$", told, re.M)
        code, told = run("migrate", GOODSGATE_STORE=store)
        assert code == 0
        assert "applied 0001 first" in told
        # The tests' own server is fast and unsafe, and the doctor says so.
        bad = re.findall(r"^BAD  (.*?):", run("doctor", GOODSGATE_STORE=store)[1], re.M)
        assert set(bad) <= {"setting fsync", "setting full_page_writes"}


def test_a_broken_file_is_told(tmp_path: Path):
    """Not as a fault of ours."""
    run("migrate", "--store", tmp_path / "store")
    path = tmp_path / "store" / "intake.db"
    path.write_bytes(b"x" * path.stat().st_size)
    code, told = run("doctor", "--store", tmp_path / "store")
    assert code == 7
    assert re.search(r"^BAD  store: .*intake\.db is broken", told, re.M)


# -- secrets ----------------------------------------------------------------------------------------------------------


def test_an_address_is_shown_without_its_password():
    """In any place where it may stand."""
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
    """Whatever it is, well written or not: of an address that libpq cannot read, and in a fault that quotes it."""
    word = quote(secret, safe="") if escaped else secret
    place = f"host{port}/db"
    address = f"postgresql://{place}?password={quote(secret, safe='')}" if in_query \
        else f"postgresql://user:{word}@{place}"
    fault = StoreBusyError(f'server says: "{address}", {secret} and {word}')
    told = store_error(Config(store=address), "cannot be opened", fault).message
    assert secret not in told
    assert word not in told
    assert secret not in without_secrets(str(fault), address=address)


@pytest.mark.parametrize("command", ["doctor", "migrate", "backup x", "merchant list", "work"])
def test_an_address_that_is_none(command: str):
    """One line, exit code 2, no password."""
    code, told = run(*command.split(), GOODSGATE_STORE="postgresql://user:geheim%zz@host:5432/db")
    assert code == 2
    assert "geheim" not in told
    assert "postgresql://user@host:5432/db" in told


def test_a_login_that_is_refused():
    """The doctor says so, without the password that it tried."""
    address = postgres.server().blank()
    secret = quote(postgres.PASSWORD, safe="")
    code, told = run("doctor", "--settings", GOODSGATE_STORE=address.replace(secret, f"{secret}wrong"))
    assert code == 7
    assert re.search(r"^BAD  server: ", told, re.M)
    assert postgres.PASSWORD not in told
    assert secret not in told
