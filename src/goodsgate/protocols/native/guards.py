"""Guards that a merchant has saved: conditions under which its batches are held."""

from typing import Any

from starlette.responses import Response

from goodsgate.engine.guard_trial import GuardTrial, try_guard
from goodsgate.engine.saved_guards import delete_guard, guard_document, save_guard, saved_guard, saved_guards
from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import ApiRequest, Handler, decode_json
from goodsgate.model.guard import Figure, Guard, Hold, HoldReason
from goodsgate.protocols.native.responses import json_response


class GuardHandlers:
    """Handlers of everything under ``/v1/guards``."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._store = context.store

    def handlers(self) -> dict[str, Handler]:
        """Return the handlers by operation id."""
        return {
            "guards": self.guards, "guard": self.guard, "put_guard": self.put_guard, "delete_guard": self.delete_guard,
            "try_guard": self.try_guard,
        }

    async def guards(self, request: ApiRequest) -> Response:
        """Handle GET /v1/guards."""
        saved = await self._context.run_in_thread(saved_guards, self._store, request.merchant)
        return json_response({"guards": [guard_document(name, guard) for name, guard in saved.items()]})

    async def guard(self, request: ApiRequest) -> Response:
        """Handle GET /v1/guards/{name}."""
        name = request.path["name"]
        guard = await self._context.run_in_thread(saved_guard, self._store, request.merchant, name)
        return json_response(guard_document(name, guard))

    async def put_guard(self, request: ApiRequest) -> Response:
        """Handle PUT /v1/guards/{name}."""
        name, guard = request.path["name"], await request.decode_body(Guard, self._context)
        await self._context.run_in_thread(save_guard, self._store, request.merchant, name, guard)
        return json_response(guard_document(name, guard))

    async def delete_guard(self, request: ApiRequest) -> Response:
        """Handle DELETE /v1/guards/{name}."""
        await self._context.run_in_thread(delete_guard, self._store, request.merchant, request.path["name"])
        return Response(status_code=204)

    async def try_guard(self, request: ApiRequest) -> Response:
        """Handle POST /v1/guards/{name}/trial; without a body the saved guard is tried."""
        name, content = request.path["name"], await request.read_body(self._context)

        def act() -> dict[str, Any]:
            if content:
                guard: Guard = decode_json(content, Guard)
            else:
                guard = saved_guard(self._store, request.merchant, name)
            trial = try_guard(self._store, request.merchant, name, guard)
            return {"guard": guard_document(name, guard), **_serialize_trial(trial)}

        return json_response(await self._context.run_in_thread(act))


def serialize_hold(hold: Hold) -> dict[str, Any]:
    """Return what the trial of a batch has found, as JSON."""
    return {
        "reasons": [*map(_serialize_reason, hold.reasons)],
        "figures": {name: _serialize_figure(figure) for name, figure in hold.figures.items()},
        "mode": hold.mode, "held_at": hold.held_at, "expires_at": hold.expires_at, "decision": hold.decision,
        "changes_since": hold.changes_since,
    }


def _serialize_trial(trial: GuardTrial) -> dict[str, Any]:
    return {
        "batches": [
            {
                "id": each.batch.id, "label": each.batch.label, "kind": each.batch.kind,
                "collection": each.batch.collection, "received_at": each.batch.received_at, "records": each.records,
                "held": bool(each.reasons), "reasons": [*map(_serialize_reason, each.reasons)],
            }
            for each in trial.batches
        ],
        "held": len(trial.held_batches), "unmeasured": trial.unmeasured,
        "highest": {each.condition: _serialize_figure(each.figure) for each in trial.highest},
    }


def _serialize_reason(reason: HoldReason) -> dict[str, Any]:
    return {
        "condition": reason.condition, "limit": reason.limit, "guard": reason.guard,
        **_serialize_figure(reason.figure), "text": reason.text,
    }


def _serialize_figure(figure: Figure) -> dict[str, float]:
    return {"count": figure.count, "share": round(figure.share, 6)}
