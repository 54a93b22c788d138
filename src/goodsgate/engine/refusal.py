"""Refusals: why a submission or a request as a whole is not accepted."""

REFUSALS: dict[str, str] = {
    "payload_empty": "The request body is empty.",
    "payload_too_large": "The request body is too large.",
    "format_unknown": "Unsupported or unrecognized file format.",
    "content_encoding_unknown": "Unsupported content encoding.",
    "parameter_invalid": "Invalid parameter.",
    "profile_unknown": "Profile not found.",
    "rule_unknown": "Rule not found.",
    "rule_invalid": "The rule cannot be used.",
    "rules_full": "The merchant has too many rules.",
    "guard_unknown": "Guard not found.",
    "guard_invalid": "The guard cannot be used.",
    "guards_full": "The merchant has too many guards.",
    "source_unknown": "Source not found.",
    "source_invalid": "The source cannot be used.",
    "sources_full": "The merchant has as many sources as it may have.",
    "destination_unknown": "Destination not found.",
    "destination_invalid": "The destination cannot be used.",
    "destination_not_held": "No run of the destination is held: there is nothing to approve or to discard.",
    "destinations_full": "The merchant has as many destinations as it may have.",
    "feed_unknown": "There is no such feed.",
    "batch_unknown": "Batch not found.",
    "item_unknown": "Item not found.",
    "item_not_editable": "The item cannot be edited: only the protocol that has written it changes it.",
    "edit_invalid": "Invalid edit.",
    "reference_kind_unknown": "Unknown kind of reference data.",
    "reference_invalid": "Some entries of the reference data are invalid; nothing was stored.",
    "reference_read_only": "This reference data is built in and cannot be changed.",
    "batch_open": "The batch has not finished yet.",
    "fix_rows_missing": "Records of the fix do not say by `_row` which record they replace.",
    "nothing_rejected": "The batch has no rejected records.",
    "nothing_suggested": "No rejected record has a suggestion to apply.",
    "batch_dry_run": "The batch is a dry run: nothing of it can be applied. Submit its records without `dry_run`.",
    "diff_missing": "The batch has no diff: it is no dry run, and no guard has looked at it.",
    "batch_not_held": "The batch is not held: there is nothing to approve or to discard.",
    "batch_discarded": "Nothing of the batch was applied: it was discarded. Submit its records again.",
    "nothing_withheld": "The batch has no deletions waiting for confirmation.",
    "confirmation_mismatch": "The confirmation does not match the pending deletions.",
    "revert_unsupported": "A batch in the schema of another protocol cannot be reverted.",
    "nothing_changed": "The batch has changed nothing that could be reverted.",
    "journal_gone": "The changes of the batch are not in the journal any more.",
    "stock_unknown": "Some of the items have no stock.",
    "stock_conflict": "The order has not reserved or committed this quantity of some of the items.",
    "stock_short": "Insufficient stock; nothing was reserved.",
    "cursor_expired": "The changes behind the cursor were deleted after their retention period.",
    "cursor_unknown": "The journal has no such cursor.",
    "journal_off": "No journal of changes is written here; see the setting journal_days.",
    "payload_gone": "The payload was deleted after its retention period.",
    "key_in_use": "A request with this idempotency key is still in progress.",
    "key_reused": "This idempotency key was already used with a different body or different parameters.",
    "key_malformed": "An idempotency key must have 1 to 255 visible ASCII characters.",
    "queue_full": "The merchant has too many open batches; try again later.",
    "store_full": "Storage is full; nothing was stored.",
    "store_busy": "Storage is unavailable; nothing was accepted, try again.",
    "setting_unknown": "Unknown setting.",
    "setting_invalid": "Invalid value of a setting.",
    "upload_stalled": "Upload timed out; nothing was stored.",
}
"""Code → title. Each protocol maps the codes to its own status codes and texts."""


class Refusal(Exception):  # noqa: N818 - the word of the domain, which the API and the docs use, too
    """A submission or request is not accepted; `code` is a key of REFUSALS."""

    def __init__(self, code: str, detail: str = "", /, **details: object) -> None:
        super().__init__(detail or REFUSALS[code])
        self.code = code
        self.detail = detail or REFUSALS[code]
        self.details = details
        """Further machine-readable members, e.g. ``limit``, ``allowed``, ``retry_after_seconds``."""
