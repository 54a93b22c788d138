"""Merchants and their keys: create, list, change, rotate, revoke. A new secret is shown once."""

from datetime import datetime, timedelta
from functools import partial
from typing import Any

import msgspec
from starlette.responses import RedirectResponse, Response

from goodsgate.auth import bearer_secret, digest_of_secret, key_kind, new_key, new_seed, note_key
from goodsgate.console.rendering import HEADERS, PageRenderer, path_segment
from goodsgate.console.request import ConsoleRequest, FormFields, parse_time
from goodsgate.http.context import ServerContext
from goodsgate.http.problems import refuse
from goodsgate.model.audit import note
from goodsgate.model.batch import now
from goodsgate.model.catalogue import Merchant, MerchantId, OneLine, Scope

PAGE_MERCHANTS = 100
OVERLAP_SECONDS = 86_400
"""How long a replaced secret works on."""
SCOPE_MEANINGS = {
    Scope.SUBMIT: "submit, correct, decide, configure", Scope.READ: "see everything of the merchant",
    Scope.AUDIT: "read the audit log", Scope.CLERK: "for people who send and correct feeds",
    Scope.INTEGRATOR: "for people who connect systems", Scope.ADMIN: "operate the gate and all merchants",
}


class MerchantPages:
    """The pages ``/console/merchants`` and ``/console/merchants/{merchant}``, for admins."""

    def __init__(self, context: ServerContext, renderer: PageRenderer) -> None:
        self._context = context
        self._store = context.store
        self._renderer = renderer

    async def merchants(self, request: ConsoleRequest) -> Response:
        """Return the list of merchants."""
        after = request.query.get("after") or None
        page = await self._context.run_in_thread(self._store.merchants, after=after, limit=PAGE_MERCHANTS)
        values = {
            "merchants": page.rows, "section": "merchants", "after": after, "first_page": request.link(after=None),
            "next_page": request.link(after=page.next) if page.next else None,
        }
        return self._renderer.response(request, "merchants.html", values)

    async def add_merchant(self, request: ConsoleRequest) -> Response:
        """Create a merchant."""
        form = await request.form()
        id, name = form.get("id"), form.get("name")
        _check(id, MerchantId, "An id has 1 to 64 characters of a-z, 0-9, - and _.")
        _check(name, OneLine, "A name has at most 200 characters, on one line.")
        note(subject=id)
        merchant = Merchant(id=id, name=name, created_at=now())
        if not await self._context.run_in_thread(self._store.add_merchant, merchant):
            raise refuse("merchant_taken", merchant=id)
        return RedirectResponse(f"/console/merchants/{path_segment(id)}", 303, headers=HEADERS)

    async def keys(self, request: ConsoleRequest) -> Response:
        """Return the keys of a merchant."""
        return await self._render_keys(request, await request.merchant())

    async def rename(self, request: ConsoleRequest) -> Response:
        """Change the name of a merchant."""
        form, merchant = await request.form(), await request.merchant()
        _check(form.get("name"), OneLine, "A name has at most 200 characters, on one line.")
        note(subject=merchant, changed="name")
        await self._context.run_in_thread(self._store.rename_merchant, merchant, form.get("name"))
        return _redirect_to(merchant)

    async def add_key(self, request: ConsoleRequest) -> Response:
        """Create a key and show its secret, which is not stored."""
        form, merchant = await request.form(), await request.merchant()
        label, scopes, expires_at = _key_fields(form)
        key, secret = new_key(merchant, scopes, label=label, expires_at=expires_at)
        note_key(key)
        await self._context.run_in_thread(self._store.add_key, key)
        return await self._render_keys(request, merchant, secret=secret)

    async def change_key(self, request: ConsoleRequest) -> Response:
        """Change label, scopes and end of a key; raises credential_unknown."""
        form, merchant, key = await request.form(), await request.merchant(), request.path_param("key")
        label, scopes, expires_at = _key_fields(form)
        note(scopes=" ".join(sorted(scopes)), label=label, expires_at=form.get("expires") or "never")
        changed = await self._context.run_in_thread(partial(
            self._store.change_key, merchant, key, scopes=frozenset(scopes), label=label, expires_at=expires_at
        ))
        if changed is None:
            raise refuse("credential_unknown")
        self._context.authenticator.forget()
        return _redirect_to(merchant)

    async def rotate(self, request: ConsoleRequest) -> Response:
        """Give a key a new secret and show it; the present one works on for a day. Raises credential_unknown."""
        await request.form()
        merchant, key = await request.merchant(), request.path_param("key")
        secret = bearer_secret(key, new_seed())
        note(overlap_seconds=OVERLAP_SECONDS)
        until = now() + timedelta(seconds=OVERLAP_SECONDS)

        def rotate() -> bool:
            has_secret = any(each.id == key and key_kind(each) == "secret" for each in self._store.keys(merchant))
            return has_secret and self._store.rotate_key(
                merchant, key, digest_of_secret(secret), previous_until=until
            ) is not None

        if not await self._context.run_in_thread(rotate):
            raise refuse("credential_unknown")
        self._context.authenticator.forget()
        return await self._render_keys(request, merchant, secret=secret)

    async def revoke(self, request: ConsoleRequest) -> Response:
        """Revoke a key; raises credential_unknown."""
        await request.form()
        merchant, key = await request.merchant(), request.path_param("key")
        if not await self._context.run_in_thread(self._context.authenticator.revoke, merchant, key):
            raise refuse("credential_unknown")
        return _redirect_to(merchant)

    async def _render_keys(self, request: ConsoleRequest, merchant: str, *, secret: str = "") -> Response:
        keys = await self._context.run_in_thread(self._store.keys, merchant)
        stored = await self._context.run_in_thread(self._store.merchant, merchant)
        values: dict[str, Any] = {
            "merchant": merchant, "name": stored.name if stored is not None else "", "keys": keys[::-1],
            "secret": secret, "section": "merchants", "kind_of": key_kind, "now": now(),
            "scopes": [(scope.value, SCOPE_MEANINGS[scope]) for scope in Scope],
        }
        return self._renderer.response(request, "keys.html", values)


def _key_fields(form: FormFields) -> tuple[str, list[Scope], datetime | None]:
    """Return label, scopes and end of a key in a form; raises body_invalid."""
    _check(form.get("label"), OneLine, "A label has at most 200 characters, on one line.")
    try:
        scopes = [Scope(scope) for scope in form.get_all("scope")]
    except ValueError as error:
        raise refuse("body_invalid", f"{error}.") from error
    if not scopes:
        raise refuse("body_invalid", "A key needs at least one scope.")
    expires_at = parse_time(form.get("expires"))
    if expires_at is not None and expires_at <= now():
        raise refuse("body_invalid", "A key cannot end in the past; to end it now, revoke it.")
    return form.get("label"), scopes, expires_at


def _redirect_to(merchant: str) -> Response:
    return RedirectResponse(f"/console/merchants/{path_segment(merchant)}", 303, headers=HEADERS)


def _check(text: str, constraint: object, message: str) -> None:
    """Raise body_invalid with the message if the text does not satisfy the constraint."""
    try:
        msgspec.convert(text, type=constraint)
    except msgspec.ValidationError as error:
        raise refuse("body_invalid", message) from error
