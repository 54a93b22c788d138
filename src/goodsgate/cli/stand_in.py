"""`stand-in`: a gate with all that a client of one protocol needs, ready to be called."""

import json
import os
import shlex
import signal
import sys
import tempfile
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click

from goodsgate.cli.protocol_choice import PROTOCOL
from goodsgate.cli.settings import SOURCES, with_settings

if TYPE_CHECKING:
    from goodsgate.config import Config

SETTINGS: dict[str, object] = {
    "log_level": "warning", "token_hours": 8760.0, "trouble": "allow", "traffic_bytes_max": 16 * 1024**2,
}
"""Settings of a stand-in that differ from those of `serve`, unless they are given."""


@click.command("stand-in")
@PROTOCOL
@click.option("--host", help="Address to listen on. Default: 127.0.0.1.")
@click.option("--port", type=int, help="Port to listen on; 0 picks a free port. Default: 8480.")
@click.option("--seed", type=int, default=1, show_default=True, metavar="NUMBER",
              help="Prices and stock of the products are drawn with this seed.")
@click.option("--json", "as_json", is_flag=True, help="Print URL, credentials and first request as JSON.")
@with_settings
def stand_in(*, config: "Config", protocol: str, seed: int, as_json: bool) -> None:
    """Run a gate that stands in for a vendor's API, with a merchant, credentials, reference data and a few products.

    Prints shell commands: the credentials as variables, and a first request. Without --store, everything is in a
    temporary folder that is removed at the end. A store that is named keeps its data and its credentials for the next
    start. Ctrl-C and SIGTERM end it.

    \b
    Examples:
      goodsgate stand-in konnect
      goodsgate stand-in mircate --port 0 --store ./mircate-data
    """
    import msgspec

    from goodsgate.cli.serve import run_gate
    from goodsgate.cli.stand_in_setup import StandIn
    from goodsgate.model.background import run_once

    sources: Mapping[str, str] = click.get_current_context().meta[SOURCES]
    config = msgspec.structs.replace(config, **{
        name: value for name, value in SETTINGS.items() if sources[name] == "default"
    })
    problems: list[Exception] = []
    stop = threading.Event()
    with ExitStack() as resources:
        folder = ""
        if sources["store"] != "command line":  # a store that other commands use by default is not for experiments
            temporary = tempfile.TemporaryDirectory(prefix="goodsgate-", ignore_cleanup_errors=True)
            folder = resources.enter_context(temporary)
            config = msgspec.structs.replace(config, store=f"{folder}/store", images="", exports="", reports="")
        prepared = StandIn(protocol, config, seed=seed)

        def add_and_announce(address: str) -> None:
            try:
                document = prepared.complete(address)
            except Exception as error:
                if not stop.is_set():  # else the gate stops, and what was interrupted is done the next time
                    problems.append(error)
                    os.kill(os.getpid(), signal.SIGTERM)
                return
            click.echo(json.dumps(document) if as_json else _format(document, folder or config.store, folder != ""))
            sys.stdout.flush()

        def on_ready(address: str) -> None:
            run_once("stand-in", lambda: add_and_announce(address))

        run_gate(config, prepare=prepared.prepare, on_ready=on_ready, stop=stop)
    for problem in problems:
        raise problem


def _format(document: Mapping[str, Any], store: str, is_temporary: bool) -> str:
    """Return what a stand-in prints: shell commands, and the rest as their comments."""
    url = document["environment"]["GOODSGATE_URL"]
    lines = [
        f"# Goodsgate stands in for {document['title']} at {url} until Ctrl-C.",
        f"# Console: {url}/console (sign in with GOODSGATE_KEY), documentation: {url}/docs",
        f"# Data: {store}" + (", removed at the end" if is_temporary else ""), "",
        *(f"export {name}={shlex.quote(value)}" for name, value in document["environment"].items()), "",
        "# A first request:", document["first_request"], "",
        "# What clients send: goodsgate traffic --follow",
        "# Failures on demand: goodsgate trouble order --help",
    ]
    return "\n".join(lines)
