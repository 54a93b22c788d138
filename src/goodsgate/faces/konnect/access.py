"""Tokens for credentials, and the contract itself; what needs no token."""

from collections.abc import Mapping

from starlette.responses import Response

from goodsgate.faces.contract import Contract
from goodsgate.faces.door import Door, secret_of
from goodsgate.faces.konnect.answers import JSON, answer
from goodsgate.faces.refusals import refuse
from goodsgate.faces.routes import Call, Handler


def token_of(headers: Mapping[bytes, bytes]) -> bytes | None:
    """What ``x-access-token`` holds; the operator may say it as everywhere else."""
    return headers.get(b"x-access-token") or secret_of(headers)


class Access:
    """Handlers of the token and of the contract."""

    def __init__(self, door: Door, contract: Contract) -> None:
        self._door = door
        self._contract = contract

    def handlers(self) -> dict[str, Handler]:
        """By operation id."""
        return {"token": self.token, "openapi_yaml": self.openapi_yaml, "openapi_json": self.openapi_json}

    async def token(self, call: Call) -> Response:
        """GET /aggregator/v1/token."""
        token = await self._door.hop(self._exchange, str(call.query["username"]), str(call.query["password"]))
        return answer({"access_token": token, "token": token, "status": "SUCCESS"})

    def _exchange(self, username: str, password: str) -> str:
        caller = self._door.keyring.caller(password.encode()) if password.startswith("gg_") else None
        if caller is None or username not in (caller.merchant, caller.key_id):
            raise refuse("unauthorized", "Wrong username or password.")
        return self._door.keyring.token(caller, seconds=self._door.config.token_hours * 3600)

    async def openapi_yaml(self, _: Call) -> Response:
        """GET /v3/openapi.yaml."""
        return Response(self._contract.yaml, media_type="application/yaml")

    async def openapi_json(self, _: Call) -> Response:
        """GET /v3/openapi.json."""
        return Response(self._contract.json, media_type=JSON)
