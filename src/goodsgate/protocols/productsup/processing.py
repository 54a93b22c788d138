"""The processing stage: the results of the products of an upload."""

from goodsgate.model.batch import FINAL_STATES, Batch, State
from goodsgate.protocols.productsup.upload_validation import (
    BLANK_LINE,
    EMPTY_PAYLOAD,
    ErrorExample,
    StageError,
    StageReport,
    excerpt,
)
from goodsgate.store.contract import Store

UPLOAD_CODES = frozenset({
    "line_too_long", "line_unreadable", "encoding_broken", "nul_bytes", "record_not_object", "field_missing",
    "field_type",
})
"""Issues of lines for which the upload stage has messages of its own."""
MESSAGES = {
    "line_too_deep": "Maximum stack depth exceeded", "item_missing": "Product not found",
    "sku_missing": 'Empty "id" attribute', "sku_too_long": 'The "id" attribute has more than 255 characters',
    "sku_characters": 'The "id" attribute contains control or invisible characters',
    "sku_edge_blanks": 'The "id" attribute has leading or trailing whitespace',
}
"""Code of an issue → message, published or in the vendor's words, which replaces the issue's own."""
STOPPED = {State.CANCELLED: "The import was cancelled", State.BROKEN: "The import failed"}
"""State of a batch that did not finish → message for the records that were not processed."""
NOT_STORED = "The details of this error are no longer stored"
GROUPS_MAX = 100


def processing_stage(store: Store, batch: Batch, upload: StageReport, expected: StageReport | None,
                     ) -> StageReport | None:
    """Return the processing stage; None until the batch has ended, and if nothing of it was accepted.

    A line that the upload stage has checked is reported once: by that stage, or here for streams whose upload stage
    does not report lines. The errors always add up to the number of errors.
    """
    if upload.status == "failure" or batch.state not in FINAL_STATES or batch.finished_at is None:
        return None
    counts, errors = batch.counts, list[StageError]()
    if batch.policy.mode == "full":  # all products are deleted, also those that were accepted and not yet there
        valid, successes = max(1, upload.successes), counts.deleted
    else:
        checked = expected or upload
        rejected_lines = sum(
            error.occurrences for error in checked.errors if error.message not in (BLANK_LINE, EMPTY_PAYLOAD)
        )
        late = min(checked.successes, max(0, counts.rejected - rejected_lines))
        errors = [*(expected.errors if expected is not None else []), *_late_errors(store, batch, late)]
        valid = successes = checked.successes - late
    if batch.state in STOPPED:
        processed = counts.accounted - counts.cancelled
        successes = min(successes, processed - counts.rejected)
        if successes < valid:
            errors.append(StageError(STOPPED[batch.state], valid - successes, ErrorExample(processed + 1, "")))
    failures = sum(error.occurrences for error in errors)
    return StageReport(completed_at=batch.finished_at, successes=successes, failures=failures, errors=errors)


def _late_errors(store: Store, batch: Batch, late: int) -> list[StageError]:
    """Return the errors of the records that only the engine rejected, `late` in number.

    The reports of batches are deleted before the batches themselves; then one error stands for those that are missing.
    """
    errors = _engine_errors(store, batch) if late else []
    for at, error in enumerate(errors):
        error.occurrences = min(error.occurrences, late)
        late -= error.occurrences
        if not late:
            return errors[: at + 1]
    return [*errors, StageError(NOT_STORED, late, ErrorExample(1, ""))] if late else []


def _engine_errors(store: Store, batch: Batch) -> list[StageError]:
    """Return the errors that only the engine found: distinct messages, ordered by their first records.

    The schema covers only the `id` of a record, so a record has one issue and the number of issues is that of records.
    """
    errors: dict[str, StageError] = {}
    for group in store.issue_groups(batch.merchant, batch.id, limit=GROUPS_MAX):
        if group.severity != "error" or group.code in UPLOAD_CODES:
            continue
        findings = store.findings(batch.merchant, batch.id, after=0, limit=1, code=group.code)
        if not findings:  # the report is being deleted
            continue
        first = findings[0]
        raw = store.rejected_by_number(batch.merchant, batch.id, [first.number]).get(first.number)
        text = next(issue.message for issue in first.issues if issue.code == group.code)
        example = ErrorExample(first.source_row, excerpt(raw.raw or b"") if raw is not None else "")
        message = MESSAGES.get(group.code, text)
        error = errors.get(message)
        if error is not None:
            error.occurrences += group.count
            example = min(error.example, example, key=lambda each: each.lineNumber)
        errors[message] = StageError(message, error.occurrences if error is not None else group.count, example)
    return sorted(errors.values(), key=lambda error: error.example.lineNumber)
