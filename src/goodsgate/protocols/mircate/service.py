"""Handlers of everything but calls: the contract, instances of classes, and calls of unknown classes and methods."""

from starlette.responses import Response

from goodsgate.http.endpoints import ApiRequest, Handler
from goodsgate.http.openapi import OpenApiDocument
from goodsgate.http.problems import refuse
from goodsgate.protocols.mircate.aliases import CALL
from goodsgate.protocols.mircate.dispatcher import is_own_project
from goodsgate.protocols.mircate.responses import JSON, json_response, not_found
from goodsgate.protocols.mircate.unpublished import UNBUILT_CLASSES


class ContractHandlers:
    """Handlers of the contract, of instances and of unknown calls."""

    def __init__(self, contract: OpenApiDocument) -> None:
        self._contract = contract

    def handlers(self) -> dict[str, Handler]:
        """Return the handlers by operation id."""
        return {
            "openapi_yaml": self.openapi_yaml, "openapi_json": self.openapi_json,
            "unknown_call": self.unknown, "unknown_call_get": self.unknown,
            "instance": self.instance, "instance_get": self.instance,
        }

    async def openapi_yaml(self, _: ApiRequest) -> Response:
        """Answer GET /mircate/openapi.yaml."""
        return Response(self._contract.yaml, media_type="application/yaml")

    async def openapi_json(self, _: ApiRequest) -> Response:
        """Answer GET /mircate/openapi.json."""
        return Response(self._contract.json, media_type=JSON)

    async def instance(self, request: ApiRequest) -> Response:
        """Answer a request for an instance of a class, which the SDK sends before it calls methods."""
        name, instance = request.path["class"], request.path["instance"]
        calls = [path.partition(CALL)[2].split("/") for path in self._contract.document["paths"] if CALL in path]
        methods = [parts[1] for parts in calls if parts[0] == name]
        if not methods:
            raise not_found()
        if not is_own_project(instance, request.merchant, request.caller):
            raise refuse("forbidden")
        return json_response({"newInstance": False, "instanceId": instance, "methods": methods, "response": {}})

    async def unknown(self, request: ApiRequest) -> Response:
        """Answer a call of an unknown class or method; the text names a class that only Mircate has."""
        name = request.path["call"].partition("/")[0]
        if name.removesuffix("API") in UNBUILT_CLASSES:
            raise not_found(f"The class {name} is not implemented by this gate.")
        raise refuse("not_found")
