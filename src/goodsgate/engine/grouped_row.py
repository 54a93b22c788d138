"""A row of a file with what it takes from the other rows of its product, and gives to them."""

from typing import NamedTuple

import msgspec

from goodsgate.model.issue import Issue
from goodsgate.model.roles import Role


class ParentRow(msgspec.Struct, frozen=True):
    """A row that is no item of its own, with what its variants can take from it."""

    source_row: int
    cells: list[str]
    """As received where a variant can take the cell, else empty."""
    name: str
    """What its variants have as ``item_group_id``."""


class KeptParent(msgspec.Struct, frozen=True):
    """What a row and the others of its group give to variants that stand in other batches."""

    names: tuple[str, ...]
    """By which variants name it."""
    group_id: str
    """What they have as ``item_group_id``."""
    rows: list[dict[str, str]]
    """Column, folded → cell, of each row that gives something."""


class MissingParent(NamedTuple):
    """A parent that a row names and that has not been submitted yet."""

    name: str
    columns: frozenset[int]
    """What its row could fill."""


class GroupedRow(msgspec.Struct, frozen=True, gc=False):
    """A row with what it takes from the other rows of its group."""

    role: Role
    cells: list[str]
    taken: dict[int, int] = {}
    """Column → number of the source row that its cell comes from."""
    parent: ParentRow | None = None
    """The row that has to be right for this one to be right."""
    members: dict[str, object] = {}
    """Members to be added to the document; ``additional_image_link`` has all images of the group."""
    label: str = ""
    """Language of a translation; currency or price list of a price, if a column names it."""
    issues: tuple[Issue, ...] = ()
    begins_product: bool = False
    """Whether no row before it is of the same product."""
    kept: KeptParent | None = None
    """What is kept for other batches once the row is accepted."""
    missing: MissingParent | None = None
    """For what it waits."""

    @property
    def is_plain(self) -> bool:
        """Whether the row is the same without its group."""
        return self.role == "variant" and not (
            self.taken or self.members or self.parent or self.issues or self.kept or self.missing
        )
