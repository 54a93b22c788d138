"""The companion API as far as imports need it: sites, data sources, processes, products as a site has them."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from goodsgate.engine.refusal import Refusal
from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import ApiRequest, Handler
from goodsgate.http.problems import refuse
from goodsgate.model.batch import now
from goodsgate.protocols.productsup.guesses import PLATFORM, SITES_MAX
from goodsgate.protocols.productsup.imports import Imports, Problem, Process
from goodsgate.protocols.productsup.inbox import Streams
from goodsgate.protocols.productsup.rows import rows_of
from goodsgate.protocols.productsup.schedule import ALWAYS, Schedule
from goodsgate.protocols.productsup.sites import Placed, Site, Sites, Source, with_source
from goodsgate.store.contract import NameTakenError, ResourcesFullError

ID_MAX = 2**31 - 1
_ID = re.compile("[1-9][0-9]{0,9}")
_FIELD = re.compile(r"fields\[\d*\]")


class SiteGiven(msgspec.Struct):
    """What of a site a client may say."""

    title: str | msgspec.UnsetType = msgspec.UNSET
    project_id: str | int | float | msgspec.UnsetType = msgspec.UNSET
    id_column: str | msgspec.UnsetType = msgspec.UNSET
    import_schedule: str | msgspec.UnsetType = msgspec.UNSET


class SourceGiven(msgspec.Struct):
    """What of a data source a client may say."""

    stream_id: int | float | str | msgspec.UnsetType = msgspec.UNSET
    import_type: Literal[1, 2] | msgspec.UnsetType = msgspec.UNSET
    description: str | msgspec.UnsetType = msgspec.UNSET
    status: Literal["active", "paused"] | msgspec.UnsetType = msgspec.UNSET


class ProcessGiven(msgspec.Struct):
    """What is to be done; there are neither exports nor channels here."""

    action: Literal["import", "all"]
    id: int | float | str | None = None


class Platform:
    """Handlers of the companion API."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._sites = Sites(context.store)
        self._streams = Streams(context.store)
        self._imports = Imports(context.store)

    def handlers(self) -> dict[str, Handler]:
        """By operation id."""
        return {
            "sites": self._blocking(self._list), "create_site": self._given(self._create, SiteGiven),
            "site": self._blocking(self._read), "change_site": self._given(self._change, SiteGiven),
            "delete_site": self._blocking(self._delete), "sources": self._blocking(self._list_sources),
            "add_source": self._given(self._add_source, SourceGiven),
            "change_source": self._given(self._change_source, SourceGiven),
            "delete_source": self._blocking(self._delete_source), "process": self._given(self._process, ProcessGiven),
            "process_status": self._blocking(self._status), "site_errors": self._blocking(self._errors),
            "import_history": self._blocking(self._history), "site_products": self._blocking(self._products),
        }

    def _blocking(self, work: Callable[[ApiRequest], dict[str, Any]]) -> Handler:
        async def answered(request: ApiRequest) -> Response:
            return told(await self._context.run_in_thread(work, request))

        return answered

    def _given(self, work: Callable[[ApiRequest, Any], dict[str, Any]], shape: Any) -> Handler:
        async def answered(request: ApiRequest) -> Response:
            given = await request.decode_body(shape, self._context)
            try:
                return told(await self._context.run_in_thread(work, request, given))
            except NameTakenError as fault:
                raise refuse("batch_open", "Another site has the title.") from fault
            except ResourcesFullError as fault:
                raise refuse("batch_open", f"The account has {SITES_MAX} sites, which is as many as it may.") from fault

        return answered

    # -- sites ------------------------------------------------------------------------------------------------------
    def _list(self, request: ApiRequest) -> dict[str, Any]:
        return {"Sites": [self._site(placed, request.http) for placed in self._sites.all(request.merchant)]}

    def _create(self, request: ApiRequest, given: SiteGiven) -> dict[str, Any]:
        site = Site(title="", project="1", id_column="id", schedule="", made_at=now())
        if given.title is msgspec.UNSET:
            raise refuse("body_invalid", "A site has a title.")
        return {"Sites": [self._site(self._sites.add(request.merchant, _changed(site, given)), request.http)]}

    def _read(self, request: ApiRequest) -> dict[str, Any]:
        return {"Sites": [self._site(self._placed(request), request.http)]}

    def _change(self, request: ApiRequest, given: SiteGiven) -> dict[str, Any]:
        changed = self._sites.change(request.merchant, _number(request), lambda site: _changed(site, given))
        return {"Sites": [self._site(changed, request.http)]}

    def _delete(self, request: ApiRequest) -> dict[str, Any]:
        self._sites.delete(request.merchant, _number(request))
        return {}

    def _site(self, placed: Placed, request: Request) -> dict[str, Any]:
        site, runs = placed.site, self._imports.history(placed.resource.merchant, placed.number, limit=2)
        busy = any(self._imports.status(run) in ("queued", "running") for run in runs)
        return {
            "id": str(placed.number), "title": site.title, "status": "active", "project_id": site.project,
            "import_schedule": site.schedule, "id_column": site.id_column,
            "processing_status": "Running" if busy else "Done", "created_at": moment(site.made_at),
            "links": [{"self": _link(request, f"/sites/{placed.number}")}],
        }

    def _placed(self, request: ApiRequest) -> Placed:
        return self._sites.one(request.merchant, _number(request))

    # -- data sources -----------------------------------------------------------------------------------------------
    def _list_sources(self, request: ApiRequest) -> dict[str, Any]:
        placed = self._placed(request)
        sources = [_source(placed.number, one) for one in placed.site.sources]
        return {"Sources": sources, "meta": {"cursor": {"current": 0, "prev": 0, "next": 1, "count": len(sources)}}}

    def _add_source(self, request: ApiRequest, given: SourceGiven) -> dict[str, Any]:
        text = str(given.stream_id).removesuffix(".0")
        if not _ID.fullmatch(text) or (stream := int(text)) > ID_MAX:
            raise refuse("body_invalid", "A data source has a stream_id.")
        self._streams.one(request.merchant, stream)

        def added(site: Site) -> Site:
            if any(one.stream == stream for one in site.sources):
                raise refuse("batch_open", "The site has the stream as a data source.")
            return with_source(
                site, stream=stream, import_type=_given_or(given.import_type, 1),
                description=_given_or(given.description, ""), status=_given_or(given.status, "active"),
            )

        changed = self._sites.change(request.merchant, _number(request), added)
        return {"Sources": [_source(changed.number, changed.site.sources[-1])]}

    def _change_source(self, request: ApiRequest, given: SourceGiven) -> dict[str, Any]:
        wanted = int(request.path["source"])

        def changed(site: Site) -> Site:
            before = next((one for one in site.sources if one.id == wanted), None)
            if before is None:
                raise refuse("item_unknown")
            after = msgspec.structs.replace(
                before, import_type=_given_or(given.import_type, before.import_type),
                description=_given_or(given.description, before.description),
                status=_given_or(given.status, before.status),
            )
            return msgspec.structs.replace(site, sources=[after if one is before else one for one in site.sources])

        placed = self._sites.change(request.merchant, _number(request), changed)
        return {"Sources": [_source(placed.number, one) for one in placed.site.sources if one.id == wanted]}

    def _delete_source(self, request: ApiRequest) -> dict[str, Any]:
        wanted = int(request.path["source"])

        def without(site: Site) -> Site:
            left = [one for one in site.sources if one.id != wanted]
            if len(left) == len(site.sources):
                raise refuse("item_unknown")
            return msgspec.structs.replace(site, sources=left)

        self._sites.change(request.merchant, _number(request), without)
        return {}

    # -- processes --------------------------------------------------------------------------------------------------
    def _process(self, request: ApiRequest, _: ProcessGiven) -> dict[str, Any]:
        placed = self._placed(request)
        pid = self._imports.start(placed).pid
        return {"process_id": pid, "pid": pid}

    def _status(self, request: ApiRequest) -> dict[str, Any]:
        number, pid = self._placed(request).number, _pid(request.path["pid"])
        found = self._imports.one(request.merchant, number, pid)
        status = self._imports.status(found) if found is not None else "queued"
        links = [{"self": _link(request.http, f"/sites/{number}/status/{pid}")}]
        if status == "failed":
            links.insert(0, {"errors": _link(request.http, f"/sites/{number}/errors?pid={pid}")})
        return {"status": status, "links": links}

    def _errors(self, request: ApiRequest) -> dict[str, Any]:
        number, wanted = self._placed(request).number, request.query["pid"]
        offset, limit = int(request.query["offset"]), int(request.query["limit"])
        runs = self._imports.history(request.merchant, number, limit=1)
        found = self._imports.one(request.merchant, number, _pid(wanted)) if wanted else (runs[0] if runs else None)
        words = []
        for at, problem in enumerate(self._imports.problems(found) if found is not None else ()):
            if at >= offset + limit:
                break
            if at >= offset and found is not None:
                words.append(_error(problem, found, at, request=request.http))
        return {"Errors": words}

    def _history(self, request: ApiRequest) -> dict[str, Any]:
        number, offset, limit = self._placed(request).number, int(request.query["offset"]), int(request.query["limit"])
        words = []
        for process in self._imports.history(request.merchant, number, offset=offset, limit=limit):
            if self._imports.status(process) in ("queued", "running"):
                continue
            kept = self._imports.one(request.merchant, number, process.pid) or process
            words.append({
                "id": str(process.resource.number), "site_id": number, "import_time": moment(process.run.at),
                "product_count": str(self._imports.products(kept)), "pid": process.pid,
                "links": [{"self": _link(request.http, f"/sites/{number}/status/{process.pid}")}],
            })
        return {"Importhistory": words}

    # -- products ---------------------------------------------------------------------------------------------------
    def _products(self, request: ApiRequest) -> dict[str, Any]:
        placed = self._placed(request)
        offset, limit = int(request.query["offset"]), int(request.query["limit"])
        rows = list(rows_of(self._context.store, placed, offset=offset, limit=limit))
        fields = [value for name, value in request.http.query_params.multi_items() if _FIELD.fullmatch(name)]
        if fields:
            rows = [{name: row.get(name, "") for name in fields} for row in rows]
        return {"products": rows}


def told(words: dict[str, Any]) -> Response:
    """An answer of this API."""
    return Response(
        msgspec.json.encode({"success": True, **words}), media_type="application/json",
        headers={"cache-control": "no-store"},
    )


def moment(time: datetime) -> str:
    """``2015-01-01 11:22:33``, in UTC."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def _number(request: ApiRequest) -> int:
    return int(request.path["site"])


def _pid(text: str) -> str:
    """As it is kept; only its form matters. Raises item_unknown."""
    try:
        return str(UUID(text))
    except ValueError as fault:
        raise refuse("item_unknown") from fault


def _given_or(given: Any, default: Any) -> Any:
    return default if given is msgspec.UNSET else given


def _changed(site: Site, given: SiteGiven) -> Site:
    """Raises body_invalid."""
    title, column = _given_or(given.title, site.title), _given_or(given.id_column, site.id_column)
    if not 1 <= len(title) <= 255 or not 1 <= len(column) <= 255:
        raise refuse("body_invalid", "A title and an id_column have 1 to 255 characters.")
    schedule = _given_or(given.import_schedule, site.schedule).strip()
    try:
        if schedule not in ("", ALWAYS):
            Schedule(schedule)
    except ValueError as fault:
        raise refuse("body_invalid", f"The import_schedule is no cron entry: {fault}.") from fault
    return msgspec.structs.replace(
        site, title=title, id_column=column, schedule=schedule,
        project=str(_given_or(given.project_id, site.project))[:255],
    )


def _source(site: int, source: Source) -> dict[str, Any]:
    return {
        "id": source.id, "site_id": site, "description": source.description, "source": "",
        "import_type": source.import_type, "import_id": source.id, "status": source.status,
        "settings": [f"stream : {source.stream}"],
    }


def _error(problem: Problem, process: Process, at: int, *, request: Request) -> dict[str, Any]:
    site = process.run.site
    return {
        "id": str(at + 1), "pid": process.pid, "error": "0", "data": problem.data, "site_id": str(site),
        "message": problem.message, "datetime": moment(problem.at), "type": "Error" if problem.severe else "Warning",
        "classification": "high" if problem.severe else "low",
        "links": [{"self": _link(request, f"/sites/{site}/errors?pid={process.pid}")}],
    }


def _link(request: Request, path: str) -> str:
    return f"{str(request.base_url).rstrip('/')}{PLATFORM}{path}"


def failure(refusal: Refusal, status: int) -> bytes:
    """An error of this API, in the published words where there are some."""
    message = {
        401: "Unauthorized", 403: "You don't have the rights to access this resource",
        404: "The requested resource could not be found",
    }.get(status, refusal.detail)
    return msgspec.json.encode({"success": False, "message": message})
