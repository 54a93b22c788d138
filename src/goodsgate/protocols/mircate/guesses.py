"""Everything that Mircate has not published and that this protocol had to decide; later evidence changes this file
alone.

Each entry names its row in the README's table. Shapes of requests and answers that are guessed stand in the
``openapi.yaml`` files, marked there; class and method names may be given others in the settings (``call_aliases``).
"""

PREFIXES = ("/5p1hp1d2t/", "/mircate/")
"""What is not found below these is answered in this protocol's words; the first is the published project id."""
COLLECTION = "mircate"
"""Where prices and stock of this protocol are held."""
PROTOCOL = "mircate"

DENIED = {"code": "ACCESS_DENIED", "message": "Access Denied"}
"""Body of 403."""
NOT_FOUND = "Record Not Found"
TOO_MANY = "Too Many Requests"
INVALID = {"code": "VALIDATION", "message": "Model validation has been failed."}
"""Body of 400 where a request is not of its schema; ``issues`` are added. The words are the platform's."""
BUSY_STATUS = 570
"""Published for the platform, not for Mircate."""
BUSY_SECONDS_MAX = 25.0
"""How long an instance stays busy with a method whose process died: the platform's own limit of a method."""

PROJECT_SETTING = "project"
"""The setting of a key that names, with commas between them, projects beside its merchant's id for which it is good."""

ARGUMENTS_BYTES_MAX = 1024**2
"""Of a method's arguments where it has no limit of its own."""
ISSUES_MAX = 100

UNITS_BYTES_MAX = 32 * 1024**2
"""Of a request that brings stock or prices."""
CHANNEL = "default"
"""Of units that name none."""
WAITING, RUNNING, DONE, FAILED = "WAITING", "RUNNING", "DONE", "FAILED"
"""States of a batch and of an export."""
MESSAGES = {"location_unknown": "Channel not found"}
"""The gate's code of an issue → what is said of a unit in place of the issue's own message."""

STOCK_FIELD = "stock"
"""The member of a unit that orders move."""
SHORT, UNKNOWN_PRODUCT, UNRESERVED = "Insufficient stock!", "Product not found!", "Quantity was not reserved!"
"""Messages of 400 where stock cannot be moved; the SKUs follow in brackets."""

EXPORTS_MAX = 100
"""Of one project, at once."""
EXPORT_DAYS = 7
"""How long an export and its files are kept."""
EXPORT_PART_ROWS = 100_000
"""Items of one file; what is more goes into another."""
EXPORT_COLUMNS: dict[str, tuple[str, ...]] = {
    "stock": ("sku", "channel", "stock", "reserved", "available", "updatedAt"),
    "price": ("sku", "channel", "price", "discountedPrice", "currency", "updatedAt"),
}
LINK_SECONDS = 3600
"""How long a link to a file is good."""

ALIASES: dict[str, str] = {
    "PIMAPI/upsertAttributeSelectOptions": "PIMAPI/upsertAttributeOptions",
    "PIMAPI/upsertSelectOption": "PIMAPI/upsertAttributeOption",
    "PIMAPI/deleteSelectOption": "PIMAPI/deleteAttributeOption",
}
"""Class and method as the ancestor of this interface called them → as they are called now."""


def aliases_of(setting: str) -> dict[str, str]:
    """The built-in ones and those of the setting: ``Class/method=Class/method`` or ``Class=Class``, commas between."""
    given = dict(pair.split("=") for pair in setting.replace(" ", "").split(",") if pair)
    return {**ALIASES, **given}
