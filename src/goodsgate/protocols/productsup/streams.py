"""Streams: made, listed, read, renamed, deleted."""

from collections.abc import Callable
from typing import Any, Literal

import msgspec
from starlette.responses import Response

from goodsgate.engine.refusal import Refusal
from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import ApiRequest, Handler
from goodsgate.http.openapi import OpenApiDocument
from goodsgate.http.problems import refuse
from goodsgate.protocols.productsup.answers import VALIDATION, VALIDATION_CODE, answer, errors
from goodsgate.protocols.productsup.guesses import STREAMS_MAX, WELCOME
from goodsgate.protocols.productsup.inbox import STREAM_TYPES, Stream, Streams, number_of, path_of
from goodsgate.protocols.productsup.names import why_not
from goodsgate.store.contract import NameTakenError, ResourcesFullError

ID_GIVEN = "A stream ID should not be specified when creating a stream"


class Management:
    """Handlers of streams, and of the contract."""

    def __init__(self, context: ServerContext, contract: OpenApiDocument, *, clear: Callable[[Stream], None]) -> None:
        self._clear = clear
        self._context = context
        self._contract = contract
        self._streams = Streams(context.store)

    def handlers(self) -> dict[str, Handler]:
        """By operation id."""
        return {
            "streams": self.list, "create_stream": self.create, "stream": self.read, "rename_stream": self.rename,
            "delete_stream": self.delete, "root": self.root,
            "openapi_yaml": self.openapi_yaml, "openapi_json": self.openapi_json,
        }

    async def create(self, request: ApiRequest) -> Response:
        """POST /streams."""
        data, beside = _taken_apart(await read_document(request, self._context))
        if data.get("id") is not None:
            return answer(errors(403, ID_GIVEN), status=403)
        attributes = _object(data.get("attributes"))
        name, type = attributes.get("name"), attributes.get("type")
        wrong = _wrong_data(data) or why_not(name) or _wrong_type(type)
        wrong = wrong or _wrong_account(data) or _wrong_account(beside)
        if wrong:
            return invalid(wrong)
        try:
            made = await self._context.run_in_thread(self._streams.add, request.merchant, str(name), str(type))
        except NameTakenError as fault:
            return duplicate(fault.number)
        except ResourcesFullError:
            return invalid(f"The account has {STREAMS_MAX} streams, which is as many as it may have.")
        return answer({"data": made.words}, status=201, headers={"location": made.path})

    async def list(self, request: ApiRequest) -> Response:
        """GET /streams."""
        limit, offset = int(request.query["page[limit]"]), int(request.query["page[offset]"])
        found = await self._context.run_in_thread(self._streams.all, request.merchant)
        total = len(found)
        last = (total - 1) // limit * limit if total else 0
        return answer({
            "meta": {"total": total},
            "data": [stream.words for stream in found[offset : offset + limit]],
            "links": {
                "self": _page(limit, offset), "first": _page(limit, 0), "last": _page(limit, last),
                "prev": _page(limit, max(0, min(offset - limit, last))) if offset else None,
                "next": _page(limit, offset + limit) if offset + limit < total else None,
            },
        })

    async def read(self, request: ApiRequest) -> Response:
        """GET /streams/{stream}."""
        found = await self._context.run_in_thread(self._streams.one, request.merchant,
            number_of(request.path["stream"]))
        return answer({"data": found.words})

    async def rename(self, request: ApiRequest) -> Response:
        """PATCH /streams/{stream}."""
        number = number_of(request.path["stream"])
        found = await self._context.run_in_thread(self._streams.one, request.merchant, number)
        data, _ = _taken_apart(await read_document(request, self._context))
        attributes = _object(data.get("attributes"))
        name, type, own = attributes.get("name"), attributes.get("type"), data.get("id")
        if own is not None and (isinstance(own, bool) or str(own) != str(number)):
            return invalid("The id of the body is not that of the path.")
        if type is not None and type != found.kept.type:
            return invalid("The type of a stream cannot be changed.")
        wrong = _wrong_data(data) or why_not(name)
        if wrong:
            return invalid(wrong)
        try:
            renamed = await self._context.run_in_thread(self._streams.rename, request.merchant, number, str(name))
        except NameTakenError as fault:
            return duplicate(fault.number)
        return answer({"data": renamed.words})

    async def delete(self, request: ApiRequest) -> Response:
        """DELETE /streams/{stream}."""
        await self._context.run_in_thread(self._delete, request.merchant, number_of(request.path["stream"]))
        return Response(status_code=204)

    def _delete(self, merchant: str, number: int) -> None:
        """The products first: should it end in between, the stream is still there to be deleted. And what was sealed
        meanwhile, too; what is sealed later finds no stream (see `Batches`)."""
        stream = self._streams.one(merchant, number)
        self._clear(stream)
        self._streams.delete(merchant, number)
        self._clear(stream)

    async def root(self, _: ApiRequest) -> Response:
        """GET /."""
        return Response(msgspec.json.encode({"message": WELCOME}), media_type="application/json")

    async def openapi_yaml(self, _: ApiRequest) -> Response:
        """GET /streams/openapi.yaml."""
        return Response(self._contract.yaml, media_type="application/yaml")

    async def openapi_json(self, _: ApiRequest) -> Response:
        """GET /streams/openapi.json."""
        return Response(self._contract.json, media_type="application/json")


async def read_document(request: ApiRequest, context: ServerContext) -> dict[str, Any]:
    """The body, a JSON object; raises format_unknown, body_invalid, payload_too_large."""
    media_type = request.http.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if media_type != "application/json" and not media_type.endswith("+json"):
        raise Refusal("format_unknown", "The Content-Type must be application/vnd.api+json.")
    try:
        document = await request.decode_body(dict[str, Any], context)
    except RecursionError as fault:
        raise refuse("body_invalid", "The body is nested too deeply.") from fault
    assert isinstance(document, dict)
    return document


def invalid(detail: str, **more: Any) -> Response:
    """A stream that cannot be as it was asked for."""
    return answer(errors(409, VALIDATION, detail, **more), status=409)


def duplicate(number: int) -> Response:
    """The name is another stream's, be it a deleted one."""
    held = {"type": "stream", "id": str(number), "links": {"self": path_of(number)}}
    return invalid("", code=VALIDATION_CODE, meta={"duplicate": held})


def _taken_apart(document: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is inside `data` and what is beside it."""
    return _object(document.get("data")), document


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _wrong_data(data: dict[str, Any]) -> str | None:
    if data.get("type") != "stream":
        return "The type of data must be stream."
    return None if isinstance(data.get("attributes"), dict) else "The attributes are missing."


def _wrong_type(type: object) -> str | None:
    return None if type in STREAM_TYPES else f"The attribute type must be {' or '.join(STREAM_TYPES)}."


def _wrong_account(holder: dict[str, Any]) -> str | None:
    """What is wrong with an account, where one is named; which one it is does not matter: a token has but one."""
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
