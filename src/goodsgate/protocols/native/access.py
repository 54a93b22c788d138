"""Merchants, their settings and their keys."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta
from starlette.responses import Response

from goodsgate.auth import bearer_secret, new_key, public_settings
from goodsgate.engine.idempotency import RequestKey
from goodsgate.engine.merchant_documents import (
    SETTINGS,
    merchant_settings,
    put_merchant_settings,
    read_merchant_document,
)
from goodsgate.engine.secrets import UnknownMasterError
from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import ApiRequest, Handler, decode_json
from goodsgate.http.problems import refuse
from goodsgate.model.batch import now
from goodsgate.model.catalogue import Key, Merchant, MerchantId, OneLine, Scope
from goodsgate.protocols.native.idempotency import request_key
from goodsgate.protocols.native.responses import JSON, json_response, page_response

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
        content = await request.read_body(self._context)
        body = await self._context.run_in_thread(self._add_merchant, content, request_key(request, content))
        merchant = msgspec.json.decode(body, type=Merchant)
        return _created(body, {"location": f"/v1/merchants/{merchant.id}/keys"})

    def _add_merchant(self, content: bytes, key: RequestKey | None) -> bytes:
        def act() -> bytes:
            wanted: NewMerchant = decode_json(content, NewMerchant)
            self._known_settings.check_merchant(wanted.settings)
            merchant = Merchant(id=wanted.id, name=wanted.name, created_at=now())
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
        content = await request.read_body(self._context)
        key = request_key(request, content)
        body = await self._context.run_in_thread(self._add_key, request.path["merchant"], content, key)
        return _created(body, {"cache-control": "no-store"})

    def _add_key(self, merchant: str, content: bytes, request: RequestKey | None) -> bytes:
        if request is None:
            key, secret = self._new_key(merchant, content)
            self._store.add_key(key)
            return msgspec.json.encode({**_serialize_key(key), "secret": secret})

        def act() -> bytes:
            seed, master = self._seed(request)
            key, _ = self._new_key(merchant, content, seed)

            def answer(key: Key) -> bytes:
                return msgspec.json.encode({**_serialize_key(key), "master": master})

            self._store.add_key(key, idempotency=request.answered_by(answer))
            return answer(key)

        document = msgspec.json.decode(self._context.engine.answer_once(request, act))
        try:
            seed, _ = self._seed(request, by=document.pop("master"))
        except UnknownMasterError as fault:
            detail = f"The key {document['id']} was created, but its secret is lost, because the master secret changed."
            raise refuse("state_conflict", detail, key=document["id"]) from fault
        return msgspec.json.encode({**document, "secret": bearer_secret(document["id"], seed)})

    def _seed(self, request: RequestKey, *, by: str | None = None) -> tuple[bytes, str]:
        """Return the random part of a new secret, so that a repeated request gets it again although it is not stored.

        Whoever has the master secret also needs the idempotency key, which the store soon forgets.
        """
        return self._context.services.secrets.derived("new key", f"{request.merchant} {request.key}", by=by)

    def _new_key(self, merchant: str, content: bytes, seed: bytes | None = None) -> tuple[Key, str]:
        if not self._context.authenticator.merchant_exists(merchant):
            raise refuse("merchant_unknown")
        wanted: NewKey = decode_json(content, NewKey)
        if len(set(wanted.scopes)) < len(wanted.scopes):
            raise refuse("body_invalid", "A scope is named twice.")
        self._known_settings.check_key(wanted.settings)
        return new_key(merchant, wanted.scopes, label=wanted.label, settings=wanted.settings, seed=seed)

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


def _created(body: bytes, headers: dict[str, str] | None = None) -> Response:
    return Response(body, status_code=201, headers=headers, media_type=JSON)


def _serialize_key(key: Key) -> dict[str, Any]:
    """Return a key without its digest."""
    return {
        "id": key.id, "merchant": key.merchant, "scopes": sorted(key.scopes), "label": key.label,
        "settings": public_settings(key), "created_at": key.created_at, "revoked_at": key.revoked_at,
    }
