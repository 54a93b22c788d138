"""Tokens for credentials, and the contract itself; what needs no token."""

from collections.abc import Mapping

from starlette.responses import Response

from goodsgate.http.context import ServerContext, secret_of
from goodsgate.http.endpoints import ApiRequest, Handler
from goodsgate.http.openapi import Contract
from goodsgate.http.problems import refuse
from goodsgate.protocols.konnect.responses import JSON, json_response


def token_of(headers: Mapping[bytes, bytes]) -> bytes | None:
    """What ``x-access-token`` holds; the operator may say it as everywhere else."""
    return headers.get(b"x-access-token") or secret_of(headers)


class TokenHandlers:
    """Handlers of the token and of the contract."""

    def __init__(self, context: ServerContext, contract: Contract) -> None:
        self._context = context
        self._contract = contract

    def handlers(self) -> dict[str, Handler]:
        """By operation id."""
        return {"token": self.token, "openapi_yaml": self.openapi_yaml, "openapi_json": self.openapi_json}

    async def token(self, request: ApiRequest) -> Response:
        """GET /aggregator/v1/token."""
        token = await self._context.run_in_thread(self._exchange, str(request.query["username"]),
            str(request.query["password"]))
        return json_response({"access_token": token, "token": token, "status": "SUCCESS"})

    def _exchange(self, username: str, password: str) -> str:
        caller = self._context.keyring.caller(password.encode()) if password.startswith("gg_") else None
        if caller is None or username not in (caller.merchant, caller.key_id):
            raise refuse("unauthorized", "Wrong username or password.")
        return self._context.keyring.token(caller, seconds=self._context.config.token_hours * 3600)

    async def openapi_yaml(self, _: ApiRequest) -> Response:
        """GET /v3/openapi.yaml."""
        return Response(self._contract.yaml, media_type="application/yaml")

    async def openapi_json(self, _: ApiRequest) -> Response:
        """GET /v3/openapi.json."""
        return Response(self._contract.json, media_type=JSON)
