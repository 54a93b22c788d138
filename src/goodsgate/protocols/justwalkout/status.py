"""The status of an ingestion, its report, and the protocol's contract."""

from typing import Annotated

import msgspec
from msgspec import Meta
from starlette.responses import Response

from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import ApiRequest, Handler
from goodsgate.http.openapi import OpenApiDocument
from goodsgate.http.problems import refuse
from goodsgate.model.catalogue import Scope
from goodsgate.model.json_text import UNREADABLE_JSON
from goodsgate.protocols.justwalkout import unpublished
from goodsgate.protocols.justwalkout.access import RequestAuthenticator, RetailerAccount, bad_request
from goodsgate.protocols.justwalkout.report import IngestionReports
from goodsgate.protocols.justwalkout.responses import json_response


class StatusRequest(msgspec.Struct):
    """The body of GetCatalogUploadStatus."""

    ingestion: Annotated[str, Meta(min_length=1, max_length=255)] = msgspec.field(name="ingestionId")


class StatusHandlers:
    """Handlers of the status, of reports, and of the contract."""

    def __init__(self, context: ServerContext, authenticator: RequestAuthenticator, reports: IngestionReports,
                 contract: OpenApiDocument) -> None:
        self._context = context
        self._authenticator = authenticator
        self._reports = reports
        self._contract = contract

    def handlers(self) -> dict[str, Handler]:
        """Return the handlers by operation id."""
        return {
            "upload_status": self.status, "report": self.report, "openapi_yaml": self.openapi_yaml,
            "openapi_json": self.openapi_json,
        }

    async def status(self, request: ApiRequest) -> Response:
        """Answer POST /v1/catalog/getCatalogUploadStatus."""
        account, body = await self._authenticator.authenticate(request, Scope.READ)
        try:
            parameters = msgspec.json.decode(body, type=StatusRequest)
        except UNREADABLE_JSON as fault:
            raise bad_request(unpublished.BODY_WRONG, str(fault)) from fault
        host = request.http.headers.get("host")  # which HTTP/1.0 requests may lack
        base = f"{request.http.url.scheme}://{host}" if host else ""
        return json_response(await self._context.run_in_thread(self._status, account, parameters.ingestion, base))

    def _status(self, account: RetailerAccount, ingestion: str, base: str) -> dict[str, str]:
        batch = self._context.store.batch(account.merchant, unpublished.batch_of(ingestion))
        if batch is None or batch.protocol != "justwalkout":
            raise refuse("batch_unknown")
        return {
            "processingStatus": unpublished.STATUS_OF_STATE[batch.state],
            "reportDownloadLink": self._reports.link(batch, base=base),
        }

    async def report(self, request: ApiRequest) -> Response:
        """Answer GET /v1/catalog/reports/{merchant}/{ingestion}."""
        query = {name: str(value) for name, value in request.query.items()}
        content = await self._context.run_in_thread(
            self._reports.read, request.path["merchant"], request.path["ingestion"], query
        )
        return Response(content, media_type="application/json", headers={"cache-control": "private, no-store"})

    async def openapi_yaml(self, _: ApiRequest) -> Response:
        """Answer GET /v1/catalog/openapi.yaml."""
        return Response(self._contract.yaml, media_type="application/yaml")

    async def openapi_json(self, _: ApiRequest) -> Response:
        """Answer GET /v1/catalog/openapi.json."""
        return Response(self._contract.json, media_type="application/json")
