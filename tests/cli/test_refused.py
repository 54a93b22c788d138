"""Messages and exit codes of commands that fail."""

import socket
from pathlib import Path

import click
import pytest

from goodsgate.cli import main
from tests.cli.gate import Gate

UNKNOWN = "0" * 32


def test_an_unreachable_gate_gives_exit_code_4(gate: Gate, feed: Path):
    """A wrong address is reported soon, in one line."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    done = gate.run("submit", str(feed), url=f"http://127.0.0.1:{port}")
    assert done.returncode == 4
    assert f"no connection to http://127.0.0.1:{port}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_key_gives_exit_code_3_and_help(gate: Gate, feed: Path):
    """The message contains the gate's refusal and says how to set a key."""
    done = gate.run("submit", str(feed), key="gg_0_wrong")
    assert done.returncode == 3
    assert "GOODSGATE_KEY" in done.stderr
    assert "unauthorized" in done.stderr


def test_another_server_gives_exit_code_2(gate: Gate):
    """A web page with status 200 is recognized as something else."""
    done = gate.run("list", url=f"{gate.url}/docs/issues?")
    assert done.returncode == 2
    assert "is not a Goodsgate server" in done.stderr


@pytest.mark.parametrize("command", ["watch", "report", "retry", "cancel"])
def test_an_unknown_batch_gives_exit_code_3(gate: Gate, command: str):
    """The message contains the code of the refusal."""
    done = gate.run(command, UNKNOWN)
    assert done.returncode == 3
    assert "batch_unknown" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["submit"], ["submit", "no-such-file.csv"], ["submit", "--kind", "shoes", "x.csv"], ["watch", "not-an-id"],
        ["fix", "no-id-in-name.csv"], ["submit", "--map", "nocolon", "x.csv"], ["check", "no-such-file.csv"],
        ["merchant", "add", "Not An Id"], ["serve", "--port", "70000"], ["serve", "--config", "no-such.toml"],
        ["list", "--url", "no address"],
    ],
    ids=" ".join,
)
def test_wrong_usage_gives_exit_code_2_and_one_message(gate: Gate, arguments: list[str]):
    """There is no traceback for any arguments."""
    done = gate.run(*arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert "Error: " in done.stderr


def test_every_command_has_an_example():
    """The help of each command shows how to use it."""
    def commands(group: click.Group, name: str):
        for sub, command in group.commands.items():
            if isinstance(command, click.Group):
                yield from commands(command, f"{name} {sub}")
            else:
                yield f"{name} {sub}", command

    for name, command in commands(main, "goodsgate"):
        assert f"      {name}".strip() in (command.help or ""), name


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_printed(gate: Gate, shell: str):
    """The script contains the program's completion variable."""
    assert "_GOODSGATE_COMPLETE" in gate.run("completion", shell).stdout
