"""Handlers of streams: create, list, read, rename, delete."""

from collections.abc import Callable
from typing import Any, Literal

import msgspec
from starlette.responses import Response

from goodsgate.engine.refusal import Refusal
from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import ApiRequest, Handler
from goodsgate.http.openapi import OpenApiDocument
from goodsgate.http.problems import refuse
from goodsgate.protocols.productsup.names import check_name
from goodsgate.protocols.productsup.responses import VALIDATION, VALIDATION_CODE, error_document, json_api_response
from goodsgate.protocols.productsup.stream_store import (
    STREAM_TYPES,
    ProductStream,
    StreamStore,
    parse_stream_id,
    stream_path,
)
from goodsgate.protocols.productsup.unpublished import STREAMS_MAX, WELCOME
from goodsgate.store.contract import NameTakenError, ResourcesFullError

ID_NOT_ALLOWED = "A stream ID should not be specified when creating a stream"


class StreamHandlers:
    """Handlers of streams and of the contract."""

    def __init__(self, context: ServerContext, contract: OpenApiDocument, *,
                 clear: Callable[[ProductStream], None]) -> None:
        """`clear` deletes all products of a stream."""
        self._clear = clear
        self._context = context
        self._contract = contract
        self._streams = StreamStore(context.store, at_once=context.services.settings.import_streams_at_once)

    def handlers(self) -> dict[str, Handler]:
        """Return the handlers by operation id."""
        return {
            "streams": self.list, "create_stream": self.create, "stream": self.read, "rename_stream": self.rename,
            "delete_stream": self.delete, "root": self.root,
            "openapi_yaml": self.openapi_yaml, "openapi_json": self.openapi_json,
        }

    async def create(self, request: ApiRequest) -> Response:
        """Answer POST /streams."""
        document = await read_document(request, self._context)
        data = _object(document.get("data"))
        if data.get("id") is not None:
            return json_api_response(error_document(403, ID_NOT_ALLOWED), status=403)
        attributes = _object(data.get("attributes"))
        name, type = attributes.get("name"), attributes.get("type")
        error = _check_data(data) or check_name(name) or _check_type(type)
        error = error or _check_account(data) or _check_account(document)
        if error:
            return invalid_stream(error)
        try:
            stream = await self._context.run_in_thread(self._streams.add, request.merchant, str(name), str(type))
        except NameTakenError as fault:
            return duplicate_stream(fault.number)
        except ResourcesFullError:
            return invalid_stream(f"The account has {STREAMS_MAX} streams, which is as many as it may have.")
        return json_api_response({"data": stream.serialize()}, status=201, headers={"location": stream.path})

    async def list(self, request: ApiRequest) -> Response:
        """Answer GET /streams."""
        limit, offset = int(request.query["page[limit]"]), int(request.query["page[offset]"])
        streams = await self._context.run_in_thread(self._streams.list_all, request.merchant)
        total = len(streams)
        last = (total - 1) // limit * limit if total else 0
        return json_api_response({
            "meta": {"total": total},
            "data": [stream.serialize() for stream in streams[offset : offset + limit]],
            "links": {
                "self": _page(limit, offset), "first": _page(limit, 0), "last": _page(limit, last),
                "prev": _page(limit, max(0, min(offset - limit, last))) if offset else None,
                "next": _page(limit, offset + limit) if offset + limit < total else None,
            },
        })

    async def read(self, request: ApiRequest) -> Response:
        """Answer GET /streams/{stream}."""
        number = parse_stream_id(request.path["stream"])
        stream = await self._context.run_in_thread(self._streams.get, request.merchant, number)
        return json_api_response({"data": stream.serialize()})

    async def rename(self, request: ApiRequest) -> Response:
        """Answer PATCH /streams/{stream}."""
        number = parse_stream_id(request.path["stream"])
        stream = await self._context.run_in_thread(self._streams.get, request.merchant, number)
        data = _object((await read_document(request, self._context)).get("data"))
        attributes = _object(data.get("attributes"))
        name, type, id = attributes.get("name"), attributes.get("type"), data.get("id")
        if id is not None and (isinstance(id, bool) or str(id) != str(number)):
            return invalid_stream("The id of the body is not that of the path.")
        if type is not None and type != stream.state.type:
            return invalid_stream("The type of a stream cannot be changed.")
        error = _check_data(data) or check_name(name)
        if error:
            return invalid_stream(error)
        try:
            stream = await self._context.run_in_thread(self._streams.rename, request.merchant, number, str(name))
        except NameTakenError as fault:
            return duplicate_stream(fault.number)
        return json_api_response({"data": stream.serialize()})

    async def delete(self, request: ApiRequest) -> Response:
        """Answer DELETE /streams/{stream}."""
        await self._context.run_in_thread(self._delete, request.merchant, parse_stream_id(request.path["stream"]))
        return Response(status_code=204)

    def _delete(self, merchant: str, number: int) -> None:
        """Delete the products of a stream, then the stream, then products of uploads that were accepted in between.

        If the first step is refused, because the queue is full for example, nothing has changed.
        If this process ends after the first step, the stream is still there and can be deleted again. An upload that
        is accepted after the last step finds no stream; see `UploadHandlers`.
        """
        stream = self._streams.get(merchant, number)
        self._clear(stream)
        self._streams.delete(merchant, number)
        self._clear(stream)

    async def root(self, _: ApiRequest) -> Response:
        """Answer GET /."""
        return Response(msgspec.json.encode({"message": WELCOME}), media_type="application/json")

    async def openapi_yaml(self, _: ApiRequest) -> Response:
        """Answer GET /streams/openapi.yaml."""
        return Response(self._contract.yaml, media_type="application/yaml")

    async def openapi_json(self, _: ApiRequest) -> Response:
        """Answer GET /streams/openapi.json."""
        return Response(self._contract.json, media_type="application/json")


async def read_document(request: ApiRequest, context: ServerContext) -> dict[str, Any]:
    """Return the body, a JSON object. Raises format_unknown, body_invalid and payload_too_large."""
    media_type = request.http.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if media_type != "application/json" and not media_type.endswith("+json"):
        raise Refusal("format_unknown", "The Content-Type must be application/vnd.api+json.")
    try:
        document = await request.decode_body(dict[str, Any], context)
    except RecursionError as fault:
        raise refuse("body_invalid", "The body is nested too deeply.") from fault
    assert isinstance(document, dict)
    return document


def invalid_stream(detail: str, **more: Any) -> Response:
    """Return the response to an invalid stream document."""
    return json_api_response(error_document(409, VALIDATION, detail, **more), status=409)


def duplicate_stream(number: int) -> Response:
    """Return the response to a name that another stream has, which may be deleted."""
    duplicate = {"type": "stream", "id": str(number), "links": {"self": stream_path(number)}}
    return invalid_stream("", code=VALIDATION_CODE, meta={"duplicate": duplicate})


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _check_data(data: dict[str, Any]) -> str | None:
    if data.get("type") != "stream":
        return "The type of data must be stream."
    return None if isinstance(data.get("attributes"), dict) else "The attributes are missing."


def _check_type(type: object) -> str | None:
    return None if type in STREAM_TYPES else f"The attribute type must be {' or '.join(STREAM_TYPES)}."


def _check_account(holder: dict[str, Any]) -> str | None:
    """Check the form of an account, if one is named; its number is ignored, since a token has only one."""
    if "relationships" not in holder:
        return None
    try:
        msgspec.convert(holder["relationships"], _Relationships)
    except msgspec.ValidationError as fault:
        return f"The relationships are not what is expected here: {fault}."
    return None


class _Linkage(msgspec.Struct):
    type: Literal["account"]
    id: int | str


class _Account(msgspec.Struct):
    data: _Linkage


class _Relationships(msgspec.Struct):
    account: _Account | msgspec.UnsetType = msgspec.UNSET


def _page(limit: int, offset: int) -> str:
    return f"/streams?page[limit]={limit}&page[offset]={offset}"
