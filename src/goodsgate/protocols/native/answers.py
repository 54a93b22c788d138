"""Answers as this protocol sends them."""

from typing import Any

import msgspec
from starlette.responses import Response

from goodsgate.http.endpoints import ApiRequest
from goodsgate.protocols.native.words import next_link

JSON = "application/json"


def answer(words: object, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Words as JSON."""
    return Response(msgspec.json.encode(words), status_code=status, headers=headers, media_type=JSON)


def page(request: ApiRequest, name: str, rows: list[Any], after: object | None, **more: Any) -> Response:
    """One page of a listing, with the link to the next."""
    link = next_link(request.http.url.path, request.query, after)
    headers = {"link": f'<{link}>; rel="next"'} if link else None
    return answer({**more, name: rows, "next": link}, headers=headers)
