"""Sources of a merchant: the list with states, one source with its runs, and the form."""

from collections.abc import Callable
from typing import Any

import msgspec
from starlette.responses import RedirectResponse, Response

from goodsgate.console.rendering import HEADERS, PageRenderer, path_segment
from goodsgate.console.request import NAME, ConsoleRequest, FormFields
from goodsgate.engine.dry_run import DryRunner
from goodsgate.engine.refusal import Refusal
from goodsgate.engine.saved_guards import parse_conditions
from goodsgate.engine.saved_profiles import saved_profiles
from goodsgate.engine.source_definitions import SECRETS, FeedSource, SourceChange, SourceView, decode_report
from goodsgate.engine.source_trial import SourceTrial, try_source
from goodsgate.engine.submission_options import SubmissionOptions
from goodsgate.http.context import ServerContext
from goodsgate.http.problems import refuse
from goodsgate.http.threads import WORK, Work
from goodsgate.model.audit import mark_recorded, note, rename_act
from goodsgate.model.batch import Kind, now
from goodsgate.profiles import profile_names

RUNS_MAX = 50
TEXT_FIELDS = ("address", "description", "timezone", "kind", "collection", "files", "username", "endpoint", "region")
OPTIONAL_FIELDS = ("cron", "expected_by", "move_to", "host_key")
"""Fields that are absent where the form has nothing."""
UNANSWERED = frozenset({"source_invalid", "sources_full", "parameter_invalid", "profile_unknown"})
"""Refusals that the form shows beside what was entered."""


class SourcePages:
    """Everything under ``/console/merchants/{merchant}/sources``."""

    def __init__(self, context: ServerContext, renderer: PageRenderer, dry_runner: DryRunner) -> None:
        self._context = context
        self._renderer = renderer
        self._dry_runner = dry_runner
        self._sources = context.services.sources
        self._actions: dict[str, Callable[[str, str], object]] = {
            "pause": self._sources.pause, "resume": self._sources.resume, "run": self._sources.request_run,
            "delete": self._sources.delete,
        }

    async def sources(self, request: ConsoleRequest) -> Response:
        """Return the list of sources, and the form for a new one."""
        merchant = await request.merchant()

        def render() -> Response:
            at = now()
            rows = [(view, view.status(at)) for view in self._sources.all(merchant)]
            return self._render(request, "sources.html", merchant, {"rows": rows, "form": FormFields([])})

        return await self._context.run_in_thread(render)

    async def source(self, request: ConsoleRequest) -> Response:
        """Return one source with its runs."""
        merchant, name = await request.merchant(), request.path_param("name")
        return await self._context.run_in_thread(self._render_source, request, merchant, name)

    async def act(self, request: ConsoleRequest) -> Response:
        """Save, run, test, pause, resume or delete a source, as the pressed button says."""
        form, merchant = await request.form(), await request.merchant()
        if form.get("action") == "test":
            WORK.set(Work.FILES)
        return await self._context.run_in_thread(self._act, request, form, merchant)

    def _act(self, request: ConsoleRequest, form: FormFields, merchant: str) -> Response:
        name, action = form.get("name"), form.get("action")
        base = f"/console/merchants/{path_segment(merchant)}/sources"
        own = f"{base}/{path_segment(name)}"
        note(subject=name)
        if action == "save":
            return self._save(request, form, merchant, own)
        rename_act(f"source.{action}")
        if action == "test":
            view = self._sources.source(merchant, name)
            trial = try_source(self._sources, self._dry_runner, self._context.engine.settings.read_limits, view)
            if not trial.host_key:
                mark_recorded()  # nothing was pinned
            return self._render_source(request, merchant, name, trial=trial)
        if action not in self._actions:
            raise refuse("body_invalid", "There is no such action.")
        self._actions[action](merchant, name)
        return RedirectResponse(base if action == "delete" else own, 303, headers=HEADERS)

    def _save(self, request: ConsoleRequest, form: FormFields, merchant: str, own: str) -> Response:
        name = form.get("name")
        saved = next((view for view in self._sources.all(merchant) if view.name == name), None)
        try:
            if not NAME.fullmatch(name):
                raise Refusal("source_invalid", "Give it a name of up to 64 letters, digits, points and dashes.")
            self._sources.save(merchant, name, _change(form, None if saved is None else saved.source))
        except Refusal as refusal:
            if refusal.code not in UNANSWERED:
                raise
            return self._render_source(request, merchant, name, form=form, problem=refusal.detail, saved=saved)
        return RedirectResponse(own, 303, headers=HEADERS)

    def _render_source(self, request: ConsoleRequest, merchant: str, name: str, *, trial: SourceTrial | None = None,
                       form: FormFields | None = None, problem: str = "", saved: SourceView | None = None) -> Response:
        view = saved if problem else self._sources.source(merchant, name)
        runs = [] if view is None else self._sources.runs(view, limit=RUNS_MAX)
        values = {
            "name": name, "view": view, "status": "" if view is None else view.status(now()), "trial": trial,
            "runs": [(run, decode_report(run)) for run in runs], "problem": problem,
            "form": form if form is not None or view is None else FormFields(_fields_of(view.source)),
        }
        return self._render(request, "source.html", merchant, values, status=422 if problem else 200)

    def _render(self, request: ConsoleRequest, template: str, merchant: str, values: dict[str, Any], *,
                status: int = 200) -> Response:
        common = {
            "section": "sources", "merchant": merchant, "can_change": request.caller.may("configure"),
            "kinds": [*map(str, Kind)], "problem": "", "view": None, "name": "",
            "profiles": [*sorted(saved_profiles(self._context.store, merchant)), *profile_names()],
        }
        return self._renderer.response(request, template, {**common, **values}, status=status)


def _change(form: FormFields, saved: FeedSource | None) -> SourceChange:
    """Return what a form asks for; options that it does not show stay. Raises Refusal: source_invalid."""
    options = msgspec.to_builtins(saved.options) if saved is not None else {}
    options |= {
        "mode": form.get("mode") or "delta", "profile": form.get("profile").strip() or None,
        "hold_if": parse_conditions(form.get("hold_if")),
    }
    fields: dict[str, Any] = {name: text for name in TEXT_FIELDS if (text := form.get(name).strip())}
    fields |= {name: form.get(name).strip() or None for name in OPTIONAL_FIELDS}
    secrets = {name: text for name in SECRETS if (text := form.get(name).strip())}
    if secrets or form.get("forget"):
        fields["credential"] = secrets
    try:
        return msgspec.convert({**fields, "options": options}, SourceChange)
    except msgspec.ValidationError as fault:
        raise Refusal("source_invalid", f"The source cannot be used: {fault}.") from fault


def _fields_of(source: FeedSource) -> list[tuple[str, str]]:
    """Return the fields of the form of a source, without the values of its credential."""
    options: SubmissionOptions = source.options
    held = ", ".join(f"{name}:{limit}" for name, limit in options.hold_if.items())
    fields = {name: getattr(source, name) for name in (*TEXT_FIELDS, *OPTIONAL_FIELDS)}
    fields |= {"address": source.display_address, "mode": options.mode, "profile": options.profile, "hold_if": held}
    return [(name, str(value)) for name, value in fields.items() if value]
