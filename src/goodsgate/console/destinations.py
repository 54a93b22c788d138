"""Destinations of a merchant: the list, saving one, and each with its runs and what falls short of its target."""

from collections.abc import Callable
from typing import Any

import msgspec
from starlette.responses import RedirectResponse, Response

from goodsgate.console.rendering import HEADERS, PageRenderer, path_segment
from goodsgate.console.request import NAME, ConsoleRequest, FormFields
from goodsgate.engine.destination_definitions import DestinationChange, DestinationView, decode_destination_report
from goodsgate.engine.export import exported_profiles
from goodsgate.engine.feed_check import check_feed
from goodsgate.engine.feed_files import FEED_FORMATS, wanted_items
from goodsgate.engine.refusal import Refusal
from goodsgate.http.context import ServerContext, require_permission
from goodsgate.http.problems import refuse
from goodsgate.model.audit import rename_act
from goodsgate.model.catalogue import Item
from goodsgate.model.issue import Issue
from goodsgate.model.json_text import read_json
from goodsgate.targets import target_names

RUNS_SHOWN = 10
ITEMS_SHOWN = 50
CHECK_SECONDS = 0.5
TEXT_FIELDS = ("to", "profile", "format", "collection", "cron", "timezone", "username", "description", "incomplete")


class DestinationPages:
    """Everything under ``/console/merchants/{merchant}/destinations``."""

    def __init__(self, context: ServerContext, renderer: PageRenderer) -> None:
        self._context = context
        self._renderer = renderer
        self._destinations = context.services.destinations
        settings = context.services.settings
        self._base_url = settings.public_url or settings.local_url
        self._actions: dict[str, Callable[[str, str], object]] = {
            "run": self._destinations.request_run, "pause": self._destinations.pause,
            "resume": self._destinations.resume, "approve": self._destinations.approve,
            "discard": self._destinations.discard, "test": self._destinations.test,
            "delete": self._destinations.delete,
        }

    async def destinations(self, request: ConsoleRequest) -> Response:
        """Return the destinations of a merchant, with a form for another one."""
        return await self._render_list(request, await request.merchant(), FormFields([]))

    async def save(self, request: ConsoleRequest) -> Response:
        """Save a destination; one that cannot be used is shown again with the reason."""
        form, merchant = await request.form(), await request.merchant()
        name = form.get("name")
        try:
            if not NAME.fullmatch(name):
                raise Refusal("destination_invalid", "A name has up to 64 letters, digits, points and dashes.")
            change = _change(form)
            await self._context.run_in_thread(self._destinations.save, merchant, name, change)
        except Refusal as refusal:
            if refusal.code not in ("destination_invalid", "destinations_full", "parameter_invalid"):
                raise
            return await self._render_list(request, merchant, form, problem=refusal.detail)
        return RedirectResponse(_path(merchant, name), 303, headers=HEADERS)

    async def destination(self, request: ConsoleRequest) -> Response:
        """Return a destination with its runs, and what falls short now."""
        merchant, name = await request.merchant(), request.path_param("name")
        return await self._context.run_in_thread(self._render_destination, request, merchant, name)

    async def act(self, request: ConsoleRequest) -> Response:
        """Run, pause, resume, approve, discard, test or delete a destination."""
        form, merchant, name = await request.form(), await request.merchant(), request.path_param("name")
        action = form.get("action")
        if action not in self._actions:
            raise refuse("body_invalid", "There is no such action.")
        require_permission(request.caller, "decide" if action in ("approve", "discard") else "configure")
        rename_act(f"destination.{action}")
        problem = ""
        try:
            await self._context.run_in_thread(self._actions[action], merchant, name)
        except Refusal as refusal:
            if action != "test" or refusal.code != "destination_invalid":
                raise
            problem = refusal.detail
        if action == "test":
            return await self._context.run_in_thread(
                self._render_destination, request, merchant, name, problem or "Connected."
            )
        own = None if action == "delete" else name
        return RedirectResponse(_path(merchant, own), 303, headers=HEADERS)

    async def _render_list(self, request: ConsoleRequest, merchant: str, form: FormFields, *, problem: str = "",
                           ) -> Response:
        values: dict[str, Any] = {
            "merchant": merchant, "section": "destinations", "form": form, "problem": problem,
            "destinations": await self._context.run_in_thread(self._destinations.all, merchant),
            "targets": target_names(), "profiles": exported_profiles(), "formats": FEED_FORMATS,
            "can_change": request.caller.may("configure"),
        }
        return self._renderer.response(request, "destinations.html", values, status=422 if problem else 200)

    def _render_destination(self, request: ConsoleRequest, merchant: str, name: str, tested: str = "") -> Response:
        view = self._destinations.destination(merchant, name)
        runs = [(run, decode_destination_report(run)) for run in self._destinations.runs(view, limit=RUNS_SHOWN)]
        table = view.destination.table()
        check = None if table is None else check_feed(
            self._context.store, merchant, view.destination.collection, table,
            wanted=wanted_items(view.destination.request), after=request.query.get_raw("after") or None,
            limit=ITEMS_SHOWN, seconds=CHECK_SECONDS,
        )
        values: dict[str, Any] = {
            "merchant": merchant, "section": "destinations", "view": view, "runs": runs, "check": check,
            "shortcomings": check.items if check is not None else [],
            "urls": served_addresses(view, self._destinations.signature(view), self._base_url), "tested": tested,
            "next_page": request.link(after=check.next) if check is not None and check.next is not None else None,
            "can_change": request.caller.may("configure"), "can_decide": request.caller.may("decide"),
        }
        return self._renderer.response(request, "destination.html", values)


def served_addresses(view: DestinationView, signature: str, base_url: str) -> list[str]:
    """Return the addresses of the files that the gate serves; none before the first run."""
    if not view.destination.is_served:
        return []
    return [f"{base_url}/v1/feeds/{view.merchant}/{view.number}/{signature}/{file.name}" for file in view.state.files]


def item_feed_issues(views: list[DestinationView], item: Item) -> list[tuple[DestinationView, list[Issue]]]:
    """Return what of an item falls short of each destination that has it."""
    found = []
    for view in views:
        table, destination = view.destination.table(), view.destination
        if table is None or (destination.kind, destination.collection) != (item.kind, item.collection):
            continue
        wanted = wanted_items(destination.request)
        if wanted is None or wanted(item.document):
            issues = table.row(read_json(item.document)).issues
            if issues:
                found.append((view, issues))
    return found


def _path(merchant: str, name: str | None) -> str:
    base = f"/console/merchants/{path_segment(merchant)}/destinations"
    return base if name is None else f"{base}/{path_segment(name)}"


def _change(form: FormFields) -> DestinationChange:
    """Return what a form asks for. Raises Refusal: destination_invalid."""
    values: dict[str, Any] = {name: text for name in TEXT_FIELDS if (text := form.get(name).strip())}
    values["in_stock"] = form.get("in_stock") == "on"
    share = form.get("hold_if_shrinks").strip().removesuffix("%")
    if share:
        values["hold_if_shrinks"] = None if share == "never" else _percent(share)
    password = form.get("password")
    if password:
        values["credential"] = {"password": password}
    pairs = [line.partition("=") for line in form.get("values").splitlines() if line.strip()]
    values["values"] = {column.strip(): value.strip() for column, _, value in pairs}
    try:
        return msgspec.convert(values, DestinationChange)
    except msgspec.ValidationError as fault:
        raise Refusal("destination_invalid", f"The destination cannot be used: {fault}.") from fault


def _percent(text: str) -> float:
    try:
        return float(text) / 100
    except ValueError:
        raise Refusal("destination_invalid", "The share is a percentage, or “never”.") from None
