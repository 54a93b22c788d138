"""The operation that returns how well suppliers deliver."""

from starlette.responses import Response

from goodsgate.engine.scorecard import scorecard_document, scorecards
from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import ApiRequest, Handler
from goodsgate.model.batch import now
from goodsgate.protocols.native.responses import json_response


class ScorecardHandlers:
    """Handlers of everything under ``/v1/scorecard``."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context

    def handlers(self) -> dict[str, Handler]:
        """Return the handlers by operation id."""
        return {"scorecard": self.scorecard}

    async def scorecard(self, request: ApiRequest) -> Response:
        """Handle GET /v1/scorecard."""
        weeks, today = int(request.query["weeks"]), now().date()

        def read() -> list[dict[str, object]]:
            cards = scorecards(self._context.store, request.merchant, weeks=weeks, today=today)
            return [scorecard_document(card) for card in cards]

        return json_response({"weeks": weeks, "submitters": await self._context.run_in_thread(read)})
