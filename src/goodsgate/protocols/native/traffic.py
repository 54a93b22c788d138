"""The latest requests and responses; see `http.traffic`."""

from starlette.responses import Response

from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import ApiRequest, Handler
from goodsgate.http.problems import refuse
from goodsgate.protocols.native.responses import json_response


class TrafficHandlers:
    """Handler of ``/v1/traffic``."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context

    def handlers(self) -> dict[str, Handler]:
        """Return the handlers by operation id."""
        return {"traffic": self.traffic}

    async def traffic(self, request: ApiRequest) -> Response:
        """Handle GET /v1/traffic."""
        log = self._context.traffic
        if log is None:
            raise refuse("traffic_off")
        after, limit = request.query["after"], request.query["limit"]
        seconds = min(float(request.query["wait"]), self._context.limits.wait_seconds_max)
        if after is None:
            exchanges = log.latest(limit)[::-1]
        else:
            after = after if after <= log.last else 0  # of the process before this one
            watch = self._context.change_watch
            await log.wait(after=after, seconds=seconds, is_stopping=lambda: watch.closed)
            exchanges = log.read(after=after, limit=limit)
        last = exchanges[-1].id if exchanges else log.last if after is None else after
        return json_response({"exchanges": exchanges, "last": last})
