"""The page ``/console/traffic``: the latest requests and responses of a gate that records them."""

from starlette.responses import Response

from goodsgate.console.rendering import PageRenderer
from goodsgate.console.request import ConsoleRequest
from goodsgate.http.context import ServerContext
from goodsgate.http.problems import refuse

SHOWN_EXCHANGES = 100


class TrafficPage:
    """Traffic of all clients, for admins."""

    def __init__(self, context: ServerContext, renderer: PageRenderer) -> None:
        self._context = context
        self._renderer = renderer

    async def get(self, request: ConsoleRequest) -> Response:
        """Return the page."""
        if self._context.traffic is None:
            raise refuse("traffic_off")
        values = {"exchanges": self._context.traffic.latest(SHOWN_EXCHANGES), "section": "health"}
        return self._renderer.response(request, "traffic.html", values)
