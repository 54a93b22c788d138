"""The contract itself, and calls of what is not there; what needs no key."""

from starlette.responses import Response

from goodsgate.faces.contract import Contract
from goodsgate.faces.mircate.answers import JSON
from goodsgate.faces.refusals import refuse
from goodsgate.faces.routes import Call, Handler


class Service:
    """Handlers of both."""

    def __init__(self, contract: Contract) -> None:
        self._contract = contract

    def handlers(self) -> dict[str, Handler]:
        """By operation id."""
        return {
            "openapi_yaml": self.openapi_yaml, "openapi_json": self.openapi_json,
            "unknown_call": self.unknown, "unknown_call_get": self.unknown,
        }

    async def openapi_yaml(self, _: Call) -> Response:
        """GET /mircate/openapi.yaml."""
        return Response(self._contract.yaml, media_type="application/yaml")

    async def openapi_json(self, _: Call) -> Response:
        """GET /mircate/openapi.json."""
        return Response(self._contract.json, media_type=JSON)

    async def unknown(self, _: Call) -> Response:
        """A class or a method that nobody knows."""
        raise refuse("not_found")
