"""What may be asked at any time, watched."""

# ruff: noqa: D102 – the contract says what each method does.
from goodsgate.model.batch import Batch, Finding, IssueGroup, Kind, Result
from goodsgate.model.catalogue import Item
from goodsgate.store.contract import BatchFilter, LaneStatus, Page, RecordResult, Retention, SweepCounts
from goodsgate.store.demands import check_order, check_page, key_order, must
from goodsgate.store.strict.receiving import Receiving


class Asking(Receiving):
    """BatchFilter, what became of their records, and what the catalogue holds."""

    def cancel(self, merchant: str, batch: str) -> Batch | None:
        before = self._seen.get(batch)
        return self._watched_or_none(self.store.cancel(merchant, batch), merchant, batch, before)

    def batch(self, merchant: str, batch: str) -> Batch | None:
        before = self._seen.get(batch)
        return self._watched_or_none(self.store.batch(merchant, batch), merchant, batch, before)

    def batches(self, merchant: str, filters: BatchFilter, *, after: str | None = None, limit: int = 50) -> Page[Batch]:
        seen = self._seen.copy()
        page = self.store.batches(merchant, filters, after=after, limit=limit)
        must(len(page.rows) <= limit, "not more than asked for", len(page.rows))
        for batch in page.rows:
            self._watched(batch, merchant, batch.id, seen.get(batch.id))
        return self._as_filtered(page, filters)

    def all_batches(self, filters: BatchFilter, *, after: str | None = None, limit: int = 50) -> Page[Batch]:
        seen = self._seen.copy()
        page = self.store.all_batches(filters, after=after, limit=limit)
        must(len(page.rows) <= limit, "not more than asked for", len(page.rows))
        for batch in page.rows:
            self._watched(batch, batch.merchant, batch.id, seen.get(batch.id))
        return self._as_filtered(page, filters)

    def _as_filtered(self, page: Page[Batch], filters: BatchFilter) -> Page[Batch]:
        must(len({batch.id for batch in page.rows}) == len(page.rows), "each batch once")
        for batch in page.rows:
            for name in ("kind", "state", "outcome", "collection", "protocol"):
                wanted = getattr(filters, name)
                must(wanted is None or getattr(batch, name) == wanted, "as filtered", name, wanted, batch)
        return page

    def lanes(self, *, merchant: str | None = None, limit: int = 100) -> list[LaneStatus]:
        found = self.store.lanes(merchant=merchant, limit=limit)
        must(merchant is None or {lane.merchant for lane in found} <= {merchant}, "of the merchant that asks", found)
        must(len({(lane.merchant, lane.kind) for lane in found}) == len(found) <= limit, "each lane once", found)
        for lane in found:
            must(lane.rounds > 0 and (lane.worker is None) == (lane.expires_at is None), "a lane with work", lane)
        return found

    def issue_groups(self, merchant: str, batch: str, *, limit: int = 100) -> list[IssueGroup]:
        groups = self.store.issue_groups(merchant, batch, limit=limit)
        counts = [group.count for group in groups]
        must(counts == sorted(counts, reverse=True) and len(groups) <= limit, "most frequent first", counts)
        must(len({(group.code, group.severity, group.field) for group in groups}) == len(groups), "each group once")
        for group in groups:
            tops = [count for _, count in group.top]
            must(tops == sorted(tops, reverse=True) and all(count > 0 for count in tops), "top values", group)
            must(0 <= sum(tops) <= group.count, "values are of issues", group)
        return groups

    def findings(self, merchant: str, batch: str, *, after: int = -1, limit: int = 100, code: str | None = None,
                 severity: str | None = None) -> list[Finding]:
        found = self.store.findings(merchant, batch, after=after, limit=limit, code=code, severity=severity)
        must(len(found) <= limit, "not more than asked for", len(found))
        check_order([finding.number for finding in found], after)
        for finding in found:
            must(bool(finding.issues) and finding.raw is None, "issues without the record", finding)
            must((finding.result is None) == (finding.number == 0), "number 0 is the file", finding)
            must(code is None or code in {told.code for told in finding.issues}, "as filtered", code, finding)
            told = {told.severity for told in finding.issues}
            must(severity is None or severity in told, "as filtered", severity, finding)
        return found

    def findings_by_key(self, merchant: str, key: str, *, limit: int = 100) -> list[tuple[str, Finding]]:
        found = self.store.findings_by_key(merchant, key, limit=limit)
        must(len({(batch, finding.number) for batch, finding in found}) == len(found) <= limit, "each record once")
        for _, finding in found:
            must(finding.key == key and bool(finding.issues) and finding.raw is None, "of this key", key, finding)
        return found

    def results(self, merchant: str, batch: str, *, after: int = 0, limit: int = 1000,
                result: Result | None = None) -> list[RecordResult]:
        rows = self.store.results(merchant, batch, after=after, limit=limit, result=result)
        must(len(rows) <= limit, "not more than asked for", len(rows))
        check_order([row.number for row in rows], after)
        if result is None:
            numbers = [row.number for row in rows]
            must(numbers == list(range(after + 1, after + 1 + len(rows))), "no record is left out", numbers)
        must(result is None or all(row.result is result for row in rows), "as filtered", result)
        return rows

    def items(self, merchant: str, kind: Kind, collection: str, *, after: str | None = None, limit: int = 100,
              prefix: str | None = None) -> Page[Item]:
        page = self.store.items(merchant, kind, collection, after=after, limit=limit, prefix=prefix)
        check_page(page, [key_order(item.key) for item in page.rows], limit, key_order(after) if after else None)
        for item in page.rows:
            must((item.kind, item.collection) == (kind, collection), "of this collection", item)
            must(item.key.startswith(prefix or ""), "as filtered", prefix, item)
        return page

    def item(self, merchant: str, kind: Kind, collection: str, key: str) -> Item | None:
        found = self.store.item(merchant, kind, collection, key)
        if found is not None:
            must((found.kind, found.collection, found.key) == (kind, collection, key), "what was asked for", found)
        return found

    def collections(self, merchant: str) -> list[tuple[Kind, str, int]]:
        found = self.store.collections(merchant)
        must(all(items > 0 for _, _, items in found), "collections that hold something", found)
        check_order([(kind.value, name.encode()) for kind, name, _ in found], None)
        return found

    def statistics(self) -> dict[str, float]:
        figures = self.store.statistics()
        must(all(value >= 0 for value in figures.values()), "figures are not negative", figures)
        return figures

    def sweep(self, retention: Retention, *, steps_max: int) -> SweepCounts:
        must(steps_max > 0, "how much at most", steps_max)
        return self.store.sweep(retention, steps_max=steps_max)
