"""Health, readiness, metrics and the OpenAPI document."""

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
from goodsgate.model.catalogue import Scope
from goodsgate.protocols.native.responses import JSON, json_response
from goodsgate.store.contract import StoreError, bad

READINESS_SECONDS = 1.0
"""The store is checked at most this often, whatever the number of probes."""


class ServiceHandlers:
    """Handlers of the operations that work without a merchant's key."""

    def __init__(self, context: ServerContext, openapi: OpenApiDocument) -> None:
        self._context = context
        self._openapi = openapi
        self._readiness: dict[str, Any] = {}
        self._expires_at = 0.0

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
        if time.monotonic() >= self._expires_at:
            self._readiness = await self._context.run_in_thread(self._check)
            self._expires_at = time.monotonic() + READINESS_SECONDS
        is_ready, failed = self._readiness["ready"], self._readiness["failed"]
        document = self._readiness if await self._is_admin(request) else {"ready": is_ready, "failed": failed}
        return json_response(document, status=200 if is_ready else 503)

    async def _is_admin(self, request: ApiRequest) -> bool:
        """Return whether the request has an admin's key; False while the store cannot tell."""
        secret = find_secret(dict(request.http.scope["headers"]))
        try:
            return secret is not None and await self._context.caller(secret, scope=Scope.ADMIN) is not None
        except (Refusal, StoreError):
            return False

    def _check(self) -> dict[str, Any]:
        workers = self._context.workers_alive() if self._context.workers_alive is not None else None
        queue: dict[str, float] = {}
        checks = self._context.store.quick_checks()
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
        secret, token = find_secret(dict(request.http.scope["headers"])), self._context.services.settings.metrics_token
        if not token or secret is None or not hmac.compare_digest(secret, token.encode()):
            await self._context.caller(secret, scope=Scope.ADMIN)
        return Response(await self._context.run_in_thread(self._context.metrics.text),
            headers={"content-type": CONTENT_TYPE_LATEST})

    async def openapi_yaml(self, _: ApiRequest) -> Response:
        """Handle GET /v1/openapi.yaml."""
        return Response(self._openapi.yaml, media_type="application/yaml")

    async def openapi_json(self, _: ApiRequest) -> Response:
        """Handle GET /v1/openapi.json."""
        return Response(self._openapi.json, media_type=JSON)
