"""Who is calling, for which merchant, with which scope.

A key's secret is ``gg_<id>_<random>``; a token, ``gt_<random>``, stands for a key for a time. What is kept, compared
and cached is the SHA-256 alone. An access key signs requests instead of being sent with them: its secret has to be
known here, so it is derived from a master secret and not kept at all.
"""

import base64
import hashlib
import secrets
import time
from collections.abc import Iterable
from datetime import timedelta

import msgspec

from goodsgate.engine.secrets import MasterUnknown, Secrets
from goodsgate.model.batch import now
from goodsgate.model.catalogue import Key, Scope, Token
from goodsgate.store.contract import Store

SECRET_BYTES = 32
"""256 random bits of a secret."""
SECRET_CHARACTERS_MAX = 200
"""A longer text is no key; it is not even hashed."""
CACHED_SECONDS = 1.0
"""A revoked key works at most this long in other processes than the one that revoked it."""
CACHED_KEYS_MAX = 4096
ACCESS_KEY, MASTER, SESSION = "access_key", "master", "session"
"""Settings of a key that signs: its public id, the master secret it is derived from, whether it has a session token."""


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody with a valid key."""

    key_id: str
    merchant: str
    """The merchant of the key."""
    scopes: frozenset[Scope]
    settings: dict[str, str] = {}
    """The key's settings."""

    def may(self, scope: str) -> bool:
        """Whether the key has the scope; ``admin`` includes the others."""
        return scope in self.scopes or Scope.ADMIN in self.scopes


def new_key(merchant: str, scopes: Iterable[Scope], *, label: str = "", settings: dict[str, str] | None = None,
            ) -> tuple[Key, str]:
    """Make a key and its secret; the secret is nowhere else."""
    key_id = secrets.token_hex(6)
    secret = f"gg_{key_id}_{secrets.token_urlsafe(SECRET_BYTES)}"
    digest = hashlib.sha256(secret.encode()).digest()
    key = Key(
        id=key_id, digest=digest, merchant=merchant, scopes=frozenset(scopes), label=label, created_at=now(),
        settings=settings or {},
    )
    return key, secret


class AccessKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key that signs, in clear."""

    id: str
    """Public; begins with ``AKGG``."""
    secret: str
    token: str | None
    """To be sent with every request, as with temporary credentials; None: there must be none."""


def new_access_key(merchant: str, scopes: Iterable[Scope], secrets_of: Secrets, *, label: str = "",
                   settings: dict[str, str] | None = None, session: bool = False) -> tuple[Key, AccessKey]:
    """Make a key that signs. Raises StoreError where the master secret is the store's."""
    name = f"AKGG{base64.b32encode(secrets.token_bytes(10)).decode()}"
    _, master = secrets_of.derived("access key", name)
    told = {**(settings or {}), ACCESS_KEY: name, MASTER: master, **({SESSION: "yes"} if session else {})}
    key = Key(
        id=secrets.token_hex(6), digest=digest_of_access_key(name), merchant=merchant, scopes=frozenset(scopes),
        label=label, created_at=now(), settings=told,
    )
    made = access_key(key, secrets_of)
    assert made is not None
    return key, made


def access_key(key: Key, secrets_of: Secrets) -> AccessKey | None:
    """The key in clear; None for one that does not sign, or whose master secret is gone. Raises StoreError."""
    name, master = key.settings.get(ACCESS_KEY), key.settings.get(MASTER)
    if name is None or master is None:
        return None
    try:
        secret, _ = secrets_of.derived("access key", name, by=master)
        token, _ = secrets_of.derived("session", name, by=master)
    except MasterUnknown:
        return None
    return AccessKey(
        id=name, secret=base64.b64encode(secret[:30]).decode(),
        token=base64.b64encode(token).decode() if SESSION in key.settings else None,
    )


def public_settings(key: Key) -> dict[str, str]:
    """Return the settings of a key without those that belong to its signing secret."""
    return {name: value for name, value in key.settings.items() if name not in (ACCESS_KEY, MASTER, SESSION)}


def digest_of_access_key(name: str) -> bytes:
    """What the key is found by; no secret has it, as none begins like an access key."""
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()


class Authenticator:
    """Callers by secret, cached for a second; safe to share between threads."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._cached: dict[bytes, tuple[float, Caller]] = {}
        self._merchants: set[str] = set()

    def cached(self, secret: bytes) -> Caller | None:
        """The caller if it was looked up within the last second; asks no store."""
        found = self._cached.get(hashlib.sha256(secret).digest())
        return found[1] if found is not None and found[0] > time.monotonic() else None

    def caller(self, secret: bytes) -> Caller | None:
        """The caller, from the store; None for a key or token that is unknown, revoked or past its end.

        Raises StoreError.
        """
        if len(secret) > SECRET_CHARACTERS_MAX or secret[:3] not in (b"gg_", b"gt_"):
            return None
        digest = hashlib.sha256(secret).digest()
        until = time.monotonic() + CACHED_SECONDS
        key = self._store.key(digest) if secret[:3] == b"gg_" else self._key_of_token(digest)
        if key is None or key.revoked_at is not None:
            self._cached.pop(digest, None)
            return None
        caller = Caller(key_id=key.id, merchant=key.merchant, scopes=key.scopes, settings=key.settings)
        if len(self._cached) >= CACHED_KEYS_MAX:
            self._cached.clear()
        self._cached[digest] = (until, caller)
        return caller

    def _key_of_token(self, digest: bytes) -> Key | None:
        found = self._store.token(digest)
        return found[1] if found is not None and found[0].expires_at > now() else None

    def token(self, caller: Caller, *, seconds: float) -> str:
        """A fresh token of the caller's key, good for so long; others stay good. Raises StoreError."""
        secret = f"gt_{secrets.token_urlsafe(SECRET_BYTES)}"
        created_at = now()
        self._store.add_token(Token(
            digest=hashlib.sha256(secret.encode()).digest(), merchant=caller.merchant, key=caller.key_id,
            created_at=created_at, expires_at=created_at + timedelta(seconds=seconds),
        ))
        return secret

    def end(self, token: str) -> None:
        """Make a token good for nothing, with effect in this process at once. Raises StoreError."""
        digest = hashlib.sha256(token.encode()).digest()
        self._store.delete_token(digest)
        self._cached.pop(digest, None)

    def revoke(self, merchant: str, key_id: str) -> bool:
        """Revoke a key, with effect in this process at once; False if the merchant has no such key."""
        revoked = self._store.revoke_key(merchant, key_id)
        self._cached.clear()
        return revoked

    def knows(self, merchant: str) -> bool:
        """Whether there is such a merchant. Merchants are never removed, so one that was seen is remembered."""
        after: str | None = None
        while merchant not in self._merchants:
            page = self._store.merchants(after=after, limit=1000)
            self._merchants.update(known.id for known in page.rows)
            after = page.next
            if after is None:
                break
        return merchant in self._merchants
