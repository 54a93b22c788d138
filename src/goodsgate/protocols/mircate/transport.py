"""Methods called over HTTP: where their arguments are, for whom they are called, how they are answered."""

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
from goodsgate.http.openapi import OpenApiDocument, Path
from goodsgate.http.problems import refuse
from goodsgate.protocols.mircate.answers import TOO_DEEP, bad, busy
from goodsgate.protocols.mircate.guesses import ARGUMENTS_BYTES_MAX, BUSY_SECONDS_MAX, ISSUES_MAX, PROJECT_SETTING
from goodsgate.protocols.mircate.validation import issues_of
from goodsgate.store.contract import KeyInUseError

BY_GET = "_get"
"""What the operation id of a method's GET has behind that of its POST."""
PLACE = "/CALL/"
EXCLUSIVE = "\x1f"
"""Begins the names of what is exclusive among idempotency keys, which clients name without such characters."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One call of a method, its arguments decoded and of the schema that the contract gives them."""

    request: ApiRequest
    merchant: str
    instance: str
    """The last part of the path."""
    content: bytes
    """The arguments as JSON text, as they came."""
    arguments: Any
    """The same, decoded: an object, or whatever else the schema allows."""


class Method(msgspec.Struct, frozen=True, kw_only=True):
    """What answers one method, in a thread of the door."""

    work: Callable[[Asked], Response | Awaitable[Response]]
    """Raises `answers.bad`, `missing`, `busy`, or any other refusal. An answer that has to be waited for it gives to be
    awaited."""
    bytes_max: int = ARGUMENTS_BYTES_MAX
    tenant: bool = True
    """The instance is the caller's project; else the method looks for itself whose it is."""


class Transport:
    """Makes handlers of methods."""

    def __init__(self, context: ServerContext, contract: OpenApiDocument) -> None:
        self.context = context
        self._contract = contract
        self._schemas = dict(_schemas(contract))

    def handlers(self, methods: Mapping[str, Method]) -> dict[str, Handler]:
        """By operation id, of both verbs; `methods` are by that of the POST."""
        made: dict[str, Handler] = {}
        for id, method in methods.items():
            made[id] = made[id + BY_GET] = self._handler(method, self._schemas.get(id, {}))
        return made

    def _handler(self, method: Method, schema: dict[str, Any]) -> Handler:
        async def handle(request: ApiRequest) -> Response:
            if request.http.method == "HEAD":
                raise refuse("method_not_allowed", allow="GET, OPTIONS, POST")
            instance = request.path["instance"]
            if method.tenant and not is_own(instance, request.merchant, request.caller):
                raise refuse("forbidden")
            content = await self._content(request, method.bytes_max)
            answered = await self.context.run_in_thread(self._called, method, schema, request, content)
            return answered if isinstance(answered, Response) else await answered

        return handle

    async def _content(self, request: ApiRequest, bytes_max: int) -> bytes | None:
        """The body; None where the arguments are in the query."""
        if request.http.method == "GET":
            return None
        return await request.body(bytes_max, self.context.config.body_idle_seconds).read(bytes_max + 1)

    def _called(self, method: Method, schema: dict[str, Any], request: ApiRequest, content: bytes | None,
                ) -> Response | Awaitable[Response]:
        if content is None:
            content = _from_query(request.http.query_params.multi_items(), schema, self._contract)
        arguments = _decoded(content)
        if schema:
            issues = [*itertools.islice(issues_of(arguments, schema, self._contract), ISSUES_MAX)]
            if issues:
                raise refuse("body_invalid", issues=issues)
        asked = Asked(
            request=request, merchant=request.merchant, instance=request.path["instance"], content=content,
            arguments=arguments
        )
        try:
            return method.work(asked)
        except RecursionError as fault:
            raise bad(TOO_DEEP) from fault

    @contextmanager
    def exclusive(self, merchant: str, what: str) -> Iterator[None]:
        """Inside, nobody else is inside for the same merchant and thing, in no process; raises what becomes 570."""
        name = f"{EXCLUSIVE}{what}"
        try:
            self.context.store.reserve_idempotency_key(merchant, name, lease_seconds=BUSY_SECONDS_MAX)
        except KeyInUseError as fault:
            raise busy() from fault
        try:
            yield
        finally:
            self.context.store.release_idempotency_key(merchant, name)


def _schemas(contract: OpenApiDocument) -> Iterator[tuple[str, dict[str, Any]]]:
    for path in contract.document["paths"].values():
        body = path.get("post", {}).get("requestBody")
        if body is not None:
            yield path["post"]["operationId"], body["content"]["application/json"]["schema"]


def is_own(instance: str, merchant: str, caller: Caller | None) -> bool:
    """Whether an instance is a project of the caller's."""
    projects = caller.settings.get(PROJECT_SETTING, "") if caller is not None else ""
    return instance == merchant or instance in [project.strip() for project in projects.split(",")]


def page_of(arguments: dict[str, Any]) -> tuple[int, int]:
    """Rows to pass over and rows wanted, which a client may have written as 1.0."""
    return int(arguments.get("pageFrom", 0)), int(arguments.get("pageSize", 50))


def _decoded(content: bytes) -> Any:
    if not content.strip():
        return {}
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as fault:
        raise bad(f"The body is not valid JSON: {fault}.") from fault


# -- arguments of a GET -----------------------------------------------------------------------------------------------


def _from_query(given: list[tuple[str, str]], schema: dict[str, Any], contract: OpenApiDocument) -> bytes:
    """The object that ``data`` holds in base64, or the parameters themselves but for those with ``__`` in front."""
    values = dict(given)
    if "data" in values and values.get("__isbase64") == "true":
        return _unpacked(values["data"])
    properties = contract.resolved(schema).get("properties", {})
    return orjson.dumps({
        name: _read(text, contract.resolved(properties.get(name, {})))
        for name, text in values.items() if not name.startswith("__")
    })


def _unpacked(data: str) -> bytes:
    """Either alphabet, with or without its padding, blanks where a plus was not escaped."""
    text = re.sub(r"[=\s]+\Z", "", data).replace(" ", "+").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError) as fault:
        raise bad("The parameter data is not base64.") from fault


def _read(text: str, node: dict[str, Any]) -> object:
    """A parameter as what the schema wants, if it is JSON of that."""
    if node.get("type", "string") in ("string", ["string"]):
        return text
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


# -- aliases ----------------------------------------------------------------------------------------------------------


def aliased(paths: list[Path], aliases: Mapping[str, str]) -> list[Path]:
    """The paths with, before them, those of classes and methods that are called otherwise."""
    more = []
    for name, target in aliases.items():
        for path in paths:
            known = path.template.partition(PLACE)[2].rpartition("/")[0]
            if target in (known, known.partition("/")[0]):
                template = path.template.replace(f"{PLACE}{target}/", f"{PLACE}{name}/")
                more.append(msgspec.structs.replace(path, template=template))
    return [*more, *paths]
