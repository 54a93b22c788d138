"""Checks of intake, queue, lookups and commits."""

# ruff: noqa: D103, ARG001 – the contract documents the methods, and not every check uses both arguments.
from collections.abc import Sequence
from typing import Any

from goodsgate.model.batch import State
from goodsgate.store.contract import ChunkCommit, Claim, SupportsPrefetch
from goodsgate.store.strict.demands import (
    check_commit,
    check_id,
    check_merchant,
    check_order,
    check_pieces,
    check_utc,
    key_order,
    require,
)
from goodsgate.store.strict.registry import Check, Observed, checks

# -- intake -----------------------------------------------------------------------------------------------------------


@checks
def reserve_idempotency_key(observed: Observed, call: Any) -> Check:
    check_merchant(call.merchant)
    require(bool(call.key) and call.lease_seconds > 0, "a key and a lease", call.key, call.lease_seconds)
    yield None


@checks
def renew_idempotency_key(observed: Observed, call: Any) -> Check:
    require(call.lease_seconds > 0, "the lease is positive", call.lease_seconds)
    yield None


@checks
def append_upload(observed: Observed, call: Any) -> Check:
    check_merchant(call.merchant)
    check_id(call.upload)
    yield None


@checks
def discard_upload(observed: Observed, call: Any) -> Check:
    check_id(call.upload)
    yield None


@checks
def add_batch(observed: Observed, call: Any) -> Check:
    batch = call.batch
    check_merchant(batch.merchant)
    check_id(batch.id)
    check_id(call.upload)
    require(bool(batch.collection) and call.open_rounds_max > 0, "a collection, and a bound of the queue", batch)
    added = yield None
    require(added.state is State.QUEUED and added.rounds == 1, "a new batch is queued", added)
    observed.note(added, batch.merchant, batch.id, None)


@checks
def add_round(observed: Observed, call: Any) -> Check:
    check_merchant(call.round.merchant)
    require(call.open_rounds_max > 0, "a bound of the queue", call.open_rounds_max)
    batch = yield None
    if batch is not None:
        require(batch.state is State.QUEUED and batch.rounds > 1, "a batch with a new round is queued", batch)
        observed.note(batch, call.round.merchant, call.round.batch, None)


@checks
def count_rounds_of_key(observed: Observed, call: Any) -> Check:
    require(bool(call.key), "a key", call.key)
    count = yield None
    require(count >= 0, "a count", count)


@checks
def payload(observed: Observed, call: Any) -> Check:
    require(call.round >= 0, "rounds are numbered from 0", call.round)
    pieces = yield None
    return check_pieces(pieces) if pieces is not None else None


# -- processes --------------------------------------------------------------------------------------------------------


@checks
def lease_quota(observed: Observed, call: Any) -> Check:
    check_merchant(call.merchant)
    require(0 < call.least <= call.amount, "an amount", call)
    require(call.window_seconds > 0 and call.limit > 0, "a window and a limit", call)
    lease = yield None
    require(0 <= lease.granted <= min(call.amount, call.limit), "no more is granted than was asked for", lease)
    require(lease.used >= lease.granted, "a lease is used", lease)
    check_utc(lease.ends_at)


# -- queue ------------------------------------------------------------------------------------------------------------


@checks
def claim(observed: Observed, call: Any) -> Check:
    bounded = call.lease_seconds > 0 and 0 < call.rounds_max <= call.bytes_max
    require(bool(call.worker) and bounded, "a worker, a lease and bounds", call)
    claim = yield None
    if claim is None:
        return
    rounds, lane = claim.rounds, (claim.merchant, claim.kind, claim.collection)
    require(claim.worker == call.worker and 0 < len(rounds) <= call.rounds_max, "rounds for this worker", claim)
    require(claim.attempt > observed.attempts.get(lane, 0), "attempts of a lane grow", claim)
    observed.attempts[lane] = claim.attempt
    check_utc(claim.expires_at)
    for round in rounds:
        require((round.merchant, round.kind, round.collection) == lane, "rounds belong to one lane", round)
        require(round.worker_deaths >= 0, "deaths are not negative", round)
        require(round.chunks >= 0 <= round.records and round.total >= 0, "progress is not negative", round)
    order = [round.received_at for round in rounds]
    require(order == sorted(order), "rounds are in order of acceptance", claim)
    if len(rounds) > 1:
        bytes_max = call.bytes_max // call.rounds_max
        small = all(round.bytes_total <= bytes_max and not round.chunks for round in rounds)
        require(small, "only small rounds without committed chunks are claimed together", claim)
        require(not any(round.worker_deaths for round in rounds), "a round that ends workers is claimed alone", claim)


@checks
def rounds_behind(observed: Observed, call: Any) -> Check:
    require(len(call.claim.rounds) == 1 and call.limit > 0, "a claim of one round, and a limit", call)
    found = yield None
    lane = (call.claim.merchant, call.claim.kind, call.claim.collection)
    require(len(found) <= call.limit, "the limit is kept", found)
    require(all((each.merchant, each.kind, each.collection) == lane for each in found), "rounds of the lane", found)
    require(all(each.batch != call.claim.rounds[0].batch for each in found), "other batches", found)


@checks
def start_behind(observed: Observed, call: Any) -> Check:
    require(bool(call.rounds), "rounds")
    require(not any(round.chunks for round in call.rounds), "rounds without committed chunks", call)
    claim = yield None
    require(claim.attempt == call.claim.attempt, "the same claim", claim)
    require(claim.rounds == [*call.claim.rounds, *call.rounds], "with these rounds", claim)


@checks
def wait_for_work(observed: Observed, call: Any) -> Check:
    require(call.seconds > 0, "the wait is positive", call.seconds)
    yield None


@checks
def renew_claim(observed: Observed, call: Any) -> Check:
    require(call.lease_seconds > 0, "the lease is positive", call.lease_seconds)
    renewal = yield None
    require(renewal.cancelling <= {round.batch for round in call.claim.rounds}, "batches of the claim", renewal)


@checks
def release_rounds(observed: Observed, call: Any) -> Check:
    check_merchant(call.merchant)
    check_utc(call.before)
    require(bool(call.collection), "a collection")
    count = yield None
    require(count >= 0, "the number is not negative", count)


@checks
def defer(observed: Observed, call: Any) -> Check:
    require(call.seconds > 0, "the delay is positive", call.seconds)
    claimed = [(round.batch, round.number) for round in call.claim.rounds]
    require((call.round.batch, call.round.number) in claimed, "the round belongs to the claim", call.round)
    yield None


@checks
def cancel(observed: Observed, call: Any) -> Check:
    before = observed.batches.get(call.batch)
    batch = yield None
    if batch is not None:
        observed.note(batch, call.merchant, call.batch, before)


@checks
def approve(observed: Observed, call: Any) -> Check:
    before = observed.batches.get(call.batch)
    batch = yield None
    if batch is not None:
        observed.note(batch, call.merchant, call.batch, before)


@checks
def expired_holds(observed: Observed, call: Any) -> Check:
    found = yield None
    require(len(set(found)) == len(found) <= call.limit, "each batch appears once", found)


@checks
def lanes(observed: Observed, call: Any) -> Check:
    found = yield None
    require(call.merchant is None or {lane.merchant for lane in found} <= {call.merchant}, "filters apply", found)
    distinct = {(lane.merchant, lane.kind, lane.collection) for lane in found}
    require(len(distinct) == len(found) <= call.limit, "each lane appears once", found)
    for lane in found:
        require(lane.rounds > 0 and (lane.worker is None) == (lane.expires_at is None), "a lane with work", lane)


# -- lookups and commit -----------------------------------------------------------------------------------------------


@checks
def current_items(observed: Observed, call: Any) -> Check:
    found = yield None
    require(found.keys() <= set(call.keys), "items have the given keys", found.keys() - set(call.keys))
    for key, item in found.items():
        require(item.hash is None or len(item.hash) == 16, "a hash has 16 bytes", key, item)
        loaded = call.documents and item.hash is not None
        require((item.document is not None) == loaded, "documents are loaded on request", key)


@checks
def prefetch(observed: Observed, call: Any) -> Check:
    require(len(set(call.keys)) == len(call.keys), "each key appears once")
    hashes = call.hashes
    require(hashes is None or [*map(len, hashes)] == [16] * len(call.keys), "a hash of 16 bytes for each key")
    yield None


@checks
def case_variants(observed: Observed, call: Any) -> Check:
    found = yield None
    require(found.keys() <= set(call.keys), "variants of the given keys", found)
    for key, variant in found.items():
        same = key != variant and key_order(key)[0] == key_order(variant)[0]
        require(same, "variants differ only by case", key, variant)


@checks
def seen_keys(observed: Observed, call: Any) -> Check:
    if isinstance(observed.store, SupportsPrefetch):
        folded = {key_order(key)[0] for key in call.keys}
        committing = observed.committing.get(call.round.batch, ())
        require(folded.isdisjoint(committing), "no key of the chunk that is being committed", call.round)
    found = yield None
    require(found <= set(call.keys), "some of the given keys", found - set(call.keys))


@checks
def has_open_products(observed: Observed, call: Any) -> Check:
    check_merchant(call.merchant)
    check_utc(call.before)
    require(bool(call.collection), "a collection")
    yield None


@checks
def unknown_skus(observed: Observed, call: Any) -> Check:
    check_merchant(call.merchant)
    require(bool(call.collection) and len(set(call.skus)) == len(call.skus), "a collection; each SKU appears once")
    unknown = yield None
    require(unknown <= set(call.skus), "some of the given SKUs", unknown - set(call.skus))


@checks
def waiting_marks(observed: Observed, call: Any) -> Check:
    found = yield None
    require(found.keys() <= set(call.numbers), "some of the given numbers", found)


@checks
def waiting_keys(observed: Observed, call: Any) -> Check:
    found = yield None
    require(len(found) <= call.limit, "the limit is kept", len(found))
    check_order([key.encode() for key in found], call.after.encode() if call.after else None)


@checks
def group_parents(observed: Observed, call: Any) -> Check:
    check_merchant(call.merchant)
    require(bool(call.collection) and len(set(call.names)) == len(call.names), "a collection; each name appears once")
    found = yield None
    require(found.keys() <= set(call.names), "some of the given names", found)


@checks
def awaited_references(observed: Observed, call: Any) -> Check:
    found = yield None
    require(len(set(found)) == len(found) <= call.limit, "each reference appears once", found)


@checks
def mark_references(observed: Observed, call: Any) -> Check:
    require(not set(call.arrived).intersection(call.missing), "a reference has arrived or not", call)
    yield None


@checks
def ready_batches(observed: Observed, call: Any) -> Check:
    found = yield None
    require(len(set(found)) == len(found) <= call.limit, "each batch appears once", found)


@checks
def absent_items(observed: Observed, call: Any) -> Check:
    items, absent, keys = yield None
    require(0 <= absent <= items, "absent items exist", items, absent)
    bound = min(call.limit, absent) if call.after is None else call.limit
    require(len(keys) <= bound, "the limit is kept", keys)
    check_order([key_order(key) for key in keys], key_order(call.after) if call.after else None)


@checks
def commit(observed: Observed, call: Any) -> Check:
    _check_commits(call.claim, call.commits)

    def refresh() -> Sequence[ChunkCommit]:
        refreshed: Sequence[ChunkCommit] = call.refresh()
        _check_commits(call.claim, refreshed)
        before = [(one.round, one.number, one.records, one.first) for one in call.commits]
        after = [(one.round, one.number, one.records, one.first) for one in refreshed]
        require(after == before, "the same chunks are processed again", after, before)
        return refreshed

    for one in call.commits:
        observed.committing[one.round.batch] = {key_order(key)[0] for key in one.keys if key is not None}
    try:
        yield {} if call.refresh is None else {"refresh": refresh}
    finally:
        for one in call.commits:
            observed.committing.pop(one.round.batch, None)
    for batch in {one.round.batch for one in call.commits}:
        before = observed.batches.get(batch)
        found = observed.store.batch(call.claim.merchant, batch)
        require(found is not None, "the batch of a committed chunk exists", batch)
        assert found is not None
        observed.note(found, call.claim.merchant, batch, before)


def _check_commits(claim: Claim, commits: Sequence[ChunkCommit]) -> None:
    require(bool(commits), "there is something to commit")
    claimed = {(round.merchant, round.batch, round.number) for round in claim.rounds}
    for commit in commits:
        round = commit.round
        require((round.merchant, round.batch, round.number) in claimed, "the chunk belongs to the claim", round)
        check_commit(commit)
