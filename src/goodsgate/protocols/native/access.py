"""Merchants, their settings and their keys."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta
from starlette.responses import Response

from goodsgate.auth import new_key, public_settings
from goodsgate.engine.merchant_documents import merchant_settings, put_merchant_settings
from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import ApiRequest, Handler
from goodsgate.http.problems import refuse
from goodsgate.model.batch import now
from goodsgate.model.catalogue import Key, Merchant, MerchantId, OneLine, Scope
from goodsgate.protocols.native.responses import json_response, page_response

Settings = Annotated[dict[str, Annotated[str, Meta(max_length=255)]], Meta(max_length=100)]


class NewMerchant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of POST /v1/merchants."""

    id: MerchantId
    name: OneLine = ""
    settings: Settings = {}


class NewKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of POST /v1/merchants/{merchant}/keys."""

    scopes: Annotated[list[Scope], Meta(min_length=1, max_length=len(Scope))]
    label: OneLine = ""
    settings: Settings = {}


class SettingChanges(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of PATCH /v1/merchants/{merchant}/settings."""

    settings: Settings


class AccessHandlers:
    """Handlers of everything under ``/v1/merchants``."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._store = context.store
        self._known_settings = context.services.known_settings

    def handlers(self) -> dict[str, Handler]:
        """Return the handlers by operation id."""
        return {
            "merchants": self.merchants, "add_merchant": self.add_merchant, "keys": self.keys,
            "add_key": self.add_key, "revoke_key": self.revoke_key, "merchant_settings": self.merchant_settings,
            "change_merchant_settings": self.change_merchant_settings,
        }

    async def merchants(self, request: ApiRequest) -> Response:
        """Handle GET /v1/merchants."""
        limit = min(int(request.query["limit"]), self._context.limits.page_rows_max)
        page = await self._context.run_in_thread(self._store.merchants, after=request.query["after"], limit=limit)
        return page_response(request, "merchants", page.rows, page.next)

    async def add_merchant(self, request: ApiRequest) -> Response:
        """Handle POST /v1/merchants."""
        wanted: NewMerchant = await request.decode_body(NewMerchant, self._context)
        self._known_settings.check_merchant(wanted.settings)
        merchant = Merchant(id=wanted.id, name=wanted.name, created_at=now())
        if not await self._context.run_in_thread(self._store.add_merchant, merchant):
            raise refuse("merchant_taken", merchant=wanted.id)
        if wanted.settings:
            await self._context.run_in_thread(put_merchant_settings, self._store, merchant.id, wanted.settings)
        location = {"location": f"/v1/merchants/{merchant.id}/keys"}
        return json_response(merchant, status=201, headers=location)

    async def merchant_settings(self, request: ApiRequest) -> Response:
        """Handle GET /v1/merchants/{merchant}/settings."""
        merchant = await self._known(request)
        return json_response({"settings": await self._context.run_in_thread(merchant_settings, self._store, merchant)})

    async def change_merchant_settings(self, request: ApiRequest) -> Response:
        """Handle PATCH /v1/merchants/{merchant}/settings."""
        changes: SettingChanges = await request.decode_body(SettingChanges, self._context)
        self._known_settings.check_merchant(changes.settings)
        merchant = await self._known(request)
        changed = await self._context.run_in_thread(put_merchant_settings, self._store, merchant, changes.settings)
        return json_response({"settings": changed})

    async def keys(self, request: ApiRequest) -> Response:
        """Handle GET /v1/merchants/{merchant}/keys."""
        merchant = await self._known(request)
        keys = await self._context.run_in_thread(self._store.keys, merchant)
        return json_response({"keys": [_serialize_key(key) for key in keys]})

    async def add_key(self, request: ApiRequest) -> Response:
        """Handle POST /v1/merchants/{merchant}/keys."""
        wanted: NewKey = await request.decode_body(NewKey, self._context)
        if len(set(wanted.scopes)) < len(wanted.scopes):
            raise refuse("body_invalid", "A scope is named twice.")
        self._known_settings.check_key(wanted.settings)
        key, secret = new_key(
            await self._known(request), wanted.scopes, label=wanted.label, settings=wanted.settings
        )
        await self._context.run_in_thread(self._store.add_key, key)
        return json_response({**_serialize_key(key), "secret": secret}, status=201)

    async def revoke_key(self, request: ApiRequest) -> Response:
        """Handle DELETE /v1/merchants/{merchant}/keys/{key}."""
        merchant = await self._known(request)
        if not await self._context.run_in_thread(self._context.authenticator.revoke, merchant, request.path["key"]):
            raise refuse("credential_unknown")
        return Response(status_code=204)

    async def _known(self, request: ApiRequest) -> str:
        merchant = request.path["merchant"]
        if not await self._context.run_in_thread(self._context.authenticator.merchant_exists, merchant):
            raise refuse("merchant_unknown")
        return merchant


def _serialize_key(key: Key) -> dict[str, Any]:
    """Return a key without its digest."""
    return {
        "id": key.id, "merchant": key.merchant, "scopes": sorted(key.scopes), "label": key.label,
        "settings": public_settings(key), "created_at": key.created_at, "revoked_at": key.revoked_at,
    }
