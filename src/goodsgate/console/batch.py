"""The page of one batch: its progress, its issues by frequency, and the actions on it."""

from collections.abc import Callable
from functools import partial
from typing import Any

from starlette.responses import RedirectResponse, Response

from goodsgate import formats
from goodsgate.console.issue_groups import SuggestionPreviews, best_retry, group_views
from goodsgate.console.rendering import HEADERS, PageRenderer, path_segment
from goodsgate.console.request import NUMBER_DIGITS_MAX, ConsoleRequest
from goodsgate.console.upload import ENCODINGS_OFFERED, Fields, UploadWithFields, detect_format
from goodsgate.engine import Submission
from goodsgate.engine.contents import batch_contents
from goodsgate.engine.diff import diff_groups, has_diff
from goodsgate.engine.receive import parse_encoding
from goodsgate.engine.refusal import Refusal
from goodsgate.engine.revert import check_revertible
from goodsgate.http.context import HEAD_BYTES, ServerContext
from goodsgate.http.problems import STATUSES
from goodsgate.http.threads import WORK, Work
from goodsgate.model.batch import FINAL_STATES, Batch, BatchRound, Counts, State, now
from goodsgate.store.contract import Store

GROUPS_MAX = 100
CONFLICT = 409
"""Status of refusals that are about the state of a batch."""
ESTIMATE_SHARE_MIN = 0.02
"""Share of the bytes that must be done before the remaining time is estimated."""


class BatchPage:
    """Everything under ``/console/merchants/{merchant}/batches/{batch}`` except its records."""

    def __init__(self, context: ServerContext, renderer: PageRenderer, protocols: dict[str, str]) -> None:
        self._context = context
        self._engine = context.engine
        self._renderer = renderer
        self._protocols = protocols
        self._previews = SuggestionPreviews(context.engine)

    async def get(self, request: ConsoleRequest) -> Response:
        """Return the page or its live fragment."""
        merchant, id = await request.merchant(), request.path_param("batch")
        return await self._context.run_in_thread(self._render, request, merchant, id)

    def _render(self, request: ConsoleRequest, merchant: str, id: str, refusal: Refusal | None = None) -> Response:
        """Return the page; with a refusal, that of an action which the batch does not allow any more."""
        batch = self._engine.batch(merchant, id)
        can_correct = _is_correctable(batch) and request.caller.may("correct")
        groups = self._engine.groups(merchant, id, limit=GROUPS_MAX)
        views = group_views(self._engine, self._previews, batch, groups, can_correct=can_correct)
        # Record 0 is the file itself. Its warnings are among the groups; its errors are shown separately.
        file_findings = [each for each in self._context.store.findings(merchant, id, limit=1) if each.number == 0]
        values: dict[str, Any] = {
            "batch": batch, "contents": batch_contents(batch),
            "errors": [view for view in views if view.group.severity == "error" and not view.is_of_file],
            "warnings": [view for view in views if view.group.severity != "error"],
            "can_correct": can_correct, "retry_hint": best_retry(views), "refusal": refusal,
            "rounds": _rounds(self._context.store.batch_rounds(merchant, id)) if batch.rounds > 1 else [],
            "waiting_for": self._engine.waiting_for(merchant, id, limit=GROUPS_MAX) if batch.counts.waiting else [],
            "has_ended": batch.state in FINAL_STATES, "is_revertible": _is_revertible(self._context.store, batch),
            "merchant": merchant, "path": batch_path(batch),
            "diff_groups": diff_groups(self._context.store.diff_summary(merchant, id)) if has_diff(batch) else [],
            "is_held": batch.state is State.HELD and not batch.cancelling,
            "queue": self._engine.queue_wait(batch),
            "waits_behind": self._context.store.blocking_batch(merchant, id) if batch.position else None,
            "file_errors": [issue for each in file_findings for issue in each.issues if issue.severity == "error"],
            "formats": formats.WRITTEN_FORMATS, "protocols": self._protocols, "section": "batches", **_progress(batch),
        }
        template = "batch_fragment.html" if request.is_fragment else "batch.html"
        status = 200 if refusal is None else STATUSES[refusal.code]
        return self._renderer.response(request, template, values, status=status)

    async def _act(self, request: ConsoleRequest, action: Callable[[str, str], Batch]) -> Response:
        """Carry out an action and go to the page of the batch, which says so if it is not possible any more."""
        merchant, id = await request.merchant(), request.path_param("batch")
        try:
            batch = await self._context.run_in_thread(action, merchant, id)
        except Refusal as refusal:
            if STATUSES[refusal.code] != CONFLICT:
                raise
            return await self._context.run_in_thread(self._render, request, merchant, id, refusal)
        return RedirectResponse(batch_path(batch), 303, headers=HEADERS)

    async def report(self, request: ConsoleRequest) -> Response:
        """Return the records as a file; a file of rejected records can be corrected and sent back."""
        merchant = await request.merchant()
        response = await self._context.report(request.http.scope, merchant, partial(
            self._engine.report, merchant, request.path_param("batch"),
            only=request.query.get("only", "rejected"), format=request.query.get("format") or None,
            raw=request.query.get("raw") == "true",
        ))
        response.headers.update(HEADERS)
        return response

    # -- actions ------------------------------------------------------------------------------------------------------

    async def retry(self, request: ConsoleRequest) -> Response:
        """Process the rejected records again."""
        await request.form()
        return await self._act(request, self._engine.retry)

    async def cancel(self, request: ConsoleRequest) -> Response:
        """Cancel the batch."""
        await request.form()
        return await self._act(request, self._engine.cancel)

    async def approve(self, request: ConsoleRequest) -> Response:
        """Apply a batch that guards hold."""
        await request.form()
        return await self._act(request, self._engine.approve)

    async def discard(self, request: ConsoleRequest) -> Response:
        """End a batch that guards hold without applying it."""
        await request.form()
        return await self._act(request, self._engine.discard)

    async def confirm(self, request: ConsoleRequest) -> Response:
        """Confirm the withheld deletions of a full feed, as many as the page showed."""
        form = await request.form()
        deletions = form.get("deletions")
        if not deletions.isdecimal() or len(deletions) > NUMBER_DIGITS_MAX:
            raise Refusal("parameter_invalid", "deletions must be a number.", parameter="deletions")
        return await self._act(request, partial(self._engine.confirm, deletions=int(deletions)))

    async def preview_revert(self, request: ConsoleRequest) -> Response:
        """Return the page that tells what a revert would do now, with the button that does it."""
        merchant, id = await request.merchant(), request.path_param("batch")
        WORK.set(Work.FILES)
        return await self._context.run_in_thread(self._render_revert, request, merchant, id)

    def _render_revert(self, request: ConsoleRequest, merchant: str, id: str) -> Response:
        batch = self._engine.batch(merchant, id)
        return self._renderer.response(request, "revert.html", {
            "batch": batch, "preview": self._engine.preview_revert(merchant, id), "merchant": merchant,
            "path": batch_path(batch), "section": "batches",
        })

    async def revert(self, request: ConsoleRequest) -> Response:
        """Queue the batch that takes this one back, and go to its page."""
        await request.form()
        return await self._act(request, self._engine.revert)

    async def accept_suggestions(self, request: ConsoleRequest) -> Response:
        """Apply the suggestion to all records of a group and process them again."""
        form = await request.form()
        code, field = form.get("code"), form.get("field")

        def apply(merchant: str, id: str) -> Batch:
            return self._engine.apply_suggestions(merchant, id, code=code, field=field)[0]

        return await self._act(request, apply)

    async def preview_fix(self, request: ConsoleRequest) -> Response:
        """Return what a corrected report would replace and change, and the button that sends it."""
        merchant, id, upload = await self._corrected_file(request)
        head = await upload.read(HEAD_BYTES)
        format, content_encoding = detect_format(head, upload.fields)
        async with self._context.copy_body(upload, head) as pieces:
            preview = await self._context.run_in_thread(
                self._engine.preview_fix, merchant, id, pieces, format=format, content_encoding=content_encoding,
                encoding=_named_encoding(upload.fields),
            )
        return self._renderer.response(request, "fix_preview_fragment.html", {
            "preview": preview, "match": preview.match, "has_encoding": format in ("csv", "tsv"),
            "encoding": upload.fields.get("encoding", ""), "encodings": ENCODINGS_OFFERED,
        })

    async def fix(self, request: ConsoleRequest) -> Response:
        """Accept a corrected report."""
        merchant, id, upload = await self._corrected_file(request)

        def begin(head: bytes) -> Submission:
            format, content_encoding = detect_format(head, upload.fields)
            return self._engine.fix(
                merchant, id, format=format, content_encoding=content_encoding,
                encoding=_named_encoding(upload.fields),
                new_records=upload.fields.get("new_records") == "true",
            )

        WORK.set(Work.FILES)
        receipt = await self._context.stream_body(upload, begin)
        assert receipt.batch is not None
        return Response(status_code=202, headers={**HEADERS, "x-location": batch_path(receipt.batch)})

    async def _corrected_file(self, request: ConsoleRequest) -> tuple[str, str, UploadWithFields]:
        """Return merchant, batch and the uploaded file; raises forbidden."""
        request.check_csrf()
        merchant, limits = await request.merchant(), self._context.limits
        body = request.body(limits.body_bytes_max)
        upload = await UploadWithFields.start(body, bytes_max=limits.document_bytes_max)
        return merchant, request.path_param("batch"), upload



def batch_path(batch: Batch) -> str:
    """Return the path of a batch's page."""
    return f"/console/merchants/{path_segment(batch.merchant)}/batches/{batch.id}"


def _named_encoding(fields: Fields) -> str | None:
    """Return the charset that the form of a corrected report names. Raises Refusal (parameter_invalid)."""
    return parse_encoding(fields["encoding"]) if fields.get("encoding") else None


def _is_correctable(batch: Batch) -> bool:
    """Return whether the rejected records can be sent again."""
    return batch.state in FINAL_STATES and bool(batch.counts.rejected) and not (batch.policy.dry_run or batch.is_trial)


def _rounds(ended: list[BatchRound]) -> list[dict[str, Any]]:
    """Return the rounds that have ended, each with what it changed in the counts of the batch."""
    rounds, before = [], Counts()
    for each in ended:
        changes = {name: getattr(each.counts, name) - getattr(before, name) for name in Counts.__struct_fields__}
        seconds = (each.ended_at - each.started_at).total_seconds() if each.started_at is not None else 0.0
        rounds.append({
            "round": each, "changes": {name: count for name, count in changes.items() if count},
            "rate": each.records / seconds if seconds > 0 else None,
        })
        before = each.counts
    return rounds


def _is_revertible(store: Store, batch: Batch) -> bool:
    """Return whether what the batch has changed can be taken back."""
    if batch.state not in FINAL_STATES or batch.policy.schema or batch.policy.dry_run:
        return False
    if not batch.counts.created + batch.counts.updated + batch.counts.deleted:
        return False
    try:
        check_revertible(store, batch)
    except Refusal:
        return False
    return True


def _progress(batch: Batch) -> dict[str, float | None]:
    """Return the share done, records per second, and the estimated seconds left, if they can be estimated."""
    share = batch.bytes_done / batch.bytes_total if batch.bytes_total else 0.0
    if batch.started_at is None:
        return {"share": 0.0, "rate": None, "seconds_left": None}
    if batch.rounds > 1:  # the time between two rounds is not that of the work
        return {"share": 1.0 if batch.finished_at else share, "rate": None, "seconds_left": None}
    elapsed = ((batch.finished_at or now()) - batch.started_at).total_seconds()
    rate = batch.counts.accounted / elapsed if elapsed > 0 else None
    if batch.state is not State.WORKING or share < ESTIMATE_SHARE_MIN:
        return {"share": 1.0 if batch.finished_at else share, "rate": rate, "seconds_left": None}
    return {"share": share, "rate": rate, "seconds_left": elapsed / share * (1 - share)}
