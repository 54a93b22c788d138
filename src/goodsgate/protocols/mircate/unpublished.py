"""Decisions about everything that Mircate has not published; later evidence changes this file alone.

Each entry has a row in the README's table. Forms of requests and answers that are not published are marked in the
``openapi.yaml`` files; the setting ``call_aliases`` gives other names to classes, methods and members of bodies.
"""

PREFIXES = ("/5p1hp1d2t/", "/mircate/")
"""Unknown paths below these get this protocol's 404; the first is the published project id."""
COLLECTION = "mircate"
"""The collection of prices and stock."""
PROTOCOL = "mircate"

DENIED = {"code": "ACCESS_DENIED", "message": "Access Denied"}
"""The body of 403."""
NOT_FOUND = "Record Not Found"
TOO_MANY = "Too Many Requests"
INVALID = {"code": "VALIDATION", "message": "Model validation has been failed."}
"""The body of 400 if a request violates its schema, with ``issues`` added. The text is the platform's."""
BUSY_STATUS = 570
"""Published for the platform below, not for Mircate."""
BUSY_SECONDS_MAX = 25.0
"""How long an instance stays busy after the process of a method has died: the platform's time limit of a method."""

PROJECT_SETTING = "project"
"""The setting of a key with further projects, separated by commas, that it may use beside its merchant's id."""

ARGUMENTS_BYTES_MAX = 1024**2
"""Size of a method's arguments, unless it has a limit of its own."""
ISSUES_MAX = 100

SYNCHRONOUS_SECONDS_MAX = 10.0
"""How long a removal, an upsert or a deletion waits for its result before the answer is 202."""
UNITS_BYTES_MAX = 32 * 1024**2
"""Size of a request with stock or prices."""
CHANNEL = "default"
"""The channel of units that name none."""
WAITING, RUNNING, DONE, FAILED = "WAITING", "RUNNING", "DONE", "FAILED"
"""States of a batch and of an export."""
MESSAGES = {"location_unknown": "Channel not found"}
"""Code of an issue → message that replaces the issue's own."""

STOCK_FIELD = "stock"
"""The member of a unit that orders change."""
SHORT, UNKNOWN_PRODUCT, UNRESERVED = "Insufficient stock!", "Product not found!", "Quantity was not reserved!"
"""Messages of 400 if stock cannot be changed; the SKUs follow in brackets."""

EXPORTS_MAX = 100
"""Exports of one project at a time."""
EXPORT_DAYS = 7
"""Retention of an export and its files."""
EXPORT_PART_ROWS = 100_000
"""Items of one file; further items go into another file."""
EXPORT_COLUMNS: dict[str, tuple[str, ...]] = {
    "stock": ("sku", "channel", "stock", "reserved", "available", "updatedAt"),
    "price": ("sku", "channel", "price", "discountedPrice", "currency", "updatedAt"),
}
LINK_SECONDS = 3600
"""Validity of a link to a file."""

UNBUILT_CLASSES = ("Promotion", "Loyalty", "Wallet", "TalkingProduct")
"""Classes of Mircate that are not catalogue intake, with and without `API` at the end."""
ALIASES: dict[str, str] = {
    "PIMAPI/upsertAttributeSelectOptions": "PIMAPI/upsertAttributeOptions",
    "PIMAPI/upsertSelectOption": "PIMAPI/upsertAttributeOption",
    "PIMAPI/deleteSelectOption": "PIMAPI/deleteAttributeOption",
}
"""Class and method in the ancestor of this interface → their names today."""
