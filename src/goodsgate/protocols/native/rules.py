"""Rules that a merchant adds to those of the gate."""

from typing import Any

from starlette.responses import Response

from goodsgate.engine.rule_trial import try_rule
from goodsgate.engine.saved_rules import (
    counts_document,
    delete_rule,
    recent_counts,
    rule_document,
    save_rule,
    saved_rule,
    saved_rules,
)
from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import ApiRequest, Handler, decode_json
from goodsgate.http.threads import WORK, Work
from goodsgate.model.record_rule import RecordRule
from goodsgate.protocols.native.responses import json_response


class RuleHandlers:
    """Handlers of everything under ``/v1/rules``."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._store = context.store

    def handlers(self) -> dict[str, Handler]:
        """Return the handlers by operation id."""
        return {
            "rules": self.rules, "rule": self.rule, "put_rule": self.put_rule, "delete_rule": self.delete_rule,
            "rule_versions": self.rule_versions, "try_rule": self.try_rule,
        }

    async def rules(self, request: ApiRequest) -> Response:
        """Handle GET /v1/rules."""

        def read() -> list[dict[str, Any]]:
            saved = saved_rules(self._store, request.merchant)
            counts = recent_counts(self._store, request.merchant) if saved else {}
            return [rule_document(each, counts.get(name)) for name, each in saved.items()]

        return json_response({"rules": await self._context.run_in_thread(read)})

    async def rule(self, request: ApiRequest) -> Response:
        """Handle GET /v1/rules/{name}."""
        name = request.path["name"]

        def read() -> dict[str, Any]:
            saved = saved_rule(self._store, request.merchant, name)
            return rule_document(saved, recent_counts(self._store, request.merchant).get(name))

        return json_response(await self._context.run_in_thread(read))

    async def put_rule(self, request: ApiRequest) -> Response:
        """Handle PUT /v1/rules/{name}."""
        rule: RecordRule = await request.decode_body(RecordRule, self._context)
        saved = await self._context.run_in_thread(
            save_rule, self._store, request.merchant, request.path["name"], rule
        )
        return json_response(rule_document(saved))

    async def delete_rule(self, request: ApiRequest) -> Response:
        """Handle DELETE /v1/rules/{name}."""
        await self._context.run_in_thread(delete_rule, self._store, request.merchant, request.path["name"])
        return Response(status_code=204)

    async def rule_versions(self, request: ApiRequest) -> Response:
        """Handle GET /v1/rules/{name}/versions."""
        saved = await self._context.run_in_thread(saved_rule, self._store, request.merchant, request.path["name"])
        return json_response({"versions": saved.versions})

    async def try_rule(self, request: ApiRequest) -> Response:
        """Handle POST /v1/rules/{name}/trial; without a body the saved rule is tried."""
        name, content = request.path["name"], await request.read_body(self._context)

        def act() -> dict[str, Any]:
            if content:
                rule: RecordRule = decode_json(content, RecordRule)
            else:
                rule = saved_rule(self._store, request.merchant, name).rule
            trial = try_rule(self._context.dry_runner, request.merchant, name, rule)
            return {
                "name": name, "rule": rule, "batches": trial.batches, "records": trial.records,
                "is_cut": trial.is_cut, **counts_document(trial.counts),
            }

        WORK.set(Work.FILES)
        return json_response(await self._context.run_in_thread(act))
