"""Merchants, their keys and tokens, and secrets."""

import msgspec

from goodsgate.model.catalogue import Key, Merchant, Scope, Token
from goodsgate.store.contract import Idempotency, Page, StoreError
from goodsgate.store.contract.values import Subject
from goodsgate.store.shared.database import ALL_MERCHANTS, ConstraintError, Database, Statements
from goodsgate.store.shared.idempotency import answer_key
from goodsgate.store.shared.timestamps import microseconds, timestamp, timestamp_or_none

decode_settings = msgspec.json.Decoder(dict[str, str]).decode
encode = msgspec.json.Encoder().encode


class SqlMerchants:
    """Implements MerchantStore."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._intake = database.intake

    def add_merchant(self, merchant: Merchant, *, idempotency: Idempotency[Merchant] | None = None) -> bool:
        """Add a merchant; return False if the id is taken. Raises KeyInUseError."""
        if self._database.number(merchant.id) is not None:
            return False
        row = {
            "number": self._database.new_number(), "id": merchant.id, "name": merchant.name,
            "created_at": microseconds(merchant.created_at),
        }
        with self._intake.writing(ALL_MERCHANTS) as db:
            if not db.change("add_merchant", row):
                return False
            if idempotency is not None:
                self._answer(db, idempotency, merchant)
        return True

    def merchants(self, *, after: str | None = None, limit: int = 100) -> Page[Merchant]:
        """Return merchants by id."""
        rows = self._intake.query("merchants", {"after": after or "", "limit": limit + 1}, ALL_MERCHANTS)
        merchants = [
            Merchant(id=code, name=name, created_at=timestamp(created_at)) for code, name, created_at in rows[:limit]
        ]
        return Page(merchants, merchants[-1].id if len(rows) > limit else None)

    def merchant_exists(self, merchant: str) -> bool:
        """Return whether the merchant exists."""
        return self._database.number(merchant) is not None

    def add_key(self, key: Key, *, idempotency: Idempotency[Key] | None = None) -> None:
        """Add a key. Raises StoreError if the merchant is unknown, or the id or digest is taken, and KeyInUseError."""
        number = self._database.require_number(key.merchant)
        row = {
            "merchant": number, "id": key.id, "digest": key.digest, "scopes": " ".join(sorted(key.scopes)),
            "label": key.label, "created_at": microseconds(key.created_at),
            "revoked_at": None if key.revoked_at is None else microseconds(key.revoked_at),
            "settings": encode(key.settings).decode(),
        }
        try:
            # An admin adds keys for merchants and answers under an idempotency key of its own merchant.
            with self._intake.writing(number if idempotency is None else ALL_MERCHANTS) as db:
                db.change("add_key", row)
                if idempotency is not None:
                    self._answer(db, idempotency, key)
        except ConstraintError as fault:
            raise StoreError(f"the key {key.id} exists already") from fault

    def key(self, digest: bytes) -> Key | None:
        """Return the key with this digest, revoked or not."""
        rows = self._intake.query("key_of_digest", {"digest": digest}, ALL_MERCHANTS)
        return _key(*rows[0]) if rows else None

    def keys(self, merchant: str) -> list[Key]:
        """Return the merchant's keys, oldest first."""
        number = self._database.number(merchant)
        return [_key(*row) for row in self._intake.query("keys", {"merchant": number}, number)]

    def revoke_key(self, merchant: str, key_id: str) -> bool:
        """Revoke a key; return False if it does not exist or is already revoked."""
        number = self._database.number(merchant)
        with self._intake.writing(number) as db:
            return bool(db.change("revoke_key", {"merchant": number, "id": key_id, "now": self._database.now()}))

    def add_token(self, token: Token) -> None:
        """Add a token. Raises StoreError if the merchant has no such key."""
        number = self._database.require_number(token.merchant)
        row = {
            "digest": token.digest, "merchant": number, "key": token.key, "created_at": microseconds(token.created_at),
            "expires_at": microseconds(token.expires_at),
        }
        try:
            with self._intake.writing(number) as db:
                db.change("add_token", row)
        except ConstraintError as fault:
            raise StoreError(f"there is no key {token.key}") from fault

    def token(self, digest: bytes) -> tuple[Token, Key] | None:
        """Return the token with this digest and its key, expired, revoked or not."""
        rows = self._intake.query("token_of_digest", {"digest": digest}, ALL_MERCHANTS)
        if not rows:
            return None
        *key_row, created_at, expires_at = rows[0]
        key = _key(*key_row)
        token = Token(
            digest=digest, merchant=key.merchant, key=key.id, created_at=timestamp(created_at),
            expires_at=timestamp(expires_at),
        )
        return token, key

    def delete_token(self, digest: bytes) -> None:
        """Delete a token, if it exists."""
        with self._intake.writing(ALL_MERCHANTS) as db:
            db.change("delete_token", {"digest": digest})

    def secret(self, name: str, default: bytes | None) -> bytes | None:
        """Return the secret with this name; store `default` if there is none yet."""
        with self._intake.writing() as db:
            if default is not None:
                db.change("add_secret", {"name": name, "bytes": default})
            row = db.first("secret", {"name": name})
        return bytes(row[0]) if row is not None else None

    def _answer(self, db: Statements, idempotency: Idempotency[Subject], subject: Subject) -> None:
        number = self._database.require_number(idempotency.merchant)
        answer_key(db, number, idempotency, subject, now=self._database.now())


def _key(merchant: str, code: str, digest: bytes, scopes: str, label: str, created_at: int, revoked_at: int | None,
         settings: str | bytes) -> Key:
    return Key(
        id=code, digest=digest, merchant=merchant, scopes=frozenset(Scope(scope) for scope in scopes.split()),
        label=label, created_at=timestamp(created_at), revoked_at=timestamp_or_none(revoked_at),
        settings=decode_settings(settings),
    )
