"""The ``Idempotency-Key`` header, after draft-ietf-httpapi-idempotency-key-header-07."""

import re

from starlette.requests import Request

from goodsgate.engine.refusal import Refusal

KEY_CHARACTERS_MAX = 255
_STRING = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"')
"""A String of a structured field, RFC 8941 section 3.3.3. The draft defines no parameters, so none are taken."""
_BARE = re.compile(r"[!#-+\--:<-\[\]-~]+")
"""What many clients send instead: visible characters without quotes, commas, semicolons and backslashes."""


def idempotency_key(request: Request) -> str | None:
    """The key of a request, without its quotes; None if it carries none. Raises key_malformed."""
    given = request.headers.getlist("idempotency-key")
    if not given:
        return None
    if len(given) > 1:
        raise Refusal("key_malformed", "Idempotency-Key is given more than once.")
    text = given[0].strip(" \t")
    quoted = _STRING.fullmatch(text)
    key = re.sub(r'\\(["\\])', r"\1", quoted[1]) if quoted else text if _BARE.fullmatch(text) else ""
    if not 1 <= len(key) <= KEY_CHARACTERS_MAX:
        raise Refusal("key_malformed")
    return key
