"""Merchants, their keys and tokens, and secrets."""

from datetime import UTC, date, datetime, timedelta

import msgspec

from goodsgate.model.catalogue import Key, Merchant, Scope, Token
from goodsgate.store.contract import Idempotency, Page, StoreError
from goodsgate.store.contract.values import Subject
from goodsgate.store.shared.audit import record_act
from goodsgate.store.shared.database import ALL_MERCHANTS, ConstraintError, Database, Statements
from goodsgate.store.shared.idempotency import answer_key
from goodsgate.store.shared.timestamps import microseconds, microseconds_or_none, timestamp, timestamp_or_none

decode_settings = msgspec.json.Decoder(dict[str, str]).decode
encode = msgspec.json.Encoder().encode
FIRST_DAY = datetime(1970, 1, 1, tzinfo=UTC).date()


class SqlMerchants:
    """Implements MerchantStore."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._intake = database.intake

    def add_merchant(self, merchant: Merchant, *, idempotency: Idempotency[Merchant] | None = None) -> bool:
        """Add a merchant; return False if the id is taken. Raises KeyInUseError."""
        if self._database.number(merchant.id) is not None:
            return False
        number = self._database.new_number()
        row = {
            "number": number, "id": merchant.id, "name": merchant.name,
            "created_at": microseconds(merchant.created_at),
        }
        with self._intake.writing(ALL_MERCHANTS) as db:
            if not db.change("add_merchant", row):
                return False
            if idempotency is not None:
                self._answer(db, idempotency, merchant)
            record_act(db, number, merchant.id, now=self._database.now())
        return True

    def merchants(self, *, after: str | None = None, limit: int = 100) -> Page[Merchant]:
        """Return merchants by id."""
        rows = self._intake.query("merchants", {"after": after or "", "limit": limit + 1}, ALL_MERCHANTS)
        merchants = [_merchant(*row) for row in rows[:limit]]
        return Page(merchants, merchants[-1].id if len(rows) > limit else None)

    def merchant(self, merchant: str) -> Merchant | None:
        """Return the merchant; None if there is none."""
        number = self._database.number(merchant)
        rows = self._intake.query("merchant", {"merchant": number}, number)
        return _merchant(*rows[0]) if rows else None

    def rename_merchant(self, merchant: str, name: str) -> bool:
        """Change the display name of a merchant; return False if there is no such merchant."""
        number = self._database.number(merchant)
        with self._intake.writing(number) as db:
            if not db.change("rename_merchant", {"merchant": number, "name": name}):
                return False
            record_act(db, number, merchant, now=self._database.now())
        return True

    def merchant_exists(self, merchant: str) -> bool:
        """Return whether the merchant exists."""
        return self._database.number(merchant) is not None

    def add_key(self, key: Key, *, idempotency: Idempotency[Key] | None = None) -> None:
        """Add a key. Raises StoreError if the merchant is unknown, or the id or digest is taken, and KeyInUseError."""
        number = self._database.require_number(key.merchant)
        row = {
            "merchant": number, "id": key.id, "digest": key.digest, "scopes": " ".join(sorted(key.scopes)),
            "label": key.label, "created_at": microseconds(key.created_at),
            "revoked_at": microseconds_or_none(key.revoked_at), "settings": encode(key.settings).decode(),
            "expires_at": microseconds_or_none(key.expires_at), "previous_digest": key.previous_digest,
            "previous_until": microseconds_or_none(key.previous_until), "used_on": day_number(key.used_on),
        }
        try:
            # An admin adds keys for merchants and answers under an idempotency key of its own merchant.
            with self._intake.writing(number if idempotency is None else ALL_MERCHANTS) as db:
                db.change("add_key", row)
                if idempotency is not None:
                    self._answer(db, idempotency, key)
                record_act(db, number, key.merchant, now=self._database.now())
        except ConstraintError as fault:
            raise StoreError(f"the key {key.id} exists already") from fault

    def key(self, digest: bytes) -> Key | None:
        """Return the key with this digest, now or before its last rotation, valid or not."""
        rows = self._intake.query("key_of_digest", {"digest": digest}, ALL_MERCHANTS)
        return _key(*rows[0]) if rows else None

    def keys(self, merchant: str) -> list[Key]:
        """Return the merchant's keys, oldest first."""
        number = self._database.number(merchant)
        return [_key(*row) for row in self._intake.query("keys", {"merchant": number}, number)]

    def change_key(self, merchant: str, key_id: str, *, scopes: frozenset[Scope], label: str,
                   expires_at: datetime | None) -> Key | None:
        """Change what a key permits, its label and its end; None if it does not exist or is revoked."""
        number = self._database.number(merchant)
        row = {
            "merchant": number, "id": key_id, "scopes": " ".join(sorted(scopes)), "label": label,
            "expires_at": microseconds_or_none(expires_at),
        }
        with self._intake.writing(number) as db:
            if not db.change("change_key", row):
                return None
            record_act(db, number, merchant, now=self._database.now())
            return _key(*(db.first("key_of_id", row) or ()))

    def rotate_key(self, merchant: str, key_id: str, digest: bytes, *, previous_until: datetime,
                   idempotency: Idempotency[Key] | None = None) -> Key | None:
        """Give a key a new secret; None if it does not exist or is revoked. Raises KeyInUseError."""
        number = self._database.number(merchant)
        row = {
            "merchant": number, "id": key_id, "digest": digest, "previous_until": microseconds(previous_until),
        }
        with self._intake.writing(number if idempotency is None else ALL_MERCHANTS) as db:
            if not db.change("rotate_key", row):
                return None
            key = _key(*(db.first("key_of_id", row) or ()))
            if idempotency is not None:
                self._answer(db, idempotency, key)
            record_act(db, number, merchant, now=self._database.now())
            return key

    def mark_key_used(self, merchant: str, key_id: str, day: date) -> None:
        """Store the last day on which a key was used."""
        number = self._database.number(merchant)
        with self._intake.writing(number) as db:
            db.change("mark_key_used", {"merchant": number, "id": key_id, "day": day_number(day)})

    def revoke_key(self, merchant: str, key_id: str) -> bool:
        """Revoke a key; return False if it does not exist or is already revoked."""
        number, now = self._database.number(merchant), self._database.now()
        with self._intake.writing(number) as db:
            if not db.change("revoke_key", {"merchant": number, "id": key_id, "now": now}):
                return False
            record_act(db, number, merchant, now=now)
        return True

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
                record_act(db, number, token.merchant, now=self._database.now())
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


def _merchant(code: str, name: str, created_at: int) -> Merchant:
    return Merchant(id=code, name=name, created_at=timestamp(created_at))


def _key(merchant: str, code: str, digest: bytes, scopes: str, label: str, created_at: int, revoked_at: int | None,
         settings: str | bytes, expires_at: int | None, previous_digest: bytes | None, previous_until: int | None,
         used_on: int | None) -> Key:
    return Key(
        id=code, digest=digest, merchant=merchant, scopes=frozenset(Scope(scope) for scope in scopes.split()),
        label=label, created_at=timestamp(created_at), revoked_at=timestamp_or_none(revoked_at),
        settings=decode_settings(settings), expires_at=timestamp_or_none(expires_at),
        previous_digest=previous_digest, previous_until=timestamp_or_none(previous_until),
        used_on=None if used_on is None else FIRST_DAY + timedelta(days=used_on),
    )


def day_number(day: date | None) -> int | None:
    """Return the days since 1970."""
    return None if day is None else (day - FIRST_DAY).days
