"""A store, a clock that is moved by hand, and short words for what the tests do to them."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from goodsgate.engine.search_terms import item_terms
from goodsgate.model.batch import RESULT_BYTE, Batch, Counts, Kind, Policy, Result, RoundKind, State, new_id
from goodsgate.model.catalogue import Delete, Merchant, Write
from goodsgate.model.finding import Finding
from goodsgate.model.issue import Issue, issue
from goodsgate.model.references import Reference
from goodsgate.store.contract import (
    ChunkCommit,
    Claim,
    ClaimedRound,
    Idempotency,
    NewBatch,
    NewRound,
    Store,
    WaitingRecord,
)
from goodsgate.store.strict import StrictStore
from tests import stores
from tests.factories import NOW

KEPT = (Result.REJECTED, Result.WAITING)
"""Results of records whose bytes are kept."""
SMALL_BYTES = 1_000
"""Payloads up to this are kept inline."""


class Clock:
    """The time, standing still unless moved."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        """What it shows."""
        return self.now

    def forward(self, seconds: float) -> None:
        """Move it."""
        self.now += timedelta(seconds=seconds)


class Scene:
    """One place with a store in it; to be used with `with`."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.folder = folder
        self.kind = kind
        self.address = stores.create_address(folder, kind)
        self.clock = Clock()
        self.stores: list[Store] = []
        self.store = self.open()
        self.store.migrate()
        for merchant in ("acme", "bolt"):
            self.store.add_merchant(Merchant(id=merchant, name=merchant.title(), created_at=NOW))

    def __enter__(self) -> "Scene":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        stores.drop(self.folder)

    def only(self, kind: str, why: str) -> None:
        """Skip the test for every other kind of store."""
        if self.kind != kind:
            print(f"not for {self.kind}: {why}")
            pytest.skip(why)

    def open(self, *, search: bool = True, journal: bool = True) -> Store:
        """One more store at the same place, as good as a second process."""
        store = StrictStore(stores.open_at(
            self.address, small_payload_bytes=SMALL_BYTES, now=self.clock, terms=item_terms if search else None,
            journal=journal,
        ))
        self.stores.append(store)
        return store

    def reopen(self, *, search: bool = True) -> None:
        """As after a restart, perhaps without the search index."""
        self.close()
        self.store = self.open(search=search)

    def close(self) -> None:
        """All of them."""
        while self.stores:
            self.stores.pop().close()

    # -- submitting -------------------------------------------------------------------------------------------------

    def upload(self, body: bytes = b"0123456789", merchant: str = "acme") -> str:
        """An upload that is not sealed."""
        name = new_id()
        self.store.append_upload(merchant, name, body)
        return name

    def seal(self, merchant: str = "acme", kind: Kind = Kind.PRODUCT, *, body: bytes = b"0123456789",
             collection: str = "products", open_rounds_max: int = 1_000, label: str = "", protocol: str = "",
             idempotency: Idempotency | None = None, **policy: object) -> str:
        """A new batch; its id."""
        batch = NewBatch(
            merchant=merchant, id=new_id(), kind=kind, collection=collection, format="ndjson",
            content_encoding="identity",
            policy=Policy(**policy), label=label, protocol=protocol, protocol_data={"from": "test"},  # type: ignore[arg-type]
        )
        upload = self.upload(body, merchant)
        self.store.add_batch(batch, upload=upload, idempotency=idempotency, open_rounds_max=open_rounds_max)
        return batch.id

    def again(self, batch: str, kind: RoundKind, *, merchant: str = "acme", body: bytes = b"01234",
              rounds: int = 0) -> Batch | None:
        """One more round; a fix carries the body."""
        upload = self.upload(body, merchant) if kind is RoundKind.FIX else None
        round = NewRound(merchant=merchant, batch=batch, kind=kind, rounds=rounds)
        return self.store.add_round(round, upload=upload, open_rounds_max=1_000)

    def batch(self, batch: str, merchant: str = "acme") -> Batch:
        """The document, which there is."""
        found = self.store.batch(merchant, batch)
        assert found is not None
        return found

    # -- working ------------------------------------------------------------------------------------------------------

    def claim(self, worker: str = "w1", *, seconds: float = 10, works: int = 1, bytes_max: int = 10_000,
              store: Store | None = None) -> Claim | None:
        """The next lane, if there is one."""
        return (store or self.store).claim(worker, lease_seconds=seconds, rounds_max=works, bytes_max=bytes_max)

    def claimed(self, **how: object) -> Claim:
        """The next lane, which there is."""
        claim = self.claim(**how)  # type: ignore[arg-type]
        assert claim is not None
        return claim

    def run(self, *portions: Sequence["Record"], ends: State = State.FINISHED) -> ClaimedRound:
        """Claim the next round, commit it in these chunks to its end, give the lane back."""
        claim = self.claimed()
        work = claim.rounds[0]
        for at, records in enumerate(portions):
            last = at == len(portions) - 1
            committed = chunk_commit(work, *records, ends=ends if last else None)
            self.store.commit(claim, [committed])
            work = advanced(work, committed)
        self.store.release_claim(claim)
        return work

    def held(self, *, merchant: str = "acme", kind: Kind = Kind.PRODUCT, collection: str = "products",
             ) -> dict[str, bytes]:
        """Key → document of the whole collection, page by page."""
        found: dict[str, bytes] = {}
        place = None
        while True:
            page = self.store.items(merchant, kind, collection, after=place, limit=7)
            found.update({item.key: item.document for item in page.rows})
            place = page.next
            if place is None:
                return found


class Record(msgspec.Struct, frozen=True):
    """One record as a worker has judged it."""

    key: str | None
    result: Result = Result.CREATED
    text: str = ""
    """What tells two documents of one key apart."""
    version: int | None = None
    issues: list[Issue] = []
    references: list[Reference] = []
    """What a waiting record waits for."""

    @property
    def document(self) -> bytes:
        """What is to be held."""
        return msgspec.json.encode({"id": self.key, "text": self.text})


def rejected_record(key: str | None = None, value: str = "x", code: str = "line_unreadable") -> Record:
    """A rejected record."""
    return Record(key, Result.REJECTED, issues=[issue(code, "/price", value=value, column="Preis")])


def waiting_record(key: str | None, *references: Reference) -> Record:
    """A record that waits."""
    return Record(key, Result.WAITING, issues=[issue("brand_unknown", "/brand", value="x")], references=[*references])


def warned_record(key: str, value: str = "x", result: Result = Result.UNCHANGED) -> Record:
    """A record with a warning."""
    return Record(key, result, issues=[issue("text_markup", "/title", value=value, column="Titel")])


def digest(document: bytes) -> bytes:
    """16 bytes."""
    return hashlib.blake2b(document, digest_size=16).digest()


def chunk_commit(work: ClaimedRound, *records: Record, ends: State | None = None, amends: Sequence[int] = (),
            waited: int = 0, version: int = 0, **more: object) -> ChunkCommit:
    """What the records change; `amends` are the record numbers that the first of them replace, of which some waited.

    `version` is that of the reference data which lacks what records wait for, for an hour.
    """
    amending, added = records[: len(amends)], records[len(amends) :]
    numbers = [*amends, *range(work.total + 1, work.total + 1 + len(added))]
    last: dict[str, Record] = {}
    for record in records:
        if record.key is not None and record.result in (Result.CREATED, Result.UPDATED, Result.DELETED):
            last[record.key] = record
    findings = [
        Finding(
            number=number, source_row=number, key=record.key, result=record.result, issues=record.issues,
            raw=record.document if record.result in KEPT else None,
        )
        for number, record in zip(numbers, records, strict=True) if record.issues
    ]
    counts = Counter(record.result.value for record in records)
    counts["rejected"] -= len(amending) - waited
    counts["waiting"] -= waited
    committed = ChunkCommit(
        round=work, number=work.chunks, records=len(records), first=work.total + 1 if added else None,
        keys=[record.key for record in added], results=bytes(RESULT_BYTE[record.result] for record in added),
        amended_results={number: (record.result, record.key) for number, record in zip(amends, amending, strict=True)},
        writes=[
            Write(key, digest(record.document), record.document, record.version)
            for key, record in last.items() if record.result is not Result.DELETED
        ],
        deletes=[Delete(key, record.version) for key, record in last.items() if record.result is Result.DELETED],
        waiting=[
            WaitingRecord(
                number=number, key=record.key, references=record.references, version=version,
                expires_at=work.started_at + timedelta(hours=1),
            )
            for number, record in zip(numbers, records, strict=True) if record.result is Result.WAITING
        ],
        findings=findings, counts=Counts(**counts),
        warned=sum(1 for finding in findings if finding.result not in KEPT),
        bytes_done=work.bytes_total if ends else min(work.records + len(records), work.bytes_total), end_state=ends,
    )
    return msgspec.structs.replace(committed, **more)


def advanced(round: ClaimedRound, commit: ChunkCommit) -> ClaimedRound:
    """Return the round as it is once the chunk is committed."""
    return msgspec.structs.replace(
        round, chunks=round.chunks + 1, records=round.records + commit.records, total=round.total + len(commit.results)
    )
