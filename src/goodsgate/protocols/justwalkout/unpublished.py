"""Decisions about everything that Amazon has not published; later evidence changes this file alone.

Each entry has a row in the README's table. The forms of requests are in ``openapi.yaml`` and marked there.
"""

import re

from goodsgate.model.batch import Batch, State

PREFIX = "/v1/catalog/"
"""An unknown path below it gets this protocol's 403."""
COLLECTION, CART_COLLECTION = "justwalkout", "justwalkout-cart"
"""Collections of the items of stores, and of Dash Cart stores."""
TOPIC = "justwalkout/status"
"""The topic of messages about the end of an ingestion."""
PLANOGRAM = "justwalkout/planogram"
"""Type of the resource that holds the SKUs on the merchant's planogram."""

QUEUE = r"arn:aws[a-z-]*:sqs:[a-z0-9-]{1,32}:[0-9]{12}:[A-Za-z0-9_-]{1,80}"
"""The ARN of a queue. The region becomes part of a host name, so its characters are restricted."""

BODY_BYTES_MAX = 10 * 1024**2
"""The limit of API Gateway."""
ITEMS_MAX = 10_000
"""Published for uploads; archives have the same limit here."""
PLANOGRAM_MAX = 100_000
REQUESTS_PER_SECOND = 10
"""Published. Counted for an account over all operations; the burst is as large."""

STORE_WRONG = "One or more StoreID's present in the request is incorrect"
STORES_WRONG = (
    "List of store ID's present in the request are either incorrect/not associated with same retailer"
)
BODY_WRONG = "Invalid request body"
"""These three texts are published; those below are not."""
ITEMS_TOO_MANY = "Number of items in the request exceeds the maximum threshold"
INGESTION_WRONG = "Invalid ingestionId"
STORES_LACKING = "allApplicableStores must contain every store of the retailer. Available stores: [{stores}]"
TOO_MANY_REQUESTS = "Too Many Requests"
RETRY_ADVISED, RETRY_NOT_ADVISED = "Internal Server Error. Please retry", "Internal Server Error"

STATUS_OF_STATE = {
    State.RECEIVING: "INQUEUE", State.QUEUED: "INQUEUE", State.WORKING: "INPROGRESS", State.FINISHED: "DONE",
    State.CANCELLED: "CANCELLED", State.BROKEN: "FATAL", State.HELD: "INPROGRESS",
}

SKU = re.compile(r"[A-Za-z0-9._-]+")
"""The vendor writes "alphanumeric", with examples that have hyphens."""
NAME = re.compile(r"[ -~]*")
"""The vendor writes "no high-ASCII": the name is printed on the receipt."""
NAME_CHARACTERS_ADVISED = 100
PRICE = re.compile(r"[0-9]{1,12}(\.[0-9]{1,4})?")

BARCODES = ("external_product_id", "additional_external_product_information")


def report_code(code: str, path: str) -> str:
    """Return the code that the report has for an issue with this code and path."""
    own = {
        "duplicate_in_batch": "DUPLICATE_SKU_IN_REQUEST", "item_missing": "SKU_NOT_FOUND",
        "item_on_planogram": "SKU_ON_PLANOGRAM", "value_held": "DUPLICATE_BARCODE",
        "sku_characters": "UNSUPPORTED_CHARACTERS", "sku_edge_blanks": "UNSUPPORTED_CHARACTERS",
    }.get(code)
    if own is not None:
        return own
    member = path.removeprefix("/").partition("/")[0]
    if member in BARCODES or member == "external_product_id_type":
        return "INVALID_BARCODE"
    if member == "standard_price":
        return "INVALID_PRICE"
    return "UNSUPPORTED_CHARACTERS" if code == "text_form" else "INVALID_ATTRIBUTE"


def has_report(batch: Batch) -> bool:
    """Return whether an ingestion has a report; a cancelled one has if records were processed before."""
    if batch.state in (State.FINISHED, State.BROKEN):
        return True
    return batch.state is State.CANCELLED and batch.counts.accounted > batch.counts.cancelled


def ingestion_of(batch: str) -> str:
    """Return the ``ingestionId`` of a batch: its id, written as a UUID."""
    return "-".join((batch[:8], batch[8:12], batch[12:16], batch[16:20], batch[20:]))


def batch_of(ingestion: str) -> str:
    """Return the id of the batch of an ``ingestionId``; for other texts an id that no batch has."""
    batch = ingestion.replace("-", "")
    return batch if ingestion == ingestion_of(batch) else ""
