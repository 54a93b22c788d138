"""Checks of catalogue, index, stock, batches and reports."""

# ruff: noqa: D103, ARG001 – the contract documents the methods, and not every check uses both arguments.
import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from goodsgate.model.batch import Batch, Result
from goodsgate.model.journal import JOURNAL_START, ChangeOperation, ItemChange
from goodsgate.store.contract import StockChange, StockLevels
from goodsgate.store.strict.demands import (
    check_kept,
    check_merchant,
    check_order,
    check_page,
    check_utc,
    key_order,
    require,
)
from goodsgate.store.strict.registry import Check, Observed, checks

# -- catalogue, index, stock ------------------------------------------------------------------------------------------


@checks
def items(observed: Observed, call: Any) -> Check:
    page = yield None
    after = key_order(call.after) if call.after else None
    check_page(page, [key_order(item.key) for item in page.rows], call.limit, after)
    for item in page.rows:
        require((item.kind, item.collection) == (call.kind, call.collection), "items of the collection", item)
        require(item.key.startswith(call.prefix or ""), "filters apply", call.prefix, item)


@checks
def item(observed: Observed, call: Any) -> Check:
    found = yield None
    if found is not None:
        same = (found.kind, found.collection, found.key) == (call.kind, call.collection, call.key)
        require(same, "the item was asked for", found)


@checks
def collections(observed: Observed, call: Any) -> Check:
    found = yield None
    require(all(items > 0 for _, _, items in found), "collections are not empty", found)
    check_order([(kind.value, name.encode()) for kind, name, _ in found], None)


@checks
def item_snapshot(observed: Observed, call: Any) -> Check:
    require(call.page_items > 0, "a page", call.page_items)
    yield None


@checks
def journal_position(observed: Observed, call: Any) -> Check:
    position = yield None
    require(position.number >= 0 and (position.number > 0) == (position.written_at > 0), "a place", position)


@checks
def changes(observed: Observed, call: Any) -> Check:
    require(call.limit > 0, "a page", call.limit)
    page = yield None
    require(len(page.changes) <= call.limit, "the limit is kept", len(page.changes))
    after = call.after or JOURNAL_START
    require(page.position.number >= after.number, "the position moves on", after, page.position)
    require(page.is_last or page.position != after, "a page that is not the last one moves on", page.position)
    check_order([change.number for change in page.changes], after.number or None)
    check_changes(page.changes)
    for change in page.changes:
        require(change.number <= page.position.number, "changes up to the position", change)
        require(call.kind in (None, change.kind), "filters apply", call.kind, change)
        require(call.collection in (None, change.collection), "filters apply", call.collection, change)


@checks
def batch_changes(observed: Observed, call: Any) -> Check:
    found = yield None
    require(len(found) <= call.limit, "the limit is kept", len(found))
    check_order([change.number for change in found], call.after or None)
    check_changes(found)
    require(all(change.batch == call.batch for change in found), "changes of the batch", found)


@checks
def batch_journal(observed: Observed, call: Any) -> Check:
    found = yield None
    require(found.changes >= len(found.written_at), "a time has changes", found)


@checks
def stored_items(observed: Observed, call: Any) -> Check:
    found = yield None
    require(found.keys() <= {*call.keys}, "items of the given keys", found)
    whole = all((item.hash is None) == (item.content is None) for item in found.values())
    require(whole, "only a tombstone has no content", found)


@checks
def item_history(observed: Observed, call: Any) -> Check:
    history = yield None
    require(len(history.changes) <= call.limit, "the limit is kept", len(history.changes))
    check_order([-change.number for change in history.changes], None)
    check_changes(history.changes)
    for newer, older in pairwise(history.changes):
        require(newer.previous == older.written_at, "changes of one item follow each other", older, newer)
        same = (newer.before is None) == (older.after is None)
        require(same and (newer.before is None or newer.before.document == older.after.document), "no gap", older)


def check_changes(changes: Sequence[ItemChange]) -> None:
    """Check that before and after are those of the operation."""
    for change in changes:
        is_new, is_gone = change.operation is ChangeOperation.CREATED, change.operation is ChangeOperation.DELETED
        require((change.before is None, change.after is None) == (is_new, is_gone), "as the operation says", change)
        require((change.batch is None) != (change.order is None), "a batch or an order", change)


@checks
def dry_run_items(observed: Observed, call: Any) -> Check:
    require(call.round.is_dry_run, "a dry run", call.round)
    found = yield None
    require(found.items.keys() | found.case_variants.keys() <= set(call.keys), "some of the given keys", found)
    for key, item in found.items.items():
        require((item.hash is None) == (item.document is None), "documents are loaded", key, item)
    for key, variant in found.case_variants.items():
        same = key != variant and key_order(key)[0] == key_order(variant)[0]
        require(same, "variants differ only by case", key, variant)


@checks
def diff(observed: Observed, call: Any) -> Check:
    found = yield None
    require(len(found) <= call.limit, "the limit is kept", len(found))
    check_order([change.number for change in found], call.after or None)
    for change in found:
        is_new, is_gone = change.operation is ChangeOperation.CREATED, change.operation is ChangeOperation.DELETED
        require((change.before is None, change.after is None) == (is_new, is_gone), "as the operation says", change)


@checks
def diff_summary(observed: Observed, call: Any) -> Check:
    summary = yield None
    require(min(summary.created, summary.updated, summary.deleted) >= 0, "counts are not negative", summary)


@checks
def find_by_index(observed: Observed, call: Any) -> Check:
    found = yield None
    require(found.keys() <= set(call.entries), "some of the given entries", found)
    for keys in found.values():
        require(bool(keys), "an entry has items", found)
        check_order([key.encode() for key in keys], None)


@checks
def list_index(observed: Observed, call: Any) -> Check:
    require(call.offset >= 0 and call.limit > 0, "a page", call.offset, call.limit)
    total, rows = yield None
    require(len(rows) == max(0, min(call.limit, total - call.offset)), "the page is full", total, call, len(rows))
    order = [(value.encode(), key.encode()) for value, key in rows]
    check_order(order[::-1] if call.backwards else order, None)


@checks
def search_items(observed: Observed, call: Any) -> Check:
    for alternatives in (*call.search.words, *call.search.terms):
        valid = all(re.fullmatch(r"[^\W_A-Z]*¦?[^\W_A-Z]*¦?", term.text) and term.text for term in alternatives)
        require(bool(alternatives) and valid, "terms are of letters and digits", call.search)
    check_utc(call.search.since)
    require(not call.search.words or call.search.start is not None, "words come with a start", call.search)
    page = yield None
    if page is None:
        return
    after = key_order(call.after) if call.after else None
    check_page(page, [key_order(item.key) for item in page.rows], call.limit, after)
    for item in page.rows:
        require((item.kind, item.collection) == (call.kind, call.collection), "items of the collection", item)
        require(item.key.startswith(call.search.prefix or ""), "filters apply", call.search, item)
        require(call.search.batch in (None, item.batch), "filters apply", call.search, item)
        require(call.search.since is None or item.written_at >= call.search.since, "filters apply", call.search, item)


@checks
def fill_search(observed: Observed, call: Any) -> Check:
    require(call.limit > 0, "a step", call.limit)
    yield None


@checks
def change_stock(observed: Observed, call: Any) -> Check:
    check_merchant(call.merchant)
    require(bool(call.order and call.keys) and len({*call.keys}) == len(call.keys), "an order, each key once", call)

    def change(levels: StockLevels) -> StockChange:
        _check_levels(levels, call.keys)
        changed: StockChange = call.change(levels)
        require(changed.documents.keys() <= levels.documents.keys(), "only existing items change", changed)
        amounts = min(changed.reserved.values(), default=0) >= 0
        require(changed.reserved.keys() <= {*call.keys} and amounts, "amounts of the given keys", changed)
        valid = all(document and len(hash) == 16 for document, hash in changed.documents.values())
        require(valid, "documents have hashes", changed)
        return changed

    yield {"change": change}


@checks
def stock_levels(observed: Observed, call: Any) -> Check:
    levels = yield None
    _check_levels(levels, call.keys)
    require(levels.order_state is None, "levels belong to no order", levels)


def _check_levels(levels: StockLevels, keys: Sequence[str]) -> None:
    require(levels.documents.keys() | levels.reserved.keys() <= {*keys}, "levels of the given keys", levels)
    require(all(amount > 0 for amount in levels.reserved.values()), "reserved amounts are positive", levels)


# -- batches, reports -------------------------------------------------------------------------------------------------


@checks
def batch(observed: Observed, call: Any) -> Check:
    before = observed.batches.get(call.batch)
    found = yield None
    if found is not None:
        observed.note(found, call.merchant, call.batch, before)


@checks
def batches(observed: Observed, call: Any) -> Check:
    before = observed.batches.copy()
    page = yield None
    for batch in page.rows:
        observed.note(batch, call.merchant, batch.id, before.get(batch.id))
    _check_filtered(call, page.rows)


@checks
def all_batches(observed: Observed, call: Any) -> Check:
    before = observed.batches.copy()
    page = yield None
    for batch in page.rows:
        observed.note(batch, batch.merchant, batch.id, before.get(batch.id))
    _check_filtered(call, page.rows)


def _check_filtered(call: Any, batches: list[Batch]) -> None:
    require(len(batches) <= call.limit, "the limit is kept", len(batches))
    require(len({batch.id for batch in batches}) == len(batches), "each batch appears once")
    for batch in batches:
        for name in ("kind", "state", "outcome", "collection", "protocol", "view"):
            wanted = getattr(call.filters, name)
            require(wanted is None or getattr(batch, name) == wanted, "filters apply", name, wanted, batch)


@checks
def issue_groups(observed: Observed, call: Any) -> Check:
    groups = yield None
    counts = [group.count for group in groups]
    require(counts == sorted(counts, reverse=True) and len(groups) <= call.limit, "most frequent first", counts)
    distinct = {(group.code, group.severity, group.field) for group in groups}
    require(len(distinct) == len(groups), "each group appears once", groups)
    for group in groups:
        tops = [count for _, count in group.top]
        require(tops == sorted(tops, reverse=True) and all(count > 0 for count in tops), "top values", group)
        require(0 <= sum(tops) <= group.count, "values belong to issues", group)


@checks
def feed_days(observed: Observed, call: Any) -> Check:
    days = yield None
    require(all(each.day >= call.since and each.feeds > 0 for each in days), "days with feeds, since then", days)
    require(all(0 <= each.rejected <= each.records for each in days), "rejected records are among the records", days)


@checks
def feed_issues(observed: Observed, call: Any) -> Check:
    issues = yield None
    counts = [each.count for each in issues]
    require(counts == sorted(counts, reverse=True) and len(counts) <= call.limit, "most frequent first", counts)


@checks
def batch_rounds(observed: Observed, call: Any) -> Check:
    rounds = yield None
    numbers = [each.number for each in rounds]
    require(numbers == sorted(set(numbers)), "each round appears once, in order", numbers)
    require(all(each.records >= 0 for each in rounds), "records are counted", rounds)


@checks
def findings(observed: Observed, call: Any) -> Check:
    found = yield None
    require(len(found) <= call.limit, "the limit is kept", len(found))
    check_order([finding.number for finding in found], call.after)
    for finding in found:
        require(bool(finding.issues) and finding.raw is None, "issues without raw bytes", finding)
        require((finding.result is None) == (finding.number == 0), "number 0 is the file", finding)
        codes = {issue.code for issue in finding.issues}
        require(call.code is None or call.code in codes, "filters apply", call.code, finding)
        severities = {issue.severity for issue in finding.issues}
        require(call.severity is None or call.severity in severities, "filters apply", call.severity, finding)


@checks
def findings_by_key(observed: Observed, call: Any) -> Check:
    found = yield None
    distinct = {(batch, finding.number) for batch, finding in found}
    require(len(distinct) == len(found) <= call.limit, "each record appears once", found)
    for _, finding in found:
        same = finding.key == call.key and bool(finding.issues) and finding.raw is None
        require(same, "issues of the key", call.key, finding)


@checks
def results(observed: Observed, call: Any) -> Check:
    rows = yield None
    require(len(rows) <= call.limit, "the limit is kept", len(rows))
    numbers = [row.number for row in rows]
    check_order(numbers, call.after)
    if call.result is None:
        require(numbers == list(range(call.after + 1, call.after + 1 + len(rows))), "no record is left out", numbers)
    else:
        require(all(row.result is call.result for row in rows), "filters apply", call.result)


@checks
def rejected_records(observed: Observed, call: Any) -> Check:
    found = yield None
    require(len(found) <= call.limit, "the limit is kept", len(found))
    check_order([finding.number for finding in found], call.after)
    for finding in found:
        check_kept(finding, Result.REJECTED)


@checks
def rejected_by_number(observed: Observed, call: Any) -> Check:
    found = yield None
    require(found.keys() <= set(call.numbers), "some of the given numbers", found)
    for number, finding in found.items():
        require(finding.number == number, "findings are listed under their numbers", number, finding)
        check_kept(finding)


@checks
def waiting_for(observed: Observed, call: Any) -> Check:
    found = yield None
    counts = [reference.records for reference in found]
    require(counts == sorted(counts, reverse=True) and len(found) <= call.limit, "most awaited first", found)
    distinct = {(reference.kind, reference.code) for reference in found}
    require(len(distinct) == len(found) and all(counts), "each reference appears once", found)
    for reference in found:
        check_utc(reference.expires_at)


@checks
def waiting_records(observed: Observed, call: Any) -> Check:
    found = yield None
    require(len(found) <= call.limit, "the limit is kept", len(found))
    check_order([finding.number for finding in found], call.after)
    for finding in found:
        check_kept(finding, Result.WAITING)
