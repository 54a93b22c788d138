"""The engine as protocols see it: every question and every order, in the engine's words."""

from collections.abc import Callable, Iterable, Iterator

from goodsgate.config import Config
from goodsgate.engine import reference as references
from goodsgate.engine import report as reports
from goodsgate.engine.mending import alike
from goodsgate.engine.receive import Submission, Watcher, refusing
from goodsgate.engine.refusal import Refusal
from goodsgate.engine.secrets import Secrets
from goodsgate.engine.stock import Stock
from goodsgate.model.batch import FINAL_STATES, Batch, IssueGroup, Kind, Policy, RoundKind, new_id
from goodsgate.model.catalogue import Item, ReferenceEntry
from goodsgate.store.contract import NewBatch, NewRound, Page, Store


class Engine:
    """Protocols ask here; what needs no judgement they read from `store` directly."""

    def __init__(self, store: Store, config: Config, *, secrets: Secrets, stock: Stock) -> None:
        self.store = store
        self.config = config
        self.secrets = secrets
        self.stock = stock

    def submit(self, *, merchant: str, kind: Kind, collection: str, policy: Policy, format: str,
               content_encoding: str = "identity", label: str = "", protocol: str = "",
               protocol_data: dict[str, str] | None = None,
               idempotency_key: str | None = None, fingerprint_of: str = "",
               answer: Callable[[Batch], bytes] | None = None, id: str | None = None,
               watcher: Watcher | None = None) -> Submission:
        """A new batch on its way in; `id` is one like `new_id` makes, where somebody else must be able to derive it.

        `fingerprint_of` is what besides the body makes two submissions with one idempotency key the same; `answer`
        words the first answer, which is kept to be given again. Raises Refusal: key_malformed, key_in_use.
        """
        sent = NewBatch(
            merchant=merchant, id=id or new_id(), kind=kind, collection=collection, policy=policy, format=format,
            content_encoding=content_encoding, label=label, protocol=protocol, protocol_data=protocol_data or {},
        )
        return Submission(
            self.store, self.config, sent, key=idempotency_key, fingerprint_of=fingerprint_of, answer=answer,
            watcher=watcher,
        )

    def fix(self, merchant: str, batch: str, *, format: str, content_encoding: str = "identity",
            idempotency_key: str | None = None, fingerprint_of: str = "",
            answer: Callable[[Batch], bytes] | None = None) -> Submission:
        """Corrected records of an ended batch on their way in. Raises Refusal: batch_unknown, batch_open, key_…"""
        self._ended(merchant, batch)
        sent = NewRound(
            merchant=merchant, batch=batch, kind=RoundKind.FIX, format=format, content_encoding=content_encoding
        )
        return Submission(
            self.store, self.config, sent, key=idempotency_key, fingerprint_of=fingerprint_of, answer=answer
        )

    def amend(self, merchant: str, batch: str, lines: Iterable[bytes]) -> Batch:
        """A fix that was made here, as lines of JSON; see `engine.mending`. Raises Refusal as fix and its submission
        do: payload_empty if there is no line."""
        submission = self.fix(merchant, batch, format="ndjson")
        try:
            for line in lines:
                submission.write(line)
            receipt = submission.finish()
        except BaseException:
            submission.abort()
            raise
        assert receipt.batch is not None
        return receipt.batch

    def take(self, merchant: str, batch: str, *, code: str, field: str) -> Batch:
        """Send back every rejected record of a group of issues with its suggestion taken. Raises Refusal: batch_open,
        nothing_suggested, …"""
        try:
            return self.amend(merchant, batch, alike(self.store, self.batch(merchant, batch), code=code, field=field))
        except Refusal as refusal:
            raise Refusal("nothing_suggested") if refusal.code == "payload_empty" else refusal from None

    def retry(self, merchant: str, batch: str) -> Batch:
        """Run the rejected records again as they are. Raises Refusal: batch_unknown, batch_open, nothing_rejected."""
        if not self._ended(merchant, batch).counts.rejected:
            raise Refusal("nothing_rejected")
        return self._reopen(merchant, batch, RoundKind.RETRY)

    def confirm(self, merchant: str, batch: str, deletions: int) -> Batch:
        """Let a full feed's withheld deletions happen. Raises Refusal: nothing_withheld, confirmation_mismatch, …"""
        withheld = self._ended(merchant, batch).withheld
        if withheld is None:
            raise Refusal("nothing_withheld")
        if withheld.deletions != deletions:
            raise Refusal("confirmation_mismatch", deletions=withheld.deletions)
        return self._reopen(merchant, batch, RoundKind.REMOVAL)

    def cancel(self, merchant: str, batch: str) -> Batch:
        """Stop a batch between two records; one that has ended stays as it is. Raises Refusal: batch_unknown."""
        found = self.store.cancel(merchant, batch)
        if found is None:
            raise Refusal("batch_unknown")
        return found

    def batch(self, merchant: str, batch: str) -> Batch:
        """Raises Refusal: batch_unknown."""
        found = self.store.batch(merchant, batch)
        if found is None:
            raise Refusal("batch_unknown")
        return found

    def groups(self, merchant: str, batch: str, *, limit: int = 100) -> list[IssueGroup]:
        """Issues of a batch that say the same, most frequent first."""
        return self.store.issue_groups(merchant, batch, limit=limit)

    def item(self, merchant: str, kind: Kind, collection: str, key: str) -> Item:
        """Raises Refusal: item_unknown."""
        found = self.store.item(merchant, kind, collection, key)
        if found is None:
            raise Refusal("item_unknown")
        return found

    def report(self, merchant: str, batch: str, *, only: str = "rejected", format: str | None = None) -> reports.Report:
        """A file of the batch's records, made while it is read; see `engine.report`."""
        return reports.report(self.store, self.config, self.batch(merchant, batch), only=only, format=format)

    def load_reference(self, merchant: str, kind: str, pieces: Iterator[bytes], *, format: str,
                       content_encoding: str = "identity", replace: bool = False) -> int:
        """Put entries of reference data; see `engine.reference`."""
        return references.load_reference(
            self.store, self.config, merchant, kind, pieces, format=format, content_encoding=content_encoding,
            replace=replace
        )

    def reference(self, merchant: str, kind: str, *, search: str | None = None, after: str | None = None,
                  limit: int = 100) -> Page[ReferenceEntry]:
        """A page of reference data; see `engine.reference`."""
        return references.reference(self.store, merchant, kind, search=search, after=after, limit=limit)

    def _ended(self, merchant: str, batch: str) -> Batch:
        found = self.batch(merchant, batch)
        if found.state not in FINAL_STATES:
            raise Refusal("batch_open")
        return found

    def _reopen(self, merchant: str, batch: str, kind: RoundKind) -> Batch:
        limit = self.config.open_rounds_max
        with refusing(limit):
            found = self.store.add_round(
                NewRound(merchant=merchant, batch=batch, kind=kind), upload=None, open_rounds_max=limit
            )
        if found is None:
            raise Refusal("batch_unknown")
        return found
