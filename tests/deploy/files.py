"""Readers for the files of `deploy/`, and checks of the commands and settings in them."""

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
    """Return the documents of a YAML file."""
    return list(yaml.safe_load_all((DEPLOY / name).read_text("utf-8")))


def schema(name: str) -> dict[str, Any]:
    """Return a schema of the folder `schemas`."""
    return json.loads((SCHEMAS / name).read_text("utf-8"))


def check_command(words: list[str]) -> None:
    """Check that the command line accepts all of these words; raises click's UsageError."""
    name, *rest = words
    command = main.commands[name]
    assert isinstance(command, click.Command)
    command.make_context(name, rest)


def check_settings(names: list[str]) -> None:
    """Check that each name is the environment variable of a setting."""
    known = {f"GOODSGATE_{name.upper()}" for name in Config.__struct_fields__}
    assert set(names) <= known


def check_stop(seconds: float, *, command: str) -> None:
    """Check that a timeout is longer than a process may need to stop."""
    from goodsgate.app import REFUSAL_SECONDS
    from goodsgate.cli.supervisor import STOP_SECONDS_MAX

    assert seconds > (Config().stop_seconds + REFUSAL_SECONDS if command == "serve" else STOP_SECONDS_MAX)


def seconds(text: str) -> float:
    """Return the seconds of a duration such as `90s`."""
    match = re.fullmatch(r"(\d+)s?", text)
    assert match is not None, text
    return float(match[1])


def routes() -> set[str]:
    """Return the path templates of the native API."""
    contract = TOP / "src/goodsgate/protocols/native/openapi.yaml"
    return set(yaml.safe_load(contract.read_text("utf-8"))["paths"])
