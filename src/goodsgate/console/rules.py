"""Rules of a merchant: the list, saving one, and trying it on the last batches before it counts."""

from typing import Any

import msgspec
from starlette.responses import RedirectResponse, Response

from goodsgate.console.rendering import HEADERS, PageRenderer, path_segment
from goodsgate.console.request import NAME, ConsoleRequest, FormFields
from goodsgate.engine.dry_run import DryRunner
from goodsgate.engine.refusal import Refusal
from goodsgate.engine.rule_trial import RuleTrial, try_rule
from goodsgate.engine.saved_rules import delete_rule, recent_counts, save_rule, saved_rule, saved_rules
from goodsgate.http.context import ServerContext
from goodsgate.http.threads import WORK, Work
from goodsgate.model.audit import mark_recorded, note, rename_act
from goodsgate.model.batch import Kind
from goodsgate.model.issue import ADJUSTABLE_CODES
from goodsgate.model.record_rule import RecordRule

TEXT_FIELDS = ("collection", "category", "expression", "code", "field", "message", "suggestion")


class RulePages:
    """Everything under ``/console/merchants/{merchant}/rules``."""

    def __init__(self, context: ServerContext, renderer: PageRenderer, dry_runner: DryRunner) -> None:
        self._context = context
        self._store = context.store
        self._renderer = renderer
        self._dry_runner = dry_runner

    async def rules(self, request: ConsoleRequest) -> Response:
        """Return the list of rules, and the form for a new one."""
        return await self._context.run_in_thread(self._render_list, request, await request.merchant())

    def _render_list(self, request: ConsoleRequest, merchant: str) -> Response:
        rules = saved_rules(self._store, merchant)
        counts = recent_counts(self._store, merchant) if rules else {}
        values = {"rules": [(rule, counts.get(name)) for name, rule in rules.items()], "merchant": merchant}
        return self._render(request, "rules.html", {**values, "name": "", "form": FormFields([])})

    async def rule(self, request: ConsoleRequest) -> Response:
        """Return one rule in a form, with its versions."""
        merchant, name = await request.merchant(), request.path_param("name")

        def render() -> Response:
            saved = saved_rule(self._store, merchant, name)
            counts = recent_counts(self._store, merchant).get(name)
            values = {"merchant": merchant, "name": name, "saved": saved, "counts": counts}
            return self._render(request, "rule.html", {**values, "form": FormFields(_fields_of(saved.rule))})

        return await self._context.run_in_thread(render)

    async def act(self, request: ConsoleRequest) -> Response:
        """Save, try or delete a rule, as the pressed button says; a rule that cannot be used is shown again."""
        form, merchant = await request.form(), await request.merchant()
        WORK.set(Work.FILES)
        return await self._context.run_in_thread(self._act, request, form, merchant)

    def _act(self, request: ConsoleRequest, form: FormFields, merchant: str) -> Response:
        name, action = form.get("name"), form.get("action")
        base = f"/console/merchants/{path_segment(merchant)}/rules"
        note(subject=name)
        if action == "delete":
            rename_act("rule.delete")
            delete_rule(self._store, merchant, name)
            return RedirectResponse(base, 303, headers=HEADERS)
        trial: RuleTrial | None = None
        problem = ""
        try:
            rule = _rule_of(form)
            if action == "try":
                mark_recorded()  # it changes nothing
                trial = try_rule(self._dry_runner, merchant, name, rule)
            else:
                save_rule(self._store, merchant, name, rule)
                return RedirectResponse(f"{base}/{path_segment(name)}", 303, headers=HEADERS)
        except Refusal as refusal:
            if refusal.code not in ("rule_invalid", "rules_full"):
                raise
            problem = refusal.detail
        values = {
            "merchant": merchant, "name": name, "form": form, "trial": trial, "problem": problem,
            "saved": saved_rules(self._store, merchant).get(name), "counts": None,
        }
        return self._render(request, "rule.html", values, status=422 if problem else 200)

    def _render(self, request: ConsoleRequest, template: str, values: dict[str, Any], *, status: int = 200) -> Response:
        common = {
            "section": "rules", "can_save": request.caller.may("configure"), "kinds": [*map(str, Kind)],
            "codes": sorted(ADJUSTABLE_CODES), "trial": None,
            "problem": "", "saved": None,
        }
        return self._renderer.response(request, template, {**common, **values}, status=status)


def _rule_of(form: FormFields) -> RecordRule:
    """Return the rule of a form. Raises Refusal: rule_invalid, parameter_invalid."""
    if not NAME.fullmatch(form.get("name")):
        raise Refusal("rule_invalid", "Give the rule a name of up to 64 letters, digits, points and dashes.")
    document: dict[str, Any] = {name: text for name in TEXT_FIELDS if (text := form.get(name))}
    document |= {name: form.get(name) for name in ("kind", "severity", "mode") if form.get(name)}
    if schema := form.get("schema"):
        try:
            document["schema"] = msgspec.json.decode(schema)
        except msgspec.DecodeError as fault:
            raise Refusal("rule_invalid", f"The schema is not JSON: {fault}.") from fault
    try:
        return msgspec.convert(document, RecordRule)
    except msgspec.ValidationError as fault:
        raise Refusal("rule_invalid", f"The rule cannot be used: {fault}.") from fault


def _fields_of(rule: RecordRule) -> list[tuple[str, str]]:
    """Return the fields of the form of a rule."""
    fields = [(name, str(value)) for name in TEXT_FIELDS if (value := getattr(rule, name)) is not None]
    if rule.schema is not None:
        fields.append(("schema", msgspec.json.format(msgspec.json.encode(rule.schema), indent=2).decode()))
    return [*fields, ("kind", str(rule.kind)), ("severity", rule.severity), ("mode", rule.mode)]
