"""What records refer to: which issues say that something is not there yet, and what that is."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from goodsgate.model.issue import VALUE_CHARACTERS_MAX, Issue

PRODUCT = "product"
"""The kind of reference of a price or stock: the SKU of a product in the same collection."""
PARENT = "parent"
"""The kind of reference of a variant: the row that describes its product, in a batch of the same collection."""

REFERENCE_OF_CODE: dict[str, str] = {
    "brand_unknown": "brand", "category_unknown": "category", "tax_rule_unknown": "tax_rule",
    "location_unknown": "location", "hs_code_unknown": "hs_code", "sku_unknown": PRODUCT,
    "group_parent_missing": PARENT,
}
"""Code of an issue → the kind of reference that its value names and that may still arrive."""

Reference = tuple[str, str]
"""Kind and code: ``("brand", "Acme")``. A code is cut off as the value of an issue is."""


class WaitingReference(msgspec.Struct, frozen=True, kw_only=True):
    """Something that records of a batch wait for."""

    kind: str
    """A kind of reference data, ``product`` or ``parent``."""
    code: str
    records: int
    """Records that wait for it; a record may wait for several references."""
    expires_at: datetime
    """When the first of them is rejected, unless it arrives before."""


def missing_references(issues: Sequence[Issue]) -> list[Reference] | None:
    """Return what a record with these issues has to wait for; None if something else is wrong with it, or nothing."""
    errors = [each for each in issues if each.severity == "error"]
    if not errors or any(each.code not in REFERENCE_OF_CODE or each.value is None for each in errors):
        return None
    return [*dict.fromkeys((REFERENCE_OF_CODE[each.code], str(each.value)) for each in errors)]


def is_cut_off(code: str) -> bool:
    """Return whether a code is only the beginning of what a record has."""
    return len(code) >= VALUE_CHARACTERS_MAX
