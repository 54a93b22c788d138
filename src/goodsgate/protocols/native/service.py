"""For those who run the gate: is it alive, is it ready, what does it count, what does it promise."""

import time
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import Response

from goodsgate import __version__
from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import ApiRequest, Handler
from goodsgate.http.openapi import OpenApiDocument
from goodsgate.protocols.native.answers import JSON, answer
from goodsgate.store.contract import StoreError

READINESS_SECONDS = 1.0
"""The store is asked at most this often, however many probes come."""


class Service:
    """Handlers of what needs no key."""

    def __init__(self, context: ServerContext, contract: OpenApiDocument) -> None:
        self._context = context
        self._contract = contract
        self._readiness: dict[str, Any] = {}
        self._until = 0.0

    def handlers(self) -> dict[str, Handler]:
        """By operation id."""
        return {
            "health": self.health, "ready": self.ready, "metrics": self.metrics,
            "openapi_yaml": self.openapi_yaml, "openapi_json": self.openapi_json,
        }

    async def health(self, _: ApiRequest) -> Response:
        """GET /healthz."""
        return answer({"status": "alive", "version": __version__})

    async def ready(self, _: ApiRequest) -> Response:
        """GET /readyz."""
        if time.monotonic() >= self._until:
            self._readiness = await self._context.run_in_thread(self._look)
            self._until = time.monotonic() + READINESS_SECONDS
        return answer(self._readiness, status=200 if self._readiness["ready"] else 503)

    def _look(self) -> dict[str, Any]:
        workers = self._context.workers_alive() if self._context.workers_alive is not None else None
        queue: dict[str, float] = {}
        try:
            checks = self._context.store.quick_checks()
            queue = self._context.statistics.now()
        except StoreError:
            checks = [("store", False, "")]
        return {
            "ready": all(well for _, well, _ in checks),
            # Anybody may ask: the details, such as where the store is, are the doctor's.
            "checks": [{"name": name, "well": well} for name, well, _ in checks],
            "queue": queue,
            "workers": workers,
        }

    async def metrics(self, _: ApiRequest) -> Response:
        """GET /metrics."""
        return Response(await self._context.run_in_thread(self._context.metrics.text),
            headers={"content-type": CONTENT_TYPE_LATEST})

    async def openapi_yaml(self, _: ApiRequest) -> Response:
        """GET /v1/openapi.yaml."""
        return Response(self._contract.yaml, media_type="application/yaml")

    async def openapi_json(self, _: ApiRequest) -> Response:
        """GET /v1/openapi.json."""
        return Response(self._contract.json, media_type=JSON)
