"""Answers as this face sends them."""

from typing import Any

import msgspec
from starlette.responses import Response

from goodsgate.faces.native.words import next_link
from goodsgate.faces.routes import Call

JSON = "application/json"


def answer(words: object, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Words as JSON."""
    return Response(msgspec.json.encode(words), status_code=status, headers=headers, media_type=JSON)


def page(call: Call, name: str, rows: list[Any], after: object | None, **more: Any) -> Response:
    """One page of a listing, with the link to the next."""
    link = next_link(call.request.url.path, call.query, after)
    headers = {"link": f'<{link}>; rel="next"'} if link else None
    return answer({**more, name: rows, "next": link}, headers=headers)
