"""Signing in with a key, which is exchanged for a session, and signing out."""

import hmac
import secrets

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from goodsgate.console.endpoint import SIGN_IN
from goodsgate.console.pages import HEADERS, Pages
from goodsgate.console.visit import COOKIE, CSRF_FIELD, Visit, csrf_of, from_own_site, is_safe, read_form
from goodsgate.engine.refusal import Refusal
from goodsgate.http.context import ServerContext
from goodsgate.http.problems import refuse
from goodsgate.store.contract import StoreError

HOME = "/console/batches"
FORM_COOKIE = "goodsgate_sign_in"
"""Ties the form to the browser that asked for it, before there is a session to tie it to."""


class SignIn:
    """The form that takes a key; the only page of the console for which none is needed."""

    template = SIGN_IN

    def __init__(self, context: ServerContext, pages: Pages) -> None:
        self._context = context
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer GET and POST; raises method_not_allowed."""
        request = Request(scope, receive)
        if request.method in ("GET", "HEAD"):
            response = self._form(request)
        elif request.method == "POST":
            response = await self._signed_in(request)
        else:
            raise refuse("method_not_allowed", allow="GET, POST")
        await response(scope, receive, send)

    def _form(self, request: Request, told: str = "", *, status: int = 200, onward: str | None = None) -> Response:
        secret = request.cookies.get(FORM_COOKIE) or secrets.token_urlsafe(24)
        onward = request.query_params.get("next", "") if onward is None else onward
        words = {"told": told, "csrf": csrf_of(secret), "next": _own_path(onward)}
        answer = self._pages.answer(None, "sign_in.html", words, status=status)
        _set(answer, request, FORM_COOKIE, secret)
        return answer

    async def _signed_in(self, request: Request) -> Response:
        try:
            form = await read_form(request, self._context)
        except Refusal as refusal:
            return self._form(request, refusal.detail, status=400)
        onward = form.get("next")
        expected = csrf_of(request.cookies.get(FORM_COOKIE, ""))
        ours = FORM_COOKIE in request.cookies and hmac.compare_digest(form.get(CSRF_FIELD).encode(), expected.encode())
        if not ours or not from_own_site(request):
            return self._form(request, "The form was too old. Please try again.", status=403, onward=onward)
        try:
            caller = await self._context.run_in_thread(self._context.authenticator.caller, form.get("key").encode())
            if caller is None:
                return self._form(request, "This key is not valid.", status=401, onward=onward)
            if not caller.may("read"):
                return self._form(request, "This key may not read; it needs the scope read.", status=403, onward=onward)
            hours = self._context.config.session_hours
            token = await self._context.run_in_thread(self._context.authenticator.token, caller, seconds=hours * 3600)
        except StoreError:
            return self._form(request, "The store is away just now. Please try again.", status=503, onward=onward)
        answer = RedirectResponse(_own_path(onward), 303, headers=HEADERS)
        _set(answer, request, COOKIE, token, seconds=int(hours * 3600))
        answer.delete_cookie(FORM_COOKIE, path="/console")
        return answer


class SignOut:
    """Ends a session for good."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context

    async def post(self, visit: Visit) -> Response:
        """POST /console/sign-out."""
        await visit.form()
        await self._context.run_in_thread(self._context.authenticator.end, visit.secret)
        answer = RedirectResponse(SIGN_IN, 303, headers={**HEADERS, "clear-site-data": '"cache", "storage"'})
        answer.delete_cookie(COOKIE, path="/console")
        return answer


def _set(answer: Response, request: Request, name: str, value: str, *, seconds: int | None = None) -> None:
    answer.set_cookie(
        name, value, max_age=seconds, path="/console", httponly=True, samesite="strict", secure=is_safe(request)
    )


def _own_path(onward: str) -> str:
    """Where to go after the form: a page of the console, never another site."""
    return onward if onward.startswith("/console/") and "\\" not in onward and onward.isprintable() else HOME
