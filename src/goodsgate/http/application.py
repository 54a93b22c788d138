"""The ASGI application: request ids, response headers, cached responses, refusals, metrics and log lines."""

import asyncio
import sys
import time
from collections.abc import Sequence
from typing import Protocol

from starlette.middleware.cors import CORSMiddleware
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from goodsgate.engine.refusal import Refusal
from goodsgate.http.admission import CALLER
from goodsgate.http.compression import COMPRESSED_BYTES_MIN, CompressingSend, accepts_gzip, is_compressible
from goodsgate.http.context import ServerContext
from goodsgate.http.docs import DocumentationPages
from goodsgate.http.endpoints import REQUEST_ID, CachedResponse, WireProtocol, problem_response
from goodsgate.http.problems import refuse
from goodsgate.http.quotas import APPLIED, rate_limit_headers
from goodsgate.http.threads import SWITCH_SECONDS, WORK, Work
from goodsgate.model.tracing import ORIGIN, Origin, parse_traceparent
from goodsgate.observe import REFUSED, RequestIds, logger

NO_SNIFFING = (b"x-content-type-options", b"nosniff")
NO_REFERRER = (b"referrer-policy", b"no-referrer")
LOAD_NOTHING = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
"""For responses without a content security policy of their own."""
REVALIDATE = (b"cache-control", b"private, no-cache")
"""For responses without a header of their own: a client may keep them, and asks each time whether they are current."""
TRACEPARENT_HEADER = b"traceparent"
CREDENTIALS = b"Authorization, X-API-Key, Goodsgate-Merchant"
"""Headers of a request on which every response depends that needs a key."""


CORS_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
CORS_HEADERS = (
    "ETag", "Goodsgate-Version", "Location", "RateLimit", "RateLimit-Policy", "Retry-After", "X-Request-Id",
    "X-Srv-Time",
)
"""Headers of responses that a web page may read, beside those that browsers always show."""
CORS_SECONDS = 600
"""How long a browser may remember what it is allowed."""


class BackgroundTask(Protocol):
    """Something that runs as long as the application does."""

    def start(self) -> None:
        """Start on the running event loop."""

    async def stop(self) -> None:
        """Stop, and return when nothing runs any more."""


class Application:
    """Serves the protocols, the documentation pages and further routes."""

    def __init__(self, context: ServerContext, protocols: Sequence[WireProtocol], *, routes: Sequence[BaseRoute] = (),
                 background: Sequence[BackgroundTask] = (), cors_origins: Sequence[str] = ()) -> None:
        """Build the router; web pages of `cors_origins` may call the gate, of any origin with ``*``."""
        self.context = context
        self.protocols = protocols
        protocol_routes = [route for protocol in protocols for route in protocol.routes(context)]
        self.router = Router(
            [*DocumentationPages(protocols).routes(), *protocol_routes, *routes], redirect_slashes=False,
            default=_not_found,
        )
        self._cached_responses = [each.cached_response for each in protocols if each.cached_response is not None]
        self._background = background
        self._request_ids = RequestIds()
        self._respond: ASGIApp = self._serve
        if cors_origins:
            self._respond = CORSMiddleware(
                self._serve, allow_origins=cors_origins, allow_methods=CORS_METHODS, allow_headers=["*"],
                expose_headers=CORS_HEADERS, max_age=CORS_SECONDS,
            )

    def begin_stop(self) -> None:
        """Answer long polls and end event streams now, and refuse uploads that do not end in time."""
        if not self.context.change_watch.closed:
            self.context.change_watch.close()
            asyncio.get_running_loop().call_later(self.context.limits.stop_seconds, self._cut_off_uploads)

    def _cut_off_uploads(self) -> None:
        number = self.context.uploads.cut_off()
        if number:
            logger.info("stopping: %d uploads did not end in time and are refused", number)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the lifespan."""
        if scope["type"] == "lifespan":
            await self._run_lifespan(receive, send)
        else:
            await self._respond(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        WORK.set(Work.READS if scope["method"] in ("GET", "HEAD") else Work.WRITES)
        request_headers: dict[bytes, bytes] = dict(scope["headers"])
        request_id = scope[REQUEST_ID] = self._request_ids.choose(request_headers.get(b"x-request-id"))
        if scope["path"].startswith("//"):
            scope = self._without_double_slash(scope)
        traceparent = request_headers.get(TRACEPARENT_HEADER)
        ORIGIN.set(Origin(request_id, "" if traceparent is None else parse_traceparent(traceparent.decode("latin-1"))))
        compresses = accepts_gzip(request_headers)
        cached = self._cached_response(scope) if scope["method"] in ("GET", "HEAD") else None
        if cached is not None and not (compresses and len(cached.body) >= COMPRESSED_BYTES_MIN):
            headers = [*cached.headers, NO_SNIFFING, NO_REFERRER, (b"x-request-id", request_id.encode()), LOAD_NOTHING]
            await send({"type": "http.response.start", "status": cached.status, "headers": headers})
            await send({"type": "http.response.body", "body": cached.body})
            self.context.metrics.record_request(scope, route=cached.route, status=cached.status, began=began)
            return
        status = 0
        send_response = CompressingSend(send) if compresses else send

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = complete_headers(message, scope, request_id)
            await send_response(message)

        try:
            if scope["path"] == "/" and b"text/html" in request_headers.get(b"accept", b""):
                await RedirectResponse("/docs")(scope, receive, send_with_headers)  # browsers; others ask a protocol
            else:
                await self.router(scope, receive, send_with_headers)
        except Refusal as refusal:
            await self._refusal_response(refusal, scope)(scope, receive, send_with_headers)
        except asyncio.CancelledError:  # the gate is stopping, and the request has had its time
            if status:
                raise
            await self._refusal_response(refuse("stopping"), scope)(scope, receive, send_with_headers)
        except Exception as fault:
            logger.error("a request failed", exc_info=fault, extra={"request": request_id})
            if status:
                raise
            await self._refusal_response(refuse("internal_fault"), scope)(scope, receive, send_with_headers)
        route = getattr(scope.get("endpoint"), "template", "none")
        self.context.metrics.record_request(scope, route=route, status=status or 499, began=began)

    def _cached_response(self, scope: Scope) -> CachedResponse | None:
        for find in self._cached_responses:
            response = find(scope)
            if response is not None:
                return response
        return None

    def _without_double_slash(self, scope: Scope) -> Scope:
        """Return the scope with a single slash at the start of the path, if that path belongs to a protocol.

        Clients of some protocols join a base URL that ends with a slash and a path that begins with one.
        """
        path = f"/{scope['path'].lstrip('/')}"
        is_known = any(protocol.prefixes and path.startswith(protocol.prefixes) for protocol in self.protocols)
        return {**scope, "path": path} if is_known else scope

    def _refusal_response(self, refusal: Refusal, scope: Scope) -> Response:
        """Return the refusal in the format of the protocol that owns the path, else as a problem document."""
        scope[REFUSED] = refusal.code
        owners = (each for each in self.protocols if each.prefixes and scope["path"].startswith(each.prefixes))
        owner = next(owners, None)
        serialize = owner.serialize_refusal if owner is not None else problem_response
        status, headers, body = serialize(refusal, scope)
        return Response(body, status_code=status, headers=headers)

    async def _run_lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        sys.setswitchinterval(SWITCH_SECONDS)
        for task in self._background:
            task.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        for task in self._background:
            await task.stop()
        self.context.close()
        await send({"type": "lifespan.shutdown.complete"})


def complete_headers(start: Message, scope: Scope, request_id: str) -> list[tuple[bytes, bytes]]:
    """Return the headers of a response with those that every response has: security, caching, request id."""
    given = dict(start["headers"])
    complete = [*start["headers"], NO_SNIFFING, NO_REFERRER, (b"x-request-id", request_id.encode())]
    if LOAD_NOTHING[0] not in given:
        complete.append(LOAD_NOTHING)
    if APPLIED in scope:
        complete += rate_limit_headers(scope[APPLIED])
    caching = given.get(b"cache-control")
    if caching is None:
        complete.append(REVALIDATE)
    if b"vary" not in given:
        varying = [b"Accept"] if scope["path"] == "/" else []
        if scope.get(CALLER) is not None and (caching is None or b"no-store" not in caching):
            varying.append(CREDENTIALS)
        if is_compressible(given) or start["status"] == 304:
            varying.append(b"Accept-Encoding")
        if varying:
            complete.append((b"vary", b", ".join(varying)))
    return complete


async def _not_found(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise refuse("not_found")
