"""Merchants and their keys: made, scoped, revoked; a key is shown once."""

from typing import Any

import msgspec
from starlette.responses import RedirectResponse, Response

from goodsgate.auth import new_key
from goodsgate.console.pages import HEADERS, Pages, segment
from goodsgate.console.visit import Visit
from goodsgate.http.context import ServerContext
from goodsgate.http.problems import refuse
from goodsgate.model.batch import now
from goodsgate.model.catalogue import Merchant, MerchantId, OneLine, Scope

ROWS = 100


class Merchants:
    """Everything under ``/console/merchants``, for keys with the scope admin."""

    def __init__(self, context: ServerContext, pages: Pages) -> None:
        self._context = context
        self._store = context.store
        self._pages = pages

    async def get(self, visit: Visit) -> Response:
        """All of them."""
        visit.allow("admin")
        page = await self._context.run_in_thread(self._store.merchants, after=visit.query.get("after") or None,
            limit=ROWS)
        words = {
            "merchants": page.rows, "place": "merchants", "first": visit.link(after=None),
            "after": visit.query.get("after"), "older": visit.link(after=page.next) if page.next else None,
        }
        return self._pages.answer(visit, "merchants.html", words)

    async def add(self, visit: Visit) -> Response:
        """One more."""
        visit.allow("admin")
        form = await visit.form()
        id, name = form.get("id"), form.get("name")
        _hold(id, MerchantId, "An id is 1 to 64 of a-z, 0-9, - and _.")
        _hold(name, OneLine, "A name is at most 200 characters in one line.")
        if not await self._context.run_in_thread(self._store.add_merchant, Merchant(id=id, name=name,
            created_at=now())):
            raise refuse("merchant_taken", merchant=id)
        return RedirectResponse(f"/console/merchants/{segment(id)}", 303, headers=HEADERS)

    async def keys(self, visit: Visit) -> Response:
        """One, with its keys."""
        visit.allow("admin")
        return await self._shown(visit, await visit.merchant())

    async def add_key(self, visit: Visit) -> Response:
        """A fresh key; the answer shows its secret, and nothing will again."""
        visit.allow("admin")
        form, merchant = await visit.form(), await visit.merchant()
        _hold(form.get("label"), OneLine, "A label is at most 200 characters in one line.")
        try:
            scopes = [Scope(scope) for scope in form.every("scope")]
        except ValueError as fault:
            raise refuse("body_invalid", f"{fault}.") from fault
        if not scopes:
            raise refuse("body_invalid", "A key needs at least one scope.")
        key, secret = new_key(merchant, scopes, label=form.get("label"))
        await self._context.run_in_thread(self._store.add_key, key)
        return await self._shown(visit, merchant, secret=secret)

    async def revoke(self, visit: Visit) -> Response:
        """The key is good for nothing from now on."""
        visit.allow("admin")
        await visit.form()
        merchant = await visit.merchant()
        if not await self._context.run_in_thread(self._context.authenticator.revoke, merchant, visit.param("key")):
            raise refuse("credential_unknown")
        return RedirectResponse(f"/console/merchants/{segment(merchant)}", 303, headers=HEADERS)

    async def _shown(self, visit: Visit, merchant: str, *, secret: str = "") -> Response:
        keys = await self._context.run_in_thread(self._store.keys, merchant)
        words: dict[str, Any] = {
            "merchant": merchant, "keys": keys[::-1], "secret": secret, "scopes": [*Scope], "place": "merchants",
        }
        return self._pages.answer(visit, "merchant.html", words)


def _hold(text: str, pattern: object, told: str) -> None:
    try:
        msgspec.convert(text, type=pattern)
    except msgspec.ValidationError as fault:
        raise refuse("body_invalid", told) from fault
