"""Documents and errors as this protocol sends them."""

import uuid
from datetime import datetime
from typing import Any

import msgspec
from starlette.responses import Response

JSON_API = "application/vnd.api+json"

VALIDATION = "Validation error happened with stream payload"
VALIDATION_CODE = "13579"
"""The number that the vendor's example of a duplicate carries."""


def answer(words: object, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A document that nobody keeps."""
    return Response(
        msgspec.json.encode(words), status_code=status, media_type=JSON_API,
        headers={"cache-control": "no-store", **(headers or {})},
    )


def errors(status: int, title: str, detail: str = "", **more: Any) -> dict[str, list[dict[str, Any]]]:
    """The document of one error; the status is a text, as in the answers that were seen."""
    return {"errors": [{"id": str(uuid.uuid4()), "status": str(status), "title": title, "detail": detail, **more}]}


def moment(time: datetime) -> str:
    """``2021-12-21T21:12:21+00:00``: fractions are refused by a client."""
    return f"{time:%Y-%m-%dT%H:%M:%S}+00:00"
