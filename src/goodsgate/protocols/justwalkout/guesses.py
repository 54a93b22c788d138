"""Everything that Amazon has not published and that this protocol had to decide; later evidence changes this file
alone.

Each entry has its row in the README's table. What a request may be is in ``openapi.yaml``, marked there.
"""

import re

from goodsgate.model.batch import Batch, State

PREFIX = "/v1/catalog/"
"""What is not found below it is answered in this protocol's words."""
COLLECTION, CART_COLLECTION = "justwalkout", "justwalkout-cart"
"""Where items of stores, and of Dash Cart stores, are held."""
TOPIC = "justwalkout/status"
"""Of messages that tell of the end of an ingestion."""
PLANOGRAM = "justwalkout/planogram"
"""Sort of the resource that holds the SKUs on shelves."""

QUEUE = r"arn:aws[a-z-]*:sqs:[a-z0-9-]{1,32}:[0-9]{12}:[A-Za-z0-9_-]{1,80}"
"""How a queue is named: its region becomes part of a host's name, so nothing else may be in it."""

BODY_BYTES_MAX = 10 * 1024**2
"""The platform's ceiling."""
ITEMS_MAX = 10_000
"""Published for uploads, taken for archives."""
PLANOGRAM_MAX = 100_000
REQUESTS_PER_SECOND = 10
"""Published; of one account, whatever it asks for, and as many at once."""
LINK_SECONDS = 3600
"""Published."""

STORE_WRONG = "One or more StoreID's present in the request is incorrect"
STORES_WRONG = (
    "List of store ID's present in the request are either incorrect/not associated with same retailer"
)
BODY_WRONG = "Invalid request body"
"""These three are published; the others are not."""
ITEMS_TOO_MANY = "Number of items in the request exceeds the maximum threshold"
INGESTION_WRONG = "Invalid ingestionId"
STORES_LACKING = "allApplicableStores must contain every store of the retailer. Available stores: [{stores}]"
TOO_MANY_REQUESTS = "Too Many Requests"
RETRY_ADVISED, RETRY_NOT_ADVISED = "Internal Server Error. Please retry", "Internal Server Error"

STATUS_OF_STATE = {
    State.RECEIVING: "INQUEUE", State.QUEUED: "INQUEUE", State.WORKING: "INPROGRESS", State.FINISHED: "DONE",
    State.CANCELLED: "CANCELLED", State.BROKEN: "FATAL",
}

SKU = re.compile(r"[A-Za-z0-9._-]+")
"""Published is "alphanumeric", with examples that hold hyphens."""
NAME = re.compile(r"[ -~]*")
"""Published is "no high-ASCII": it is printed on the receipt."""
NAME_CHARACTERS_ADVISED = 100
PRICE = re.compile(r"[0-9]{1,12}(\.[0-9]{1,4})?")

BARCODES = ("external_product_id", "additional_external_product_information")


def report_code(code: str, path: str) -> str:
    """The gate's code of an issue, and where it is → the one of the report."""
    told = {
        "duplicate_in_batch": "DUPLICATE_SKU_IN_REQUEST", "item_missing": "SKU_NOT_FOUND",
        "item_on_planogram": "SKU_ON_PLANOGRAM", "value_held": "DUPLICATE_BARCODE",
        "sku_characters": "UNSUPPORTED_CHARACTERS", "sku_edge_blanks": "UNSUPPORTED_CHARACTERS",
    }.get(code)
    if told is not None:
        return told
    member = path.removeprefix("/").partition("/")[0]
    if member in BARCODES or member == "external_product_id_type":
        return "INVALID_BARCODE"
    if member == "standard_price":
        return "INVALID_PRICE"
    return "UNSUPPORTED_CHARACTERS" if code == "text_form" else "INVALID_ATTRIBUTE"


def has_report(batch: Batch) -> bool:
    """One that was done or broke off has one; one that was cancelled only if something was worked before."""
    if batch.state in (State.FINISHED, State.BROKEN):
        return True
    return batch.state is State.CANCELLED and batch.counts.accounted > batch.counts.cancelled


def ingestion_of(batch: str) -> str:
    """``ingestionId``: the batch's id, written as a UUID."""
    return "-".join((batch[:8], batch[8:12], batch[12:16], batch[16:20], batch[20:]))


def batch_of(ingestion: str) -> str:
    """The batch's id of an ``ingestionId``; of anything else something that no batch has."""
    batch = ingestion.replace("-", "")
    return batch if ingestion == ingestion_of(batch) else ""
