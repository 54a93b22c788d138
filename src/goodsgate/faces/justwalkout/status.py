"""What became of an ingestion, and its report."""

from typing import Annotated

import msgspec
from msgspec import Meta
from starlette.responses import Response

from goodsgate.faces.contract import Contract
from goodsgate.faces.door import Door
from goodsgate.faces.justwalkout import guesses
from goodsgate.faces.justwalkout.access import Account, Gateway, wrong
from goodsgate.faces.justwalkout.catalog import answer
from goodsgate.faces.justwalkout.report import Reports
from goodsgate.faces.refusals import refuse
from goodsgate.faces.routes import Call, Handler
from goodsgate.model.catalogue import Scope


class Question(msgspec.Struct):
    """Body of a status call."""

    ingestion: Annotated[str, Meta(min_length=1, max_length=255)] = msgspec.field(name="ingestionId")


class Statuses:
    """Handlers of the status, of reports, and of the contract."""

    def __init__(self, door: Door, gateway: Gateway, reports: Reports, contract: Contract) -> None:
        self._door = door
        self._gateway = gateway
        self._reports = reports
        self._contract = contract

    def handlers(self) -> dict[str, Handler]:
        """By operation id."""
        return {
            "upload_status": self.status, "report": self.report, "openapi_yaml": self.openapi_yaml,
            "openapi_json": self.openapi_json,
        }

    async def status(self, call: Call) -> Response:
        """POST /v1/catalog/getCatalogUploadStatus."""
        account, body = await self._gateway.admit(call, Scope.READ)
        try:
            question = msgspec.json.decode(body, type=Question)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
            raise wrong(guesses.BODY_WRONG) from fault
        base = f"{call.request.url.scheme}://{call.request.headers['host']}"
        return answer(await self._door.hop(self._told, account, question.ingestion, base))

    def _told(self, account: Account, ingestion: str, base: str) -> dict[str, str]:
        batch = self._door.store.batch(account.merchant, guesses.batch_of(ingestion))
        if batch is None or batch.face != "justwalkout":
            raise refuse("batch_unknown")
        return {
            "processingStatus": guesses.STATUS_OF_STATE[batch.state],
            "reportDownloadLink": self._reports.link(batch, base=base),
        }

    async def report(self, call: Call) -> Response:
        """GET /v1/catalog/reports/{merchant}/{ingestion}."""
        query = {name: str(value) for name, value in call.query.items()}
        found = await self._door.hop(self._reports.read, call.path["merchant"], call.path["ingestion"], query)
        headers = {"cache-control": "private, no-store"}
        return Response(found, media_type="application/json", headers=headers)

    async def openapi_yaml(self, _: Call) -> Response:
        """GET /v1/catalog/openapi.yaml."""
        return Response(self._contract.yaml, media_type="application/yaml")

    async def openapi_json(self, _: Call) -> Response:
        """GET /v1/catalog/openapi.json."""
        return Response(self._contract.json, media_type="application/json")
