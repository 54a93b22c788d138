"""Addresses on the web.

Source: Google Merchant product data specification, ``link`` and ``image_link`` (begins with http or https, follows
RFC 3986 or RFC 1738, at most 2,000 characters).
"""

import re
from urllib.parse import quote

from goodsgate.model.fields import URL_CHARACTERS_MAX, Field
from goodsgate.model.issue import issue
from goodsgate.rules.context import Issues, Rule, RuleContext, if_short, wrong_type
from goodsgate.rules.text_checks import damage, repeated

EXPECTED = "a URL with http:// or https:// and a host"
ORIGIN = re.compile(
    r"https?://(?:[^/?#@\s]*@)?(?:[a-zA-Z0-9\u00a1-\uffff](?:[a-zA-Z0-9\u00a1-\uffff.\-]*[a-zA-Z0-9\u00a1-\uffff])?"
    r"|\[[0-9a-fA-F:.]+\])\.?(?::\d{1,5})?(?=[/?#]|$)",
    re.IGNORECASE,
)
_HOST_LIKE = re.compile(r"(?:(?://)[a-z0-9\-.]+|www\.[a-z0-9\-.]+)\.[a-z]{2,}(?:[/?#]|$)", re.IGNORECASE)
_BLANK = re.compile(r"\s")
UNESCAPED = "!#$%&'()*+,/:;=?@[]~"


def url(field: Field) -> Rule:
    """An absolute http or https address without blanks; lists of them where the field is repeated."""
    return repeated(field, _one_url) if field.repeated else _one_url


def _one_url(value: object, path: str, context: RuleContext, found: Issues) -> None:
    if not isinstance(value, str):
        wrong_type(value, path, found, expected="text")
        return
    if len(value) > URL_CHARACTERS_MAX:
        found.append(issue("text_too_long", path, value=value, expected=f"at most {URL_CHARACTERS_MAX} characters"))
    before = len(found)
    damage(value, path, context, found)
    text = value.strip()
    if not text:
        return
    if context.ascii_only and " " not in text and ORIGIN.match(text):
        return  # calm bytes are ASCII and hold no other blank
    if not ORIGIN.match(text):
        found.append(issue("url_not_absolute", path, value=value, expected=EXPECTED, suggestion=_completed(text)))
    elif _BLANK.search(text):
        found.append(issue("url_blanks", path, value=value, suggestion=if_short(quote(text, safe=UNESCAPED))))
    elif not text.isascii() and len(found) == before:
        found.append(issue("url_not_ascii", path, value=value, suggestion=_encoded(text)))


def _completed(text: str) -> str | None:
    """The address with the scheme it lacks, if what is there is plainly a host."""
    return f"https://{text.removeprefix('//')}" if _HOST_LIKE.match(text) and not _BLANK.search(text) else None


def _encoded(text: str) -> str | None:
    """Host in its ASCII form, the rest percent-encoded."""
    origin = ORIGIN.match(text)
    if origin is None:
        return None
    scheme, _, host = origin.group().partition("://")
    try:
        ascii_host = host.encode("idna").decode("ascii")
    except UnicodeError:
        return None
    return if_short(f"{scheme}://{ascii_host}{quote(text[origin.end() :], safe=UNESCAPED)}")


