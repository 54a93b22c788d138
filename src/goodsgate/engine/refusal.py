"""Why a submission, or a question, as a whole was not accepted; worded by a protocol."""

REFUSALS: dict[str, str] = {
    "payload_empty": "The body is empty.",
    "payload_too_large": "The body is larger than allowed.",
    "format_unknown": "The format of the body is not known.",
    "packing_unknown": "The content encoding is not supported.",
    "parameter_invalid": "A parameter has a value that is not allowed.",
    "mapping_unknown": "There is no saved mapping of this name.",
    "batch_unknown": "There is no such batch.",
    "item_unknown": "There is no such item.",
    "reference_kind_unknown": "There is no such kind of reference data.",
    "reference_invalid": "Some entries of the reference data are not valid; none was stored.",
    "reference_read_only": "This kind of reference data comes with Goodsgate and cannot be changed.",
    "batch_open": "The batch has not ended yet.",
    "nothing_rejected": "The batch holds no rejected record.",
    "nothing_suggested": "No rejected record has a suggestion that could be taken.",
    "nothing_withheld": "The batch has no deletions that wait to be confirmed.",
    "confirmation_mismatch": "The confirmation names another number of deletions than now wait.",
    "stock_unknown": "There is no stock of some of the items.",
    "stock_conflict": "The order has not reserved, or committed, as much of some of the items.",
    "stock_short": "There is less of some of the items than is asked for; nothing was reserved.",
    "payload_gone": "The payload is past its retention and was removed.",
    "key_in_use": "A request with this idempotency key is still being received.",
    "key_reused": "This idempotency key was used with another body or other parameters.",
    "key_malformed": "The idempotency key is not a string of 1 to 255 visible characters.",
    "queue_full": "The merchant has as many open batches as it may have; try again later.",
    "store_full": "There is no room to store the submission; nothing of it was kept.",
    "store_busy": "The store is busy or away; the submission was not accepted, try again.",
    "upload_stalled": "The body stood still too long; nothing of it was kept.",
}
"""Code → title. A protocol gives each its own status."""


class Refusal(Exception):
    """A submission or question that is not accepted; `code` is a key of REFUSALS."""

    def __init__(self, code: str, detail: str = "", /, **facts: object) -> None:
        super().__init__(detail or REFUSALS[code])
        self.code = code
        self.detail = detail or REFUSALS[code]
        self.facts = facts
        """Further machine-readable members, e.g. ``limit``, ``allowed``, ``retry_after_seconds``."""
