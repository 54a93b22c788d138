"""One path of the console: checks the session, calls a handler, and renders refusals as pages."""

from collections.abc import Awaitable, Callable
from urllib.parse import urlencode, urlsplit

from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from goodsgate.console.permissions import page_access
from goodsgate.console.rendering import HEADERS, PageRenderer
from goodsgate.console.request import CSRF_HEADER, SESSION_COOKIE, ConsoleRequest
from goodsgate.http.acts import act
from goodsgate.http.admission import CALLER, held_request
from goodsgate.http.context import ServerContext, drain_body
from goodsgate.http.endpoints import REQUEST_ID, headers_only, to_refusal
from goodsgate.http.problems import problem, refuse, title
from goodsgate.model.tracing import set_origin_key

Handler = Callable[[ConsoleRequest], Awaitable[Response]]
SIGN_IN_PATH = "/console/sign-in"


class ConsoleEndpoint:
    """ASGI application for GET and POST of one path, for users who are signed in."""

    def __init__(self, template: str, context: ServerContext, renderer: PageRenderer, *, get: Handler | None = None,
                 post: Handler | None = None) -> None:
        self.template = template
        self._access = page_access(template)
        self._context = context
        self._renderer = renderer
        self._handlers = {name: handler for name, handler in (("GET", get), ("POST", post)) if handler is not None}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to a request, unless the client has disconnected."""
        with held_request(scope, receive, self._context.uploads) as receiver:
            http = Request(scope, receiver)
            request: ConsoleRequest | None = None
            try:
                handler = self._handler(http.method)
                request = await authenticate(http, self._context)
                response = await self._answer(request, handler) if request is not None else _redirect_to_sign_in(http)
                response = headers_only(response) if http.method == "HEAD" else response
            except ClientDisconnect:
                return
            except Exception as error:
                response = self._render_refusal(error, request, scope)
                if not receiver.ended:
                    await drain_body(response, receiver, send)
                    return
            await response(scope, receive, send)

    async def _answer(self, request: ConsoleRequest, handler: Handler) -> Response:
        """Return the response of a handler to a user who has the permission; what it changes is in the audit log."""
        http, access = request.http, self._access
        if http.method != "POST":
            request.require_permission(access.see)
            return await handler(request)
        request.require_permission(access.change)
        if access.action is None:
            return await handler(request)
        params = http.path_params
        subject = "/".join(str(text) for name, text in params.items() if name != "merchant")
        return await act(
            self._context, http, access.action, request.caller, lambda: handler(request),
            merchant=params.get("merchant", request.caller.merchant), subject=subject,
        )

    def _handler(self, method: str) -> Handler:
        handler = self._handlers.get("GET" if method == "HEAD" else method)
        if handler is None:
            raise refuse("method_not_allowed", allow=", ".join(self._handlers))
        return handler

    def _render_refusal(self, error: Exception, request: ConsoleRequest | None, scope: Scope) -> Response:
        refusal = to_refusal(error, self.template, scope)
        status, headers, _ = problem(refusal, scope[REQUEST_ID])
        is_fragment = request is not None and (request.is_fragment or CSRF_HEADER in request.http.headers)
        values = {
            "refusal": refusal, "title": title(refusal.code), "status": status, "request_id": scope[REQUEST_ID],
            "is_fragment": is_fragment, "back": _previous_page(request) if request is not None else "",
        }
        template = "error_fragment.html" if is_fragment else "error.html"
        response = self._renderer.response(request, template, values, status=status)
        for name in ("retry-after", "allow"):
            if name in headers:
                response.headers[name] = headers[name]
        return response


async def authenticate(http: Request, context: ServerContext) -> ConsoleRequest | None:
    """Return the request with its user, or None if it has no valid session.

    Raises forbidden if the user's key lacks the scope read.
    """
    token = http.cookies.get(SESSION_COOKIE, "")
    if not token.startswith("gt_"):
        return None
    secret = token.encode()
    caller = context.authenticator.cached(secret) or await context.run_in_thread(context.authenticator.caller, secret)
    if caller is None:
        return None
    http.scope[CALLER] = caller
    set_origin_key(caller.key_id)
    request = ConsoleRequest(http, context, caller=caller, token=token)
    request.require_permission("read")
    return request


def _previous_page(request: ConsoleRequest) -> str:
    """Return the path of the page of the console that the user comes from; empty if there is none."""
    referer = urlsplit(request.http.headers.get("referer", ""))
    own = f"{request.http.url.path}?{request.http.url.query}".rstrip("?")
    path = f"{referer.path}?{referer.query}".rstrip("?")
    return path if referer.netloc == request.http.url.netloc and path.startswith("/console/") and path != own else ""


def _redirect_to_sign_in(http: Request) -> Response:
    """Redirect to the sign-in page; scripts are told to redirect the whole page."""
    if "hx-request" in http.headers or CSRF_HEADER in http.headers:
        return Response(status_code=401, headers={**HEADERS, "hx-redirect": SIGN_IN_PATH})
    if http.method not in ("GET", "HEAD"):
        return RedirectResponse(SIGN_IN_PATH, 303, headers=HEADERS)
    query = http.url.query
    parameter = urlencode({"next": http.url.path + (f"?{query}" if query else "")})
    return RedirectResponse(f"{SIGN_IN_PATH}?{parameter}", 303, headers=HEADERS)
