"""Trouble on demand; see `http.trouble`."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta
from starlette.responses import Response

from goodsgate.engine.refusal import Refusal
from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import ApiRequest, Handler, decode_json
from goodsgate.http.problems import refuse
from goodsgate.http.trouble import OrderedTrouble, Trouble, TroubleKind
from goodsgate.protocols.native.idempotency import request_key
from goodsgate.protocols.native.responses import JSON, json_response

ANSWERS_MAX = 1_000
"""Answers to orders with an idempotency key that are remembered."""


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
        self._answers: dict[tuple[str, str], tuple[bytes, bytes]] = {}
        """Merchant and idempotency key → fingerprint and answer, in memory as the orders themselves."""

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
        content = await request.read_body(self._context)
        key = request_key(request, content)
        if key is not None and (known := self._answers.get((key.merchant, key.key))) is not None:
            if key.fingerprint != known[0]:
                raise Refusal("key_reused")
            return Response(known[1], status_code=201, media_type=JSON)
        body: TroubleOrder = decode_json(content, TroubleOrder)
        if body.times is not None and body.seconds is not None:
            raise refuse("body_invalid", "Give either `times` or `seconds`.")
        times = 1 if body.times is None and body.seconds is None else body.times
        trouble = ordered.add(
            request.merchant, body.kind, times=times, seconds=body.seconds, delay_seconds=body.delay_seconds
        )
        answer = msgspec.json.encode(_serialize(trouble))
        if key is not None:
            self._answers[key.merchant, key.key] = (key.fingerprint, answer)
            if len(self._answers) > ANSWERS_MAX:
                del self._answers[next(iter(self._answers))]
        return Response(answer, status_code=201, media_type=JSON)

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
