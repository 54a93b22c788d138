"""What became of an ingestion, and its report."""

from typing import Annotated

import msgspec
from msgspec import Meta
from starlette.responses import Response

from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import ApiRequest, Handler
from goodsgate.http.openapi import Contract
from goodsgate.http.problems import refuse
from goodsgate.model.catalogue import Scope
from goodsgate.protocols.justwalkout import guesses
from goodsgate.protocols.justwalkout.access import Account, Gateway, wrong
from goodsgate.protocols.justwalkout.catalog import answer
from goodsgate.protocols.justwalkout.report import Reports


class Question(msgspec.Struct):
    """Body of a status call."""

    ingestion: Annotated[str, Meta(min_length=1, max_length=255)] = msgspec.field(name="ingestionId")


class Statuses:
    """Handlers of the status, of reports, and of the contract."""

    def __init__(self, context: ServerContext, gateway: Gateway, reports: Reports, contract: Contract) -> None:
        self._context = context
        self._gateway = gateway
        self._reports = reports
        self._contract = contract

    def handlers(self) -> dict[str, Handler]:
        """By operation id."""
        return {
            "upload_status": self.status, "report": self.report, "openapi_yaml": self.openapi_yaml,
            "openapi_json": self.openapi_json,
        }

    async def status(self, request: ApiRequest) -> Response:
        """POST /v1/catalog/getCatalogUploadStatus."""
        account, body = await self._gateway.admit(request, Scope.READ)
        try:
            question = msgspec.json.decode(body, type=Question)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
            raise wrong(guesses.BODY_WRONG) from fault
        base = f"{request.http.url.scheme}://{request.http.headers['host']}"
        return answer(await self._context.run_in_thread(self._told, account, question.ingestion, base))

    def _told(self, account: Account, ingestion: str, base: str) -> dict[str, str]:
        batch = self._context.store.batch(account.merchant, guesses.batch_of(ingestion))
        if batch is None or batch.protocol != "justwalkout":
            raise refuse("batch_unknown")
        return {
            "processingStatus": guesses.STATUS_OF_STATE[batch.state],
            "reportDownloadLink": self._reports.link(batch, base=base),
        }

    async def report(self, request: ApiRequest) -> Response:
        """GET /v1/catalog/reports/{merchant}/{ingestion}."""
        query = {name: str(value) for name, value in request.query.items()}
        found = await self._context.run_in_thread(self._reports.read, request.path["merchant"],
            request.path["ingestion"], query)
        headers = {"cache-control": "private, no-store"}
        return Response(found, media_type="application/json", headers=headers)

    async def openapi_yaml(self, _: ApiRequest) -> Response:
        """GET /v1/catalog/openapi.yaml."""
        return Response(self._contract.yaml, media_type="application/yaml")

    async def openapi_json(self, _: ApiRequest) -> Response:
        """GET /v1/catalog/openapi.json."""
        return Response(self._contract.json, media_type="application/json")
