"""Merchants, their keys and tokens, and the secrets of the installation, in a store."""

from datetime import date, datetime
from typing import Protocol

from goodsgate.model.catalogue import Key, Merchant, Scope, Token
from goodsgate.store.contract.values import Idempotency, Page


class MerchantStore(Protocol):
    """Merchants, their keys and tokens, and the secrets of the installation."""

    def add_merchant(self, merchant: Merchant, *, idempotency: Idempotency[Merchant] | None = None) -> bool:
        """Add a merchant; return False if the id is taken. Raises KeyInUseError as `add_batch` does."""

    def merchants(self, *, after: str | None = None, limit: int = 100) -> Page[Merchant]:
        """Return merchants in the order of their ids."""

    def merchant(self, merchant: str) -> Merchant | None:
        """Return the merchant; None if there is none."""

    def rename_merchant(self, merchant: str, name: str) -> bool:
        """Change the display name of a merchant; return False if there is no such merchant."""

    def merchant_exists(self, merchant: str) -> bool:
        """Return whether the merchant exists, as it was within the last second."""

    def add_key(self, key: Key, *, idempotency: Idempotency[Key] | None = None) -> None:
        """Add a key.

        Raises StoreError if the merchant is unknown, or the id or digest is taken, and KeyInUseError as `add_batch`
        does.
        """

    def key(self, digest: bytes) -> Key | None:
        """Return the key with this SHA-256 digest, now or before its last rotation, valid or not."""

    def keys(self, merchant: str) -> list[Key]:
        """Return the merchant's keys, including revoked ones, oldest first."""

    def change_key(self, merchant: str, key_id: str, *, scopes: frozenset[Scope], label: str,
                   expires_at: datetime | None) -> Key | None:
        """Change what a key permits, its label and its end, and return it; None if it does not exist or is revoked."""

    def rotate_key(self, merchant: str, key_id: str, digest: bytes, *, previous_until: datetime,
                   idempotency: Idempotency[Key] | None = None) -> Key | None:
        """Give a key a new secret and return it; the present one works until `previous_until`, an older one no more.

        Returns None if the key does not exist or is revoked. Raises KeyInUseError as `add_batch` does.
        """

    def mark_key_used(self, merchant: str, key_id: str, day: date) -> None:
        """Store the last day on which a key was used."""

    def revoke_key(self, merchant: str, key_id: str) -> bool:
        """Revoke a key; return False if it does not exist or is already revoked."""

    def add_token(self, token: Token) -> None:
        """Add a token. Raises StoreError if the merchant has no such key."""

    def token(self, digest: bytes) -> tuple[Token, Key] | None:
        """Return the token with this SHA-256 digest and its key.

        The token may have expired and the key may be revoked; expired tokens are removed by `sweep`.
        """

    def delete_token(self, digest: bytes) -> None:
        """Delete a token, if it exists."""

    def secret(self, name: str, default: bytes | None) -> bytes | None:
        """Return the secret with this name; store and return `default` if there is none yet."""
