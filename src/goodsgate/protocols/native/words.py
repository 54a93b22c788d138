"""How this protocol words what the engine says: batches, issues, items, keys."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from goodsgate.auth import public_settings
from goodsgate.model.batch import FINAL_STATES, Batch, Finding, IssueGroup, Policy
from goodsgate.model.catalogue import Item, Key, Merchant, display_key, split_key
from goodsgate.model.issue import Issue
from goodsgate.store.contract import RecordResult

LINKS = ("events", "issues", "results", "report")

Words = dict[str, Any]


def path_of(batch: str) -> str:
    """Where a batch is."""
    return f"/v1/batches/{batch}"


def batch_words(batch: Batch, groups: Sequence[IssueGroup] | None = None) -> Words:
    """The document of a batch; without groups, the summary of listings."""
    path = path_of(batch.id)
    counts = batch.counts
    words: Words = {
        "id": batch.id,
        "kind": batch.kind,
        "collection": batch.collection,
        "label": batch.label,
        "state": batch.state,
        "outcome": batch.outcome,
        "cancelling": batch.cancelling,
        "counts": {
            "total": batch.total, "accounted": counts.accounted, "warned": batch.warned,
            **{name: getattr(counts, name) for name in counts.__struct_fields__},
        },
        "progress": {
            "share": _share(batch), "records": counts.accounted, "bytes_done": batch.bytes_done,
            "bytes_total": batch.bytes_total,
        },
        "position": batch.position,
        "rounds": batch.rounds,
        "format": batch.format,
        "content_encoding": batch.content_encoding,
        "policy": _policy_words(batch.policy),
        "columns": batch.columns,
        "withheld": None if batch.withheld is None else {
            "items": batch.withheld.items, "deletions": batch.withheld.deletions, "share": batch.withheld.share,
        },
        "received_at": batch.received_at,
        "started_at": batch.started_at,
        "finished_at": batch.finished_at,
        "records_per_second": _rate(batch),
        "links": {"self": path, **{name: f"{path}/{name}" for name in LINKS}},
    }
    if groups is not None:
        words["issues"] = [_group_words(group) for group in groups]
    return words


def batch_bytes(batch: Batch, groups: Sequence[IssueGroup] = ()) -> bytes:
    """The document of a batch as JSON."""
    return msgspec.json.encode(batch_words(batch, groups))


def _share(batch: Batch) -> float:
    if batch.state in FINAL_STATES:
        return 1.0
    return min(1.0, batch.bytes_done / batch.bytes_total) if batch.bytes_total else 0.0


POLICY = ("verb", "duplicates", "references", "mode", "delete_share_max", "currency", "decimal")
"""What of a policy is submitted here; the rest is other protocols'."""


def _rate(batch: Batch) -> float | None:
    """Only of what has ended: while a batch is worked, the document changes with the batch and not with the clock."""
    if batch.started_at is None or batch.finished_at is None:
        return None
    seconds = (batch.finished_at - batch.started_at).total_seconds()
    return round(batch.counts.accounted / seconds, 1) if seconds > 0 else None


def _policy_words(policy: Policy) -> Words:
    return {**{name: getattr(policy, name) for name in POLICY}, "map": policy.mapping}


def _group_words(group: IssueGroup) -> Words:
    return {
        "code": group.code,
        "severity": group.severity,
        "field": group.field,
        "count": group.count,
        "message": group.message,
        "top": [{"value": value, "count": count} for value, count in group.top],
        "docs": _docs(group.code),
    }


def _docs(code: str) -> str:
    return f"/docs/issues#{code}"


def issue_words(finding: Finding, issue: Issue) -> Words:
    """One issue with the record it is about."""
    return {
        "record": finding.number,
        "source_row": finding.source_row,
        "key": display_key(finding.key),
        "result": finding.result,
        "code": issue.code,
        "severity": issue.severity,
        "path": issue.path,
        "column": issue.column,
        "value": issue.value,
        "expected": issue.expected,
        "suggestion": issue.suggestion,
        "message": issue.message,
        "docs": _docs(issue.code),
    }


def result_words(row: RecordResult) -> Words:
    """What became of one record."""
    return {"record": row.number, "key": display_key(row.key), "result": row.result}


def item_words(item: Item) -> Words:
    """One item; its record goes in as the bytes that are held."""
    sku, location = split_key(item.key)
    return {
        "key": display_key(item.key),
        "sku": sku,
        "location": location,
        "kind": item.kind,
        "collection": item.collection,
        "version": item.version,
        "batch": item.batch,
        "written_at": item.written_at,
        "record": msgspec.Raw(item.document),
    }


def merchant_words(merchant: Merchant) -> Words:
    """A merchant as it is listed."""
    return msgspec.structs.asdict(merchant)


def key_words(key: Key) -> Words:
    """A key without its digest."""
    return {
        "id": key.id, "merchant": key.merchant, "scopes": sorted(key.scopes), "label": key.label,
        "settings": public_settings(key), "created_at": key.created_at, "revoked_at": key.revoked_at,
    }


def next_link(path: str, query: dict[str, Any], after: object | None) -> str | None:
    """Path of the next page: the same question, after what was answered."""
    if after is None:
        return None
    asked = {name: _text(value) for name, value in query.items() if value is not None} | {"after": str(after)}
    return f"{quote(path)}?{urlencode(asked)}"


def _text(value: object) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
