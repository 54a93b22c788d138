"""A process of its own for tests of crashes, locks and limits: `python -m tests.store.child WHAT FOLDER`.

It works by a fixed rule, so that what it leaves can be compared: a payload is a number of records, as text; every third
record is rejected, every fifth warned of; chunks are of three records. Of which kind the store is, its folder knows.
"""

import resource
import sys
import time
from contextlib import suppress
from pathlib import Path

from goodsgate.model.batch import Kind, Policy, Result, RoundKind, State, new_id
from goodsgate.model.issue import issue
from goodsgate.store.contract import (
    Claim,
    ClaimedRound,
    Idempotency,
    LeaseLostError,
    NewBatch,
    Retention,
    Store,
    StoreFullError,
    SweepCounts,
)
from goodsgate.store.partitions import SupportsPartitions
from goodsgate.store.strict import StrictStore
from tests import stores
from tests.store.scene import Record, chunk_commit, rejected_record

PORTION_RECORDS = 3
KEPT = Retention(payload_seconds=0, report_seconds=0, batch_seconds=0, answer_seconds=0, tombstone_seconds=0)


def open_store(folder: Path) -> Store:
    """The store of the folder."""
    return StrictStore(stores.open_at(stores.address(folder), cache_bytes=2 * 1024**2, small_payload_bytes=100))


def lease_seconds(folder: Path) -> float:
    """Long where a dead worker's lane is free at once, whatever was leased; short where its lease has to end."""
    return 60 if stores.kind_of(folder) == "sqlite" else 0.8


def submit(store: Store, records: int, *, merchant: str = "acme", kind: Kind = Kind.PRODUCT, padding: int = 0,
           open_rounds_max: int = 10_000, idempotency: Idempotency | None = None) -> str:
    """A batch of so many records."""
    upload = new_id()
    store.append_upload(merchant, upload, b"%d" % records + b" " * padding)
    sent = new_batch(merchant, kind=kind)
    try:
        store.add_batch(sent, upload=upload, idempotency=idempotency, open_rounds_max=open_rounds_max)
    except StoreFullError:
        store.discard_upload(merchant, upload)
        raise
    return sent.id


def new_batch(merchant: str, *, kind: Kind = Kind.PRODUCT) -> NewBatch:
    """As plain as they come."""
    return NewBatch(
        merchant=merchant, id=new_id(), kind=kind, collection="products", policy=Policy(), format="ndjson",
        content_encoding="identity",
    )


def work(store: Store, *, lease_seconds: float = 60) -> None:
    """All that there is, a chunk a claim, then leave; a lane that a dead worker held is waited for."""
    while store.statistics()["lanes"]:
        claim = store.claim("child", lease_seconds=lease_seconds, rounds_max=1, bytes_max=100)
        if claim is None:
            time.sleep(0.02)
            continue
        at = claim.rounds[0]
        commit_chunk = fix if at.round_kind is RoundKind.FIX else submission
        with suppress(LeaseLostError):  # a short one, on a machine that is busy
            commit_chunk(store, claim, at)
        store.release_claim(claim)


def submission(store: Store, claim: Claim, at: ClaimedRound) -> None:
    """The next records."""
    payload = store.payload(at.merchant, at.batch, at.number)
    assert payload is not None
    records = int(b"".join(payload))
    numbers = range(at.records + 1, min(at.records + PORTION_RECORDS, records) + 1)
    ends = at.records + len(numbers) >= records
    store.commit(claim, [chunk_commit(at, *map(record, numbers), ends=State.FINISHED if ends else None)])


def record(number: int) -> Record:
    """Rejected, warned of, or just created."""
    if number % 3 == 0:
        return rejected_record(f"K{number}", str(number % 2))
    issues = [issue("sku_case_twin", "/id", value="w")] if number % 5 == 0 else []
    return Record(f"K{number}", Result.CREATED, issues=issues)


def fix(store: Store, claim: Claim, at: ClaimedRound) -> None:
    """The next rejected records are created after all."""
    numbers = [finding.number for finding in store.rejected_records(at.merchant, at.batch, limit=PORTION_RECORDS)]
    mended = [Record(f"K{number}", text="fixed") for number in numbers]
    store.commit(claim, [chunk_commit(at, *mended, amends=numbers, ends=None if numbers else State.FINISHED)])


def hold(store: Store, *, lease_seconds: float) -> None:
    """Claim, and wait to be killed."""
    claim = store.claim("child", lease_seconds=lease_seconds, rounds_max=1, bytes_max=100)
    print("none" if claim is None else claim.rounds[0].batch, flush=True)
    time.sleep(60)


def sweep(store: Store) -> None:
    """Everything that may go."""
    while store.sweep(KEPT, steps_max=2) != SweepCounts():
        pass


def full(store: Store, folder: Path) -> None:
    """A disk that is full: no file may grow beyond what the largest is now. Prints what held."""
    submit(store, 2_000, padding=200_000)
    largest = max(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    claim = store.claim("child", lease_seconds=60, rounds_max=1, bytes_max=100)
    assert claim is not None
    at = claim.rounds[0]
    committed = chunk_commit(at, *(Record(f"K{n}", text="x" * 2_000) for n in range(2_000)), ends=State.FINISHED)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest + 50_000, resource.RLIM_INFINITY))
    refused = 0
    for attempt in (
        lambda: store.commit(claim, [committed]),
        lambda: submit(store, 1, padding=1_000_000),
        lambda: [submit(store, 1, padding=90) for _ in range(5_000)],
    ):
        try:
            attempt()
        except StoreFullError:
            refused += 1
    print(f"refused {refused}")
    found = store.batch("acme", at.batch)
    print(f"accounted {found.counts.accounted if found is not None else None}")
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    store.commit(claim, [committed])
    store.release_claim(claim)
    work(store)
    found = store.batch("acme", at.batch)
    print(f"then {found.counts.created if found is not None else None}")


def isolate(folder: Path, merchant: str) -> None:
    """Give the merchant partitions of its own."""
    store = stores.open_at(stores.address(folder), small_payload_bytes=100)
    assert isinstance(store, SupportsPartitions)
    store.isolate(merchant, print)
    store.close()


def main(what: str, folder: Path, *more: str) -> None:
    """As the command line has it."""
    store = open_store(folder)
    if what == "submit":
        print(submit(store, int(more[0]), padding=int(more[1])), flush=True)
    elif what == "full":
        full(store, folder)
    elif what == "sweep":
        sweep(store)
    elif what == "isolate":
        isolate(folder, more[0])
    else:
        {"work": work, "hold": hold}[what](store, lease_seconds=lease_seconds(folder))
    store.close()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
