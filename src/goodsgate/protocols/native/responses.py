"""JSON responses and pages of listings."""

from typing import Any
from urllib.parse import quote, urlencode

from starlette.responses import Response

from goodsgate.http.endpoints import ApiRequest
from goodsgate.model.json_text import write_json

JSON = "application/json"


def json_response(document: object, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return a document as JSON."""
    return Response(write_json(document), status_code=status, headers=headers, media_type=JSON)


def page_response(request: ApiRequest, name: str, rows: list[Any], after: object | None, **members: Any) -> Response:
    """Return one page of a listing; `after` is the cursor of the next page, None on the last one."""
    link = next_link(request.http.url.path, request.query, after)
    headers = {"link": f'<{link}>; rel="next"'} if link else None
    return json_response({**members, name: rows, "next": link}, headers=headers)


def next_link(path: str, query: dict[str, Any], after: object | None) -> str | None:
    """Return the path of the next page: the same query with the cursor."""
    if after is None:
        return None
    values = {name: value for name, value in query.items() if value is not None}
    texts = {name: _query_text(value) for name, value in values.items()}
    return f"{quote(path)}?{urlencode(texts | {'after': str(after)})}"


def _query_text(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(value)
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
