"""Guards of a merchant: the list, saving one, and trying it on the last batches before it counts."""

from typing import Any

import msgspec
from starlette.responses import RedirectResponse, Response

from goodsgate.console.rendering import HEADERS, PageRenderer, path_segment
from goodsgate.console.request import NAME, ConsoleRequest, FormFields
from goodsgate.engine.guard_trial import GuardTrial, try_guard
from goodsgate.engine.refusal import Refusal
from goodsgate.engine.saved_guards import delete_guard, save_guard, saved_guard, saved_guards
from goodsgate.http.context import ServerContext
from goodsgate.model.audit import mark_recorded, note, rename_act
from goodsgate.model.batch import Kind
from goodsgate.model.guard import CONDITIONS, Guard

LIMIT_PREFIX = "limit:"
"""Prefix of the form fields that have the limit of a condition."""
TEXT_FIELDS = ("kind", "collection", "records_min", "hold", "hold_hours")


class GuardPages:
    """Everything under ``/console/merchants/{merchant}/guards``."""

    def __init__(self, context: ServerContext, renderer: PageRenderer) -> None:
        self._context = context
        self._store = context.store
        self._renderer = renderer

    async def guards(self, request: ConsoleRequest) -> Response:
        """Return the list of guards, and the form for a new one."""
        merchant = await request.merchant()

        def render() -> Response:
            values = {"guards": saved_guards(self._store, merchant), "merchant": merchant, "name": ""}
            return self._render(request, "guards.html", {**values, "form": FormFields([])})

        return await self._context.run_in_thread(render)

    async def guard(self, request: ConsoleRequest) -> Response:
        """Return one guard in a form, with what it would have held lately."""
        merchant, name = await request.merchant(), request.path_param("name")

        def render() -> Response:
            guard = saved_guard(self._store, merchant, name)
            trial = try_guard(self._store, merchant, name, guard)
            values = {"merchant": merchant, "name": name, "saved": guard, "trial": trial}
            return self._render(request, "guard.html", {**values, "form": FormFields(_fields_of(guard))})

        return await self._context.run_in_thread(render)

    async def act(self, request: ConsoleRequest) -> Response:
        """Save, try or delete a guard, as the pressed button says; a guard that cannot be used is shown again."""
        form, merchant = await request.form(), await request.merchant()
        return await self._context.run_in_thread(self._act, request, form, merchant)

    def _act(self, request: ConsoleRequest, form: FormFields, merchant: str) -> Response:
        name, action = form.get("name"), form.get("action")
        base = f"/console/merchants/{path_segment(merchant)}/guards"
        note(subject=name)
        if action == "delete":
            rename_act("guard.delete")
            delete_guard(self._store, merchant, name)
            return RedirectResponse(base, 303, headers=HEADERS)
        trial: GuardTrial | None = None
        problem = ""
        try:
            guard = _guard_of(form)
            if action == "try":
                mark_recorded()  # it changes nothing
                trial = try_guard(self._store, merchant, name, guard)
            else:
                save_guard(self._store, merchant, name, guard)
                return RedirectResponse(f"{base}/{path_segment(name)}", 303, headers=HEADERS)
        except Refusal as refusal:
            if refusal.code not in ("guard_invalid", "guards_full"):
                raise
            problem = refusal.detail
        values = {
            "merchant": merchant, "name": name, "form": form, "trial": trial, "problem": problem,
            "saved": saved_guards(self._store, merchant).get(name),
        }
        return self._render(request, "guard.html", values, status=422 if problem else 200)

    def _render(self, request: ConsoleRequest, template: str, values: dict[str, Any], *, status: int = 200) -> Response:
        common = {
            "section": "guards", "can_save": request.caller.may("configure"), "kinds": [*map(str, Kind)],
            "conditions": CONDITIONS, "trial": None, "problem": "", "saved": None,
        }
        return self._renderer.response(request, template, {**common, **values}, status=status)


def _guard_of(form: FormFields) -> Guard:
    """Return the guard of a form. Raises Refusal: guard_invalid."""
    if not NAME.fullmatch(form.get("name")):
        raise Refusal("guard_invalid", "Give the guard a name of up to 64 letters, digits, points and dashes.")
    limits = {field.removeprefix(LIMIT_PREFIX): value.strip().replace(" ", "") for field, value in form.pairs
              if field.startswith(LIMIT_PREFIX) and value.strip()}
    given = {name: text for name in TEXT_FIELDS if (text := form.get(name))}
    try:
        return msgspec.convert({**given, "hold_if": limits}, Guard, strict=False)
    except msgspec.ValidationError as fault:
        raise Refusal("guard_invalid", f"The guard cannot be used: {fault}.") from fault


def _fields_of(guard: Guard) -> list[tuple[str, str]]:
    """Return the fields of the form of a guard."""
    fields = [(name, f"{value:g}" if isinstance(value, float) else str(value)) for name in TEXT_FIELDS
              if (value := getattr(guard, name)) is not None]
    return [*fields, *((f"{LIMIT_PREFIX}{name}", limit) for name, limit in guard.hold_if.items())]
