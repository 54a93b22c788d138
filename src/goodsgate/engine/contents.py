"""What a file is: the title of its profile, and how many products and rows of each role it has."""

from typing import Any

import msgspec

from goodsgate.engine.mapping_resolution import chosen_profile
from goodsgate.model.batch import Batch
from goodsgate.model.counting import counted
from goodsgate.model.roles import PRODUCTS, ROLES, roles_text
from goodsgate.profiles import load_profile, profile_names


class Contents(msgspec.Struct, frozen=True, kw_only=True):
    """What the file of a batch is, as far as it was read."""

    profile: str | None
    """Name of its profile; None if it was read without one."""
    title: str | None
    """As people call such a file."""
    roles: dict[str, int] | None
    """Products and rows of each role; None if each row stands alone."""
    first_records: int | None = None
    """How many records the counts are of, if not of all."""

    @property
    def summary(self) -> str:
        """One line: ``Shopify product export: 3 products, 6 variants, 2 image rows``."""
        text = roles_text(self.roles or {})
        if text and self.first_records is not None:
            text = f"{text} in the first {counted(self.first_records, 'record')}"
        return ": ".join(filter(None, (self.title, text)))


def batch_contents(batch: Batch, *, first_records: int | None = None) -> Contents | None:
    """Return what the file of a batch is; None if it has no profile and no groups."""
    profile = chosen_profile(batch.reading)
    if profile is None and not batch.roles:
        return None
    title = load_profile(profile).title if profile in profile_names() else profile
    if title is not None and batch.policy.saved_profile == title and batch.policy.profile in profile_names():
        title = f"{title} ({load_profile(batch.policy.profile).title})"
    roles = {name: batch.roles.get(name, 0) for name in (PRODUCTS, *ROLES)} if batch.roles else None
    return Contents(profile=profile, title=title, roles=roles, first_records=first_records)


def contents_document(contents: Contents | None) -> dict[str, Any] | None:
    """Return the contents as the API and the command line show them."""
    return None if contents is None else {**msgspec.structs.asdict(contents), "summary": contents.summary}
