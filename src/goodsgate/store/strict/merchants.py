"""Who submits, with what only a merchant or a protocol keeps, watched."""

# ruff: noqa: D102 – the contract says what each method does.
from collections.abc import Sequence
from datetime import datetime

import msgspec

from goodsgate.model.catalogue import Key, Label, Merchant, ReferenceEntry, Resource, Token
from goodsgate.model.message import NewMessage
from goodsgate.store.contract import Page
from goodsgate.store.demands import check_aware, check_labels, check_merchant, check_page, check_resources, must
from goodsgate.store.strict.opened import Opened


class Merchants(Opened):
    """Merchants, keys, reference data, mappings, tokens, resources."""

    def add_merchant(self, merchant: Merchant) -> bool:
        check_merchant(merchant.id)
        check_aware(merchant.created_at)
        return self.store.add_merchant(merchant)

    def merchants(self, *, after: str | None = None, limit: int = 100) -> Page[Merchant]:
        page = self.store.merchants(after=after, limit=limit)
        check_page(page, [merchant.id.encode() for merchant in page.rows], limit, (after or "").encode())
        return page

    def add_key(self, key: Key) -> None:
        check_merchant(key.merchant)
        must(len(key.digest) == 32, "a key's digest is a SHA-256", key.digest)
        must(bool(key.scopes), "a key may do something", key)
        self.store.add_key(key)

    def key(self, digest: bytes) -> Key | None:
        found = self.store.key(digest)
        must(found is None or found.digest == digest, "the key that was asked for", found)
        return found

    def keys(self, merchant: str) -> list[Key]:
        keys = self.store.keys(merchant)
        must(all(key.merchant == merchant for key in keys), "keys of the merchant alone", keys)
        return keys

    def revoke_key(self, merchant: str, key_id: str) -> bool:
        check_merchant(merchant)
        return self.store.revoke_key(merchant, key_id)

    def put_reference(self, merchant: str, kind: str, entries: Sequence[ReferenceEntry], *,
                      replace: bool = False) -> int:
        check_merchant(merchant)
        must(bool(kind) and all(entry.code for entry in entries), "kinds and codes are not empty", kind)
        before = self.store.reference_version(merchant)
        held = self.store.put_reference(merchant, kind, entries, replace=replace)
        distinct = len({entry.code for entry in entries})
        must(held == distinct if replace else held >= distinct, "entries held", held, distinct)
        must(self.store.reference_version(merchant) > before or not entries, "the version grows")
        return held

    def reference(self, merchant: str, kind: str, *, search: str | None = None, after: str | None = None,
                  limit: int = 100) -> Page[ReferenceEntry]:
        page = self.store.reference(merchant, kind, search=search, after=after, limit=limit)
        check_page(page, [entry.code.encode() for entry in page.rows], limit, (after or "").encode())
        return page

    def reference_version(self, merchant: str) -> int:
        return self.store.reference_version(merchant)

    def put_mapping(self, merchant: str, name: str, mapping: dict[str, list[str]]) -> None:
        check_merchant(merchant)
        must(bool(name), "a mapping has a name")
        self.store.put_mapping(merchant, name, mapping)

    def delete_mapping(self, merchant: str, name: str) -> bool:
        gone = self.store.delete_mapping(merchant, name)
        must(self.store.mapping(merchant, name) is None, "a mapping that was dropped is gone")
        return gone

    def mapping(self, merchant: str, name: str) -> dict[str, list[str]] | None:
        return self.store.mapping(merchant, name)

    def mappings(self, merchant: str) -> dict[str, dict[str, list[str]]]:
        return self.store.mappings(merchant)

    def add_token(self, token: Token) -> None:
        check_merchant(token.merchant)
        must(len(token.digest) == 32 and token.expires_at > token.created_at, "a hash, and an end that is ahead")
        check_aware(token.expires_at)
        self.store.add_token(token)

    def token(self, digest: bytes) -> tuple[Token, Key] | None:
        found = self.store.token(digest)
        if found is not None:
            token, key = found
            must((token.digest, token.merchant, token.key) == (digest, key.merchant, key.id), "a token of its key", key)
        return found

    def delete_token(self, digest: bytes) -> None:
        self.store.delete_token(digest)
        must(self.store.token(digest) is None, "the token is gone")

    def secret(self, name: str, default: bytes | None) -> bytes | None:
        must(bool(name) and default != b"", "a name, and something to keep", name)
        kept = self.store.secret(name, default)
        must(kept is not None or default is None, "what was made is kept, or something was before", name)
        return kept

    # -- resources ------------------------------------------------------------------------------------------------

    def add_resource(self, merchant: str, type: str, *, name: str, body: bytes, resources_max: int,
                     labels: Sequence[Label] = (), expires_at: datetime | None = None,
                     messages: Sequence[NewMessage] = ()) -> Resource:
        check_merchant(merchant)
        check_aware(expires_at)
        must(bool(type and name and body) and resources_max > 0, "a sort, a name, a body", type, name)
        check_labels(labels)
        made = self.store.add_resource(
            merchant, type, name=name, body=body, resources_max=resources_max, labels=labels, expires_at=expires_at,
            messages=messages,
        )
        told = (made.merchant, made.type, made.name, made.body, made.version, made.expires_at)
        must(told == (merchant, type, name, body, 1, expires_at) and made.number > 0, "the resource as it was given",
            made)
        return made

    def put_resource(self, resource: Resource, *, labels: Sequence[Label] | None = None,
                     messages: Sequence[NewMessage] = ()) -> Resource | None:
        check_merchant(resource.merchant)
        must(bool(resource.name and resource.body), "a name, a body", resource)
        check_aware(resource.expires_at)
        check_labels(labels or ())
        now = self.store.put_resource(resource, labels=labels, messages=messages)
        told = msgspec.structs.replace(resource, version=resource.version + 1)
        must(now is None or now == told, "the resource as it was given", now)
        return now

    def resource(self, merchant: str, type: str, number: int) -> Resource | None:
        found = self.store.resource(merchant, type, number)
        told = found is None or (found.merchant, found.type, found.number) == (merchant, type, number)
        must(told, "the resource that was asked for", found)
        return found

    def resources(self, merchant: str, type: str, *, after: int = 0, limit: int = 100) -> list[Resource]:
        found = self.store.resources(merchant, type, after=after, limit=limit)
        check_resources(found, after=after, limit=limit)
        return found

    def list_by_label(self, merchant: str, type: str, label: str, *, since: int | None = None, until: int | None = None,
                      offset: int = 0, limit: int = 100) -> list[Resource]:
        must(bool(label) and offset >= 0 and limit > 0, "a word, an offset, a limit", label, offset, limit)
        found = self.store.list_by_label(
            merchant, type, label, since=since, until=until, offset=offset, limit=limit
        )
        must(len(found) <= limit, "not more than asked for", len(found))
        must(len({one.number for one in found}) == len(found), "each once", found)
        return found
