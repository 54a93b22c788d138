"""What a stand-in has before its client calls it: a merchant, keys, reference data, products."""

import random
from collections.abc import Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any

from goodsgate.cli.errors import CommandError, command_errors
from goodsgate.cli.merchant import create_access_key, create_key, create_merchant
from goodsgate.cli.transcripts import ProtocolClient, load_client, substitute

if TYPE_CHECKING:
    from goodsgate.auth import AccessKey
    from goodsgate.config import Config
    from goodsgate.store.contract import Store

CLIENT_LABEL, ADMIN_LABEL = "stand-in client", "stand-in admin"
"""Labels of the two keys of a stand-in."""
NUMBERS = 9
"""Random numbers for prices and stock, ``number_1`` and so on."""


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
        from goodsgate_client import Client

        with command_errors(), Client(address, self._keys["admin_key"], retry_seconds=10.0) as gate:
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
