"""The audit log and the life of keys on the command line, in this process."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from goodsgate.cli import main
from goodsgate.model.audit import Act, acting
from tests.http_gate import HttpGate
from tests.shop import Shop


@pytest.fixture
def gate(tmp_path, monkeypatch):
    """A gate whose store commands open directly."""
    with Shop(tmp_path / "shop") as shop:
        served = HttpGate(shop)
        monkeypatch.setenv("GOODSGATE_STORE", shop.config.store)
        monkeypatch.setenv("GOODSGATE_URL", served.url)
        yield served
        served.close()


def _run(*arguments: str, key: str = "") -> Result:
    return CliRunner().invoke(main, arguments, env={"GOODSGATE_KEY": key})


def test_keys_and_the_audit_log_on_the_command_line(gate: HttpGate, tmp_path: Path):
    """A key is created, changed and rotated; the log says so, and tells when somebody changes it."""
    first = _run("merchant", "add", "brightware", "--scope", "audit", "--scope", "admin", "--quiet").stdout.strip()
    key = _run("merchant", "key", "add", "brightware", "--expires", "2099-01-31", "--quiet").stdout.strip()
    name = key.split("_")[1]
    rotated = _run("merchant", "key", "rotate", "brightware", name, "--quiet").stdout.strip()
    assert rotated.split("_")[1] == name != rotated
    changed = _run("merchant", "key", "change", "brightware", name, "--label", "nightly", "--scope", "read")
    assert changed.stdout == f"Changed {name}: valid until 2099-01-31T00:00:00Z.\n"
    assert _run("merchant", "key", "list", "brightware").stdout.splitlines()[1].split("\t") == [
        name, "read", "valid until 2099-01-31T00:00:00Z", "never used", "nightly"
    ]
    for arguments in (["--expires", "2001-01-31"], ["--expires", "soon"], ["--scope", "all"]):
        assert _run("merchant", "key", "change", "brightware", name, *arguments).exit_code == 2
    assert _run("merchant", "key", "rotate", "brightware", "none").exit_code == 2

    lines = _run("audit", "list", key=first).stdout.splitlines()
    assert [line.split("\t")[2] for line in lines] == ["key.add", "key.add", "key.rotate", "key.change"]
    assert lines[0].split("\t")[4].startswith("command:")
    installation = _run("audit", "list", "--installation", "--json", key=first).stdout
    assert json.loads(installation)["action"] == "merchant.add"

    verified = _run("audit", "verify", key=first)
    assert verified.stdout.startswith("The chain holds: 4 entries, up to 4:")
    head = verified.stdout.split()[-1]
    with acting(Act(action="key.add", actor="nobody")):
        gate.shop.store.record_act("brightware")
    assert _run("audit", "verify", "--head", head, key=first).exit_code == 0
    file = tmp_path / "audit.ndjson"
    file.write_text(_run("audit", "list", "--json", key=first).stdout)
    assert _run("audit", "verify", str(file), "--head", head).exit_code == 0
    file.write_text(file.read_text().replace("nightly", "weekly"))
    broken = _run("audit", "verify", str(file))
    assert (broken.exit_code, "entry 4 was changed" in broken.stderr) == (1, True)
    assert "entry 9 is not the one that it was" in _run("audit", "verify", "--head", f"9:{'0' * 64}", key=first).stderr
