"""Endpoints of a protocol: each request is checked against the OpenAPI document and passed to a handler."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from goodsgate.auth import Caller
from goodsgate.engine.refusal import Refusal
from goodsgate.http.acts import act
from goodsgate.http.admission import CALLER as CALLER
from goodsgate.http.admission import held_request
from goodsgate.http.context import RequestBody, ServerContext, drain_body, find_secret
from goodsgate.http.openapi import OpenApiDocument, Operation, Path
from goodsgate.http.problems import problem, refuse
from goodsgate.model.extras import ExtraMissingError
from goodsgate.model.json_text import UNREADABLE_JSON, has_nul
from goodsgate.model.tracing import set_origin_key
from goodsgate.observe import MERCHANT, REFUSED
from goodsgate.observe import REQUEST_ID as REQUEST_ID
from goodsgate.store.contract import StoreBusyError, StoreError, StoreFullError

log = logging.getLogger(__name__)


VERSION_HEADER = b"goodsgate-version"


class ApiRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request whose key, path and query are valid."""

    http: Request
    operation: Operation
    path: dict[str, str]
    query: dict[str, Any]
    caller: Caller | None
    """None if the operation needs no key."""
    merchant: str
    """Merchant that the request is for; empty if the operation needs no key."""

    def body(self, bytes_max: int, idle_seconds: float) -> RequestBody:
        """Return the request's body. Raises payload_too_large."""
        return RequestBody(self.http, bytes_max=bytes_max, idle_seconds=idle_seconds)

    async def read_body(self, context: ServerContext) -> bytes:
        """Return a small body as it was received. Raises payload_too_large."""
        limits = context.limits
        body = self.body(limits.document_bytes_max, limits.body_idle_seconds)
        return await body.read(limits.document_bytes_max + 1)

    async def decode_body(self, type: Any, context: ServerContext) -> Any:
        """Return a small JSON body decoded as `type`. Raises body_invalid."""
        return decode_json(await self.read_body(context), type)


def decode_json(content: bytes, type: Any) -> Any:
    """Return a JSON body decoded as `type`. Raises body_invalid, also for a text that holds NUL."""
    if has_nul(content):
        raise refuse("body_invalid", "Invalid request body: no text may hold the character NUL (\\u0000).")
    try:
        return msgspec.json.decode(content, type=type)
    except UNREADABLE_JSON as fault:
        raise refuse("body_invalid", f"Invalid request body: {fault}.") from fault


Handler = Callable[[ApiRequest], Awaitable[Response]]
RefusalSerializer = Callable[[Refusal, Scope], tuple[int, dict[str, str], bytes]]
"""Returns status, headers and body for a refusal and the ASGI scope of the request."""


def problem_response(refusal: Refusal, scope: Scope) -> tuple[int, dict[str, str], bytes]:
    """Return a refusal as a problem document."""
    return problem(refusal, scope[REQUEST_ID])


class WireProtocol(msgspec.Struct, frozen=True, kw_only=True):
    """One wire protocol."""

    name: str
    title: str
    openapi: OpenApiDocument
    handlers: Mapping[str, Handler]
    """Handlers by operation id; exactly the operations of the OpenAPI document."""
    serialize_refusal: RefusalSerializer = problem_response
    find_secret: Callable[[Mapping[bytes, bytes]], bytes | None] = find_secret
    """Returns the secret in a request's headers."""
    prefixes: tuple[str, ...] = ()
    """Path prefixes of this protocol alone; refusals below them have its format."""
    version: str = ""
    """Date of the version of the API; empty for published protocols, whose responses have no headers of the gate."""
    cached_response: Callable[[Scope], "CachedResponse | None"] | None = None
    """Returns the response to a GET request from memory, before routing; None if there is none."""

    def routes(self, context: ServerContext) -> list[Route]:
        """Return the routes of all paths. Raises KeyError if an operation has no handler."""
        return [Route(path.pattern, Endpoint(self, path, context)) for path in self.openapi.paths]


class CachedResponse(msgspec.Struct, frozen=True):
    """A response from memory, sent without routing and without a thread."""

    route: str
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


@cache
def load_openapi(package: str) -> OpenApiDocument:
    """Return the ``openapi.yaml`` of a protocol's package, joined with those of its subpackages; it is read once."""
    folder = files(package)
    parts = [below / "openapi.yaml" for below in folder.iterdir() if below.is_dir()]
    texts = [part.read_bytes() for part in sorted(parts, key=str) if part.is_file()]
    return OpenApiDocument((folder / "openapi.yaml").read_bytes(), texts)


class Endpoint:
    """ASGI endpoint of one path of one protocol."""

    def __init__(self, protocol: WireProtocol, path: Path, context: ServerContext) -> None:
        self.template = path.template
        self._path = path
        self._context = context
        self.protocol = protocol.name
        self._serialize_refusal = protocol.serialize_refusal
        self._secret_of = protocol.find_secret
        self._version = protocol.version
        self._version_header = (VERSION_HEADER, protocol.version.encode())
        self.methods = frozenset(path.operations)
        self.handlers = {operation.id: protocol.handlers[operation.id] for operation in path.operations.values()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request; nothing is sent to a client that has disconnected."""
        with held_request(scope, receive, self._context.uploads) as receiver:
            try:
                response = await self._answer(Request(scope, receiver))
            except ClientDisconnect:
                return
            except Exception as fault:
                response = self.refusal(fault, scope)
                if not receiver.ended and response.status_code != 408:
                    await drain_body(self._with_version(response), receiver, send)
                    return
            await self._with_version(response)(scope, receive, send)

    def _with_version(self, response: Response) -> Response:
        if self._version:
            response.raw_headers.append(self._version_header)
        return response

    async def _answer(self, request: Request) -> Response:
        method = request.method
        operation = self._path.operations.get("GET" if method == "HEAD" else method)
        if operation is None:
            if method == "OPTIONS":
                return Response(status_code=204, headers={"allow": self._path.allow})
            raise refuse("method_not_allowed", allow=self._path.allow)
        headers: dict[bytes, bytes] = dict(request.scope["headers"])
        if self._version and headers.get(VERSION_HEADER, self._version_header[1]) != self._version_header[1]:
            raise _unknown_version(self._version)
        permission = operation.permission
        secret = self._secret_of(headers) if permission else None
        caller = await self._context.caller(secret, permission=permission) if permission else None
        request.scope[CALLER] = caller
        set_origin_key(caller.key_id if caller is not None else "")
        merchant = await self._context.merchant(request, caller) if caller is not None else ""
        request.scope[MERCHANT] = merchant
        if caller is not None and self._context.quotas.may_apply(merchant, caller.settings):
            await self._context.apply_quotas(
                request, merchant, caller.key_id, caller.settings, has_headers=bool(self._version)
            )
        query = operation.query(request.scope["query_string"])
        path = self._path.values(request.path_params)
        api_request = ApiRequest(
            http=request, operation=operation, path=path, query=query, caller=caller, merchant=merchant
        )
        handler = self.handlers[operation.id]
        if operation.act is None:
            response = await handler(api_request)
        else:
            response = await self._act(operation.act, handler, api_request)
        return headers_only(response) if method == "HEAD" else response

    async def _act(self, action: str, handler: Handler, request: ApiRequest) -> Response:
        """Call a handler whose effect belongs into the audit log."""
        assert request.caller is not None
        subject = "/".join(text for name, text in request.path.items() if name != "merchant")
        merchant = request.path.get("merchant", request.merchant)
        return await act(
            self._context, request.http, action, request.caller, lambda: handler(request), merchant=merchant,
            subject=subject,
        )

    def refusal(self, fault: Exception, scope: Scope) -> Response:
        """Return the response to an exception in the format of the protocol."""
        refusal = to_refusal(fault, self.template, scope)
        scope[REFUSED] = refusal.code
        status, headers, body = self._serialize_refusal(refusal, scope)
        return Response(body, status_code=status, headers=headers)


def _unknown_version(known: str) -> Refusal:
    detail = f"The API has no such version; Goodsgate-Version may be {known}, or left out."
    return refuse("parameter_invalid", detail, parameter="Goodsgate-Version", allowed=[known])


def to_refusal(fault: Exception, template: str, scope: Scope) -> Refusal:
    """Return the refusal for an exception; one that is unexpected is logged and becomes internal_fault."""
    match fault:
        case Refusal():
            return fault
        case StoreFullError():
            return Refusal("store_full")
        case StoreBusyError():
            return Refusal("store_busy")
        case ExtraMissingError():
            log.error("request to %s failed: %s", template, fault, extra={"request": scope[REQUEST_ID]})
            return refuse("extra_missing", str(fault))
        case StoreError():  # its message says all; a traceback for each request would bury it
            log.error("request to %s failed: %s", template, fault, extra={"request": scope[REQUEST_ID]})
            return refuse("internal_fault")
    log.error("request to %s failed", template, exc_info=fault, extra={"request": scope[REQUEST_ID]})
    return refuse("internal_fault")


def headers_only(response: Response) -> Response:
    """Return the response to HEAD: with the headers of the response to GET; a stream is not started."""
    if not isinstance(response, StreamingResponse):
        return response  # the server drops the body
    head = Response(status_code=response.status_code)
    head.raw_headers = response.raw_headers
    return head
