"""Decisions that Konnect has not published; later evidence changes this file alone.

The README lists where each decision applies. Rules for records are in ``openapi.yaml``.
"""

import hashlib
import zlib

from goodsgate.auth import Caller

PREFIXES = ("/v3/", "/ims/", "/oms/", "/aggregator/")
"""Paths below these belong to this protocol, including those that do not exist."""
COLLECTION = "konnect"
"""Collection of this protocol's products, prices and stock."""
CURRENCY = "INR"
"""Currency of products, which name none."""
BODY_BYTES_MAX = 16 * 1024**2
"""Limit of one request; 100 products with descriptions of 5,000 characters need a fraction of it."""
SYNCHRONOUS_SECONDS_MAX = 10.0
"""Longest wait for prices and stock to be applied; after it the answer is 202 with PENDING."""
PRODUCTS_FIRST_SECONDS = 300.0
"""How long prices and stock wait for products that the seller sent before them."""
SHIPMENTS_OPEN_MAX = 100_000
"""Limit of one merchant's unfinished shipments."""
SLA_HOURS = 24
"""Time in which a seller should have processed an order."""
CANCEL_REASONS = ("6", "7", "8", "9", "NA")
"""Out of stock, not as described, price mismatch, damaged, store permanently closed."""
CHANNELS = ("FYND", "ECOMM", "AMAZON_MLF", "MYNTRA_IN", "FLIPKART", "AJIO_VMS", "NYKAA", "TATACLIQ_IN", "JIOMART")
"""Channels of generated orders; a request may name any other."""

ERROR_CODES: dict[str, str] = {
    # values outside an enumeration
    "value_not_allowed": "INVALID_ENUM", "value_spelling": "INVALID_ENUM",
    # unknown reference data
    "brand_unknown": "REFERENCE_ERROR", "category_unknown": "REFERENCE_ERROR", "department_unknown": "REFERENCE_ERROR",
    "template_unknown": "REFERENCE_ERROR", "tax_rule_unknown": "REFERENCE_ERROR", "hs_code_unknown": "REFERENCE_ERROR",
    "location_unknown": "REFERENCE_ERROR", "location_foreign": "REFERENCE_ERROR",
    # missing values
    "field_missing": "MISSING_FIELD", "sku_missing": "MISSING_FIELD", "attribute_missing": "MISSING_FIELD",
    "list_too_short": "MISSING_FIELD", "item_unnamed": "MISSING_FIELD",
    # identifiers in use
    "key_held": "DUPLICATE_IDENTIFIER", "value_held": "DUPLICATE_IDENTIFIER",
    "variant_repeated": "DUPLICATE_IDENTIFIER",
    # updates and deletes
    "field_fixed": "IMMUTABLE_FIELD", "item_missing": "NOT_FOUND", "item_ambiguous": "NOT_FOUND",
    "entry_unknown": "NOT_FOUND", "internal_fault": "INTERNAL_ERROR",
}
"""Issue code → error code of the protocol; every other issue is a FORMAT_ERROR."""


def error_code(code: str) -> str:
    """Return the protocol's error code of an issue code."""
    return ERROR_CODES.get(code, "FORMAT_ERROR")


def company_id(caller: Caller | None) -> int:
    """Return ``company_id``: the key's setting, the merchant's id if it is a number, or one derived from it."""
    if caller is None:
        return 0
    for text in (caller.settings.get("company_id", ""), caller.merchant):
        if text.isascii() and text.isdigit() and len(text) <= 15:
            return int(text)
    return zlib.crc32(caller.merchant.encode()) % 10**6 + 10**6


def integration_id(caller: Caller | None) -> str:
    """Return ``integrationId``: 24 characters, the same for all requests of one key."""
    name = f"{caller.merchant}/{caller.key_id}" if caller is not None else ""
    return hashlib.blake2b(name.encode(), digest_size=12).hexdigest()


def status_profile(caller: Caller | None) -> str:
    """Return the document that the status follows, `guide` or `reference`: the key's setting ``profile``."""
    return "reference" if caller is not None and caller.settings.get("profile") == "reference" else "guide"


def is_strict(caller: Caller | None) -> bool:
    """Return whether updates must hold every member that the API reference requires: the key's setting ``strict``."""
    return caller is not None and caller.settings.get("strict") == "yes"


def token_location(caller: Caller | None) -> str | None:
    """Return the location of a location-level credential: the key's setting ``location``; None: company level."""
    return caller.settings.get("location") if caller is not None else None
