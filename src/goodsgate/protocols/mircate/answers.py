"""Answers and refusals as this protocol sends them."""

import time

import msgspec
from starlette.responses import Response

from goodsgate.engine.refusal import Refusal
from goodsgate.http.problems import refuse
from goodsgate.protocols.mircate.guesses import NOT_FOUND

JSON = "application/json"
TOO_DEEP = "The body is nested too deeply."


def headers() -> dict[str, str]:
    """Of every answer; the platform tells its time, in milliseconds since 1970 as far as is known."""
    return {"cache-control": "no-store", "x-srv-time": str(time.time_ns() // 1_000_000)}


def answer(words: object = None, *, status: int = 200) -> Response:
    """Words as JSON; 204 where there are none."""
    if words is None:
        return Response(status_code=204, headers=headers())
    return Response(msgspec.json.encode(words), status_code=status, media_type=JSON, headers=headers())


def bad(message: str) -> Refusal:
    """400 with this message, to be raised."""
    return refuse("body_invalid", message)


def missing(message: str = NOT_FOUND) -> Refusal:
    """404 with this message, to be raised."""
    return refuse("item_unknown", message)


def busy(message: str = "The instance is busy; try again.") -> Refusal:
    """570, to be raised: somebody else changes the same thing."""
    return refuse("key_in_use", message)
