"""Secrets that the gate must know in clear, such as keys that sign: derived from a master secret, never stored.

A master secret comes from the settings, or, where they name none, is made once and kept in the store. What is derived
is told by the master's name, so that a new master can be put first while the others are still good for what they made.
"""

import base64
import hmac
import secrets

from goodsgate.config import Config
from goodsgate.store.contract import Store

KEPT = "0"
"""Name of the master secret that the store keeps; the settings name none like it."""
MADE_BYTES = 32


class MasterUnknown(LookupError):
    """No master secret has this name, or has it any more: what it made is not good any more."""


class Secrets:
    """Derives by HMAC-SHA256; for any number of threads."""

    def __init__(self, store: Store, config: Config) -> None:
        """See the setting `secrets`."""
        self._store = store
        self._masters = masters_of(config.secrets)
        self._kept: bytes | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Of all masters that are good, that which makes new ones first."""
        if not self._masters or self._kept_master(make=False) is not None:
            return (*self._masters, KEPT)
        return tuple(self._masters)

    def derived(self, purpose: str, name: str, *, by: str | None = None) -> tuple[bytes, str]:
        """32 bytes that nobody can tell who has not the master secret, and the name of that: the first, or `by`.

        The same as long as the master is the same; others for each purpose and name, of which neither holds NUL. Raises
        MasterUnknown, and StoreError where the master is the store's.
        """
        assert "\0" not in purpose + name
        whose = by if by is not None else next(iter(self._masters), KEPT)
        master = self._masters.get(whose)
        if master is None and whose == KEPT:
            master = self._kept_master(make=by is None)
        if master is None:
            raise MasterUnknown(whose)
        return hmac.digest(master, f"{purpose}\0{name}".encode(), "sha256"), whose

    def _kept_master(self, *, make: bool) -> bytes | None:
        if self._kept is None:
            made = secrets.token_bytes(MADE_BYTES) if make else None
            self._kept = self._store.secret("master", made)
        return self._kept


def masters_of(setting: str) -> dict[str, bytes]:
    """Name → secret of the setting `secrets`, in its order."""
    named = [one.split(":", 1) for one in setting.split(",") if one]
    return {name: base64.b64decode(secret, validate=True) for name, secret in named}
