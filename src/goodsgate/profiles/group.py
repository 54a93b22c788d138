"""How the rows of a file belong together; the ``group`` section of a profile.

Shop systems write one product on several rows. A row has a **role**: the catalogue holds an item for each `variant`;
rows of the other roles give their values to those.
"""

import msgspec

from goodsgate.model.roles import Role

CellConditions = dict[str, tuple[str, ...]]
"""Column → the cells that meet the condition, in lower case; ``""`` is an empty cell, ``"*"`` any other one. A column
that the file lacks is empty."""


class RoleRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """When a row has a role."""

    role: Role
    when: CellConditions = {}
    beside_variants: bool = False
    """Only in a group with variants besides this row."""
    label: str | None = None
    """Column with the language of a translation, or the currency or price list of a price."""


class Group(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How rows belong together."""

    key: tuple[str, ...] = ()
    """Columns, of which the first one with a value names the group: rows with the same value, next to each other."""
    begins: CellConditions = {}
    """A row that meets one of these begins a group, to which the rows below it belong; instead of a key."""
    roles: tuple[RoleRule, ...] = (RoleRule(role="variant"),)
    """The first one that applies counts."""
    inherit: tuple[str | tuple[str, ...], ...] = ()
    """Columns that a variant takes, where its own cell is empty, from the first row of its group with a value. A list
    is taken together, if all of its cells are empty. ``{n}`` and ``*`` stand for a number and for any characters."""
    inherit_when: CellConditions = {}
    """Which variants take something; empty: all."""
    from_parent: dict[str, str] = {}
    """Field → column of the parent that fills it, where that column means something else in the row of a variant."""
    images: tuple[str, ...] = ()
    """Columns that hold images of the whole group, whatever the row."""
    image_position: str | None = None
    """Column with the place of the image among them."""
    scattered: bool = False
    """A variant may stand anywhere in the file, before its parent, too, and takes values from its parent alone."""
    known_as: tuple[str, ...] = ()
    """If scattered: what the key of a variant may name of its parent: columns, or patterns such as ``id:{ID}``."""
    members: str | None = None
    """If scattered: a column of a parent that lists its variants, as in ``sku=A,color=Blue|sku=B,color=Red``."""
    named_by: tuple[str, ...] = ()
    """Columns of the parent, of which the first value becomes the variants' ``item_group_id``; none: the key does."""
    names_items: bool = False
    """Whether the key becomes the ``item_group_id`` of groups of several items."""
