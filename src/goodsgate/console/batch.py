"""One batch: how far it is, what is wrong grouped first, and what can be done about it."""

from typing import Any

from starlette.responses import RedirectResponse, Response, StreamingResponse

from goodsgate import formats
from goodsgate.console.framed import Framed, detected
from goodsgate.console.pages import HEADERS, Pages, segment
from goodsgate.console.visit import Form, Visit
from goodsgate.engine import Submission
from goodsgate.engine.refusal import Refusal
from goodsgate.http.context import ServerContext
from goodsgate.model.batch import FINAL_STATES, Batch, State, now

GROUPS = 100
SURE_SHARE = 0.02
"""Of the bytes; before that the time that is left would be a guess."""


class BatchPage:
    """Everything under ``/console/of/{merchant}/batches/{batch}`` but its single records."""

    def __init__(self, context: ServerContext, pages: Pages, protocols: dict[str, str]) -> None:
        self._context = context
        self._engine = context.engine
        self._pages = pages
        self._protocols = protocols

    async def get(self, visit: Visit) -> Response:
        """The page, or its live part alone."""
        return await self._context.run_in_thread(self._made, visit, await visit.merchant(), visit.param("batch"))

    def _made(self, visit: Visit, merchant: str, id: str) -> Response:
        batch = self._engine.batch(merchant, id)
        notices = self._context.store.findings(merchant, id, limit=1)
        words: dict[str, Any] = {
            "batch": batch, "groups": self._engine.groups(merchant, id, limit=GROUPS),
            "ended": batch.state in FINAL_STATES,
            # Warnings of the file as a whole are among the groups; what broke it off stands by itself.
            "notices": [told for found in notices if found.number == 0 for told in found.issues
                        if told.severity == "error"], "place": "batches",
            "merchant": merchant, "path": path_of(batch), "formats": formats.FORMATS, "protocols": self._protocols,
            **_pace(batch),
        }
        return self._pages.answer(visit, "batch_part.html" if visit.is_part else "batch.html", words)

    async def report(self, visit: Visit) -> Response:
        """The records as a file; for rejected ones, one that can be corrected and sent back."""
        made = await self._context.run_in_thread(
            self._engine.report, await visit.merchant(), visit.param("batch"),
            only=visit.query.get("only", "rejected"), format=visit.query.get("format") or None,
        )
        try:
            pieces = await self._context.stream(made.pieces)
        except formats.FormatOverflow as fault:
            raise Refusal("parameter_invalid", str(fault), parameter="format") from fault
        headers = {**HEADERS, "content-disposition": f'attachment; filename="{made.filename}"'}
        return StreamingResponse(pieces, media_type=made.media_type, headers=headers)

    # -- what can be done ---------------------------------------------------------------------------------------------

    async def retry(self, visit: Visit) -> Response:
        """Run the rejected records again as they are."""
        _, merchant, batch = await self._ordered(visit)
        return _back(await self._context.run_in_thread(self._engine.retry, merchant, batch))

    async def cancel(self, visit: Visit) -> Response:
        """Stop it between two records."""
        _, merchant, batch = await self._ordered(visit)
        return _back(await self._context.run_in_thread(self._engine.cancel, merchant, batch))

    async def confirm(self, visit: Visit) -> Response:
        """Let the withheld deletions of a full feed happen: of as many as the page has said."""
        form, merchant, batch = await self._ordered(visit)
        deletions = form.get("deletions")
        if not deletions.isdecimal():
            raise Refusal("parameter_invalid", "deletions must be a number.", parameter="deletions")
        return _back(await self._context.run_in_thread(self._engine.confirm, merchant, batch, int(deletions)))

    async def take(self, visit: Visit) -> Response:
        """Take the suggestions of a whole group, and run what that mends."""
        form, merchant, batch = await self._ordered(visit)
        order = {"code": form.get("code"), "field": form.get("field")}
        return _back(await self._context.run_in_thread(self._engine.take, merchant, batch, **order))

    async def fix(self, visit: Visit) -> Response:
        """A corrected report, dropped on the page."""
        visit.allow("submit")
        visit.check()
        merchant, id = await visit.merchant(), visit.param("batch")
        config = self._context.config
        body = await Framed.opened(visit.body(config.body_bytes_max), bytes_max=config.document_bytes_max)

        def begin(head: bytes) -> Submission:
            format, content_encoding = detected(head, body.fields)
            return self._engine.fix(merchant, id, format=format, content_encoding=content_encoding)

        receipt = await self._context.stream_body(body, begin)
        assert receipt.batch is not None
        return Response(status_code=202, headers={**HEADERS, "x-location": path_of(receipt.batch)})

    async def _ordered(self, visit: Visit) -> tuple[Form, str, str]:
        """What the form says, and of which batch."""
        visit.allow("submit")
        return await visit.form(), await visit.merchant(), visit.param("batch")


def path_of(batch: Batch) -> str:
    """Where a batch is."""
    return f"/console/of/{segment(batch.merchant)}/batches/{batch.id}"


def _back(batch: Batch) -> Response:
    return RedirectResponse(path_of(batch), 303, headers=HEADERS)


def _pace(batch: Batch) -> dict[str, float | None]:
    """Share done, records a second, and seconds left where that can be told."""
    share = batch.bytes_done / batch.bytes_total if batch.bytes_total else 0.0
    if batch.started_at is None:
        return {"share": 0.0, "rate": None, "left": None}
    passed = ((batch.finished_at or now()) - batch.started_at).total_seconds()
    rate = batch.counts.accounted / passed if passed > 0 else None
    if batch.state is not State.WORKING or batch.rounds > 1 or share < SURE_SHARE:
        return {"share": 1.0 if batch.finished_at else share, "rate": rate, "left": None}
    return {"share": share, "rate": rate, "left": passed / share * (1 - share)}


