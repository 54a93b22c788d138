"""Credentials of places of others: encrypted with a key that a master secret derives, or named by variables.

Each merchant has a key of its own. A credential is bound to its merchant and its purpose, so that a sealed one that is
copied elsewhere cannot be opened there. AES-256-GCM with a random nonce; `master` is the name of the master secret.
"""

import base64
import secrets
from collections.abc import Mapping

import msgspec

from goodsgate.engine.secrets import Secrets, UnknownMasterError
from goodsgate.model.extras import needed_extra

PURPOSE = "credential"
NONCE_BYTES = 12
VARIABLE = "env:"
"""Begins a value that names a variable of the gate's environment."""
SECRET_CHARACTERS_MAX = 20_000


class CredentialError(Exception):
    """A credential that cannot be stored or read; the message is fit for its owner."""


class SealedCredential(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Secret values by name, as they are stored."""

    sealed: str = ""
    """Those that were given, encrypted; base64."""
    master: str = ""
    names: tuple[str, ...] = ()
    """Names of the encrypted values."""
    variables: dict[str, str] = {}
    """Value → the variable that has it."""

    def display(self) -> dict[str, str]:
        """Return, by name, ``stored``, or the variable; never a value."""
        variables = {name: f"{VARIABLE}{at}" for name, at in self.variables.items()}
        return {**dict.fromkeys(self.names, "stored"), **variables}


class Credentials:
    """Seals and opens credentials; safe for threads."""

    def __init__(self, secrets: Secrets, variables: frozenset[str], environ: Mapping[str, str]) -> None:
        """Take the variables that credentials may name: ``NAME``, or ``merchant/NAME`` for one merchant alone."""
        self._secrets = secrets
        self._variables = variables
        self._environ = environ

    def seal(self, merchant: str, purpose: str, values: Mapping[str, str]) -> SealedCredential:
        """Return values as they are stored. Raises CredentialError, ExtraMissingError."""
        variables: dict[str, str] = {}
        given: dict[str, str] = {}
        for name, value in values.items():
            if value.startswith(VARIABLE):
                variables[name] = value.removeprefix(VARIABLE)
                self._check_variable(merchant, variables[name])
            elif value:
                given[name] = value
        if not given:
            return SealedCredential(variables=variables)
        with needed_extra("feeds", "To store a credential"):
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        key, master = self._secrets.derived(PURPOSE, merchant)
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = nonce + AESGCM(key).encrypt(nonce, msgspec.json.encode(given), _bound_to(merchant, purpose))
        return SealedCredential(
            sealed=base64.b64encode(sealed).decode(), master=master, names=tuple(sorted(given)), variables=variables
        )

    def open(self, merchant: str, purpose: str, credential: SealedCredential) -> dict[str, str]:
        """Return the values. Raises CredentialError, ExtraMissingError."""
        values = {name: self._variable(merchant, at) for name, at in credential.variables.items()}
        if not credential.sealed:
            return values
        with needed_extra("feeds", "To read a stored credential"):
            from cryptography.exceptions import InvalidTag
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        try:
            key, _ = self._secrets.derived(PURPOSE, merchant, by=credential.master)
        except UnknownMasterError as fault:
            raise CredentialError(
                f"The master secret {credential.master} of the credential is gone; give the credential again."
            ) from fault
        sealed = base64.b64decode(credential.sealed)
        try:
            opened = AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _bound_to(merchant, purpose))
        except InvalidTag as fault:
            raise CredentialError("The credential was encrypted with another secret; give it again.") from fault
        return {**msgspec.json.decode(opened, type=dict[str, str]), **values}

    def _variable(self, merchant: str, name: str) -> str:
        self._check_variable(merchant, name)
        value = self._environ.get(name)
        if not value:
            raise CredentialError(f"The variable {name} is not set where the worker runs.")
        return value

    def _check_variable(self, merchant: str, name: str) -> None:
        if not self._variables & {name, f"{merchant}/{name}"}:
            raise CredentialError(f"The variable {name[:100]!r} is not allowed (setting feed_variables).")


def _bound_to(merchant: str, purpose: str) -> bytes:
    return f"{merchant}\0{purpose}".encode()
