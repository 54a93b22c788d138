"""Health, readiness, metrics and the OpenAPI document."""

import time
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import Response

from goodsgate import __version__
from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import ApiRequest, Handler
from goodsgate.http.openapi import OpenApiDocument
from goodsgate.protocols.native.responses import JSON, json_response
from goodsgate.store.contract import StoreError, bad

READINESS_SECONDS = 1.0
"""The store is checked at most this often, whatever the number of probes."""


class ServiceHandlers:
    """Handlers of the operations that need no key."""

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

    async def ready(self, _: ApiRequest) -> Response:
        """Handle GET /readyz."""
        if time.monotonic() >= self._expires_at:
            self._readiness = await self._context.run_in_thread(self._check)
            self._expires_at = time.monotonic() + READINESS_SECONDS
        return json_response(self._readiness, status=200 if self._readiness["ready"] else 503)

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
            # The endpoint is public, so details such as the address of the store are left to `goodsgate doctor`.
            "checks": [{"name": check.name, "ok": check.is_ok} for check in checks],
            "queue": queue,
            "workers": workers,
        }

    async def metrics(self, _: ApiRequest) -> Response:
        """Handle GET /metrics."""
        return Response(await self._context.run_in_thread(self._context.metrics.text),
            headers={"content-type": CONTENT_TYPE_LATEST})

    async def openapi_yaml(self, _: ApiRequest) -> Response:
        """Handle GET /v1/openapi.yaml."""
        return Response(self._openapi.yaml, media_type="application/yaml")

    async def openapi_json(self, _: ApiRequest) -> Response:
        """Handle GET /v1/openapi.json."""
        return Response(self._openapi.json, media_type=JSON)
