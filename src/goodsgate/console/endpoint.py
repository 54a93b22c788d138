"""One path of the console: signed in, asked as it may be, answered with a page whatever happens."""

from collections.abc import Awaitable, Callable
from urllib.parse import urlencode

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from goodsgate.console.pages import HEADERS, Pages
from goodsgate.console.visit import COOKIE, Visit
from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import CALLER, REQUEST_ID, Receiver, drain_body, to_refusal
from goodsgate.http.problems import problem, refuse, title

Handler = Callable[[Visit], Awaitable[Response]]
SIGN_IN = "/console/sign-in"


class Endpoint:
    """Answers GET and POST of one path for those who are signed in."""

    def __init__(self, template: str, context: ServerContext, pages: Pages, *, get: Handler | None = None,
                 post: Handler | None = None) -> None:
        self.template = template
        self._context = context
        self._pages = pages
        self._handlers = {name: handler for name, handler in (("GET", get), ("POST", post)) if handler is not None}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; a client that hung up gets none."""
        receiver = Receiver(receive, Headers(scope=scope))
        request = Request(scope, receiver)
        visit: Visit | None = None
        try:
            handler = self._handler(request.method)
            visit = await visit_of(request, self._context)
            response = await handler(visit) if visit is not None else _sign_in(request)
        except ClientDisconnect:
            return
        except Exception as fault:
            response = self._refused(fault, visit, scope)
            if not receiver.ended:
                await drain_body(response, receiver, send)
                return
        await response(scope, receive, send)

    def _handler(self, method: str) -> Handler:
        found = self._handlers.get("GET" if method == "HEAD" else method)
        if found is None:
            raise refuse("method_not_allowed", allow=", ".join(self._handlers))
        return found

    def _refused(self, fault: Exception, visit: Visit | None, scope: Scope) -> Response:
        refusal = to_refusal(fault, self.template, scope)
        status, headers, _ = problem(refusal, scope[REQUEST_ID])
        words = {"refusal": refusal, "title": title(refusal.code), "status": status, "request_id": scope[REQUEST_ID]}
        part = visit is not None and (visit.is_part or "x-csrf" in visit.request.headers)
        answer = self._pages.answer(visit, "refused_part.html" if part else "refused.html", words, status=status)
        for name in ("retry-after", "allow"):
            if name in headers:
                answer.headers[name] = headers[name]
        return answer


async def visit_of(request: Request, context: ServerContext) -> Visit | None:
    """Whoever the session is of; None if there is none, or it has ended. Raises forbidden for a key that may not read.
    """
    secret = request.cookies.get(COOKIE, "")
    if not secret.startswith("gt_"):
        return None
    found = context.authenticator.cached(secret.encode()) or await context.run_in_thread(context.authenticator.caller,
        secret.encode())
    if found is None:
        return None
    request.scope[CALLER] = found
    visit = Visit(request, context, caller=found, secret=secret)
    visit.allow("read")
    return visit


def _sign_in(request: Request) -> Response:
    """Away to the form; a part of a page sends the whole page there."""
    if "hx-request" in request.headers or "x-csrf" in request.headers:
        return Response(status_code=401, headers={**HEADERS, "hx-redirect": SIGN_IN})
    if request.method not in ("GET", "HEAD"):
        return RedirectResponse(SIGN_IN, 303, headers=HEADERS)
    return RedirectResponse(f"{SIGN_IN}?{_next(request)}", 303, headers=HEADERS)


def _next(request: Request) -> str:
    query = request.url.query
    return urlencode({"next": request.url.path + (f"?{query}" if query else "")})
