"""Sources: addresses from which workers fetch a merchant's feeds."""

from collections.abc import Callable
from typing import Any

import msgspec
from starlette.responses import Response

from goodsgate.engine.inspection import inspection_document
from goodsgate.engine.source_definitions import SourceChange, SourceView, decode_report
from goodsgate.engine.source_trial import SourceTrial, try_source
from goodsgate.engine.sources import SourceAnswer
from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import ApiRequest, Handler
from goodsgate.http.threads import WORK, Work
from goodsgate.model.audit import mark_recorded
from goodsgate.model.batch import now
from goodsgate.model.job import JobRun
from goodsgate.model.json_text import write_json
from goodsgate.protocols.native.idempotency import request_key
from goodsgate.protocols.native.responses import JSON, json_response, page_response


class SourceHandlers:
    """Handlers of everything under ``/v1/sources``."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._sources = context.services.sources

    def handlers(self) -> dict[str, Handler]:
        """Return the handlers by operation id."""
        return {
            "sources": self.sources, "source": self.source, "put_source": self.put, "delete_source": self.delete,
            "pause_source": self.pause, "resume_source": self.resume, "run_source": self.run,
            "try_source": self.try_source, "source_runs": self.runs,
        }

    async def sources(self, request: ApiRequest) -> Response:
        """Handle GET /v1/sources."""
        views = await self._context.run_in_thread(self._sources.all, request.merchant)
        return json_response({"sources": [*map(source_document, views)]})

    async def source(self, request: ApiRequest) -> Response:
        """Handle GET /v1/sources/{name}."""
        return json_response(source_document(await self._view(request)))

    async def put(self, request: ApiRequest) -> Response:
        """Handle PUT /v1/sources/{name}."""
        change = await request.decode_body(SourceChange, self._context)
        saved = await self._context.run_in_thread(self._sources.save, request.merchant, request.path["name"], change)
        return json_response(source_document(saved))

    async def delete(self, request: ApiRequest) -> Response:
        """Handle DELETE /v1/sources/{name}."""
        await self._context.run_in_thread(self._sources.delete, request.merchant, request.path["name"])
        return Response(status_code=204)

    async def pause(self, request: ApiRequest) -> Response:
        """Handle POST /v1/sources/{name}/pause."""
        return await self._act(request, self._sources.pause)

    async def resume(self, request: ApiRequest) -> Response:
        """Handle POST /v1/sources/{name}/resume."""
        return await self._act(request, self._sources.resume)

    async def run(self, request: ApiRequest) -> Response:
        """Handle POST /v1/sources/{name}/run."""
        return await self._act(request, self._sources.request_run)

    async def try_source(self, request: ApiRequest) -> Response:
        """Handle POST /v1/sources/{name}/test."""
        await request.read_body(self._context)
        view = await self._view(request)

        def test() -> SourceTrial:
            runner, limits = self._context.dry_runner, self._context.engine.settings.read_limits
            trial = try_source(self._sources, runner, limits, view)
            if not trial.host_key:
                mark_recorded()  # nothing was pinned
            return trial

        WORK.set(Work.FILES)
        return json_response(trial_document(await self._context.run_in_thread(test)))

    async def runs(self, request: ApiRequest) -> Response:
        """Handle GET /v1/sources/{name}/runs."""
        view, query = await self._view(request), request.query
        limit = min(int(query["limit"]), self._context.limits.page_rows_max)
        runs = await self._context.run_in_thread(self._sources.runs, view, before=query["after"], limit=limit)
        after = str(runs[-1].number) if len(runs) == limit else None
        return page_response(request, "runs", [*map(run_document, runs)], after)

    async def _view(self, request: ApiRequest) -> SourceView:
        return await self._context.run_in_thread(self._sources.source, request.merchant, request.path["name"])

    async def _act(self, request: ApiRequest, act: Callable[..., SourceView]) -> Response:
        """Carry out a request without a body once."""
        key = request_key(request, await request.read_body(self._context))
        answer = SourceAnswer(key, _encode) if key is not None else None

        def work() -> bytes:
            return _encode(act(request.merchant, request.path["name"], answer=answer))

        body = await self._context.run_in_thread(self._context.engine.answer_once, key, work)
        return Response(body, media_type=JSON)


def source_document(view: SourceView) -> dict[str, Any]:
    """Return a source as the API shows it: without the values of its credential."""
    source, state, job = view.source, view.state, view.job
    return {
        "name": view.name, "address": source.display_address, "description": source.description, "cron": source.cron,
        "timezone": source.timezone, "expected_by": source.expected_by, "kind": source.kind,
        "collection": source.collection, "options": msgspec.to_builtins(source.options), "files": source.files,
        "move_to": source.move_to, "username": source.username, "credential": source.credential.display(),
        "host_key": source.host_key or None, "endpoint": source.endpoint, "region": source.region,
        "created_at": source.created_at, "paused_at": source.paused_at, "state": view.status(now()),
        "next_run_at": source.next_fetch(state), "last_run_at": state.ran_at, "new_file_at": state.new_at,
        "last_batch": state.batch or None, "error": state.error or None, "runs": job.last_run,
    }


def run_document(run: JobRun) -> dict[str, Any]:
    """Return a run as the API shows it."""
    report = decode_report(run)
    return {
        "number": run.number, "state": report.state, "requested": report.requested, "started_at": run.started_at,
        "ended_at": run.ended_at, "error": report.error or None, "retry_at": report.retry_at,
        "files": [{"name": file.name, "bytes": file.size, "batch": file.batch} for file in report.files],
    }


def trial_document(trial: SourceTrial) -> dict[str, Any]:
    """Return what a test of a source has found, as JSON."""
    return {
        "error": trial.error or None, "host_key": trial.host_key or None,
        "files": [
            {"name": each.file.name, "bytes": each.file.size, "modified_at": each.file.modified_at, "new": each.is_new}
            for each in trial.files
        ],
        "files_total": trial.files_total, "inspected": trial.inspected or None,
        "inspection": None if trial.inspection is None else inspection_document(trial.inspection),
    }


def _encode(view: SourceView) -> bytes:
    return write_json(source_document(view))
