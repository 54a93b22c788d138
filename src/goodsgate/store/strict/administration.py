"""Checks of maintenance, merchants, reference data, resources, jobs and the outbox."""

# ruff: noqa: D103, ARG001 – the contract documents the methods, and not every check uses both arguments.
from itertools import pairwise
from typing import Any

import msgspec

from goodsgate.model.audit import ACT, entry_hash
from goodsgate.model.job import RUNS_KEPT, Job
from goodsgate.model.message import DeliveryState, Message
from goodsgate.store.contract import HealthCheck, HealthLevel
from goodsgate.store.strict.demands import (
    check_labels,
    check_merchant,
    check_order,
    check_page,
    check_resources,
    check_utc,
    require,
)
from goodsgate.store.strict.registry import Check, Observed, checks

# -- maintenance ------------------------------------------------------------------------------------------------------


@checks
def migrate(observed: Observed, call: Any) -> Check:
    applied = yield None
    require(applied == sorted(set(applied)), "migrations are applied in order, each once", applied)
    require(observed.store.migrate() == [], "no migration is left")


@checks
def quick_checks(observed: Observed, call: Any) -> Check:
    results = yield None
    _check_health(results)


@checks
def health_checks(observed: Observed, call: Any) -> Check:
    results = yield None
    _check_health(results)


def _check_health(results: list[HealthCheck]) -> None:
    require(len({check.name for check in results}) == len(results) > 0, "checks have distinct names", results)
    has_remedies = all(bool(check.remedy) == (check.level is not HealthLevel.OK) for check in results)
    require(has_remedies, "whatever is not well has a remedy", results)


@checks
def statistics(observed: Observed, call: Any) -> Check:
    values = yield None
    require(all(value >= 0 for value in values.values()), "statistics are not negative", values)


@checks
def sweep(observed: Observed, call: Any) -> Check:
    require(call.steps_max > 0, "the number of steps is positive", call.steps_max)
    yield None


# -- merchants, reference data ----------------------------------------------------------------------------------------


@checks
def add_merchant(observed: Observed, call: Any) -> Check:
    check_merchant(call.merchant.id)
    check_utc(call.merchant.created_at)
    yield None


@checks
def merchants(observed: Observed, call: Any) -> Check:
    page = yield None
    check_page(page, [merchant.id.encode() for merchant in page.rows], call.limit, (call.after or "").encode())


@checks
def merchant(observed: Observed, call: Any) -> Check:
    found = yield None
    require(found is None or found.id == call.merchant, "the merchant was asked for", found)


@checks
def rename_merchant(observed: Observed, call: Any) -> Check:
    check_merchant(call.merchant)
    renamed = yield None
    stored = observed.store.merchant(call.merchant)
    require((stored is not None) == renamed, "only a merchant that exists is renamed", stored)


@checks
def add_key(observed: Observed, call: Any) -> Check:
    check_merchant(call.key.merchant)
    require(len(call.key.digest) == 32, "the digest of a key is a SHA-256", call.key.digest)
    require(bool(call.key.scopes), "a key has a scope", call.key)
    yield None


@checks
def key(observed: Observed, call: Any) -> Check:
    found = yield None
    require(found is None or call.digest in (found.digest, found.previous_digest), "the key was asked for", found)


@checks
def keys(observed: Observed, call: Any) -> Check:
    found = yield None
    require(all(key.merchant == call.merchant for key in found), "keys belong to the merchant", found)


@checks
def change_key(observed: Observed, call: Any) -> Check:
    require(bool(call.scopes), "a key has a scope", call.scopes)
    changed = yield None
    same = changed is None or (changed.id, changed.scopes, changed.label) == (call.key_id, call.scopes, call.label)
    require(same, "the key was changed", changed)


@checks
def rotate_key(observed: Observed, call: Any) -> Check:
    require(len(call.digest) == 32, "the digest of a key is a SHA-256", call.digest)
    check_utc(call.previous_until)
    rotated = yield None
    same = rotated is None or (rotated.digest, rotated.previous_until) == (call.digest, call.previous_until)
    require(same, "the key has the new secret", rotated)


@checks
def mark_key_used(observed: Observed, call: Any) -> Check:
    check_merchant(call.merchant)
    yield None


@checks
def revoke_key(observed: Observed, call: Any) -> Check:
    check_merchant(call.merchant)
    yield None


@checks
def add_token(observed: Observed, call: Any) -> Check:
    token = call.token
    check_merchant(token.merchant)
    require(len(token.digest) == 32 and token.expires_at > token.created_at, "a token has a hash and expires", token)
    check_utc(token.expires_at)
    yield None


@checks
def token(observed: Observed, call: Any) -> Check:
    found = yield None
    if found is not None:
        token, key = found
        same = (token.digest, token.merchant, token.key) == (call.digest, key.merchant, key.id)
        require(same, "the token belongs to its key", token, key)


@checks
def delete_token(observed: Observed, call: Any) -> Check:
    yield None
    require(observed.store.token(call.digest) is None, "the token is deleted")


@checks
def secret(observed: Observed, call: Any) -> Check:
    require(bool(call.name) and call.default != b"", "a secret has a name and is not empty", call.name)
    stored = yield None
    require(stored is not None or call.default is None, "the default is stored, or something was before", call.name)


@checks
def record_act(observed: Observed, call: Any) -> Check:
    yield None
    act = ACT.get()
    require(act is None or act.recorded, "the act is recorded", act)


@checks
def audit_entries(observed: Observed, call: Any) -> Check:
    page = yield None
    numbers = [-entry.number if call.newest_first else entry.number for entry in page.rows]
    require(numbers == sorted(set(numbers)) and len(numbers) <= call.limit, "entries are in order", numbers)
    chained = page.rows[::-1] if call.newest_first else page.rows
    for before, after in pairwise(chained):
        if after.number == before.number + 1:
            require(entry_hash(before.hash, after) == after.hash, "the chain holds", after)


@checks
def put_reference(observed: Observed, call: Any) -> Check:
    check_merchant(call.merchant)
    require(bool(call.kind) and all(entry.code for entry in call.entries), "kinds and codes are not empty", call.kind)
    before = observed.store.reference_version(call.merchant)
    count = yield None
    distinct = len({entry.code for entry in call.entries})
    require(count == distinct if call.replace else count >= distinct, "all entries are stored", count, distinct)
    require(observed.store.reference_version(call.merchant) > before or not call.entries, "the version grows")


@checks
def reference(observed: Observed, call: Any) -> Check:
    page = yield None
    check_page(page, [entry.code.encode() for entry in page.rows], call.limit, (call.after or "").encode())


# -- resources, outbox ------------------------------------------------------------------------------------------------


@checks
def add_resource(observed: Observed, call: Any) -> Check:
    check_merchant(call.merchant)
    check_utc(call.expires_at)
    require(bool(call.type and call.name and call.body), "a resource has a type, a name and a body", call.type)
    require(call.resources_max > 0, "the number of resources is positive", call.resources_max)
    check_labels(call.labels)
    require(call.idempotency is None or call.idempotency.merchant == call.merchant, "the key is the merchant's")
    added = yield None
    stored = (added.merchant, added.type, added.name, added.body, added.version, added.expires_at)
    given = (call.merchant, call.type, call.name, call.body, 1, call.expires_at)
    require(stored == given and added.number > 0, "the resource is stored as given", added)


@checks
def put_resource(observed: Observed, call: Any) -> Check:
    resource = call.resource
    check_merchant(resource.merchant)
    require(bool(resource.name and resource.body), "a resource has a name and a body", resource)
    check_utc(resource.expires_at)
    check_labels(call.labels or ())
    stored = yield None
    expected = msgspec.structs.replace(resource, version=resource.version + 1)
    require(stored is None or stored == expected, "the resource is stored as given", stored)


@checks
def resource(observed: Observed, call: Any) -> Check:
    found = yield None
    if found is not None:
        same = (found.merchant, found.type, found.number) == (call.merchant, call.type, call.number)
        require(same, "the resource was asked for", found)


@checks
def resources(observed: Observed, call: Any) -> Check:
    found = yield None
    check_resources(found, after=call.after, limit=call.limit)


@checks
def list_by_label(observed: Observed, call: Any) -> Check:
    require(bool(call.label) and call.offset >= 0 and call.limit > 0, "a label and a page", call.label)
    found = yield None
    require(len(found) <= call.limit, "the limit is kept", len(found))
    require(len({resource.number for resource in found}) == len(found), "each resource appears once", found)


@checks
def claim_job(observed: Observed, call: Any) -> Check:
    require(call.lease_seconds > 0, "a lease lasts", call.lease_seconds)
    job = yield None
    if job is not None:
        _check_job(job)
        require(job.type in call.types and job.merchant not in call.without, "filters apply", job)
        require(job.attempt > 0 and job.lease_until is not None, "a claimed job has a lease", job)


@checks
def save_job(observed: Observed, call: Any) -> Check:
    require(call.run is None or call.run.number > 0, "runs are numbered from 1", call.run)
    if call.run is not None:
        check_utc(call.run.started_at)
        check_utc(call.run.ended_at)
    check_utc(None if call.end is None else call.end.due_at)
    yield None


@checks
def jobs(observed: Observed, call: Any) -> Check:
    found = yield None
    check_order([job.number for job in found], None)
    for job in found:
        _check_job(job)
        require((job.merchant, job.type) == (call.merchant, call.type), "filters apply", job)


@checks
def job_runs(observed: Observed, call: Any) -> Check:
    runs = yield None
    require(len(runs) <= min(call.limit, RUNS_KEPT), "the limit is kept", len(runs))
    check_order([-run.number for run in runs], -call.before if call.before is not None else None)


def _check_job(job: Job) -> None:
    require(bool(job.state) and job.last_run >= 0, "a job has a state", job)
    for moment in (job.due_at, job.lease_until):
        check_utc(moment)


@checks
def claim_messages(observed: Observed, call: Any) -> Check:
    require(call.lease_seconds > 0 and call.limit > 0, "lease and limit are positive", call.lease_seconds, call.limit)
    without = {*call.without}
    claimed = yield {"without": without}
    owners = [message.merchant for message in claimed]
    require(len(owners) == len({*owners}) <= call.limit and without.isdisjoint(owners), "one per merchant", claimed)
    for message in claimed:
        _check_message(message)
        waits = message.delivery_state is DeliveryState.WAITING
        require(message.attempts > 0 and waits, "a claimed message waits, and the attempt is counted", message)


@checks
def postpone_message(observed: Observed, call: Any) -> Check:
    require(call.seconds >= 0 and bool(call.last_error), "a delay and a reason", call.seconds, call.last_error)
    yield None


@checks
def give_up_message(observed: Observed, call: Any) -> Check:
    require(bool(call.last_error), "a reason", call.last_error)
    require(call.before is None or call.message.in_order, "only a queue has messages behind", call.message)
    check_utc(call.before)
    yield None


@checks
def newest_messages(observed: Observed, call: Any) -> Check:
    found = yield None
    require(len(found) <= call.limit, "the limit is kept", len(found))
    check_order([-message.number for message in found], -call.before if call.before is not None else None)
    for message in found:
        _check_message(message)
        require((message.topic, message.subject) == (call.topic, call.subject), "filters apply", message)
        require(call.delivery_state in (None, message.delivery_state), "filters apply", message)


@checks
def queue_status(observed: Observed, call: Any) -> Check:
    status = yield None
    require((status.waiting > 0) == (status.waiting_since is not None), "what waits does so since a time", status)
    require(status.given_up_at is None or bool(status.last_error), "who is given up has a reason", status)


@checks
def messages(observed: Observed, call: Any) -> Check:
    found = yield None
    require(len(found) <= call.limit, "the limit is kept", len(found))
    check_order([message.number for message in found], call.after)
    for message in found:
        _check_message(message)
        require(message.merchant == call.merchant and call.topic in (None, message.topic), "filters apply", message)
        require(call.delivery_state in (None, message.delivery_state), "filters apply", message)


@checks
def replay(observed: Observed, call: Any) -> Check:
    count = yield None
    require(0 <= count <= len({*call.numbers}), "only the given messages count", count, call.numbers)


def _check_message(message: Message) -> None:
    require(message.number > 0 <= message.attempts and bool(message.topic and message.body), "a message", message)
    waits = message.delivery_state is DeliveryState.WAITING
    require((message.due_at is None) == (not waits), "a message is due while it waits", message)
    for moment in (message.created_at, message.due_at, message.sent_at, message.given_up_at):
        check_utc(moment)
