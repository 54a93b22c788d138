"""Every command that prints results prints them as JSON, too."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from goodsgate.cli import main
from goodsgate.cli.reference import KINDS
from tests.http_gate import HttpGate
from tests.shop import Shop

WITHOUT_JSON = {"serve", "work", "completion", "reference export", "changes", "mcp"}
"""They run until they are stopped, speak a protocol, or print a file or lines of JSON."""


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpGate]:
    """A gate in this process."""
    with Shop(
        tmp_path_factory.mktemp("json"), kind="sqlite", webhook_hosts="127.0.0.1", webhook_private="allow",
        feed_folders="/",
    ) as shop:
        served = HttpGate(shop)
        yield served
        served.close()


@pytest.fixture
def run(gate: HttpGate, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Run a command against the gate and its store, as a merchant with all scopes."""
    monkeypatch.chdir(tmp_path)
    merchant = gate.merchant()
    environment = {
        "GOODSGATE_URL": gate.url, "GOODSGATE_KEY": gate.secret(merchant, ("submit", "read", "admin")),
        "GOODSGATE_STORE": gate.shop.config.store, "XDG_CONFIG_HOME": "/nonexistent", "MERCHANT": merchant,
    }

    def run(*arguments: str, code: int = 0) -> Result:
        done = CliRunner().invoke(main, [part.replace("$MERCHANT", merchant) for part in arguments], env=environment)
        assert done.exit_code == code, (arguments, done.output, done.exception)
        return done

    return run


def _commands(group: click.Group, name: str = "") -> Iterator[tuple[str, click.Command]]:
    for sub, command in group.commands.items():
        path = f"{name} {sub}".strip()
        yield from _commands(command, path) if isinstance(command, click.Group) else [(path, command)]


def test_every_command_that_prints_results_has_the_option():
    """A new command cannot forget it."""
    without = {name for name, command in _commands(main) if not any("--json" in each.opts for each in command.params)}
    assert without == WITHOUT_JSON


COMMANDS = (
    ("reference", "load", "brand", "brands.csv"), ("reference", "starter"), ("reference", "list", "brand"),
    ("profile", "save", "p", "--currency", "EUR"), ("profile", "list"), ("profile", "show", "p"),
    ("profile", "delete", "p"), ("webhook", "add", "http://127.0.0.1:1/", "--event", "batch.finished"),
    ("webhook", "list"), ("webhook", "show", "1"), ("webhook", "pause", "1"), ("webhook", "resume", "1"),
    ("webhook", "attempts", "1"), ("webhook", "replay", "1", "--given-up"), ("webhook", "rotate", "1"),
    ("webhook", "delete", "1"),
    ("source", "add", "s", "file:///none/*.csv", "--cron", "0 3 * * *", "--hold-if", "rejected:1", "--map", "A:sku"),
    ("source", "list"), ("source", "show", "s"), ("source", "pause", "s"), ("source", "resume", "s"),
    ("source", "run", "s"), ("source", "runs", "s"), ("source", "delete", "s"),
    ("merchant", "set", "$MERCHANT", "account=123456789012"), ("merchant", "list"),
    ("merchant", "key", "add", "$MERCHANT"), ("merchant", "key", "list", "$MERCHANT"),
    ("outbox", "list", "$MERCHANT"), ("outbox", "replay", "$MERCHANT", "--given-up"), ("migrate",), ("doctor",),
    ("orders", "webhook", "list"), ("export", "-o", "out.ndjson"), ("backup", "copy"), ("list",),
)


def test_each_line_is_a_json_document(run: Any, monkeypatch: pytest.MonkeyPatch):
    """And nothing else is on standard output."""
    Path("brands.csv").write_text("code,name\nA,Alpha\n")
    printed = {}
    for command in COMMANDS:
        done = run(*command, "--json")
        printed[command] = [json.loads(line) for line in done.stdout.splitlines()]
        assert all(isinstance(document, dict) for document in printed[command]), command
    assert printed[COMMANDS[0]] == [{"kind": "brand", "entries": 1}]
    assert printed["profile", "show", "p"] == [{"currency": "EUR"}]
    assert printed["merchant", "set", "$MERCHANT", "account=123456789012"][0]["settings"]["account"] == "123456789012"
    monkeypatch.setenv("GOODSGATE_TROUBLE", "allow")
    monkeypatch.setenv("GOODSGATE_TRAFFIC_BYTES_MAX", "1")
    checks = json.loads(run("doctor", "--json").stdout)["checks"]
    warned = {check["name"] for check in checks if check["level"] == "warn"}
    assert {"trouble", "traffic"} <= warned
    assert printed["export", "-o", "out.ndjson"] == [{"file": "out.ndjson", "cursor": "0-0"}]
    key = printed["merchant", "key", "add", "$MERCHANT"][0]["key"].split("_")[1]
    assert json.loads(run("merchant", "key", "revoke", "$MERCHANT", key, "--json").stdout)["revoked"] is True


def test_a_test_event_that_does_not_arrive_is_told(run: Any):
    """By the exit code, and with why."""
    run("webhook", "add", "http://127.0.0.1:1/")
    assert "did not arrive: ConnectError" in run("webhook", "test", "1", code=1).output
    assert json.loads(run("webhook", "test", "1", "--json", code=1).stdout)["delivered"] is False


def test_what_is_exported_of_reference_data_is_loaded_again(run: Any):
    """Every kind of the starter set, exactly, with numbers as they were written."""
    run("reference", "starter")
    exact = '{"code": "*/size", "minimum": 0.10000000000000000555, "maximum": 12345678901234567890}'
    Path("exact.ndjson").write_text(exact)
    run("reference", "load", "attribute", "exact.ndjson")
    exported = {}
    for kind in KINDS:
        run("reference", "export", kind, "-o", f"{kind}.ndjson")
        exported[kind] = Path(f"{kind}.ndjson").read_bytes()
        assert exported[kind]
    assert b"0.10000000000000000555" in exported["attribute"]
    assert b"12345678901234567890" in exported["attribute"]
    Path("one.csv").write_text("code\nX\n")
    for kind in KINDS:
        run("reference", "load", kind, "one.csv", "--replace")
    for kind in KINDS:
        run("reference", "load", kind, f"{kind}.ndjson", "--replace")
        assert run("reference", "export", kind).stdout_bytes == exported[kind]


def test_a_merchant_is_added_once_if_it_is_missing(run: Any):
    """The second time nothing is changed and no key is printed."""
    command = ("merchant", "add", "once", "--if-missing", "--json")
    assert json.loads(run(*command).stdout)["key"].startswith("gg_")
    assert json.loads(run(*command).stdout) == {"merchant": "once", "key": None}
    assert run("merchant", "add", "once", "--if-missing", "--quiet", "--name", "Other").stdout == ""
    assert "already exists" in run("merchant", "add", "once", code=2).output
    assert len(run("merchant", "key", "list", "once").stdout.splitlines()) == 1


def test_changes_go_on_behind_an_export(run: Any):
    """The export prints the cursor; one that leads nowhere is refused with what to do."""
    exported = json.loads(run("export", "--json").stdout)
    assert [*map(json.loads, run("changes", "--after", exported["cursor"]).stdout.splitlines())] == []
    refused = run("changes", "--after", "ff-1", code=3)
    assert "Take an export" in refused.output
