"""Keys, tokens and the authentication of callers.

The secret of a key is ``gg_<id>_<random>``. A token, ``gt_<random>``, stands for a key for a limited time. Only the
SHA-256 of a secret is stored, compared and cached. An access key signs requests instead of being sent with them; its
secret must be known to the gate, so it is derived from a master secret and not stored at all.
"""

import base64
import hashlib
import secrets
import time
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from goodsgate.model.audit import note
from goodsgate.model.batch import now
from goodsgate.model.catalogue import Key, Scope, Token
from goodsgate.model.permissions import permits
from goodsgate.store.contract import Store, StoreError

if TYPE_CHECKING:
    from goodsgate.engine.secrets import Secrets

SECRET_BYTES = 32
"""Random bytes of a secret."""
SECRET_CHARACTERS_MAX = 200
"""A longer text cannot be a secret; it is not hashed."""
CACHED_SECONDS = 1.0
"""Time for which a revoked key may still work in processes other than the one that revoked it."""
CACHED_KEYS_MAX = 4096
ACCESS_KEY, MASTER, SESSION = "access_key", "master", "session"
"""Settings of a key that signs: its public id, the master secret it is derived from, whether it has a session token."""
PERSON = "person"
"""Setting of a key that has no secret: who signs in with OpenID Connect, as issuer and subject."""
OWN_SETTINGS = frozenset({ACCESS_KEY, MASTER, SESSION, PERSON})


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """The owner of a valid key."""

    key_id: str
    merchant: str
    """The merchant of the key."""
    scopes: frozenset[Scope]
    settings: dict[str, str] = {}
    """The key's settings."""
    person: str = ""
    """Who has signed in with OpenID Connect; empty for who has the key itself."""

    def may(self, permission: str) -> bool:
        """Return whether a scope of the key grants the permission."""
        return permits(self.scopes, permission)

    @property
    def actor(self) -> str:
        """How the audit log names the caller."""
        key = f"key:{self.key_id}@{self.merchant}"
        return f"person:{self.person} ({key})" if self.person else key


def new_key(merchant: str, scopes: Iterable[Scope], *, label: str = "", settings: dict[str, str] | None = None,
            seed: bytes | None = None, expires_at: datetime | None = None) -> tuple[Key, str]:
    """Create a key and its secret; the secret is not stored. `seed` replaces its random bytes."""
    key_id = secrets.token_hex(6)
    secret = bearer_secret(key_id, seed or new_seed())
    key = Key(
        id=key_id, digest=digest_of_secret(secret), merchant=merchant, scopes=frozenset(scopes), label=label,
        created_at=now(), settings=settings or {}, expires_at=expires_at,
    )
    return key, secret


def new_seed() -> bytes:
    """Return the random bytes of a new secret."""
    return secrets.token_bytes(SECRET_BYTES)


def bearer_secret(key_id: str, seed: bytes) -> str:
    """Return the secret of a key."""
    return f"gg_{key_id}_{base64.urlsafe_b64encode(seed).rstrip(b'=').decode()}"


def digest_of_secret(secret: str) -> bytes:
    """Return the digest under which a key is stored."""
    return hashlib.sha256(secret.encode()).digest()


class AccessKey(msgspec.Struct, frozen=True, kw_only=True):
    """The secrets of a key that signs requests."""

    id: str
    """Public; begins with ``AKGG``."""
    secret: str
    token: str | None
    """Session token that every request must carry, as with temporary credentials; None: requests must have none."""


def new_access_key(merchant: str, scopes: Iterable[Scope], secrets_of: "Secrets", *, label: str = "",
                   settings: dict[str, str] | None = None, session: bool = False,
                   expires_at: datetime | None = None) -> tuple[Key, AccessKey]:
    """Create a key that signs requests. Raises StoreError if the master secret is in the store."""
    name = f"AKGG{base64.b32encode(secrets.token_bytes(10)).decode()}"
    _, master = secrets_of.derived("access key", name)
    stored = {**(settings or {}), ACCESS_KEY: name, MASTER: master, **({SESSION: "yes"} if session else {})}
    key = Key(
        id=secrets.token_hex(6), digest=digest_of_access_key(name), merchant=merchant, scopes=frozenset(scopes),
        label=label, created_at=now(), settings=stored, expires_at=expires_at,
    )
    signing = access_key(key, secrets_of)
    assert signing is not None
    return key, signing


def access_key(key: Key, secrets_of: "Secrets") -> AccessKey | None:
    """Return the secrets of a key; None if it does not sign, or its master secret is gone. Raises StoreError."""
    from goodsgate.engine.secrets import UnknownMasterError  # commands that create keys need no engine

    name, master = key.settings.get(ACCESS_KEY), key.settings.get(MASTER)
    if name is None or master is None:
        return None
    try:
        secret, _ = secrets_of.derived("access key", name, by=master)
        token, _ = secrets_of.derived("session", name, by=master)
    except UnknownMasterError:
        return None
    return AccessKey(
        id=name, secret=base64.b64encode(secret[:30]).decode(),
        token=base64.b64encode(token).decode() if SESSION in key.settings else None,
    )


def key_kind(key: Key) -> str:
    """Return ``secret``, ``signing`` (a key that signs requests) or ``person`` (who signs in with OpenID Connect)."""
    return "signing" if ACCESS_KEY in key.settings else "person" if PERSON in key.settings else "secret"


def note_key(key: Key) -> None:
    """Add what a key may do to the entry of the audit log."""
    end = key.expires_at.isoformat() if key.expires_at is not None else "never"
    note(subject=key.id, scopes=" ".join(sorted(key.scopes)), label=key.label, expires_at=end)


def public_settings(key: Key) -> dict[str, str]:
    """Return the settings of a key without those of the gate itself."""
    return {name: value for name, value in key.settings.items() if name not in OWN_SETTINGS}


def digest_of_access_key(name: str) -> bytes:
    """Return the digest under which an access key is stored; no other secret has the same prefix."""
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()


class Authenticator:
    """Finds callers by their secrets, cached for a second; safe for threads."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._cached: dict[bytes, tuple[float, Caller]] = {}

    def cached(self, secret: bytes) -> Caller | None:
        """Return the caller if it was looked up within the last second; does not read the store."""
        entry = self._cached.get(hashlib.sha256(secret).digest())
        return entry[1] if entry is not None and entry[0] > time.monotonic() else None

    def caller(self, secret: bytes) -> Caller | None:
        """Return the caller from the store; None if the key or token is unknown, revoked or expired.

        Raises StoreError.
        """
        if len(secret) > SECRET_CHARACTERS_MAX or secret[:3] not in (b"gg_", b"gt_"):
            return None
        digest = hashlib.sha256(secret).digest()
        until = time.monotonic() + CACHED_SECONDS
        key = self._store.key(digest) if secret[:3] == b"gg_" else self._key_of_token(digest)
        at = now()
        if key is None or not key.is_valid(at, digest=digest if secret[:3] == b"gg_" else None):
            self._cached.pop(digest, None)
            return None
        caller = Caller(
            key_id=key.id, merchant=key.merchant, scopes=key.scopes, settings=key.settings,
            person=key.label if PERSON in key.settings else "",
        )
        if len(self._cached) >= CACHED_KEYS_MAX:
            self._cached.clear()
        self._cached[digest] = (until, caller)
        if key.used_on is None or key.used_on < at.date():
            with suppress(StoreError):  # once a day; a store that only reads at the moment is no reason to refuse
                self._store.mark_key_used(key.merchant, key.id, at.date())
        return caller

    def _key_of_token(self, digest: bytes) -> Key | None:
        token_and_key = self._store.token(digest)
        if token_and_key is None or token_and_key[0].expires_at <= now():
            return None
        return token_and_key[1]

    def forget(self) -> None:
        """Look up every key again, in this process."""
        self._cached.clear()

    def create_token(self, caller: Caller, *, seconds: float) -> str:
        """Create a token of the caller's key that is valid for `seconds`. Raises StoreError."""
        secret = f"gt_{secrets.token_urlsafe(SECRET_BYTES)}"
        created_at = now()
        self._store.add_token(Token(
            digest=hashlib.sha256(secret.encode()).digest(), merchant=caller.merchant, key=caller.key_id,
            created_at=created_at, expires_at=created_at + timedelta(seconds=seconds),
        ))
        return secret

    def delete_token(self, token: str) -> None:
        """Delete a token, with effect in this process at once. Raises StoreError."""
        digest = hashlib.sha256(token.encode()).digest()
        self._store.delete_token(digest)
        self._cached.pop(digest, None)

    def revoke(self, merchant: str, key_id: str) -> bool:
        """Revoke a key, with effect in this process at once; return False if the merchant has no such key."""
        revoked = self._store.revoke_key(merchant, key_id)
        self.forget()
        return revoked

    def merchant_exists(self, merchant: str) -> bool:
        """Return whether the merchant exists."""
        return self._store.merchant_exists(merchant)
