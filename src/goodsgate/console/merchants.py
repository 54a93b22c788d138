"""Merchants and their keys: create, list, revoke. A new key is shown once."""

from typing import Any

import msgspec
from starlette.responses import RedirectResponse, Response

from goodsgate.auth import new_key
from goodsgate.console.rendering import HEADERS, PageRenderer, path_segment
from goodsgate.console.request import ConsoleRequest
from goodsgate.http.context import ServerContext
from goodsgate.http.problems import refuse
from goodsgate.model.batch import now
from goodsgate.model.catalogue import Merchant, MerchantId, OneLine, Scope

PAGE_MERCHANTS = 100


class MerchantPages:
    """The pages ``/console/merchants`` and ``/console/merchants/{merchant}``, for admins."""

    def __init__(self, context: ServerContext, renderer: PageRenderer) -> None:
        self._context = context
        self._store = context.store
        self._renderer = renderer

    async def merchants(self, request: ConsoleRequest) -> Response:
        """Return the list of merchants."""
        request.require_permission("admin")
        after = request.query.get("after") or None
        page = await self._context.run_in_thread(self._store.merchants, after=after, limit=PAGE_MERCHANTS)
        values = {
            "merchants": page.rows, "section": "merchants", "after": after, "first_page": request.link(after=None),
            "next_page": request.link(after=page.next) if page.next else None,
        }
        return self._renderer.response(request, "merchants.html", values)

    async def add_merchant(self, request: ConsoleRequest) -> Response:
        """Create a merchant."""
        request.require_permission("admin")
        form = await request.form()
        id, name = form.get("id"), form.get("name")
        _check(id, MerchantId, "An id has 1 to 64 characters of a-z, 0-9, - and _.")
        _check(name, OneLine, "A name has at most 200 characters, on one line.")
        merchant = Merchant(id=id, name=name, created_at=now())
        if not await self._context.run_in_thread(self._store.add_merchant, merchant):
            raise refuse("merchant_taken", merchant=id)
        return RedirectResponse(f"/console/merchants/{path_segment(id)}", 303, headers=HEADERS)

    async def keys(self, request: ConsoleRequest) -> Response:
        """Return the keys of a merchant."""
        request.require_permission("admin")
        return await self._render_keys(request, await request.merchant())

    async def add_key(self, request: ConsoleRequest) -> Response:
        """Create a key and show its secret, which is not stored."""
        request.require_permission("admin")
        form, merchant = await request.form(), await request.merchant()
        _check(form.get("label"), OneLine, "A label has at most 200 characters, on one line.")
        try:
            scopes = [Scope(scope) for scope in form.get_all("scope")]
        except ValueError as error:
            raise refuse("body_invalid", f"{error}.") from error
        if not scopes:
            raise refuse("body_invalid", "A key needs at least one scope.")
        key, secret = new_key(merchant, scopes, label=form.get("label"))
        await self._context.run_in_thread(self._store.add_key, key)
        return await self._render_keys(request, merchant, secret=secret)

    async def revoke(self, request: ConsoleRequest) -> Response:
        """Revoke a key; raises credential_unknown."""
        request.require_permission("admin")
        await request.form()
        merchant, key = await request.merchant(), request.path_param("key")
        if not await self._context.run_in_thread(self._context.authenticator.revoke, merchant, key):
            raise refuse("credential_unknown")
        return RedirectResponse(f"/console/merchants/{path_segment(merchant)}", 303, headers=HEADERS)

    async def _render_keys(self, request: ConsoleRequest, merchant: str, *, secret: str = "") -> Response:
        keys = await self._context.run_in_thread(self._store.keys, merchant)
        values: dict[str, Any] = {
            "merchant": merchant, "keys": keys[::-1], "secret": secret, "scopes": [*Scope], "section": "merchants",
        }
        return self._renderer.response(request, "keys.html", values)


def _check(text: str, constraint: object, message: str) -> None:
    """Raise body_invalid with the message if the text does not satisfy the constraint."""
    try:
        msgspec.convert(text, type=constraint)
    except msgspec.ValidationError as error:
        raise refuse("body_invalid", message) from error
