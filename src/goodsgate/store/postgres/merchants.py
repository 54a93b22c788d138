"""Merchants, their keys, reference data and saved mappings."""

from collections.abc import Sequence

import msgspec
import orjson
from psycopg import errors

from goodsgate.model.catalogue import Key, Merchant, ReferenceEntry, Scope, Token
from goodsgate.store.contract import Page, StoreError
from goodsgate.store.moments import microseconds, moment, moment_or_none
from goodsgate.store.postgres.ask import do, every, one, value
from goodsgate.store.postgres.database import Database
from goodsgate.store.queue import decode_mapping

ENTRIES_AT_ONCE = 10_000

decode_facts = msgspec.json.Decoder(dict[str, str]).decode
decode_data = msgspec.json.Decoder(dict[str, object]).decode


class Merchants(Database):
    """The administrative part of the contract."""

    def add_merchant(self, merchant: Merchant) -> bool:
        """False if the id is taken."""
        row = {"id": merchant.id, "name": merchant.name, "made_at": microseconds(merchant.created_at)}
        with self.server.transaction(every=True) as db:
            return bool(do(db, "add_merchant", row))

    def merchants(self, *, after: str | None = None, limit: int = 100) -> Page[Merchant]:
        """By id."""
        with self.server.transaction(every=True) as db:
            rows = every(db, "merchants", {"after": after or "", "limit": limit + 1})
        found = [Merchant(id=code, name=name, created_at=moment(made_at)) for code, name, made_at in rows[:limit]]
        return Page(found, found[-1].id if len(rows) > limit else None)

    # -- keys -----------------------------------------------------------------------------------------------------

    def add_key(self, key: Key) -> None:
        """Raises StoreError if the merchant is unknown, or the id or secret taken."""
        number = self.known(key.merchant)
        row = {
            "merchant": number, "id": key.id, "digest": key.digest, "scopes": " ".join(sorted(key.scopes)),
            "label": key.label, "made_at": microseconds(key.created_at),
            "revoked_at": None if key.revoked_at is None else microseconds(key.revoked_at),
            "facts": orjson.dumps(key.settings).decode(),
        }
        try:
            with self.server.transaction(number) as db:
                do(db, "add_key", row)
        except errors.UniqueViolation as fault:
            raise StoreError(f"the key {key.id} is there already") from fault

    def key(self, digest: bytes) -> Key | None:
        """The key of this SHA-256, revoked or not."""
        rows = self.server.at_once("key_of_digest", {"digest": digest}, every=True).rows
        return _key(*rows[0]) if rows else None

    def keys(self, merchant: str) -> list[Key]:
        """Oldest first."""
        number = self.number(merchant)
        with self.server.transaction(number) as db:
            return [_key(*row) for row in every(db, "keys", {"merchant": number})]

    def revoke_key(self, merchant: str, key_id: str) -> bool:
        """False if there is no such key, or it was revoked before."""
        number = self.number(merchant)
        with self.server.transaction(number) as db:
            return bool(do(db, "revoke_key", {"merchant": number, "id": key_id, "now": self.now()}))

    def add_token(self, token: Token) -> None:
        """Raises StoreError if the merchant has no such key."""
        number = self.known(token.merchant)
        row = {
            "digest": token.digest, "merchant": number, "key": token.key, "made_at": microseconds(token.created_at),
            "until": microseconds(token.expires_at),
        }
        try:
            with self.server.transaction(number) as db:
                do(db, "add_token", row)
        except errors.IntegrityError as fault:
            raise StoreError(f"there is no key {token.key}") from fault

    def token(self, digest: bytes) -> tuple[Token, Key] | None:
        """The token of this SHA-256 and its key, whatever has ended or was revoked."""
        with self.server.transaction(every=True) as db:
            row = one(db, "token_of_digest", {"digest": digest})
        if row is None:
            return None
        key = _key(*row[:-2])
        made_at, until = row[-2:]
        token = Token(
            digest=digest, merchant=key.merchant, key=key.id, created_at=moment(made_at), expires_at=moment(until)
        )
        return token, key

    def delete_token(self, digest: bytes) -> None:
        """No effect if there is none."""
        with self.server.transaction(every=True) as db:
            do(db, "drop_token", {"digest": digest})

    def secret(self, name: str, default: bytes | None) -> bytes | None:
        """Made once, whoever comes first."""
        with self.server.transaction() as db:
            if default is not None:
                do(db, "keep_secret", {"name": name, "made": default})
            row = one(db, "secret", {"name": name})
        return bytes(row[0]) if row is not None else None

    # -- reference data -------------------------------------------------------------------------------------------

    def put_reference(self, merchant: str, kind: str, entries: Sequence[ReferenceEntry], *,
                      replace: bool = False) -> int:
        """Upsert by code; with `replace`, entries of the kind that are not given go. Returns entries now held."""
        number = self.known(merchant)
        named = {"merchant": number, "kind": kind}
        distinct = list({entry.code: entry for entry in entries}.values())
        with self.server.transaction(number) as db:
            version = value(db, "next_reference_version", {"merchant": number})
            for start in range(0, len(distinct), ENTRIES_AT_ONCE):
                some = distinct[start : start + ENTRIES_AT_ONCE]
                do(db, "put_entry", {**named, "version": version, **_columns(some)})
            if replace:
                do(db, "drop_older_entries", {**named, "version": version})
            held = int(value(db, "count_entries", named))
        self.watch.tell()
        return held

    def reference(self, merchant: str, kind: str, *, search: str | None = None, after: str | None = None,
                  limit: int = 100) -> Page[ReferenceEntry]:
        """By code; `search` matches code and name anywhere, whatever the case."""
        number = self.number(merchant)
        asked = {
            "merchant": number, "kind": kind, "after": after or "", "limit": limit + 1,
            "search": (search or "").casefold(),
        }
        with self.server.transaction(number) as db:
            rows = every(db, "entries", asked)
        found = [
            ReferenceEntry(code=code, name=name, parent=parent, data=decode_data(data))
            for code, name, parent, data in rows[:limit]
        ]
        return Page(found, found[-1].code if len(rows) > limit else None)

    def reference_version(self, merchant: str) -> int:
        """Grows whenever any reference entry of the merchant changes; 0 before the first."""
        number = self.number(merchant)
        rows = self.server.at_once("reference_version", {"merchant": number}, merchant=number).rows
        return int(rows[0][0]) if rows else 0

    # -- mappings ---------------------------------------------------------------------------------------------------

    def put_mapping(self, merchant: str, name: str, mapping: dict[str, list[str]]) -> None:
        """Make or replace; raises StoreError if the merchant is unknown."""
        number = self.known(merchant)
        row = {"merchant": number, "name": name, "mapping": orjson.dumps(mapping).decode()}
        with self.server.transaction(number) as db:
            do(db, "put_mapping", row)

    def delete_mapping(self, merchant: str, name: str) -> bool:
        """False if there is none."""
        number = self.number(merchant)
        with self.server.transaction(number) as db:
            return do(db, "drop_mapping", {"merchant": number, "name": name}) > 0

    def mapping(self, merchant: str, name: str) -> dict[str, list[str]] | None:
        """The mapping saved under the name."""
        return self.mappings(merchant).get(name)

    def mappings(self, merchant: str) -> dict[str, dict[str, list[str]]]:
        """All, by name."""
        number = self.number(merchant)
        with self.server.transaction(number) as db:
            rows = every(db, "mappings", {"merchant": number})
        return {name: decode_mapping(mapping) for name, mapping in rows}


def _columns(entries: Sequence[ReferenceEntry]) -> dict[str, object]:
    return {
        "codes": [entry.code for entry in entries], "names": [entry.name for entry in entries],
        "parents": [entry.parent for entry in entries],
        "datas": [orjson.dumps(entry.data).decode() for entry in entries],
        "foldeds": [f"{entry.code}\n{entry.name}".casefold() for entry in entries],
    }


def _key(merchant: str, code: str, digest: bytes, scopes: str, label: str, made_at: int, revoked_at: int | None,
         facts: bytes) -> Key:
    return Key(
        id=code, digest=digest, merchant=merchant, scopes=frozenset(Scope(scope) for scope in scopes.split()),
        label=label, created_at=moment(made_at), revoked_at=moment_or_none(revoked_at), settings=decode_facts(facts),
    )
