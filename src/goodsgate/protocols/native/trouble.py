"""Trouble on demand; see `http.trouble`."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta
from starlette.responses import Response

from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import ApiRequest, Handler
from goodsgate.http.problems import refuse
from goodsgate.http.trouble import OrderedTrouble, Trouble, TroubleKind
from goodsgate.protocols.native.responses import json_response


class TroubleOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of POST /v1/trouble."""

    kind: TroubleKind
    times: Annotated[int, Meta(ge=1, le=10_000)] | None = None
    seconds: Annotated[float, Meta(ge=0.1, le=86_400)] | None = None
    delay_seconds: Annotated[float, Meta(ge=0, le=300)] = 5.0


class TroubleHandlers:
    """Handlers of ``/v1/trouble``."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context

    def handlers(self) -> dict[str, Handler]:
        """Return the handlers by operation id."""
        return {"trouble": self.list, "order_trouble": self.order, "clear_trouble": self.clear}

    @property
    def _ordered(self) -> OrderedTrouble:
        if self._context.trouble is None:
            raise refuse("trouble_off")
        return self._context.trouble

    async def list(self, request: ApiRequest) -> Response:
        """Handle GET /v1/trouble."""
        return json_response({"trouble": [_serialize(each) for each in self._ordered.list(request.merchant)]})

    async def order(self, request: ApiRequest) -> Response:
        """Handle POST /v1/trouble."""
        ordered = self._ordered
        body: TroubleOrder = await request.decode_body(TroubleOrder, self._context)
        if body.times is not None and body.seconds is not None:
            raise refuse("body_invalid", "Give either `times` or `seconds`.")
        times = 1 if body.times is None and body.seconds is None else body.times
        trouble = ordered.add(
            request.merchant, body.kind, times=times, seconds=body.seconds, delay_seconds=body.delay_seconds
        )
        return json_response(_serialize(trouble), status=201)

    async def clear(self, request: ApiRequest) -> Response:
        """Handle DELETE /v1/trouble."""
        self._ordered.clear(request.merchant)
        return Response(status_code=204)


def _serialize(trouble: Trouble) -> dict[str, Any]:
    seconds = trouble.seconds
    return {
        "id": trouble.id, "kind": trouble.kind, "times": trouble.times,
        "seconds": None if seconds is None else round(seconds, 1), "delay_seconds": trouble.delay_seconds,
    }
