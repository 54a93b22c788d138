"""The contract enforced: wraps a store, looks at every argument before and at every result after.

All tests run through it.
"""

# ruff: noqa: D102 – the contract says what each method does.
from collections.abc import Iterator, Sequence

import msgspec

from goodsgate.model.batch import Batch, Finding, Group, Kind, Result, State
from goodsgate.model.catalogue import Entry, Held, Item, Key, Mark, Merchant, Resource, Token
from goodsgate.store.contract import (
    Answer,
    Batches,
    Claim,
    Idempotency,
    NewBatch,
    NewRound,
    Page,
    Portion,
    RecordResult,
    Renewal,
    Retention,
    Store,
    Swept,
    Work,
)
from goodsgate.store.demands import (
    check_aware,
    check_batch,
    check_id,
    check_merchant,
    check_order,
    check_page,
    check_portion,
    check_rejected,
    check_resources,
    checked_pieces,
    key_order,
    must,
)


class StrictStore:
    """A store that is watched; see Store for what each method does."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.elsewhere = store.elsewhere
        self._seen: dict[str, Batch] = {}
        self._attempts: dict[tuple[str, Kind], int] = {}

    # -- life -----------------------------------------------------------------------------------------------------

    def migrate(self) -> list[str]:
        applied = self.store.migrate()
        must(applied == sorted(set(applied)), "migrations in order, each once", applied)
        must(self.store.migrate() == [], "nothing is left to migrate")
        return applied

    def check(self) -> list[tuple[str, bool, str]]:
        facts = self.store.check()
        must(len({name for name, _, _ in facts}) == len(facts) > 0, "facts have names of their own", facts)
        return facts

    def examine(self) -> list[tuple[str, bool, str]]:
        facts = self.store.examine()
        must(len({name for name, _, _ in facts}) == len(facts), "facts have names of their own", facts)
        return facts

    def pulse(self) -> object:
        return self.store.pulse()

    def close(self) -> None:
        self.store.close()

    # -- merchants, keys, reference data, mappings ------------------------------------------------------------------

    def add_merchant(self, merchant: Merchant) -> bool:
        check_merchant(merchant.id)
        check_aware(merchant.made_at)
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

    def put_reference(self, merchant: str, kind: str, entries: Sequence[Entry], *, replace: bool = False) -> int:
        check_merchant(merchant)
        must(bool(kind) and all(entry.code for entry in entries), "kinds and codes are not empty", kind)
        before = self.store.reference_version(merchant)
        held = self.store.put_reference(merchant, kind, entries, replace=replace)
        distinct = len({entry.code for entry in entries})
        must(held == distinct if replace else held >= distinct, "entries held", held, distinct)
        must(self.store.reference_version(merchant) > before or not entries, "the version grows")
        return held

    def reference(self, merchant: str, kind: str, *, search: str | None = None, after: str | None = None,
                  limit: int = 100) -> Page[Entry]:
        page = self.store.reference(merchant, kind, search=search, after=after, limit=limit)
        check_page(page, [entry.code.encode() for entry in page.rows], limit, (after or "").encode())
        return page

    def reference_version(self, merchant: str) -> int:
        return self.store.reference_version(merchant)

    def put_mapping(self, merchant: str, name: str, mapping: dict[str, list[str]]) -> None:
        check_merchant(merchant)
        must(bool(name), "a mapping has a name")
        self.store.put_mapping(merchant, name, mapping)

    def drop_mapping(self, merchant: str, name: str) -> bool:
        gone = self.store.drop_mapping(merchant, name)
        must(self.store.mapping(merchant, name) is None, "a mapping that was dropped is gone")
        return gone

    def mapping(self, merchant: str, name: str) -> dict[str, list[str]] | None:
        return self.store.mapping(merchant, name)

    def mappings(self, merchant: str) -> dict[str, dict[str, list[str]]]:
        return self.store.mappings(merchant)

    def add_token(self, token: Token) -> None:
        check_merchant(token.merchant)
        must(len(token.digest) == 32 and token.until > token.made_at, "a hash, and an end that is ahead")
        check_aware(token.until)
        self.store.add_token(token)

    def token(self, digest: bytes) -> tuple[Token, Key] | None:
        found = self.store.token(digest)
        if found is not None:
            token, key = found
            must((token.digest, token.merchant, token.key) == (digest, key.merchant, key.id), "a token of its key", key)
        return found

    # -- resources ------------------------------------------------------------------------------------------------

    def add_resource(self, merchant: str, sort: str, *, name: str, body: bytes, resources_max: int) -> Resource:
        check_merchant(merchant)
        must(bool(sort and name and body) and resources_max > 0, "a sort, a name, a body", sort, name)
        made = self.store.add_resource(merchant, sort, name=name, body=body, resources_max=resources_max)
        told = (made.merchant, made.sort, made.name, made.body, made.version, made.ends_at)
        must(told == (merchant, sort, name, body, 1, None) and made.number > 0, "the resource as it was given", made)
        return made

    def put_resource(self, resource: Resource) -> Resource | None:
        check_merchant(resource.merchant)
        must(bool(resource.name and resource.body), "a name, a body", resource)
        check_aware(resource.ends_at)
        now = self.store.put_resource(resource)
        told = msgspec.structs.replace(resource, version=resource.version + 1)
        must(now is None or now == told, "the resource as it was given", now)
        return now

    def resource(self, merchant: str, sort: str, number: int) -> Resource | None:
        found = self.store.resource(merchant, sort, number)
        told = found is None or (found.merchant, found.sort, found.number) == (merchant, sort, number)
        must(told, "the resource that was asked for", found)
        return found

    def resources(self, merchant: str, sort: str, *, after: int = 0, limit: int = 100) -> list[Resource]:
        found = self.store.resources(merchant, sort, after=after, limit=limit)
        check_resources(found, after=after, limit=limit)
        return found

    # -- receiving --------------------------------------------------------------------------------------------------

    def reserve(self, merchant: str, key: str, *, lease_seconds: float) -> Answer | None:
        check_merchant(merchant)
        must(bool(key) and lease_seconds > 0, "a key, and for how long", key, lease_seconds)
        return self.store.reserve(merchant, key, lease_seconds=lease_seconds)

    def reserve_again(self, merchant: str, key: str, *, lease_seconds: float) -> None:
        must(lease_seconds > 0, "for how long", lease_seconds)
        self.store.reserve_again(merchant, key, lease_seconds=lease_seconds)

    def release_key(self, merchant: str, key: str) -> None:
        self.store.release_key(merchant, key)

    def receive(self, merchant: str, upload: str, piece: bytes) -> None:
        check_merchant(merchant)
        check_id(upload)
        self.store.receive(merchant, upload, piece)

    def discard(self, merchant: str, upload: str) -> None:
        check_id(upload)
        self.store.discard(merchant, upload)

    def seal(self, batch: NewBatch, *, upload: str, idempotency: Idempotency | None = None,
             open_rounds_max: int) -> Batch:
        check_merchant(batch.merchant)
        check_id(batch.id)
        check_id(upload)
        must(bool(batch.collection) and open_rounds_max > 0, "a collection, and how long the queue may be", batch)
        sealed = self.store.seal(batch, upload=upload, idempotency=idempotency, open_rounds_max=open_rounds_max)
        must(sealed.state is State.QUEUED and sealed.rounds == 1, "a sealed batch is queued", sealed)
        return self._watched(sealed, batch.merchant, batch.id, None)

    def reopen(self, round: NewRound, *, upload: str | None, idempotency: Idempotency | None = None,
               open_rounds_max: int) -> Batch | None:
        check_merchant(round.merchant)
        must(open_rounds_max > 0, "how long the queue may be", open_rounds_max)
        found = self.store.reopen(round, upload=upload, idempotency=idempotency, open_rounds_max=open_rounds_max)
        if found is None:
            return None
        must(found.state is State.QUEUED and found.rounds > 1, "a batch that is open again is queued", found)
        return self._watched(found, round.merchant, round.batch, None)

    def payload(self, merchant: str, batch: str, round: int) -> Iterator[bytes] | None:
        must(round >= 0, "rounds are counted from 0", round)
        pieces = self.store.payload(merchant, batch, round)
        return checked_pieces(pieces) if pieces is not None else None

    # -- working ----------------------------------------------------------------------------------------------------

    def claim(self, worker: str, *, lease_seconds: float, works_max: int, bytes_max: int) -> Claim | None:
        must(bool(worker) and lease_seconds > 0 and 0 < works_max <= bytes_max, "who, for how long, how much")
        claim = self.store.claim(worker, lease_seconds=lease_seconds, works_max=works_max, bytes_max=bytes_max)
        if claim is None:
            return None
        works, lane = claim.works, (claim.merchant, claim.kind)
        must(claim.worker == worker and 0 < len(works) <= works_max, "a claim with works, of this worker", claim)
        must(claim.attempt > self._attempts.get(lane, 0), "attempts of a lane grow", claim)
        self._attempts[lane] = claim.attempt
        check_aware(claim.until)
        for work in works:
            must((work.merchant, work.kind) == lane, "works of one lane", work)
            must(work.portions >= 0 <= work.records and work.total >= 0, "a work stands somewhere", work)
        order = [work.received_at for work in works]
        must(order == sorted(order), "in order of acceptance", claim)
        if len(works) > 1:
            small = all(work.bytes_total <= bytes_max // works_max and not work.portions for work in works)
            must(small, "only small rounds with nothing settled are claimed together", claim)
        return claim

    def wait(self, seconds: float) -> None:
        must(seconds > 0, "how long at most", seconds)
        self.store.wait(seconds)

    def renew(self, claim: Claim, *, lease_seconds: float) -> Renewal:
        must(lease_seconds > 0, "for how long", lease_seconds)
        renewal = self.store.renew(claim, lease_seconds=lease_seconds)
        must(renewal.cancelling <= {work.batch for work in claim.works}, "batches of the claim", renewal)
        return renewal

    def release(self, claim: Claim) -> None:
        self.store.release(claim)

    def held(self, merchant: str, kind: Kind, collection: str, keys: Sequence[str], *, documents: bool = False,
             ) -> dict[str, Held]:
        found = self.store.held(merchant, kind, collection, keys, documents=documents)
        must(found.keys() <= set(keys), "held under these keys", found.keys() - set(keys))
        for key, held in found.items():
            must(held.hash is None or len(held.hash) == 16, "a hash of 16 bytes", key, held)
            must((held.document is not None) == (documents and held.hash is not None), "documents as asked", key)
        return found

    def foresee(self, work: Work, keys: Sequence[str]) -> None:
        must(len(set(keys)) == len(keys), "each key once")
        self.store.foresee(work, keys)

    def twins(self, merchant: str, kind: Kind, collection: str, keys: Sequence[str]) -> dict[str, str]:
        found = self.store.twins(merchant, kind, collection, keys)
        must(found.keys() <= set(keys), "twins of these keys", found)
        for key, twin in found.items():
            must(key != twin and key_order(key)[0] == key_order(twin)[0], "twins differ by case alone", key, twin)
        return found

    def seen(self, work: Work, keys: Sequence[str]) -> set[str]:
        found = self.store.seen(work, keys)
        must(found <= set(keys), "some of these keys", found - set(keys))
        return found

    def marked(self, merchant: str, kind: Kind, collection: str, marks: Sequence[Mark]) -> dict[Mark, list[str]]:
        found = self.store.marked(merchant, kind, collection, marks)
        must(found.keys() <= set(marks), "some of these marks", found)
        for keys in found.values():
            must(bool(keys), "keys that have the mark", found)
            check_order([key.encode() for key in keys], None)
        return found

    def marks(self, merchant: str, kind: Kind, collection: str, name: str, *, holding: Mark | None = None,
              backwards: bool = False, offset: int = 0, limit: int = 100) -> tuple[int, list[tuple[str, str]]]:
        must(offset >= 0 and limit > 0, "a page", offset, limit)
        total, rows = self.store.marks(
            merchant, kind, collection, name, holding=holding, backwards=backwards, offset=offset, limit=limit
        )
        must(len(rows) == max(0, min(limit, total - offset)), "a page of so many", total, offset, limit, len(rows))
        order = [(text.encode(), key.encode()) for text, key in rows]
        check_order(order[::-1] if backwards else order, None)
        return total, rows

    def missing(self, work: Work, *, after: str | None, limit: int) -> tuple[int, int, list[str]]:
        held, missing, keys = self.store.missing(work, after=after, limit=limit)
        must(0 <= missing <= held, "what is missing was held", held, missing)
        must(len(keys) <= min(limit, missing) if after is None else len(keys) <= limit, "not more keys", keys)
        check_order([key_order(key) for key in keys], key_order(after) if after else None)
        return held, missing, keys

    def rejected(self, merchant: str, batch: str, *, after: int = 0, limit: int = 1000) -> list[Finding]:
        found = self.store.rejected(merchant, batch, after=after, limit=limit)
        must(len(found) <= limit, "not more than asked for", len(found))
        check_order([finding.number for finding in found], after)
        for finding in found:
            check_rejected(finding)
        return found

    def rejected_among(self, merchant: str, batch: str, numbers: Sequence[int]) -> dict[int, Finding]:
        found = self.store.rejected_among(merchant, batch, numbers)
        must(found.keys() <= set(numbers), "some of these numbers", found)
        for number, finding in found.items():
            must(finding.number == number, "under its number", number, finding)
            check_rejected(finding)
        return found

    def settle(self, claim: Claim, portions: Sequence[Portion]) -> None:
        must(bool(portions), "something to settle")
        claimed = {(work.merchant, work.batch, work.round) for work in claim.works}
        for portion in portions:
            work = portion.work
            must((work.merchant, work.batch, work.round) in claimed, "a portion of the claim", work)
            check_portion(portion)
        self.store.settle(claim, portions)
        for batch in {portion.work.batch for portion in portions}:
            must(self.batch(claim.merchant, batch) is not None, "a settled batch is there", batch)

    # -- asking -----------------------------------------------------------------------------------------------------

    def cancel(self, merchant: str, batch: str) -> Batch | None:
        before = self._seen.get(batch)
        return self._watched_or_none(self.store.cancel(merchant, batch), merchant, batch, before)

    def batch(self, merchant: str, batch: str) -> Batch | None:
        before = self._seen.get(batch)
        return self._watched_or_none(self.store.batch(merchant, batch), merchant, batch, before)

    def batches(self, merchant: str, filters: Batches, *, after: str | None = None, limit: int = 50) -> Page[Batch]:
        seen = self._seen.copy()
        page = self.store.batches(merchant, filters, after=after, limit=limit)
        must(len(page.rows) <= limit, "not more than asked for", len(page.rows))
        must(len({batch.id for batch in page.rows}) == len(page.rows), "each batch once")
        for batch in page.rows:
            self._watched(batch, merchant, batch.id, seen.get(batch.id))
            for name in ("kind", "state", "outcome", "collection"):
                wanted = getattr(filters, name)
                must(wanted is None or getattr(batch, name) == wanted, "as filtered", name, wanted, batch)
        return page

    def groups(self, merchant: str, batch: str, *, limit: int = 100) -> list[Group]:
        groups = self.store.groups(merchant, batch, limit=limit)
        counts = [group.count for group in groups]
        must(counts == sorted(counts, reverse=True) and len(groups) <= limit, "most frequent first", counts)
        must(len({(group.code, group.severity, group.field) for group in groups}) == len(groups), "each group once")
        for group in groups:
            tops = [count for _, count in group.top]
            must(tops == sorted(tops, reverse=True) and all(count > 0 for count in tops), "top values", group)
            must(0 <= sum(tops) <= group.count, "values are of issues", group)
        return groups

    def findings(self, merchant: str, batch: str, *, after: int = -1, limit: int = 100, code: str | None = None,
                 severity: str | None = None) -> list[Finding]:
        found = self.store.findings(merchant, batch, after=after, limit=limit, code=code, severity=severity)
        must(len(found) <= limit, "not more than asked for", len(found))
        check_order([finding.number for finding in found], after)
        for finding in found:
            must(bool(finding.issues) and finding.raw is None, "issues without the record", finding)
            must((finding.result is None) == (finding.number == 0), "number 0 is the file", finding)
            must(code is None or code in {told.code for told in finding.issues}, "as filtered", code, finding)
            told = {told.severity for told in finding.issues}
            must(severity is None or severity in told, "as filtered", severity, finding)
        return found

    def results(self, merchant: str, batch: str, *, after: int = 0, limit: int = 1000,
                result: Result | None = None) -> list[RecordResult]:
        rows = self.store.results(merchant, batch, after=after, limit=limit, result=result)
        must(len(rows) <= limit, "not more than asked for", len(rows))
        check_order([row.number for row in rows], after)
        if result is None:
            numbers = [row.number for row in rows]
            must(numbers == list(range(after + 1, after + 1 + len(rows))), "no record is left out", numbers)
        must(result is None or all(row.result is result for row in rows), "as filtered", result)
        return rows

    def items(self, merchant: str, kind: Kind, collection: str, *, after: str | None = None, limit: int = 100,
              prefix: str | None = None) -> Page[Item]:
        page = self.store.items(merchant, kind, collection, after=after, limit=limit, prefix=prefix)
        check_page(page, [key_order(item.key) for item in page.rows], limit, key_order(after) if after else None)
        for item in page.rows:
            must((item.kind, item.collection) == (kind, collection), "of this collection", item)
            must(item.key.startswith(prefix or ""), "as filtered", prefix, item)
        return page

    def item(self, merchant: str, kind: Kind, collection: str, key: str) -> Item | None:
        found = self.store.item(merchant, kind, collection, key)
        if found is not None:
            must((found.kind, found.collection, found.key) == (kind, collection, key), "what was asked for", found)
        return found

    def collections(self, merchant: str) -> list[tuple[Kind, str, int]]:
        found = self.store.collections(merchant)
        must(all(items > 0 for _, _, items in found), "collections that hold something", found)
        check_order([(kind.value, name.encode()) for kind, name, _ in found], None)
        return found

    def figures(self) -> dict[str, float]:
        figures = self.store.figures()
        must(all(value >= 0 for value in figures.values()), "figures are not negative", figures)
        return figures

    def sweep(self, retention: Retention, *, steps_max: int) -> Swept:
        must(steps_max > 0, "how much at most", steps_max)
        return self.store.sweep(retention, steps_max=steps_max)

    # -- a batch over time --------------------------------------------------------------------------------------------

    def _watched_or_none(self, batch: Batch | None, merchant: str, asked: str, before: Batch | None) -> Batch | None:
        return self._watched(batch, merchant, asked, before) if batch is not None else None

    def _watched(self, batch: Batch, merchant: str, asked: str, before: Batch | None) -> Batch:
        """`before` is what was seen of it when the question began: other threads may have seen more by now."""
        must((batch.merchant, batch.id) == (merchant, asked), "a batch of the merchant that asks", batch)
        check_batch(batch)
        if before is not None:
            must(batch.rounds >= before.rounds, "rounds stay", before, batch)
            must(batch.counts.accounted >= before.counts.accounted, "records stay accounted for", before, batch)
            must(before.total is None or (batch.total or 0) >= before.total, "records do not go", before, batch)
        self._seen[batch.id] = batch
        return batch
