"""Dispatch of calls to methods: arguments, validation, the caller's project, exclusive sections."""

import base64
import binascii
import itertools
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec
import orjson
from starlette.responses import Response

from goodsgate.auth import Caller
from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import ApiRequest, Handler
from goodsgate.http.openapi import OpenApiDocument
from goodsgate.http.problems import refuse
from goodsgate.model.json_text import contains_nul, read_json, write_json
from goodsgate.protocols.mircate.aliases import MemberAlias, member_aliases
from goodsgate.protocols.mircate.responses import TOO_DEEP, bad_request, instance_busy
from goodsgate.protocols.mircate.unpublished import ARGUMENTS_BYTES_MAX, BUSY_SECONDS_MAX, ISSUES_MAX, PROJECT_SETTING
from goodsgate.protocols.mircate.validation import validate
from goodsgate.store.contract import KeyInUseError

BY_GET = "_get"
"""Suffix of the operation id of a method's GET."""
PAGE_SIZE_MAX = 1_000
OFFSET_MAX = 2**53
"""No list is longer; what is larger is no number for a database."""
EXCLUSIVE = "\x1f"
"""Prefix of lock names among idempotency keys; clients' keys have no such characters."""


class MethodCall(msgspec.Struct, frozen=True, kw_only=True):
    """One call of a method; its arguments are decoded and match the schema of the contract."""

    request: ApiRequest
    merchant: str
    instance: str
    """The last segment of the path."""
    content: bytes
    """The arguments as JSON text, as received."""
    arguments: Any
    """The decoded arguments: an object, or whatever else the schema allows."""


class CallMethod(msgspec.Struct, frozen=True, kw_only=True):
    """The implementation of one method, which runs in a thread of the server."""

    work: Callable[[MethodCall], Response | Awaitable[Response]]
    """Raises `bad_request`, `not_found`, `instance_busy` of `responses`, or any other refusal.

    Returns an awaitable if the response has to wait.
    """
    bytes_max: int = ARGUMENTS_BYTES_MAX
    records: str = ""
    """The argument that holds records, which are checked one by one when they are worked; ``*`` for all arguments."""
    tenant: bool = True
    """Whether the instance is a project of the caller; else the method checks the instance itself."""


class CallDispatcher:
    """Builds handlers for methods."""

    def __init__(self, context: ServerContext, contract: OpenApiDocument) -> None:
        self.context = context
        self._contract = contract
        self._schemas = dict(_schemas(contract))
        self._aliases = member_aliases(contract.paths, context.services.settings.call_aliases)

    def handlers(self, methods: Mapping[str, CallMethod]) -> dict[str, Handler]:
        """Return the handlers by operation id for both verbs; `methods` has the ids of POST."""
        handlers: dict[str, Handler] = {}
        for id, method in methods.items():
            handlers[id] = handlers[id + BY_GET] = self._handler(id, method)
        return handlers

    def _handler(self, id: str, method: CallMethod) -> Handler:
        schema, aliases = self._schemas.get(id, {}), self._aliases.get(id, [])

        async def handle(request: ApiRequest) -> Response:
            if request.http.method == "HEAD":
                raise refuse("method_not_allowed", allow="GET, OPTIONS, POST")
            instance = request.path["instance"]
            if method.tenant and not is_own_project(instance, request.merchant, request.caller):
                raise refuse("forbidden")
            content = await self._read_content(request, method.bytes_max)
            response = await self.context.run_in_thread(self._run, method, schema, aliases, request, content)
            return response if isinstance(response, Response) else await response

        return handle

    async def _read_content(self, request: ApiRequest, bytes_max: int) -> bytes | None:
        """Return the body; None if the arguments are in the query."""
        if request.http.method == "GET":
            return None
        return await request.body(bytes_max, self.context.limits.body_idle_seconds).read(bytes_max + 1)

    def _run(self, method: CallMethod, schema: dict[str, Any], aliases: list[MemberAlias], request: ApiRequest,
             content: bytes | None) -> Response | Awaitable[Response]:
        if content is None:
            parameters = request.http.query_params.multi_items()
            content = _decode_query(parameters, schema, self._contract, aliases)
        arguments = _decode(content)
        if aliases:
            for alias in aliases:
                arguments = alias.rename(arguments)
            content = write_json(arguments)
        if schema:
            issues = [*itertools.islice(validate(arguments, schema, self._contract), ISSUES_MAX)]
            if issues:
                raise refuse("body_invalid", issues=issues)
        elif not isinstance(arguments, dict):
            arguments = {}  # the method publishes no arguments
        if b"\\u0000" in content and method.records != "*" and contains_nul(_without(arguments, method.records)):
            raise bad_request("No text may hold the character NUL.")
        call = MethodCall(
            request=request, merchant=request.merchant, instance=request.path["instance"], content=content,
            arguments=arguments
        )
        try:
            return method.work(call)
        except RecursionError as fault:
            raise bad_request(TOO_DEEP) from fault

    @contextmanager
    def exclusive(self, merchant: str, what: str) -> Iterator[None]:
        """Hold a lock on something of a merchant, across all processes; raise what becomes 570 if it is taken."""
        name = f"{EXCLUSIVE}{what}"
        try:
            self.context.store.reserve_idempotency_key(merchant, name, lease_seconds=BUSY_SECONDS_MAX)
        except KeyInUseError as fault:
            raise instance_busy() from fault
        try:
            yield
        finally:
            self.context.store.release_idempotency_key(merchant, name)


def _without(arguments: Any, name: str) -> Any:
    return {**arguments, name: None} if isinstance(arguments, dict) and name else arguments


def _schemas(contract: OpenApiDocument) -> Iterator[tuple[str, dict[str, Any]]]:
    for path in contract.document["paths"].values():
        body = path.get("post", {}).get("requestBody")
        if body is not None:
            yield path["post"]["operationId"], body["content"]["application/json"]["schema"]


def is_own_project(instance: str, merchant: str, caller: Caller | None) -> bool:
    """Return whether an instance is one of the caller's projects."""
    projects = caller.settings.get(PROJECT_SETTING, "") if caller is not None else ""
    return instance == merchant or instance in [project.strip() for project in projects.split(",")]


def page_bounds(arguments: dict[str, Any], *, size: int = 50, size_max: int = PAGE_SIZE_MAX) -> tuple[int, int]:
    """Return the offset and the size of a page, which a client may write as 1.0; a larger size is cut."""
    return min(int(arguments.get("pageFrom", 0)), OFFSET_MAX), min(int(arguments.get("pageSize", size)), size_max)


def _decode(content: bytes) -> Any:
    if not content.strip():
        return {}
    try:
        return read_json(content)
    except orjson.JSONDecodeError as fault:
        raise bad_request(f"The body is not valid JSON: {fault}.") from fault


# -- arguments of a GET -----------------------------------------------------------------------------------------------


def _decode_query(parameters: list[tuple[str, str]], schema: dict[str, Any], contract: OpenApiDocument,
                  aliases: list[MemberAlias]) -> bytes:
    """Return the object in ``data`` as base64, or the parameters themselves except those with leading ``__``."""
    values = dict(parameters)
    for alias in aliases:
        values = alias.rename(values)
    if "data" in values and values.get("__isbase64") == "true":
        return _decode_base64(values["data"])
    properties = contract.resolved(schema).get("properties", {})
    return write_json({
        name: _decode_parameter(text, contract.resolved(properties.get(name, {})))
        for name, text in values.items() if not name.startswith("__")
    })


def _decode_base64(data: str) -> bytes:
    """Decode base64 in either alphabet, with or without padding, with blanks for unescaped plus signs."""
    text = re.sub(r"[=\s]+\Z", "", data).replace(" ", "+").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError) as fault:
        raise bad_request("The parameter data is not base64.") from fault


def _decode_parameter(text: str, node: dict[str, Any]) -> object:
    """Return a parameter as JSON unless its schema wants a text or it is not JSON."""
    if node.get("type", "string") in ("string", ["string"]):
        return text
    try:
        return read_json(text)
    except orjson.JSONDecodeError:
        return text
