"""The processing stage: what became of the products of an upload when they were worked."""

from goodsgate.model.batch import FINAL_STATES, Batch
from goodsgate.protocols.productsup.verdict import BLANK_LINE, NOTHING, Example, Stage, Told, shown
from goodsgate.store.contract import Store

UPLOAD_CODES = frozenset({
    "line_too_long", "line_unreadable", "encoding_broken", "nul_bytes", "record_not_object", "field_missing",
    "field_type",
})
"""Issues of lines that the upload stage has told of, in its own words."""
MESSAGES = {"line_too_deep": "Maximum stack depth exceeded", "item_missing": "Product not found"}
"""Code → message, where another than the issue's own is known."""
GROUPS_MAX = 100


def processing_of(store: Store, batch: Batch, upload: Stage, foreseen: Stage | None) -> Stage | None:
    """None until the batch has ended, and for one of which nothing was accepted.

    What the worker rejects of the lines that were looked at on their way in is told once: by the upload stage, or here
    where that stage judges none.
    """
    if upload.status == "failure" or batch.state not in FINAL_STATES or batch.finished_at is None:
        return None
    looked = foreseen or upload
    lines = sum(one.occurrences for one in looked.told if one.message not in (BLANK_LINE, NOTHING))
    late = max(0, batch.counts.rejected - lines)
    told = [*foreseen.told] if foreseen is not None else []
    return Stage(
        completed_at=batch.finished_at, successes=max(0, looked.successes - late - batch.counts.cancelled),
        failures=late + sum(one.occurrences for one in told), told=[*told, *(_told(store, batch) if late else [])],
    )


def _told(store: Store, batch: Batch) -> list[Told]:
    """What the worker alone found: distinct messages by their first records.

    Only the `id` of a record is held to anything, so that a record has one issue and issues count records.
    """
    told: dict[str, Told] = {}
    for group in store.issue_groups(batch.merchant, batch.id, limit=GROUPS_MAX):
        if group.severity != "error" or group.code in UPLOAD_CODES:
            continue
        first = store.findings(batch.merchant, batch.id, after=0, limit=1, code=group.code)[0]
        raw = store.rejected_by_number(batch.merchant, batch.id, [first.number]).get(first.number)
        text = next(issue.message for issue in first.issues if issue.code == group.code)
        example = Example(first.source_row, shown(raw.raw or b"") if raw is not None else "")
        message = MESSAGES.get(group.code, text)
        known = told.get(message)
        if known is not None:
            known.occurrences += group.count
            example = min(known.example, example, key=lambda one: one.lineNumber)
        told[message] = Told(message, known.occurrences if known is not None else group.count, example)
    return sorted(told.values(), key=lambda one: one.example.lineNumber)
