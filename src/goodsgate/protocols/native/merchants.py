"""Merchants and their settings."""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.responses import Response

from goodsgate.engine.idempotency import RequestKey
from goodsgate.engine.merchant_documents import (
    SETTINGS,
    merchant_settings,
    put_merchant_settings,
    read_merchant_document,
)
from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import ApiRequest, Handler, decode_json
from goodsgate.http.problems import refuse
from goodsgate.model.audit import note
from goodsgate.model.batch import now
from goodsgate.model.catalogue import Merchant, MerchantId, OneLine
from goodsgate.protocols.native.idempotency import request_key
from goodsgate.protocols.native.responses import JSON, json_response, page_response

Settings = Annotated[dict[str, Annotated[str, Meta(max_length=255)]], Meta(max_length=100)]


class NewMerchant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of POST /v1/merchants."""

    id: MerchantId
    name: OneLine = ""
    settings: Settings = {}


class MerchantChanges(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of PATCH /v1/merchants/{merchant}."""

    name: OneLine | UnsetType = UNSET
    settings: Settings = {}


class SettingChanges(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of PATCH /v1/merchants/{merchant}/settings."""

    settings: Settings


class MerchantHandlers:
    """Handlers of merchants and their settings."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._store = context.store
        self._known_settings = context.services.known_settings

    def handlers(self) -> dict[str, Handler]:
        """Return the handlers by operation id."""
        return {
            "merchants": self.merchants, "add_merchant": self.add_merchant, "merchant": self.merchant,
            "change_merchant": self.change_merchant, "merchant_settings": self.merchant_settings,
            "change_merchant_settings": self.change_merchant_settings,
        }

    async def merchants(self, request: ApiRequest) -> Response:
        """Handle GET /v1/merchants."""
        limit = min(int(request.query["limit"]), self._context.limits.page_rows_max)
        page = await self._context.run_in_thread(self._store.merchants, after=request.query["after"], limit=limit)
        return page_response(request, "merchants", page.rows, page.next)

    async def add_merchant(self, request: ApiRequest) -> Response:
        """Handle POST /v1/merchants."""
        content = await request.read_body(self._context)
        body = await self._context.run_in_thread(self._add_merchant, content, request_key(request, content))
        merchant = msgspec.json.decode(body, type=Merchant)
        headers = {"location": f"/v1/merchants/{merchant.id}/keys"}
        return Response(body, status_code=201, headers=headers, media_type=JSON)

    def _add_merchant(self, content: bytes, key: RequestKey | None) -> bytes:
        def act() -> bytes:
            wanted: NewMerchant = decode_json(content, NewMerchant)
            self._known_settings.check_merchant(wanted.settings)
            merchant = Merchant(id=wanted.id, name=wanted.name, created_at=now())
            note(subject=wanted.id)
            idempotency = key.answered_by(msgspec.json.encode) if key is not None else None
            if not self._store.add_merchant(merchant, idempotency=idempotency):
                raise refuse("merchant_taken", merchant=wanted.id)
            return msgspec.json.encode(merchant)

        body = self._context.engine.answer_once(key, act)
        settings = decode_json(content, NewMerchant).settings
        merchant = msgspec.json.decode(body, type=Merchant).id
        # Not in the transaction of the merchant: a repeated request adds what a crash in between has left out.
        if settings and read_merchant_document(self._store, merchant, SETTINGS) is None:
            put_merchant_settings(self._store, merchant, settings)
        return body

    async def merchant(self, request: ApiRequest) -> Response:
        """Handle GET /v1/merchants/{merchant}."""
        return json_response(await self._context.run_in_thread(self._document, request.path["merchant"]))

    async def change_merchant(self, request: ApiRequest) -> Response:
        """Handle PATCH /v1/merchants/{merchant}."""
        changes: MerchantChanges = await request.decode_body(MerchantChanges, self._context)
        self._known_settings.check_merchant(changes.settings)
        return json_response(await self._context.run_in_thread(self._change, request.path["merchant"], changes))

    def _change(self, merchant: str, changes: MerchantChanges) -> dict[str, Any]:
        self._document(merchant)
        names = [*(["name"] if not isinstance(changes.name, UnsetType) else []), *sorted(changes.settings)]
        note(subject=merchant, changed=" ".join(names))
        if not isinstance(changes.name, UnsetType):
            self._store.rename_merchant(merchant, changes.name)
        if changes.settings:
            put_merchant_settings(self._store, merchant, changes.settings)
        return self._document(merchant)

    def _document(self, merchant: str) -> dict[str, Any]:
        stored = self._store.merchant(merchant)
        if stored is None:
            raise refuse("merchant_unknown")
        return {
            "id": stored.id, "name": stored.name, "created_at": stored.created_at,
            "settings": merchant_settings(self._store, merchant),
        }

    async def merchant_settings(self, request: ApiRequest) -> Response:
        """Handle GET /v1/merchants/{merchant}/settings."""
        merchant = await known_merchant(self._context, request)
        return json_response({"settings": await self._context.run_in_thread(merchant_settings, self._store, merchant)})

    async def change_merchant_settings(self, request: ApiRequest) -> Response:
        """Handle PATCH /v1/merchants/{merchant}/settings."""
        changes: SettingChanges = await request.decode_body(SettingChanges, self._context)
        self._known_settings.check_merchant(changes.settings)
        merchant = await known_merchant(self._context, request)
        note(subject=merchant, changed=" ".join(sorted(changes.settings)))
        changed = await self._context.run_in_thread(put_merchant_settings, self._store, merchant, changes.settings)
        return json_response({"settings": changed})


async def known_merchant(context: ServerContext, request: ApiRequest) -> str:
    """Return the merchant in the path. Raises merchant_unknown."""
    merchant = request.path["merchant"]
    if not await context.run_in_thread(context.authenticator.merchant_exists, merchant):
        raise refuse("merchant_unknown")
    return merchant
