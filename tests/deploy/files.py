"""The files of `deploy/` as the tests read them, and the command lines in them."""

import json
import re
from pathlib import Path
from typing import Any

import click
import yaml

from goodsgate.cli import main
from goodsgate.config import Config

TOP = Path(__file__).resolve().parents[2]
DEPLOY = TOP / "deploy"
SCHEMAS = Path(__file__).parent / "schemas"


def documents(name: str) -> list[dict[str, Any]]:
    """Of a YAML file."""
    return list(yaml.safe_load_all((DEPLOY / name).read_text("utf-8")))


def schema(name: str) -> dict[str, Any]:
    """One of those that are kept here."""
    return json.loads((SCHEMAS / name).read_text("utf-8"))


def check_command(words: list[str]) -> None:
    """That the command line takes these words, all of them; raises click's UsageError."""
    name, *rest = words
    command = main.commands[name]
    assert isinstance(command, click.Command)
    command.make_context(name, rest)


def check_settings(names: list[str]) -> None:
    """That each is a setting, as the environment has it."""
    known = {f"GOODSGATE_{name.upper()}" for name in Config.__struct_fields__}
    assert set(names) <= known


def check_stop(seconds: float, *, command: str) -> None:
    """That a process has the time that it takes to stop."""
    from goodsgate.app import GRACE_SECONDS
    from goodsgate.cli.supervisor import STOP_SECONDS_MAX

    assert seconds > (GRACE_SECONDS if command == "serve" else STOP_SECONDS_MAX)


def seconds(text: str) -> float:
    """Of `90s`."""
    found = re.fullmatch(r"(\d+)s?", text)
    assert found is not None, text
    return float(found[1])


def routes() -> set[str]:
    """Paths that the gate answers."""
    contract = TOP / "src/goodsgate/protocols/native/openapi.yaml"
    return set(yaml.safe_load(contract.read_text("utf-8"))["paths"])
