"""Health, readiness, metrics and the OpenAPI document."""

import asyncio
import hmac
import time
from typing import Any

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import Response

from goodsgate import __version__
from goodsgate.engine.refusal import Refusal
from goodsgate.http.context import ServerContext, find_secret
from goodsgate.http.endpoints import ApiRequest, Handler
from goodsgate.http.openapi import OpenApiDocument
from goodsgate.http.threads import WORK, Work
from goodsgate.protocols.native.responses import JSON, json_response
from goodsgate.store.contract import StoreError, bad

CHECK_SECONDS_MAX = 3.0
"""A store that takes longer to check is not ready."""
READINESS_SECONDS = 1.0
"""The store is checked at most this often, whatever the number of probes."""


class ServiceHandlers:
    """Handlers of the operations that work without a merchant's key."""

    def __init__(self, context: ServerContext, openapi: OpenApiDocument) -> None:
        self._context = context
        self._openapi = openapi
        self._readiness: dict[str, Any] = {}
        self._expires_at = 0.0
        self._checking: asyncio.Future[dict[str, Any]] | None = None

    def handlers(self) -> dict[str, Handler]:
        """Return the handlers by operation id."""
        return {
            "health": self.health, "ready": self.ready, "metrics": self.metrics,
            "openapi_yaml": self.openapi_yaml, "openapi_json": self.openapi_json,
        }

    async def health(self, _: ApiRequest) -> Response:
        """Handle GET /healthz."""
        return json_response({"status": "alive", "version": __version__})

    async def ready(self, request: ApiRequest) -> Response:
        """Handle GET /readyz; strangers see no more than the names of failed checks."""
        await self._refresh()
        is_ready, failed = self._readiness["ready"], self._readiness["failed"]
        document = self._readiness if await self._is_admin(request) else {"ready": is_ready, "failed": failed}
        return json_response(document, status=200 if is_ready else 503)

    async def _refresh(self) -> None:
        """Check the store again if the last check is old; all requests share one check, and wait for it so long."""
        WORK.set(Work.HEALTH)
        if time.monotonic() < self._expires_at:
            return
        if self._checking is None or self._checking.done():
            self._checking = asyncio.ensure_future(self._context.run_in_thread(self._check))
        try:
            self._readiness = await asyncio.wait_for(asyncio.shield(self._checking), CHECK_SECONDS_MAX)
        except TimeoutError:
            slow = bad("store", "no answer yet", "run `goodsgate doctor`")
            self._readiness = {
                "ready": False, "failed": [slow.name], "checks": [msgspec.to_builtins(slow)], "queue": {},
                "workers": None,
            }
        self._expires_at = time.monotonic() + READINESS_SECONDS

    async def _is_admin(self, request: ApiRequest) -> bool:
        """Return whether the request has an admin's key; False while the store cannot tell."""
        secret = find_secret(dict(request.http.scope["headers"]))
        try:
            return secret is not None and await self._context.caller(secret, permission="admin") is not None
        except (Refusal, StoreError):
            return False

    def _check(self) -> dict[str, Any]:
        workers = self._context.workers_alive() if self._context.workers_alive is not None else None
        queue: dict[str, float] = {}
        checks = [*self._context.store.quick_checks(), *(each for check in self._context.checks for each in check())]
        try:
            queue = self._context.statistics.now()
        except StoreError as error:
            checks.append(bad("store", str(error), "run `goodsgate doctor`"))
        return {
            "ready": all(check.is_ok for check in checks),
            "failed": [check.name for check in checks if not check.is_ok],
            "checks": [msgspec.to_builtins(check) for check in checks],
            "queue": queue,
            "workers": workers,
        }

    async def metrics(self, request: ApiRequest) -> Response:
        """Handle GET /metrics, for the token of the settings or an admin's key. Raises unauthorized, forbidden."""
        WORK.set(Work.HEALTH)
        secret, token = find_secret(dict(request.http.scope["headers"])), self._context.services.settings.metrics_token
        if not token or secret is None or not hmac.compare_digest(secret, token.encode()):
            await self._context.caller(secret, permission="admin")
        return Response(await self._context.run_in_thread(self._context.metrics.text),
            headers={"content-type": CONTENT_TYPE_LATEST})

    async def openapi_yaml(self, _: ApiRequest) -> Response:
        """Handle GET /v1/openapi.yaml."""
        return Response(self._openapi.yaml, media_type="application/yaml")

    async def openapi_json(self, _: ApiRequest) -> Response:
        """Handle GET /v1/openapi.json."""
        return Response(self._openapi.json, media_type=JSON)
