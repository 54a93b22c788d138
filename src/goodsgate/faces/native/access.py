"""Merchants and their keys."""

from typing import Annotated

import msgspec
from msgspec import Meta
from starlette.responses import Response

from goodsgate.auth import new_key
from goodsgate.faces.door import Door
from goodsgate.faces.native.answers import answer, page
from goodsgate.faces.native.words import key_words, merchant_words
from goodsgate.faces.refusals import refuse
from goodsgate.faces.routes import Call, Handler
from goodsgate.model.batch import now
from goodsgate.model.catalogue import Merchant, MerchantId, OneLine, Scope


class NewMerchant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of POST /v1/merchants."""

    id: MerchantId
    name: OneLine = ""


class NewKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of POST /v1/merchants/{merchant}/keys."""

    scopes: Annotated[list[Scope], Meta(min_length=1, max_length=len(Scope))]
    label: OneLine = ""


class Access:
    """Handlers of everything under ``/v1/merchants``."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._store = door.store

    def handlers(self) -> dict[str, Handler]:
        """By operation id."""
        return {
            "merchants": self.merchants, "add_merchant": self.add_merchant, "keys": self.keys,
            "add_key": self.add_key, "revoke_key": self.revoke_key,
        }

    async def merchants(self, call: Call) -> Response:
        """GET /v1/merchants."""
        limit = min(int(call.query["limit"]), self._door.config.page_rows_max)
        found = await self._door.hop(self._store.merchants, after=call.query["after"], limit=limit)
        return page(call, "merchants", [merchant_words(merchant) for merchant in found.rows], found.next)

    async def add_merchant(self, call: Call) -> Response:
        """POST /v1/merchants."""
        wanted: NewMerchant = await call.document(NewMerchant, self._door)
        merchant = Merchant(id=wanted.id, name=wanted.name, made_at=now())
        if not await self._door.hop(self._store.add_merchant, merchant):
            raise refuse("merchant_taken", merchant=wanted.id)
        location = {"location": f"/v1/merchants/{merchant.id}/keys"}
        return answer(merchant_words(merchant), status=201, headers=location)

    async def keys(self, call: Call) -> Response:
        """GET /v1/merchants/{merchant}/keys."""
        merchant = await self._known(call)
        keys = await self._door.hop(self._store.keys, merchant)
        return answer({"keys": [key_words(key) for key in keys]})

    async def add_key(self, call: Call) -> Response:
        """POST /v1/merchants/{merchant}/keys."""
        wanted: NewKey = await call.document(NewKey, self._door)
        if len(set(wanted.scopes)) < len(wanted.scopes):
            raise refuse("body_invalid", "A scope is named twice.")
        key, secret = new_key(await self._known(call), wanted.scopes, label=wanted.label)
        await self._door.hop(self._store.add_key, key)
        return answer({**key_words(key), "secret": secret}, status=201)

    async def revoke_key(self, call: Call) -> Response:
        """DELETE /v1/merchants/{merchant}/keys/{key}."""
        merchant = await self._known(call)
        if not await self._door.hop(self._door.keyring.revoke, merchant, call.path["key"]):
            raise refuse("credential_unknown")
        return Response(status_code=204)

    async def _known(self, call: Call) -> str:
        merchant = call.path["merchant"]
        if not await self._door.hop(self._door.keyring.knows, merchant):
            raise refuse("merchant_unknown")
        return merchant
