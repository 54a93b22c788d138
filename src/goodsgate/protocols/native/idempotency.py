"""The Idempotency-Key header, and the fingerprint of the request that it names."""

import hashlib
import re

from starlette.requests import Request

from goodsgate.engine.idempotency import RequestKey
from goodsgate.engine.refusal import Refusal
from goodsgate.http.endpoints import ApiRequest

KEY_CHARACTERS_MAX = 255
_QUOTED_KEY = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"')
"""A String of a structured field, RFC 8941 section 3.3.3."""
_BARE_KEY = re.compile(r"[!#-+\--:<-\[\]-~]+")
"""The form that many clients send instead: visible characters without quotes, commas, semicolons and backslashes."""


def idempotency_key(request: Request) -> str | None:
    """Return the value of the Idempotency-Key header without its quotes, None if there is none. Raises key_malformed.

    The header is defined by draft-ietf-httpapi-idempotency-key-header-07; the draft has no parameters, so none are
    accepted.
    """
    values = request.headers.getlist("idempotency-key")
    if not values:
        return None
    if len(values) > 1:
        raise Refusal("key_malformed", "Idempotency-Key is given more than once.")
    text = values[0].strip(" \t")
    quoted = _QUOTED_KEY.fullmatch(text)
    key = re.sub(r'\\(["\\])', r"\1", quoted[1]) if quoted else text if _BARE_KEY.fullmatch(text) else ""
    if not 1 <= len(key) <= KEY_CHARACTERS_MAX:
        raise Refusal("key_malformed")
    return key


def fingerprint_of(request: ApiRequest, *others: str) -> str:
    """Return what must be equal, besides the body, for two requests with one idempotency key to be the same."""
    return repr((request.operation.id, request.path, sorted(request.query.items()), *others))


def request_key(request: ApiRequest, content: bytes) -> RequestKey | None:
    """Return the idempotency key of a request with a small body, None if it has none. Raises key_malformed."""
    key = idempotency_key(request.http)
    if key is None:
        return None
    fingerprint = hashlib.sha256(fingerprint_of(request).encode() + b"\0" + content).digest()
    return RequestKey(merchant=request.merchant, key=key, fingerprint=fingerprint)
