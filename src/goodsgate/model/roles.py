"""What the rows of a file are among those of their product, and how many there are of each role.

The role of a row is kept as one byte: its place in `ROLES` from 1, or 0 if it has none, with `BEGINS_PRODUCT` for the
first row of a product.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Literal, get_args

from goodsgate.model.counting import counted

Role = Literal["variant", "parent", "image", "price", "translation", "note"]
"""``parent`` is no item of its own, ``image`` adds an image to its group, ``price`` is a further price of a SKU (in
another currency or price list), ``translation`` its texts in another language, ``note`` nothing that an item holds."""
ROLES: tuple[Role, ...] = get_args(Role)
PRODUCTS = "products"
"""Name of the count of products; those of rows are named after their role."""
BEGINS_PRODUCT = 0x80

_BYTES = {role: byte for byte, role in enumerate(ROLES, 1)}
_WORDS = {
    PRODUCTS: ("product", "products"), "variant": ("variant", "variants"), "parent": ("parent row", "parent rows"),
    "image": ("image row", "image rows"), "price": ("price row", "price rows"),
    "translation": ("translation row", "translation rows"), "note": ("note row", "note rows"),
}


def role_byte(role: Role, *, begins_product: bool) -> int:
    """Return the byte of a row."""
    return _BYTES[role] | BEGINS_PRODUCT if begins_product else _BYTES[role]


def count_roles(roles: bytes, before: bytes = b"") -> dict[str, int]:
    """Return the products and the rows of each role among some rows, without those that they were `before`."""
    bytes_counted = Counter(roles)
    bytes_counted.subtract(before)
    counts: Counter[str] = Counter()
    for byte, count in bytes_counted.items():
        if byte & BEGINS_PRODUCT:
            counts[PRODUCTS] += count
        if byte & ~BEGINS_PRODUCT:
            counts[ROLES[(byte & ~BEGINS_PRODUCT) - 1]] += count
    return {name: count for name, count in counts.items() if count}


def add_roles(counts: Mapping[str, int], changes: Mapping[str, int]) -> dict[str, int]:
    """Return the sum, in the order of the roles, without zeros."""
    total = {name: counts.get(name, 0) + changes.get(name, 0) for name in (PRODUCTS, *ROLES)}
    return {name: count for name, count in total.items() if count}


def roles_text(counts: Mapping[str, int]) -> str:
    """Return the counts in words: ``3 products, 6 variants, 2 image rows``; empty without counts."""
    return ", ".join(
        counted(count, singular, plural)
        for name, (singular, plural) in _WORDS.items() if (count := counts.get(name, 0))
    )
