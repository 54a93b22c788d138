"""The protocol of the contract that tells what became of the records of a batch."""

from collections.abc import Sequence
from datetime import date
from typing import Protocol

from goodsgate.model.batch import BatchRound, Result
from goodsgate.model.finding import Finding
from goodsgate.model.issue_group import IssueGroup
from goodsgate.model.scorecard import FeedDay, FeedIssues
from goodsgate.store.contract.values import RecordResult


class ReportStore(Protocol):
    """Results and issues of the records of a batch."""

    def batch_rounds(self, merchant: str, batch: str) -> list[BatchRound]:
        """Return the rounds of the batch that have ended, in their order."""

    def feed_days(self, merchant: str, *, since: date) -> list[FeedDay]:
        """Return what each submitter has sent on each day since then, by day.

        Fixes, dry runs, reverts and edits do not count.
        """

    def feed_issues(self, merchant: str, *, since: date, limit: int = 1000) -> list[FeedIssues]:
        """Return the issues that these feeds had, the most frequent first."""

    def issue_groups(self, merchant: str, batch: str, *, limit: int = 100) -> list[IssueGroup]:
        """Return issues of the batch that are alike, the most frequent group first."""

    def findings(self, merchant: str, batch: str, *, after: int = -1, limit: int = 100, code: str | None = None,
                 severity: str | None = None) -> list[Finding]:
        """Return records with issues by number, without their raw bytes; number 0, the file, comes first."""

    def findings_by_key(self, merchant: str, key: str, *, limit: int = 100) -> list[tuple[str, Finding]]:
        """Return records with this key that have issues, with their batch, the newest batch first.

        Batches of every kind and collection are included; raw bytes are not.
        """

    def results(self, merchant: str, batch: str, *, after: int = 0, limit: int = 1000,
                result: Result | None = None) -> list[RecordResult]:
        """Return results of records by number."""

    def rejected_records(self, merchant: str, batch: str, *, after: int = 0, limit: int = 1000) -> list[Finding]:
        """Return rejected records with their raw bytes, by number.

        Returns fewer than `limit`, but at least one, if the records are long.
        """

    def rejected_by_number(self, merchant: str, batch: str, numbers: Sequence[int]) -> dict[int, Finding]:
        """Return those of the numbered records that are rejected or wait, with their raw bytes."""
