"""Merchants, their keys, reference data and saved mappings: all in the intake file."""

from collections.abc import Iterator, Sequence

import apsw
import msgspec

from goodsgate.model.catalogue import Key, Merchant, ReferenceEntry, Scope, Token
from goodsgate.store.contract import Page, StoreError
from goodsgate.store.moments import microseconds, moment, moment_or_none
from goodsgate.store.queue import decode_mapping
from goodsgate.store.sqlite.ask import do, do_each, each, every, one, value
from goodsgate.store.sqlite.folder import Folder

encode = msgspec.json.Encoder().encode
decode_data = msgspec.json.Decoder(dict[str, object]).decode
decode_facts = msgspec.json.Decoder(dict[str, str]).decode


class Merchants(Folder):
    """The administrative part of the contract."""

    def add_merchant(self, merchant: Merchant) -> bool:
        """False if the id is taken."""
        row = {"id": merchant.id, "name": merchant.name, "made_at": microseconds(merchant.created_at)}
        with self.intake.writing() as db:
            return bool(do(db, "add_merchant", row))

    def merchants(self, *, after: str | None = None, limit: int = 100) -> Page[Merchant]:
        """By id."""
        with self.intake.reading() as db:
            rows = every(db, "merchants", {"after": after or "", "limit": limit + 1})
        found = [Merchant(id=code, name=name, created_at=moment(made_at)) for code, name, made_at in rows[:limit]]
        return Page(found, found[-1].id if len(rows) > limit else None)

    # -- keys -----------------------------------------------------------------------------------------------------

    def add_key(self, key: Key) -> None:
        """Raises StoreError if the merchant is unknown, or the id or secret taken."""
        row = {
            "merchant": self.known(key.merchant), "id": key.id, "digest": key.digest,
            "scopes": " ".join(sorted(key.scopes)), "label": key.label, "made_at": microseconds(key.created_at),
            "revoked_at": None if key.revoked_at is None else microseconds(key.revoked_at),
            "facts": encode(key.settings).decode(),
        }
        try:
            with self.intake.writing() as db:
                do(db, "add_key", row)
        except apsw.ConstraintError as fault:
            raise StoreError(f"the key {key.id} is there already") from fault

    def key(self, digest: bytes) -> Key | None:
        """The key of this SHA-256, revoked or not."""
        with self.intake.reading() as db:
            row = one(db, "key_of_digest", {"digest": digest})
        return _key(*row) if row is not None else None

    def keys(self, merchant: str) -> list[Key]:
        """Oldest first."""
        with self.intake.reading() as db:
            return [_key(*row) for row in each(db, "keys", {"merchant": self.number(merchant)})]

    def revoke_key(self, merchant: str, key_id: str) -> bool:
        """False if there is no such key, or it was revoked before."""
        with self.intake.writing() as db:
            asked = {"merchant": self.number(merchant), "id": key_id, "now": self.now()}
            return bool(do(db, "revoke_key", asked))

    def add_token(self, token: Token) -> None:
        """Raises StoreError if the merchant has no such key."""
        row = {
            "digest": token.digest, "merchant": self.known(token.merchant), "key": token.key,
            "made_at": microseconds(token.created_at), "until": microseconds(token.expires_at),
        }
        try:
            with self.intake.writing() as db:
                do(db, "add_token", row)
        except apsw.ConstraintError as fault:
            raise StoreError(f"there is no key {token.key}") from fault

    def token(self, digest: bytes) -> tuple[Token, Key] | None:
        """The token of this SHA-256 and its key, whatever has ended or was revoked."""
        with self.intake.reading() as db:
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
        with self.intake.writing() as db:
            do(db, "drop_token", {"digest": digest})

    def secret(self, name: str, default: bytes | None) -> bytes | None:
        """Made once, whoever comes first."""
        with self.intake.writing() as db:
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
        with self.intake.writing() as db:
            version = value(db, "next_reference_version", {"merchant": number})
            do_each(db, "put_entry", _entry_rows(number, kind, entries, version))
            if replace:
                do(db, "drop_older_entries", {**named, "version": version})
            return int(value(db, "count_entries", named))

    def reference(self, merchant: str, kind: str, *, search: str | None = None, after: str | None = None,
                  limit: int = 100) -> Page[ReferenceEntry]:
        """By code; `search` matches code and name anywhere, whatever the case."""
        asked = {
            "merchant": self.number(merchant), "kind": kind, "after": after or "", "limit": limit + 1,
            "search": (search or "").casefold(),
        }
        with self.intake.reading() as db:
            rows = every(db, "entries", asked)
        found = [
            ReferenceEntry(code=code, name=name, parent=parent, data=decode_data(data))
            for code, name, parent, data in rows[:limit]
        ]
        return Page(found, found[-1].code if len(rows) > limit else None)

    def reference_version(self, merchant: str) -> int:
        """Grows whenever any reference entry of the merchant changes; 0 before the first."""
        with self.intake.reading() as db:
            row = one(db, "reference_version", {"merchant": self.number(merchant)})
        return int(row[0]) if row is not None else 0

    # -- mappings ---------------------------------------------------------------------------------------------------

    def put_mapping(self, merchant: str, name: str, mapping: dict[str, list[str]]) -> None:
        """Make or replace; raises StoreError if the merchant is unknown."""
        row = {"merchant": self.known(merchant), "name": name, "mapping": encode(mapping)}
        with self.intake.writing() as db:
            do(db, "put_mapping", row)

    def delete_mapping(self, merchant: str, name: str) -> bool:
        """False if there is none."""
        with self.intake.writing() as db:
            return do(db, "drop_mapping", {"merchant": self.number(merchant), "name": name}) > 0

    def mapping(self, merchant: str, name: str) -> dict[str, list[str]] | None:
        """The mapping saved under the name."""
        return self.mappings(merchant).get(name)

    def mappings(self, merchant: str) -> dict[str, dict[str, list[str]]]:
        """All, by name."""
        with self.intake.reading() as db:
            rows = every(db, "mappings", {"merchant": self.number(merchant)})
        return {name: decode_mapping(mapping) for name, mapping in rows}


def _entry_rows(number: int, kind: str, entries: Sequence[ReferenceEntry], version: int,
                ) -> Iterator[tuple[object, ...]]:
    for entry in entries:
        folded = f"{entry.code}\n{entry.name}".casefold()
        yield number, kind, entry.code, entry.name, entry.parent, encode(entry.data), folded, version


def _key(merchant: str, code: str, digest: bytes, scopes: str, label: str, made_at: int, revoked_at: int | None,
         facts: str) -> Key:
    return Key(
        id=code, digest=digest, merchant=merchant, scopes=frozenset(Scope(scope) for scope in scopes.split()),
        label=label, created_at=moment(made_at), revoked_at=moment_or_none(revoked_at), settings=decode_facts(facts),
    )
