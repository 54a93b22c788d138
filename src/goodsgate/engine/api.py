"""The engine's API: what protocols, console and command line ask for."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

import msgspec

from goodsgate.engine import reference as reference_data
from goodsgate.engine import report as reports
from goodsgate.engine.diff import diff_report
from goodsgate.engine.export import export
from goodsgate.engine.fix_match import FixSubmission, match_fix
from goodsgate.engine.fix_preview import FixPreview, preview_fix
from goodsgate.engine.idempotency import RequestKey, answer_once
from goodsgate.engine.mapping_resolution import check_group, check_names
from goodsgate.engine.merchant_limits import MerchantLimits
from goodsgate.engine.profile_recognition import ProfileRecognizer, profile_recognizer
from goodsgate.engine.queue_wait import QueueWait, queue_wait
from goodsgate.engine.receive import BodyWatcher, Submission, store_refusals
from goodsgate.engine.refusal import Refusal
from goodsgate.engine.revert import RevertPreview, check_revertible, preview_revert
from goodsgate.engine.saved_rules import saved_rules, with_rule_messages
from goodsgate.engine.secrets import Secrets
from goodsgate.engine.settings import EngineSettings
from goodsgate.engine.stock import Stock
from goodsgate.engine.suggestions import SuggestedFix, SuggestionPreview, preview_suggestions
from goodsgate.engine.unknown_skus import with_wait_for_products
from goodsgate.engine.waiting_references import with_waiting_hours
from goodsgate.model.batch import FINAL_STATES, Batch, Kind, Policy, RoundKind, State, new_id
from goodsgate.model.catalogue import Item, ReferenceEntry
from goodsgate.model.finding import FixMatch
from goodsgate.model.issue import rule_name
from goodsgate.model.issue_group import IssueGroup
from goodsgate.model.journal import JournalPage, JournalPosition, parse_cursor
from goodsgate.model.references import WaitingReference
from goodsgate.store.contract import (
    Idempotency,
    JournalPositionError,
    NewBatch,
    NewRound,
    Page,
    RoundOpenError,
    Store,
)

CURSOR_REMEDIES = {
    "expired": "The changes behind the cursor were deleted after their retention period. Take an export of the "
               "collection, and go on from its cursor.",
    "unknown": "The journal has no such cursor: it is of another merchant, or the gate's store was restored from a "
               "backup. Take an export of the collection, and go on from its cursor.",
}

LABEL_CHARACTERS_MAX = 200
PROTOCOL = "revert"
"""Protocol of batches that take back others, by which they are told from those of suppliers."""


class Engine:
    """Operations on batches, items and reference data; plain reads go to `store` directly."""

    def __init__(self, store: Store, settings: EngineSettings, *, secrets: Secrets, stock: Stock) -> None:
        self.store = store
        self.settings = settings
        self.secrets = secrets
        self.stock = stock
        self.limits = MerchantLimits(store, settings.usage_limits)

    def submit(self, *, merchant: str, kind: Kind, collection: str, policy: Policy | Callable[[], Policy], format: str,
               content_encoding: str = "identity", label: str = "", protocol: str = "",
               protocol_data: dict[str, str] | None = None, idempotency_key: str | None = None,
               fingerprint_of: str = "", answer: Callable[[Batch], bytes] | None = None, id: str | None = None,
               watcher: BodyWatcher | None = None) -> Submission:
        """Begin a new batch, whose bytes are then written to the submission.

        `id` is an id like those of `new_id`, for callers that must be able to derive it. `fingerprint_of` is what, in
        addition to the body, two submissions with one idempotency key must have in common. `answer` serializes the
        first answer, which is stored and repeated. A `policy` to be called is called if there is no such answer.
        Raises Refusal: key_malformed, key_in_use, parameter_invalid.
        """
        def begin() -> NewBatch:
            named = policy() if callable(policy) else policy
            check_names(kind, named)
            check_group(named, format)
            return NewBatch(
                merchant=merchant, id=id or new_id(), kind=kind, collection=collection,
                policy=with_waiting_hours(with_wait_for_products(kind, named), self.settings.waiting_hours),
                format=format, content_encoding=content_encoding,
                label=label, protocol=protocol, protocol_data=protocol_data or {},
            )

        def resolver_of(new: NewBatch) -> ProfileRecognizer | None:
            return profile_recognizer(
                self.store, merchant, new.policy, kind=kind, format=format, content_encoding=content_encoding,
                limits=self.settings.read_limits,
            )

        return Submission(
            self.store, self.settings, merchant, begin, limits=self.limits, key=idempotency_key,
            fingerprint_of=fingerprint_of, answer=answer, watcher=watcher, resolver_of=resolver_of,
        )

    def fix(self, merchant: str, batch: str, *, format: str, content_encoding: str = "identity",
            encoding: str | None = None, new_records: bool = False, idempotency_key: str | None = None,
            fingerprint_of: str = "", answer: Callable[[Batch, FixMatch], bytes] | None = None) -> FixSubmission:
        """Begin a fix of a batch that has ended.

        `encoding` is the charset that the submitter has named. With `new_records`, records with an empty `_row` become
        new records of the batch; without, the fix is refused if it has such records. Raises Refusal as `submit`, and
        batch_unknown, batch_open.
        """
        return FixSubmission(
            self.store, self.settings, lambda: self._ended(merchant, batch), merchant=merchant, limits=self.limits,
            format=format,
            content_encoding=content_encoding, encoding=encoding, new_records=new_records, key=idempotency_key,
            fingerprint_of=fingerprint_of, answer=answer,
        )

    def match_fix(self, merchant: str, batch: str, pieces: Iterable[bytes], *, format: str,
                  content_encoding: str = "identity", encoding: str | None = None) -> FixMatch:
        """Return what a fix would replace, without effect. Raises Refusal: batch_unknown, batch_open."""
        return match_fix(
            self.store, self.settings.read_limits, self._ended(merchant, batch), pieces, format=format,
            content_encoding=content_encoding, encoding=encoding,
        )

    def preview_fix(self, merchant: str, batch: str, pieces: Iterable[bytes], *, format: str,
                    content_encoding: str = "identity", encoding: str | None = None) -> FixPreview:
        """Return what a fix would replace and change, without effect. Raises Refusal: batch_unknown, batch_open."""
        return preview_fix(
            self.store, self.settings.read_limits, self._ended(merchant, batch), pieces, format=format,
            content_encoding=content_encoding, encoding=encoding,
        )

    def submit_correction(self, batch: Batch, pieces: Iterable[bytes], *, format: str = "ndjson",
                          idempotency: Idempotency[Batch] | None = None) -> Batch:
        """Submit a correction: a fix whose records were generated here, each with its `_row`.

        `batch` is as it was before its records were read: if it has had another round since, the correction is refused.
        Raises Refusal: payload_empty without a record, and as `fix`.
        """
        merchant = batch.merchant

        def begin() -> NewRound:
            self._ended(merchant, batch.id)
            return NewRound(
                merchant=merchant, batch=batch.id, kind=RoundKind.CORRECTION, format=format, rounds=batch.rounds
            )

        submission = Submission(self.store, self.settings, merchant, begin, limits=self.limits)
        try:
            for piece in pieces:
                submission.write(piece)
            receipt = submission.finish(idempotency=idempotency)
        except BaseException:
            submission.abort()
            raise
        assert receipt.batch is not None
        return receipt.batch

    def suggestions(self, merchant: str, batch: str, *, code: str | None = None, field: str | None = None,
                    records_max: int | None = None) -> SuggestionPreview:
        """Return what applying suggestions would change; see `engine.suggestions`. Raises Refusal: batch_unknown."""
        return preview_suggestions(
            self.store, self.batch(merchant, batch), code=code, field=field, records_max=records_max
        )

    def apply_suggestions(self, merchant: str, batch: str, *, code: str, field: str | None = None,
                          key: RequestKey | None = None, answer: Callable[[Batch, FixMatch], bytes] | None = None,
                          ) -> tuple[Batch, FixMatch]:
        """Send back every rejected record with a suggestion of this code and field in place of the rejected value.

        Without a field, those of all fields. Returns the batch and how many records are replaced. `answer` serializes
        both for a `key` that is reserved. Raises Refusal: batch_unknown, batch_open, nothing_suggested.
        """
        ended = self._ended(merchant, batch)
        fix = SuggestedFix(self.store, ended, code=code, field=field)
        idempotency: Idempotency[Batch] | None = None
        if key is not None and answer is not None:
            idempotency = key.answered_by(lambda fixed: answer(fixed, fix.match))
        try:
            return self.submit_correction(ended, fix, format=fix.format, idempotency=idempotency), fix.match
        except Refusal as refusal:
            raise Refusal("nothing_suggested") if refusal.code == "payload_empty" else refusal from None

    def answer_once(self, key: RequestKey | None, act: Callable[[], bytes]) -> bytes:
        """Carry out a request once; see `engine.idempotency`. Raises Refusal: key_in_use, key_reused, and others."""
        with store_refusals(self.settings.usage_limits.open_rounds_max):
            return answer_once(self.store, key, act)

    def retry(self, merchant: str, batch: str, *, idempotency: Idempotency[Batch] | None = None) -> Batch:
        """Work the rejected records again as they are. Raises Refusal: batch_unknown, batch_open, nothing_rejected."""
        if not self._ended(merchant, batch).counts.rejected:
            raise Refusal("nothing_rejected")
        return self._add_round(merchant, batch, RoundKind.RETRY, idempotency)

    def confirm(self, merchant: str, batch: str, deletions: int, *, idempotency: Idempotency[Batch] | None = None,
                ) -> Batch:
        """Confirm the withheld deletions of a full feed.

        Raises Refusal: batch_unknown, batch_open, nothing_withheld, confirmation_mismatch.
        """
        withheld = self._ended(merchant, batch).withheld
        if withheld is None:
            raise Refusal("nothing_withheld")
        if withheld.deletions != deletions:
            raise Refusal("confirmation_mismatch", deletions=withheld.deletions)
        return self._add_round(merchant, batch, RoundKind.REMOVAL, idempotency)

    def preview_revert(self, merchant: str, batch: str) -> RevertPreview:
        """Return what a revert of a batch would do now.

        Raises Refusal: batch_unknown, batch_open, revert_unsupported, nothing_changed, journal_gone.
        """
        return preview_revert(self.store, self.batch(merchant, batch))

    def revert(self, merchant: str, batch: str, *, idempotency: Idempotency[Batch] | None = None) -> Batch:
        """Queue a new batch that takes back what a batch has changed. Raises Refusal as `preview_revert`."""
        reverted = self.batch(merchant, batch)
        check_revertible(self.store, reverted)

        def begin() -> NewBatch:
            return NewBatch(
                merchant=merchant, id=new_id(), kind=reverted.kind, collection=reverted.collection,
                policy=Policy(reverts=batch), format="ndjson", content_encoding="identity",
                label=f"Revert of {reverted.label or batch}"[:LABEL_CHARACTERS_MAX], protocol=PROTOCOL,
            )

        submission = Submission(self.store, self.settings, merchant, begin, limits=self.limits)
        try:
            submission.write(msgspec.json.encode({"reverts": batch}))
            receipt = submission.finish(idempotency=idempotency)
        except BaseException:
            submission.abort()
            raise
        assert receipt.batch is not None
        return receipt.batch

    def cancel(self, merchant: str, batch: str, *, idempotency: Idempotency[Batch] | None = None) -> Batch:
        """Cancel a batch between two records, and the records that wait; no effect on one that has ended otherwise.

        Raises Refusal: batch_unknown.
        """
        current = self.store.batch(merchant, batch)
        if current is not None and current.state in FINAL_STATES and current.counts.waiting:
            limit = self.limits.open_rounds_max(merchant)
            with suppress(RoundOpenError), store_refusals(limit):
                self.store.add_round(
                    NewRound(merchant=merchant, batch=batch, kind=RoundKind.REFERENCES), upload=None,
                    open_rounds_max=limit,
                )
        found = self.store.cancel(merchant, batch, idempotency=idempotency)
        if found is None:
            raise Refusal("batch_unknown")
        return found

    def approve(self, merchant: str, batch: str, *, idempotency: Idempotency[Batch] | None = None) -> Batch:
        """Let a held batch be applied to what is then held. Raises Refusal: batch_unknown, batch_not_held."""
        self._check_hold(merchant, batch)
        approved = self.store.approve(merchant, batch, idempotency=idempotency)
        if approved is None:
            raise Refusal("batch_unknown")
        return approved

    def discard(self, merchant: str, batch: str, *, idempotency: Idempotency[Batch] | None = None) -> Batch:
        """End a held batch without applying anything of it. Raises Refusal: batch_unknown, batch_not_held."""
        self._check_hold(merchant, batch)
        discarded = self.store.cancel(merchant, batch, idempotency=idempotency)
        if discarded is None:
            raise Refusal("batch_unknown")
        return discarded

    def batch(self, merchant: str, batch: str) -> Batch:
        """Return a batch. Raises Refusal: batch_unknown."""
        found = self.store.batch(merchant, batch)
        if found is None:
            raise Refusal("batch_unknown")
        return found

    def groups(self, merchant: str, batch: str, *, limit: int = 100) -> list[IssueGroup]:
        """Return the issues of a batch in groups with the same code and field, the most frequent first."""
        groups = self.store.issue_groups(merchant, batch, limit=limit)
        if any(rule_name(group.code) is not None for group in groups):
            groups = with_rule_messages(groups, saved_rules(self.store, merchant))
        return groups

    def waiting_for(self, merchant: str, batch: str, *, limit: int = 100) -> list[WaitingReference]:
        """Return what records of a batch wait for, that of the most records first."""
        return self.store.waiting_for(merchant, batch, limit=limit)

    def queue_wait(self, batch: Batch) -> QueueWait | None:
        """Return what a batch waits for in its lane, and until when about; None if it does not."""
        return queue_wait(self.store, batch)

    def item(self, merchant: str, kind: Kind, collection: str, key: str) -> Item:
        """Return an item. Raises Refusal: item_unknown."""
        found = self.store.item(merchant, kind, collection, key)
        if found is None:
            raise Refusal("item_unknown")
        return found

    def report(self, merchant: str, batch: str, *, only: str = "rejected", format: str | None = None,
               raw: bool = False, without: str = "") -> reports.Report:
        """Return a file of the batch's records; see `engine.report`."""
        return reports.report(
            self.store, self.settings.read_limits, self.batch(merchant, batch), only=only, format=format,
            raw=raw, without=without,
        )

    def diff_report(self, merchant: str, batch: str, *, operation: str | None = None,
                    field: str | None = None) -> reports.Report:
        """Return what a dry run would change as a file; see `engine.diff`."""
        return diff_report(self.store, self.batch(merchant, batch), operation=operation, field=field)

    def export(self, merchant: str, kind: Kind, collection: str, *, format: str, profile: str | None = None,
               after: str | None = None, leaves_incomplete: bool = False) -> reports.Report:
        """Return a file of the items of a collection; see `engine.export`."""
        report = export(
            self.store, merchant, kind, collection, format=format, profile=profile, after=after,
            leaves_incomplete=leaves_incomplete,
        )
        return report if self.settings.journal else msgspec.structs.replace(report, positions=[])

    def changes(self, merchant: str, *, after: str | None, kind: Kind | None = None, collection: str | None = None,
                limit: int = 1000) -> JournalPage:
        """Return changes of the catalogue behind a cursor; None is before the oldest one that is kept.

        Raises Refusal: journal_off, parameter_invalid, cursor_expired, cursor_unknown.
        """
        self._require_journal()
        position = parse_cursor(after) if after is not None else None
        if after is not None and position is None:
            raise Refusal(
                "parameter_invalid", "The parameter after must be a cursor that the gate has returned.",
                parameter="after", value=after[:200], expected="a cursor",
            )
        try:
            return self.store.changes(merchant, after=position, kind=kind, collection=collection, limit=limit)
        except JournalPositionError as fault:
            raise Refusal(f"cursor_{fault.reason}", CURSOR_REMEDIES[fault.reason]) from fault

    def last_change(self, merchant: str) -> JournalPosition:
        """Return the position behind the last change. Raises Refusal: journal_off."""
        self._require_journal()
        return self.store.journal_position(merchant)

    def load_reference(self, merchant: str, kind: str, pieces: Iterator[bytes], *, format: str,
                       content_encoding: str = "identity", encoding: str | None = None, replace: bool = False) -> int:
        """Store entries of reference data; see `engine.reference`."""
        return reference_data.load_reference(
            self.store, self.settings, merchant, kind, pieces, format=format, content_encoding=content_encoding,
            encoding=encoding, replace=replace,
        )

    def reference(self, merchant: str, kind: str, *, search: str | None = None, after: str | None = None,
                  limit: int = 100) -> Page[ReferenceEntry]:
        """Return a page of reference data; see `engine.reference`."""
        return reference_data.reference(self.store, merchant, kind, search=search, after=after, limit=limit)

    def _require_journal(self) -> None:
        if not self.settings.journal:
            raise Refusal("journal_off")

    def _ended(self, merchant: str, batch: str) -> Batch:
        found = self.batch(merchant, batch)
        if found.policy.dry_run:
            raise Refusal("batch_dry_run")
        if found.state not in FINAL_STATES:
            raise Refusal("batch_open")
        if found.is_trial:
            raise Refusal("batch_discarded")
        return found

    def _check_hold(self, merchant: str, batch: str) -> None:
        found = self.batch(merchant, batch)
        if found.state is not State.HELD or found.cancelling:
            raise Refusal("batch_not_held")

    def _add_round(self, merchant: str, batch: str, kind: RoundKind, idempotency: Idempotency[Batch] | None) -> Batch:
        limit, new = self.limits.open_rounds_max(merchant), NewRound(merchant=merchant, batch=batch, kind=kind)
        self.limits.check_key(merchant, new.origin.key)
        with store_refusals(limit):
            found = self.store.add_round(
                new, upload=None, idempotency=idempotency,
                open_rounds_max=limit,
            )
        if found is None:
            raise Refusal("batch_unknown")
        return found
