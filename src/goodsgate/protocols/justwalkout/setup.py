"""The merchant's setup: account, queue, stores, access keys and planogram; admins change it, the merchant reads it."""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.responses import Response

from goodsgate.auth import ACCESS_KEY, new_access_key, note_key
from goodsgate.engine.merchant_documents import (
    merchant_settings,
    put_merchant_settings,
    read_merchant_document,
    update_merchant_document,
)
from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import ApiRequest, Handler
from goodsgate.http.problems import refuse
from goodsgate.model.catalogue import ReferenceEntry, Scope
from goodsgate.model.message import DeliveryState
from goodsgate.protocols.justwalkout import unpublished
from goodsgate.protocols.justwalkout.access import ACCOUNT, QUEUE, STORES, list_stores
from goodsgate.protocols.justwalkout.responses import json_response
from goodsgate.store.contract import BatchFilter

SCOPES = (Scope.SUBMIT, Scope.READ)
"""The scopes of every access key that is created here."""

Sku = Annotated[str, Meta(min_length=1, max_length=255)]
StoreId = Annotated[str, Meta(pattern=r"^[!-~]{1,255}\Z")]


class SetupRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The body of PUT /v1/catalog/setup."""

    account: Annotated[str, Meta(pattern=r"^([0-9]{12})?\Z")] | UnsetType = msgspec.field(
        name="awsAccountId", default=UNSET
    )
    queue: Annotated[str, Meta(pattern=rf"^({unpublished.QUEUE})?\Z")] | UnsetType = msgspec.field(
        name="sqsQueueArn", default=UNSET
    )
    stores: Annotated[list[StoreId], Meta(max_length=10_000)] | UnsetType = UNSET


class AccessKeyRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The body of POST /v1/catalog/accessKeys."""

    label: Annotated[str, Meta(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*\Z")] = ""
    session: bool = False


class PlanogramDocument(msgspec.Struct, forbid_unknown_fields=True):
    """The body of PUT /v1/catalog/planogram, and the answer to GET."""

    skus: Annotated[list[Sku], Meta(max_length=unpublished.PLANOGRAM_MAX)] = msgspec.field(name="itemSkus")


class SetupHandlers:
    """Handlers of the operations that only the gate has."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._store = context.store

    def handlers(self) -> dict[str, Handler]:
        """Return the handlers by operation id."""
        return {
            "setup": self.setup, "set_up": self.set_up, "new_access_key": self.new_access_key,
            "planogram": self.planogram, "put_planogram": self.put_planogram,
        }

    async def setup(self, request: ApiRequest) -> Response:
        """Answer GET /v1/catalog/setup."""
        return json_response(await self._context.run_in_thread(self._read_setup, request.merchant))

    async def set_up(self, request: ApiRequest) -> Response:
        """Answer PUT /v1/catalog/setup."""
        parameters: SetupRequest = await request.decode_body(SetupRequest, self._context)
        if parameters.stores is not UNSET and len(set(parameters.stores)) < len(parameters.stores):
            raise refuse("body_invalid", "A store is named twice.")
        return json_response(await self._context.run_in_thread(self._change_setup, request.merchant, parameters))

    def _change_setup(self, merchant: str, parameters: SetupRequest) -> dict[str, Any]:
        settings = {
            name: text
            for name, text in ((ACCOUNT, parameters.account), (QUEUE, parameters.queue)) if isinstance(text, str)
        }
        if settings:
            put_merchant_settings(self._store, merchant, settings)
        if isinstance(parameters.stores, list):
            self._store.put_reference(merchant, STORES, [ReferenceEntry(code=code) for code in parameters.stores],
                replace=True)
        return self._read_setup(merchant)

    def _read_setup(self, merchant: str) -> dict[str, Any]:
        settings = merchant_settings(self._store, merchant)
        access_keys = [
            key.settings[ACCESS_KEY] for key in self._store.keys(merchant)
            if ACCESS_KEY in key.settings and key.revoked_at is None
        ]
        has_uploaded = bool(self._store.batches(merchant, BatchFilter(protocol="justwalkout"), limit=1).rows)
        return {
            "merchant": merchant, "awsAccountId": settings.get(ACCOUNT, ""), "sqsQueueArn": settings.get(QUEUE, ""),
            "stores": list_stores(self._store, merchant), "accessKeys": access_keys,
            "connectivityStatus": "Success" if has_uploaded else "Unknown",
            "sqsSubscriptionStatus": self._subscription(merchant) if QUEUE in settings else "Unknown",
        }

    def _subscription(self, merchant: str) -> str:
        """Return Complete once a message has arrived in the queue, Pending while the first has not."""
        for state, status in ((DeliveryState.SENT, "Complete"), (None, "Pending")):
            if self._store.messages(merchant, topic=unpublished.TOPIC, delivery_state=state, limit=1):
                return status
        return "Unknown"

    async def new_access_key(self, request: ApiRequest) -> Response:
        """Answer POST /v1/catalog/accessKeys."""
        parameters: AccessKeyRequest = await request.decode_body(AccessKeyRequest, self._context)
        document = await self._context.run_in_thread(self._create_access_key, request.merchant, parameters)
        return json_response(document, status=201)

    def _create_access_key(self, merchant: str, parameters: AccessKeyRequest) -> dict[str, str]:
        secrets = self._context.services.secrets
        key, access_key = new_access_key(merchant, SCOPES, secrets, label=parameters.label, session=parameters.session)
        note_key(key)
        self._store.add_key(key)
        token = {"sessionToken": access_key.token} if access_key.token is not None else {}
        return {"keyId": key.id, "accessKeyId": access_key.id, "secretAccessKey": access_key.secret, **token}

    async def planogram(self, request: ApiRequest) -> Response:
        """Answer GET /v1/catalog/planogram."""
        body = await self._context.run_in_thread(
            read_merchant_document, self._store, request.merchant, unpublished.PLANOGRAM
        )
        return json_response({"itemSkus": msgspec.json.decode(body, type=list[str]) if body is not None else []})

    async def put_planogram(self, request: ApiRequest) -> Response:
        """Answer PUT /v1/catalog/planogram."""
        parameters: PlanogramDocument = await request.decode_body(PlanogramDocument, self._context)
        body = msgspec.json.encode(sorted(set(parameters.skus)))
        await self._context.run_in_thread(
            update_merchant_document, self._store, request.merchant, unpublished.PLANOGRAM, lambda _: body
        )
        return Response(status_code=204)
