"""The audit log of a store."""

from typing import Protocol

from goodsgate.model.audit import AuditEntry, AuditFilter
from goodsgate.store.contract.values import Page


class AuditStore(Protocol):
    """Chains of entries, one for each merchant and one for the installation (None).

    Entries are added in the transactions that they are about: of merchants, keys, tokens and resources, of reference
    data, of cancellations, and of batches and rounds, if `model.audit.ACT` has an act that is not yet recorded.
    """

    def record_act(self, merchant: str | None) -> None:
        """Add the entry of an act that no other transaction has recorded; no effect on one that is recorded.

        Raises StoreError if the merchant is unknown.
        """

    def audit_entries(self, merchant: str | None, filters: AuditFilter, *, after: int = 0, limit: int = 100,
                      newest_first: bool = False) -> Page[AuditEntry]:
        """Return entries behind a number, oldest first; or those before it, newest first (0: from the end).

        The next page is behind the last entry of this one, whose number the page names.
        """
