"""Handlers of the companion Platform API, as far as imports need it: sites, data sources, processes, products."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Literal
from uuid import UUID

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from goodsgate.engine.cron import check_cron
from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import ApiRequest, Handler
from goodsgate.http.problems import refuse
from goodsgate.model.batch import now
from goodsgate.protocols.productsup.imports import ImportProblem, ImportProcess, SiteImports
from goodsgate.protocols.productsup.responses import platform_response
from goodsgate.protocols.productsup.schedule import ALWAYS
from goodsgate.protocols.productsup.site_products import site_rows
from goodsgate.protocols.productsup.site_store import DataSource, SiteState, SiteStore, StoredSite, add_source
from goodsgate.protocols.productsup.stream_store import StreamStore
from goodsgate.protocols.productsup.unpublished import ID_MAX, PLATFORM, SITES_MAX
from goodsgate.store.contract import NameTakenError, ResourcesFullError

_ID = re.compile("[1-9][0-9]{0,9}")
_FIELD = re.compile(r"fields\[\d*\]")


class SiteRequest(msgspec.Struct):
    """The body of a request that creates or changes a site."""

    title: str | msgspec.UnsetType = msgspec.UNSET
    project_id: str | int | float | msgspec.UnsetType = msgspec.UNSET
    id_column: str | msgspec.UnsetType = msgspec.UNSET
    import_schedule: str | msgspec.UnsetType = msgspec.UNSET


class SourceRequest(msgspec.Struct):
    """The body of a request that adds or changes a data source."""

    stream_id: int | float | str | msgspec.UnsetType = msgspec.UNSET
    import_type: Literal[1, 2] | msgspec.UnsetType = msgspec.UNSET
    description: str | msgspec.UnsetType = msgspec.UNSET
    status: Literal["active", "paused"] | msgspec.UnsetType = msgspec.UNSET


class ProcessRequest(msgspec.Struct):
    """The body of a request that starts a process; the gate has neither exports nor channels."""

    action: Literal["import", "all"]
    id: int | float | str | None = None


class PlatformHandlers:
    """Handlers of the Platform API."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._sites = SiteStore(context.store, at_once=context.services.settings.import_streams_at_once)
        self._streams = StreamStore(context.store)
        self._imports = SiteImports(context.store)

    def handlers(self) -> dict[str, Handler]:
        """Return the handlers by operation id."""
        return {
            "sites": self._without_body(self._list), "create_site": self._with_body(self._create, SiteRequest),
            "site": self._without_body(self._read), "change_site": self._with_body(self._change, SiteRequest),
            "delete_site": self._without_body(self._delete), "sources": self._without_body(self._list_sources),
            "add_source": self._with_body(self._add_source, SourceRequest),
            "change_source": self._with_body(self._change_source, SourceRequest),
            "delete_source": self._without_body(self._delete_source),
            "process": self._with_body(self._process, ProcessRequest),
            "process_status": self._without_body(self._status), "site_errors": self._without_body(self._errors),
            "import_history": self._without_body(self._history),
            "site_products": self._without_body(self._products),
        }

    def _without_body(self, work: Callable[[ApiRequest], dict[str, Any]]) -> Handler:
        async def handle(request: ApiRequest) -> Response:
            return platform_response(await self._context.run_in_thread(work, request))

        return handle

    def _with_body(self, work: Callable[[ApiRequest, Any], dict[str, Any]], type: Any) -> Handler:
        async def handle(request: ApiRequest) -> Response:
            body = await request.decode_body(type, self._context)
            try:
                return platform_response(await self._context.run_in_thread(work, request, body))
            except NameTakenError as fault:
                raise refuse("batch_open", "Another site has the title.") from fault
            except ResourcesFullError as fault:
                raise refuse("batch_open", f"The account has {SITES_MAX} sites, which is as many as it may.") from fault

        return handle

    # -- sites ------------------------------------------------------------------------------------------------------
    def _list(self, request: ApiRequest) -> dict[str, Any]:
        return {"Sites": [self._serialize(site, request.http) for site in self._sites.list_all(request.merchant)]}

    def _create(self, request: ApiRequest, body: SiteRequest) -> dict[str, Any]:
        state = SiteState(title="", project="1", id_column="id", schedule="", created_at=now())
        if body.title is msgspec.UNSET:
            raise refuse("body_invalid", "A site has a title.")
        site = self._sites.add(request.merchant, _apply_request(state, body))
        return {"Sites": [self._serialize(site, request.http)]}

    def _read(self, request: ApiRequest) -> dict[str, Any]:
        return {"Sites": [self._serialize(self._site(request), request.http)]}

    def _change(self, request: ApiRequest, body: SiteRequest) -> dict[str, Any]:
        site = self._sites.change(request.merchant, _site_id(request), lambda state: _apply_request(state, body))
        return {"Sites": [self._serialize(site, request.http)]}

    def _delete(self, request: ApiRequest) -> dict[str, Any]:
        self._sites.delete(request.merchant, _site_id(request))
        return {}

    def _serialize(self, site: StoredSite, request: Request) -> dict[str, Any]:
        state, processes = site.state, self._imports.history(site.resource.merchant, site.number, limit=2)
        is_running = any(self._imports.is_open(process) for process in processes)
        return {
            "id": str(site.number), "title": state.title, "status": "active", "project_id": state.project,
            "import_schedule": state.schedule, "id_column": state.id_column,
            "processing_status": "Running" if is_running else "Done",
            "created_at": format_platform_time(state.created_at),
            "links": [{"self": _link(request, f"/sites/{site.number}")}],
        }

    def _site(self, request: ApiRequest) -> StoredSite:
        return self._sites.get(request.merchant, _site_id(request))

    # -- data sources -----------------------------------------------------------------------------------------------
    def _list_sources(self, request: ApiRequest) -> dict[str, Any]:
        site = self._site(request)
        sources = [
            _serialize_source(site.number, source) for source in site.state.sources
            if self._streams.exists(request.merchant, source.stream)
        ]
        return {"Sources": sources, "meta": {"cursor": {"current": 0, "prev": 0, "next": 1, "count": len(sources)}}}

    def _add_source(self, request: ApiRequest, body: SourceRequest) -> dict[str, Any]:
        text = str(body.stream_id).removesuffix(".0")
        if not _ID.fullmatch(text) or (stream := int(text)) > ID_MAX:
            raise refuse("body_invalid", "A data source has a stream_id.")
        self._streams.get(request.merchant, stream)

        def with_source(site: SiteState) -> SiteState:
            if any(source.stream == stream for source in site.sources):
                raise refuse("batch_open", "The site has the stream as a data source.")
            return add_source(
                site, stream=stream, import_type=_or_default(body.import_type, 1),
                description=_or_default(body.description, ""), status=_or_default(body.status, "active"),
            )

        site = self._sites.change(request.merchant, _site_id(request), with_source)
        return {"Sources": [_serialize_source(site.number, site.state.sources[-1])]}

    def _change_source(self, request: ApiRequest, body: SourceRequest) -> dict[str, Any]:
        id = int(request.path["source"])

        def with_changed_source(site: SiteState) -> SiteState:
            before = next((source for source in site.sources if source.id == id), None)
            if before is None:
                raise refuse("item_unknown")
            after = msgspec.structs.replace(
                before, import_type=_or_default(body.import_type, before.import_type),
                description=_or_default(body.description, before.description),
                status=_or_default(body.status, before.status),
            )
            sources = [after if source is before else source for source in site.sources]
            return msgspec.structs.replace(site, sources=sources)

        site = self._sites.change(request.merchant, _site_id(request), with_changed_source)
        return {"Sources": [_serialize_source(site.number, source) for source in site.state.sources if source.id == id]}

    def _delete_source(self, request: ApiRequest) -> dict[str, Any]:
        id = int(request.path["source"])

        def without_source(site: SiteState) -> SiteState:
            sources = [source for source in site.sources if source.id != id]
            if len(sources) == len(site.sources):
                raise refuse("item_unknown")
            return msgspec.structs.replace(site, sources=sources)

        self._sites.change(request.merchant, _site_id(request), without_source)
        return {}

    # -- processes --------------------------------------------------------------------------------------------------
    def _process(self, request: ApiRequest, _: ProcessRequest) -> dict[str, Any]:
        pid = self._imports.start(self._site(request)).pid
        return {"process_id": pid, "pid": pid}

    def _status(self, request: ApiRequest) -> dict[str, Any]:
        number, pid = self._site(request).number, _parse_pid(request.path["pid"])
        process = self._imports.get(request.merchant, number, pid)
        status = self._imports.status(process) if process is not None else "queued"
        links = [{"self": _link(request.http, f"/sites/{number}/status/{pid}")}]
        if status == "failed":
            links.insert(0, {"errors": _link(request.http, f"/sites/{number}/errors?pid={pid}")})
        return {"status": status, "links": links}

    def _errors(self, request: ApiRequest) -> dict[str, Any]:
        number, pid = self._site(request).number, request.query["pid"]
        offset, limit = int(request.query["offset"]), int(request.query["limit"])
        if pid:
            process = self._imports.get(request.merchant, number, _parse_pid(pid))
        else:
            process = next(iter(self._imports.history(request.merchant, number, limit=1)), None)
        if process is None:
            return {"Errors": []}
        problems = enumerate(islice(self._imports.problems(process), offset, offset + limit), offset)
        return {"Errors": [_serialize_error(problem, process, at, request=request.http) for at, problem in problems]}

    def _history(self, request: ApiRequest) -> dict[str, Any]:
        number, offset, limit = self._site(request).number, int(request.query["offset"]), int(request.query["limit"])
        entries = []
        for process in self._imports.history(request.merchant, number, offset=offset, limit=limit):
            if self._imports.is_open(process):
                continue
            ended = self._imports.get(request.merchant, number, process.pid) or process
            entries.append({
                "id": str(process.resource.number), "site_id": number,
                "import_time": format_platform_time(process.run.started_at),
                "product_count": str(self._imports.count_products(ended)), "pid": process.pid,
                "links": [{"self": _link(request.http, f"/sites/{number}/status/{process.pid}")}],
            })
        return {"Importhistory": entries}

    # -- products ---------------------------------------------------------------------------------------------------
    def _products(self, request: ApiRequest) -> dict[str, Any]:
        site = self._site(request)
        offset, limit = int(request.query["offset"]), int(request.query["limit"])
        rows = list(site_rows(self._context.store, site, offset=offset, limit=limit))
        fields = [value for name, value in request.http.query_params.multi_items() if _FIELD.fullmatch(name)]
        if fields:
            rows = [{name: row.get(name, "") for name in fields} for row in rows]
        return {"products": rows}


def format_platform_time(time: datetime) -> str:
    """Return a time as ``2015-01-01 11:22:33``, in UTC."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def _site_id(request: ApiRequest) -> int:
    return int(request.path["site"])


def _parse_pid(text: str) -> str:
    """Return the id of a process as it is stored; raise item_unknown if the text is not a UUID."""
    try:
        return str(UUID(text))
    except ValueError as fault:
        raise refuse("item_unknown") from fault


def _or_default(value: Any, default: Any) -> Any:
    return default if value is msgspec.UNSET else value


def _apply_request(site: SiteState, body: SiteRequest) -> SiteState:
    """Return the site with the members of the request. Raises body_invalid."""
    title, column = _or_default(body.title, site.title), _or_default(body.id_column, site.id_column)
    if not 1 <= len(title) <= 255 or not 1 <= len(column) <= 255:
        raise refuse("body_invalid", "A title and an id_column have 1 to 255 characters.")
    schedule = _or_default(body.import_schedule, site.schedule).strip()
    try:
        if schedule not in ("", ALWAYS):
            check_cron(schedule)
    except ValueError as fault:
        raise refuse("body_invalid", f"The import_schedule is no cron entry: {fault}.") from fault
    return msgspec.structs.replace(
        site, title=title, id_column=column, schedule=schedule,
        project=str(_or_default(body.project_id, site.project))[:255],
    )


def _serialize_source(site: int, source: DataSource) -> dict[str, Any]:
    return {
        "id": source.id, "site_id": site, "description": source.description, "source": "",
        "import_type": source.import_type, "import_id": source.id, "status": source.status,
        "settings": [f"stream : {source.stream}"],
    }


def _serialize_error(problem: ImportProblem, process: ImportProcess, at: int, *, request: Request) -> dict[str, Any]:
    site = process.run.site
    return {
        "id": str(at + 1), "pid": process.pid, "error": "0", "data": problem.data, "site_id": str(site),
        "message": problem.message, "datetime": format_platform_time(problem.at),
        "type": "Error" if problem.severe else "Warning", "classification": "high" if problem.severe else "low",
        "links": [{"self": _link(request, f"/sites/{site}/errors?pid={process.pid}")}],
    }


def _link(request: Request, path: str) -> str:
    return f"{str(request.base_url).rstrip('/')}{PLATFORM}{path}"
