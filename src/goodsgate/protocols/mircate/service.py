"""The contract itself, and calls of what is not there; what needs no key."""

from starlette.responses import Response

from goodsgate.http.endpoints import ApiRequest, Handler
from goodsgate.http.openapi import OpenApiDocument
from goodsgate.http.problems import refuse
from goodsgate.protocols.mircate.answers import JSON


class Service:
    """Handlers of both."""

    def __init__(self, contract: OpenApiDocument) -> None:
        self._contract = contract

    def handlers(self) -> dict[str, Handler]:
        """By operation id."""
        return {
            "openapi_yaml": self.openapi_yaml, "openapi_json": self.openapi_json,
            "unknown_call": self.unknown, "unknown_call_get": self.unknown,
        }

    async def openapi_yaml(self, _: ApiRequest) -> Response:
        """GET /mircate/openapi.yaml."""
        return Response(self._contract.yaml, media_type="application/yaml")

    async def openapi_json(self, _: ApiRequest) -> Response:
        """GET /mircate/openapi.json."""
        return Response(self._contract.json, media_type=JSON)

    async def unknown(self, _: ApiRequest) -> Response:
        """A class or a method that nobody knows."""
        raise refuse("not_found")
