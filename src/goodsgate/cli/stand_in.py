"""`stand-in`: a gate with all that a client of one protocol needs, ready to be called."""

import json
import os
import random
import shlex
import signal
import sys
import tempfile
import threading
from collections.abc import Mapping
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any

import click
import msgspec

from goodsgate.cli.client import GateClient
from goodsgate.cli.errors import CommandError
from goodsgate.cli.merchant import create_access_key, create_key, create_merchant
from goodsgate.cli.settings import SOURCES, with_settings
from goodsgate.cli.transcripts import ProtocolClient, load_client, protocol_names, substitute

if TYPE_CHECKING:
    from goodsgate.auth import AccessKey
    from goodsgate.config import Config
    from goodsgate.store.contract import Store

SETTINGS: dict[str, object] = {"log_level": "warning", "token_hours": 8760.0}
"""Settings of a stand-in that differ from those of `serve`, unless they are given."""
CLIENT_LABEL, ADMIN_LABEL = "stand-in client", "stand-in admin"
"""Labels of the two keys of a stand-in."""
NUMBERS = 9
"""Random numbers for prices and stock, ``number_1`` and so on."""


@click.command("stand-in")
@click.argument("protocol", type=click.Choice(protocol_names()))
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
    from goodsgate.cli.serve import run_gate
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


class StandIn:
    """The merchant of a stand-in, its credentials and its products."""

    def __init__(self, protocol: str, config: "Config", *, seed: int = 1) -> None:
        """Create nothing yet."""
        self.client: ProtocolClient = load_client(protocol)
        self.merchant = f"stand-in-{protocol}"
        self._config = config
        self._protocol = protocol
        self._keys: dict[str, str] = {}
        drawn = random.Random(seed)  # noqa: S311 - draws prices, guards nothing
        self._numbers = {f"number_{at}": drawn.randint(100, 999) for at in range(1, NUMBERS + 1)}
        self._has_items = False

    def prepare(self, store: "Store") -> None:
        """Create the merchant and its keys, unless the store has them. Raises CommandError."""
        from goodsgate.engine.merchant_documents import put_merchant_settings
        from goodsgate.model.catalogue import ReferenceEntry

        setup = self.client.stand_in
        if not store.merchant_exists(self.merchant):
            create_merchant(store, self.merchant, name=self.client.title)
        if setup.settings:
            put_merchant_settings(store, self.merchant, setup.settings)
        if setup.locations:
            store.put_reference(self.merchant, "location", [ReferenceEntry(code=code) for code in setup.locations])
        self._has_items = bool(store.collections(self.merchant))
        self._keys = {
            "key": self._key(store, CLIENT_LABEL, ("submit", "read")),
            "admin_key": self._key(store, ADMIN_LABEL, ("submit", "read", "admin")),
        }
        if self.client.signature is not None:
            signing = self._access_key(store)
            self._keys |= {"access_key_id": signing.id, "secret_access_key": signing.secret}

    def _key(self, store: "Store", label: str, scopes: tuple[str, ...]) -> str:
        """Return the secret of the key with a label, which is derived and so stays the same; create it if need be."""
        from goodsgate import app
        from goodsgate.auth import bearer_secret, digest_of_secret

        seed, _ = app.create_secrets(store, self._config).derived("stand-in", f"{self.merchant} {label}")
        for key in store.keys(self.merchant):
            secret = bearer_secret(key.id, seed)
            if key.label == label and key.revoked_at is None and key.digest == digest_of_secret(secret):
                return secret
        return create_key(store, self.merchant, scopes=scopes, label=label, seed=seed)

    def _access_key(self, store: "Store") -> "AccessKey":
        from goodsgate import app
        from goodsgate.auth import access_key

        secrets = app.create_secrets(store, self._config)
        for key in store.keys(self.merchant):
            signing = access_key(key, secrets) if key.label == CLIENT_LABEL and key.revoked_at is None else None
            if signing is not None:
                return signing
        return create_access_key(
            store, self._config, self.merchant, scopes=("submit", "read"), label=CLIENT_LABEL, settings={},
            session=False,
        )

    def complete(self, address: str) -> dict[str, Any]:
        """Add reference data and products, if there are none, and return what a client needs to know.

        Raises click.ClickException.
        """
        setup = self.client.stand_in
        values = {**self._keys, **self._numbers, "url": address, "merchant": self.merchant}
        credentials = {
            name: substitute(credential.value, values) for name, credential in self.client.credentials.items()
        }
        if setup.starter and not self._has_items:
            self._load_starter(address)
        values |= self._converse(address, {**values, **credentials})
        return {
            "title": self.client.title, "merchant": self.merchant,
            "environment": {
                self.client.url: address, **credentials,
                "GOODSGATE_URL": address, "GOODSGATE_KEY": self._keys["admin_key"],
            },
            "first_request": substitute(setup.first_request, values).strip(),
        }

    def _load_starter(self, address: str) -> None:
        from goodsgate.cli.reference import STARTER, load_folder

        with closing(GateClient(address, self._keys["admin_key"], retry_seconds=10.0)) as gate:
            for _ in load_folder(gate, STARTER):
                pass

    def _converse(self, address: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        """Log in as the client, add the products if there are none, and return all values."""
        from goodsgate.cli.conversation import Conversation

        with closing(Conversation(self.client, address, variables)) as conversation:
            outcomes = conversation.run([] if self._has_items else self.client.stand_in.steps)
            for outcome in outcomes:
                if outcome.differences:
                    raise CommandError(
                        f"{outcome.name}: {'; '.join(outcome.differences)}\n{outcome.request}\n{outcome.response}"
                    )
            return conversation.variables


def _format(document: Mapping[str, Any], store: str, is_temporary: bool) -> str:
    """Return what a stand-in prints: shell commands, and the rest as their comments."""
    url = document["environment"]["GOODSGATE_URL"]
    lines = [
        f"# Goodsgate stands in for {document['title']} at {url} until Ctrl-C.",
        f"# Console: {url}/console (sign in with GOODSGATE_KEY), documentation: {url}/docs",
        f"# Data: {store}" + (", removed at the end" if is_temporary else ""), "",
        *(f"export {name}={shlex.quote(value)}" for name, value in document["environment"].items()), "",
        "# A first request:", document["first_request"],
    ]
    return "\n".join(lines)
