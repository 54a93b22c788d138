"""Secrets that the gate must know itself, such as keys that sign: derived from a master secret and never stored.

Master secrets come from the settings. If the settings name none, one is generated and kept in the store. Each derived
secret is stored with the name of its master, so that a new master can be added while secrets of the others stay valid.
"""

import base64
import hmac
import secrets
from collections.abc import Mapping

from goodsgate.store.contract import Store

STORED_MASTER = "0"
"""Name of the master secret in the store; the settings cannot use it."""
MASTER_BYTES = 32


class UnknownMasterError(LookupError):
    """There is no master secret of this name any more; what was derived from it is invalid."""


class Secrets:
    """Derives secrets by HMAC-SHA256; safe for threads."""

    def __init__(self, store: Store, masters: Mapping[str, bytes]) -> None:
        """Create secrets over the master secrets of the settings, by name; the first one derives new secrets."""
        self._store = store
        self._masters = masters
        self._stored_master: bytes | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all valid master secrets; the one that derives new secrets comes first."""
        if not self._masters or self._read_stored_master(create=False) is not None:
            return (*self._masters, STORED_MASTER)
        return tuple(self._masters)

    def derived(self, purpose: str, name: str, *, by: str | None = None) -> tuple[bytes, str]:
        """Return 32 secret bytes for a purpose and a name, and the name of the master secret: the first, or `by`.

        The bytes stay the same as long as the master secret does. Purpose and name must not contain NUL. Raises
        UnknownMasterError, and StoreError if the master secret is in the store.
        """
        assert "\0" not in purpose + name
        master_name = by if by is not None else next(iter(self._masters), STORED_MASTER)
        master = self._masters.get(master_name)
        if master is None and master_name == STORED_MASTER:
            master = self._read_stored_master(create=by is None)
        if master is None:
            raise UnknownMasterError(master_name)
        return hmac.digest(master, f"{purpose}\0{name}".encode(), "sha256"), master_name

    def _read_stored_master(self, *, create: bool) -> bytes | None:
        if self._stored_master is None:
            candidate = secrets.token_bytes(MASTER_BYTES) if create else None
            self._stored_master = self._store.secret("master", candidate)
        return self._stored_master


def parse_masters(setting: str) -> dict[str, bytes]:
    """Return the master secrets of the setting `secrets`, by name, in their order."""
    pairs = [pair.split(":", 1) for pair in setting.split(",") if pair]
    return {name: base64.b64decode(secret, validate=True) for name, secret in pairs}
