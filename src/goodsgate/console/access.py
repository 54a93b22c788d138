"""Signing in, which exchanges a key for a session, and signing out."""

import hmac
import secrets
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from goodsgate.console.endpoint import SIGN_IN_PATH
from goodsgate.console.rendering import HEADERS, PageRenderer
from goodsgate.console.request import (
    CSRF_FIELD,
    SESSION_COOKIE,
    ConsoleRequest,
    csrf_token,
    is_https,
    is_same_site,
    read_form,
)
from goodsgate.console.sign_ins import SignIns
from goodsgate.engine.refusal import Refusal
from goodsgate.http.admission import held_request
from goodsgate.http.context import ServerContext
from goodsgate.http.problems import STATUSES, refuse
from goodsgate.store.contract import StoreError

HOME_PATH = "/console/batches"
FORM_COOKIE = "goodsgate_sign_in"
"""Binds the sign-in form to the browser that loaded it, as there is no session yet."""


class SignInPage:
    """The page that takes a key; the only one that needs no session."""

    template = SIGN_IN_PATH

    def __init__(self, context: ServerContext, renderer: PageRenderer, sign_ins: SignIns, *,
                 openid_name: str = "") -> None:
        """`openid_name`: how the provider of OpenID Connect is called; empty: there is none."""
        self._context = context
        self._renderer = renderer
        self._openid_name = openid_name
        self._sign_ins = sign_ins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer GET and POST; raises method_not_allowed."""
        with held_request(scope, receive, self._context.uploads) as receiver:
            http = Request(scope, receiver)
            if http.method in ("GET", "HEAD"):
                response = self._form(http)
            elif http.method == "POST":
                response = await self._sign_in(http)
            else:
                raise refuse("method_not_allowed", allow="GET, POST")
            await response(scope, receive, send)

    def _form(self, http: Request, error: str = "", *, status: int = 200, next_path: str | None = None) -> Response:
        secret = http.cookies.get(FORM_COOKIE) or secrets.token_urlsafe(24)
        next_path = http.query_params.get("next", "") if next_path is None else next_path
        values: dict[str, Any] = {
            "error": error, "csrf": csrf_token(secret), "next": console_path(next_path),
            "openid_name": self._openid_name,
        }
        values["signed_out"] = bool(self._openid_name) and "signed_out" in http.query_params
        response = self._renderer.response(None, "sign_in.html", values, status=status)
        set_cookie(response, http, FORM_COOKIE, secret)
        return response

    async def _sign_in(self, http: Request) -> Response:
        try:
            form = await read_form(http, self._context)
        except Refusal as refusal:
            return self._form(http, refusal.detail, status=STATUSES[refusal.code])
        next_path = form.get("next")
        expected = csrf_token(http.cookies.get(FORM_COOKIE, ""))
        is_own_form = FORM_COOKIE in http.cookies and hmac.compare_digest(
            form.get(CSRF_FIELD).encode(), expected.encode()
        )
        if not is_own_form or not is_same_site(http):
            return self._form(http, "The form has expired. Please try again.", status=403, next_path=next_path)
        try:
            caller = await self._context.run_in_thread(self._context.authenticator.caller, form.get("key").encode())
            if caller is None:
                await self._sign_ins.refuse(http, "nobody", reason="the key is not valid")
                return self._form(http, "This key is not valid.", status=401, next_path=next_path)
            if not caller.may("read"):
                await self._sign_ins.refuse(http, caller.actor, reason="the key lacks the permission read")
                return self._form(http, "This key lacks the permission read.", status=403, next_path=next_path)
            token = await self._sign_ins.accept(http, caller)
        except StoreError:
            error = "Storage is currently unavailable. Please try again."
            return self._form(http, error, status=503, next_path=next_path)
        response = RedirectResponse(console_path(next_path), 303, headers=HEADERS)
        set_cookie(response, http, SESSION_COOKIE, token, seconds=int(self._context.limits.session_seconds))
        response.delete_cookie(FORM_COOKIE, path="/console")
        return response


class SignOut:
    """The form that ends a session."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context

    async def post(self, request: ConsoleRequest) -> Response:
        """Handle POST /console/sign-out."""
        await request.form()
        await self._context.run_in_thread(self._context.authenticator.delete_token, request.token)
        path = f"{SIGN_IN_PATH}?signed_out=1" if request.caller.person else SIGN_IN_PATH
        response = RedirectResponse(path, 303, headers={**HEADERS, "clear-site-data": '"cache", "storage"'})
        response.delete_cookie(SESSION_COOKIE, path="/console")
        return response


def set_cookie(response: Response, http: Request, name: str, value: str, *, seconds: int | None = None) -> None:
    """Set a cookie of the console, which scripts cannot read and other sites cannot send."""
    response.set_cookie(
        name, value, max_age=seconds, path="/console", httponly=True, samesite="strict", secure=is_https(http)
    )


def console_path(path: str) -> str:
    """Return the path if it is a page of the console, else the home page; never another site."""
    return path if path.startswith("/console/") and "\\" not in path and path.isprintable() else HOME_PATH
