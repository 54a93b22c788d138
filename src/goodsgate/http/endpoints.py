"""The operations of a contract, answered: method, key, parameters, handler, refusal."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from importlib.resources import files
from typing import Any

import msgspec
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from goodsgate.auth import Caller
from goodsgate.engine.refusal import Refusal
from goodsgate.http.context import RequestBody, ServerContext, find_secret
from goodsgate.http.openapi import OpenApiDocument, Operation, Path
from goodsgate.http.problems import problem, refuse
from goodsgate.observe import REQUEST_ID as REQUEST_ID
from goodsgate.store.contract import StoreBusyError, StoreFullError

CALLER = "goodsgate.caller"
"""Where a scope holds who is calling, once that is known."""
DRAIN_BYTES = 4 * 1024**2
DRAIN_SECONDS = 2.0
"""What is still read of a refused body, so that the client gets to see the refusal."""

log = logging.getLogger(__name__)


class ApiRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One request, checked against the contract."""

    http: Request
    operation: Operation
    path: dict[str, str]
    query: dict[str, Any]
    caller: Caller | None
    """None where no key is needed."""
    merchant: str
    """For whom the caller acts; empty where no key is needed."""

    def body(self, bytes_max: int, idle_seconds: float) -> RequestBody:
        """The request's body; raises payload_too_large."""
        return RequestBody(self.http, bytes_max=bytes_max, idle_seconds=idle_seconds)

    async def decode_body(self, type: Any, context: ServerContext) -> Any:
        """Return a small JSON body decoded as `type`. Raises body_invalid."""
        content = await self.body(context.config.document_bytes_max, context.config.body_idle_seconds).read(
            context.config.document_bytes_max + 1
        )
        try:
            return msgspec.json.decode(content, type=type)
        except (msgspec.DecodeError, UnicodeDecodeError) as fault:
            raise refuse("body_invalid", f"Invalid request body: {fault}.") from fault


Handler = Callable[[ApiRequest], Awaitable[Response]]
RefusalSerializer = Callable[[Refusal, Scope], tuple[int, dict[str, str], bytes]]
"""Refusal and request → status, headers, body."""


def problem_response(refusal: Refusal, scope: Scope) -> tuple[int, dict[str, str], bytes]:
    """As a problem document."""
    return problem(refusal, scope[REQUEST_ID])


class WireProtocol(msgspec.Struct, frozen=True, kw_only=True):
    """One wire protocol."""

    name: str
    title: str
    openapi: OpenApiDocument
    handlers: Mapping[str, Handler]
    """Operation id → what answers it; exactly the contract's operations."""
    serialize_refusal: RefusalSerializer = problem_response
    find_secret: Callable[[Mapping[bytes, bytes]], bytes | None] = find_secret
    """Where a request's headers carry who is calling."""
    prefixes: tuple[str, ...] = ()
    """Paths of which nobody else knows; what is not found below them is this protocol's to say."""
    cached_response: Callable[[Scope], "CachedResponse | None"] | None = None
    """Answers from memory, ahead of everything else; None if it cannot."""

    def routes(self, context: ServerContext) -> list[Route]:
        """For the router; raises KeyError if an operation has no handler."""
        return [Route(path.pattern, Endpoint(self, path, context)) for path in self.openapi.paths]


class CachedResponse(msgspec.Struct, frozen=True):
    """An answer that needed no thread."""

    route: str
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


def load_openapi(package: str) -> OpenApiDocument:
    """The ``openapi.yaml`` of a protocol's package, with those of the folders below it that have one."""
    folder = files(package)
    parts = [below / "openapi.yaml" for below in folder.iterdir() if below.is_dir()]
    texts = [part.read_bytes() for part in sorted(parts, key=str) if part.is_file()]
    return OpenApiDocument((folder / "openapi.yaml").read_bytes(), texts)


class Endpoint:
    """Answers one path of one protocol."""

    def __init__(self, protocol: WireProtocol, path: Path, context: ServerContext) -> None:
        self.template = path.template
        self._path = path
        self._context = context
        self.protocol = protocol.name
        self._serialize_refusal = protocol.serialize_refusal
        self._secret_of = protocol.find_secret
        self.handlers = {operation.id: protocol.handlers[operation.id] for operation in path.operations.values()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; a client that hung up gets none."""
        receiver = Receiver(receive, Headers(scope=scope))
        try:
            response = await self._answer(Request(scope, receiver))
        except ClientDisconnect:
            return
        except Exception as fault:
            response = self.refusal(fault, scope)
            if not receiver.ended and response.status_code != 408:
                await drain_body(response, receiver, send)
                return
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        method = request.method
        operation = self._path.operations.get("GET" if method == "HEAD" else method)
        if operation is None:
            if method == "OPTIONS":
                return Response(status_code=204, headers={"allow": self._path.allow})
            raise refuse("method_not_allowed", allow=self._path.allow)
        secret = self._secret_of(dict(request.scope["headers"])) if operation.scope else None
        caller = await self._context.caller(secret, scope=operation.scope) if operation.scope else None
        request.scope[CALLER] = caller
        query = operation.query(request.scope["query_string"])
        path = self._path.values(request.path_params)
        merchant = await self._context.merchant(request, caller) if caller is not None else ""
        api_request = ApiRequest(
            http=request, operation=operation, path=path, query=query, caller=caller, merchant=merchant
        )
        response = await self.handlers[operation.id](api_request)
        return _headers_only(response) if method == "HEAD" else response

    def refusal(self, fault: Exception, scope: Scope) -> Response:
        """Word whatever was raised; what is no refusal is logged as a fault."""
        refusal = to_refusal(fault, self.template, scope)
        status, headers, body = self._serialize_refusal(refusal, scope)
        return Response(body, status_code=status, headers=headers)


def to_refusal(fault: Exception, template: str, scope: Scope) -> Refusal:
    """Whatever was raised on the path of the template; what is no refusal is logged as a fault."""
    match fault:
        case Refusal():
            return fault
        case StoreFullError():
            return Refusal("store_full")
        case StoreBusyError():
            return Refusal("store_busy")
    log.error("fault in %s", template, exc_info=fault, extra={"request": scope[REQUEST_ID]})
    return refuse("internal_fault")


def _headers_only(response: Response) -> Response:
    """What HEAD gets; a stream is not even begun."""
    if not isinstance(response, StreamingResponse):
        return response
    return Response(headers={name: value for name, value in response.headers.items() if name != "content-length"})


class Receiver:
    """A request's `receive` that knows whether the body was read to its end."""

    def __init__(self, receive: Receive, headers: Headers) -> None:
        self._receive = receive
        self.ended = headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers

    async def __call__(self) -> Message:
        """The next message."""
        message = await self._receive()
        self.ended = not message.get("more_body", False)
        return message


async def drain_body(response: Response, receive: Receiver, send: Send) -> None:
    """Send a refusal while the body of its request is still coming, and read on a little.

    A connection that is closed on unread data is reset, and the client would lose the answer with it.
    """
    headers = [*response.raw_headers, (b"connection", b"close")]
    await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": bytes(response.body), "more_body": True})
    read = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_SECONDS):
            while read < DRAIN_BYTES and not receive.ended:
                read += len((await receive()).get("body", b""))
    await send({"type": "http.response.body", "body": b"", "more_body": False})
