"""Everything that Konnect has not published and that this protocol had to decide; later evidence changes this file
alone.

Each entry names the place in the README's table. What is a rule of a record is in ``openapi.yaml``, marked there.
"""

import hashlib
import zlib

from goodsgate.auth import Caller

PREFIXES = ("/v3/", "/ims/", "/oms/", "/aggregator/")
"""What is not found below these is answered in this protocol's words."""
COLLECTION = "konnect"
"""Where products, prices and stock of this protocol are held."""
CURRENCY = "INR"
"""Of products, which name none."""
BODY_BYTES_MAX = 16 * 1024**2
"""Of one request; 100 products with descriptions of 5,000 characters are a fraction of it."""
SYNCHRONOUS_SECONDS_MAX = 10.0
"""How long prices and stock wait to be worked before they are answered with 202 and PENDING."""
SHIPMENTS_OPEN_MAX = 100_000
"""Of one merchant, that are not at their end."""
SLA_HOURS = 24
"""After which an order should have been worked."""
CANCEL_REASONS = ("6", "7", "8", "9", "NA")
"""Out of stock, not as described, price mismatch, damaged, store permanently closed."""
CHANNELS = ("FYND", "ECOMM", "AMAZON_MLF", "MYNTRA_IN", "FLIPKART", "AJIO_VMS", "NYKAA", "TATACLIQ_IN", "JIOMART")
"""From which the orders of a stream come; any text is taken."""
POLL_SECONDS = 5
"""``Retry-After`` of what may be tried again, where the gate has no better advice."""

CODES: dict[str, str] = {
    # bad values of an enumeration, or of a type
    "value_not_allowed": "INVALID_ENUM", "value_spelling": "INVALID_ENUM",
    # what does not exist
    "brand_unknown": "REFERENCE_ERROR", "category_unknown": "REFERENCE_ERROR", "department_unknown": "REFERENCE_ERROR",
    "template_unknown": "REFERENCE_ERROR", "tax_rule_unknown": "REFERENCE_ERROR", "hs_code_unknown": "REFERENCE_ERROR",
    "location_unknown": "REFERENCE_ERROR", "location_foreign": "REFERENCE_ERROR",
    # what is not there
    "field_missing": "MISSING_FIELD", "sku_missing": "MISSING_FIELD", "attribute_missing": "MISSING_FIELD",
    "list_too_short": "MISSING_FIELD", "item_unnamed": "MISSING_FIELD",
    # what is there already
    "key_held": "DUPLICATE_IDENTIFIER", "value_held": "DUPLICATE_IDENTIFIER",
    "variant_repeated": "DUPLICATE_IDENTIFIER",
    # updates and deletes
    "field_fixed": "IMMUTABLE_FIELD", "item_missing": "NOT_FOUND", "item_ambiguous": "NOT_FOUND",
    "entry_unknown": "NOT_FOUND", "internal_fault": "INTERNAL_ERROR",
}
"""The gate's code of an issue → the one suggested for Konnect; any other is FORMAT_ERROR."""


def error_code(code: str) -> str:
    """Konnect's word for an issue."""
    return CODES.get(code, "FORMAT_ERROR")


def company_id(caller: Caller | None) -> int:
    """``company_id``: the key's fact of that name, or the merchant's id if it is a number, or one made from it."""
    if caller is None:
        return 0
    for text in (caller.facts.get("company_id", ""), caller.merchant):
        if text.isascii() and text.isdigit() and len(text) <= 15:
            return int(text)
    return zlib.crc32(caller.merchant.encode()) % 10**6 + 10**6


def integration_id(caller: Caller | None) -> str:
    """``integrationId``: 24 characters, the same for everything one key does."""
    name = f"{caller.merchant}/{caller.key_id}" if caller is not None else ""
    return hashlib.blake2b(name.encode(), digest_size=12).hexdigest()


def status_profile(caller: Caller | None) -> str:
    """Which of the two documents the status is worded after: the key's fact ``profile``, else ``guide``."""
    return "reference" if caller is not None and caller.facts.get("profile") == "reference" else "guide"


def is_strict(caller: Caller | None) -> bool:
    """Whether updates must hold all that the API reference lists: the key's fact ``strict``."""
    return caller is not None and caller.facts.get("strict") in ("yes", "true")


def token_location(caller: Caller | None) -> str | None:
    """The location of a location-level credential: the key's fact ``location``."""
    return caller.facts.get("location") if caller is not None else None
