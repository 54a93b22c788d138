"""Handlers that need no token: the token exchange and the OpenAPI document."""

from collections.abc import Mapping

from starlette.responses import Response

from goodsgate.http.context import ServerContext, find_secret
from goodsgate.http.endpoints import ApiRequest, Handler
from goodsgate.http.openapi import OpenApiDocument
from goodsgate.http.problems import refuse
from goodsgate.protocols.konnect.responses import JSON, json_response


def access_token(headers: Mapping[bytes, bytes]) -> bytes | None:
    """Return the value of ``x-access-token``, else the key of the headers that all protocols accept."""
    return headers.get(b"x-access-token") or find_secret(headers)


class TokenHandlers:
    """Handlers of the token exchange and of the OpenAPI document."""

    def __init__(self, context: ServerContext, openapi: OpenApiDocument) -> None:
        self._context = context
        self._openapi = openapi

    def handlers(self) -> dict[str, Handler]:
        """Return the handlers by operation id."""
        return {"token": self.token, "openapi_yaml": self.openapi_yaml, "openapi_json": self.openapi_json}

    async def token(self, request: ApiRequest) -> Response:
        """Handle GET /aggregator/v1/token."""
        username, password = str(request.query["username"]), str(request.query["password"])
        token = await self._context.run_in_thread(self._create_token, username, password)
        return json_response({"access_token": token, "token": token, "status": "SUCCESS"})

    def _create_token(self, username: str, password: str) -> str:
        authenticator = self._context.authenticator
        caller = authenticator.caller(password.encode()) if password.startswith("gg_") else None
        if caller is None or username not in (caller.merchant, caller.key_id):
            raise refuse("unauthorized", "Wrong username or password.")
        return authenticator.create_token(caller, seconds=self._context.services.settings.token_seconds)

    async def openapi_yaml(self, _: ApiRequest) -> Response:
        """Handle GET /v3/openapi.yaml."""
        return Response(self._openapi.yaml, media_type="application/yaml")

    async def openapi_json(self, _: ApiRequest) -> Response:
        """Handle GET /v3/openapi.json."""
        return Response(self._openapi.json, media_type=JSON)
