"""URLs.

Source: Google Merchant product data specification, ``link`` and ``image_link`` (begins with http or https, follows
RFC 3986 or RFC 1738, at most 2,000 characters).
"""

import re
from urllib.parse import quote

from goodsgate.model.fields import URL_CHARACTERS_MAX, Field
from goodsgate.model.issue import if_short, issue
from goodsgate.rules.context import Issues, Rule, RuleContext, wrong_type
from goodsgate.rules.text_checks import check_damage, repeated

EXPECTED = "a URL with http:// or https:// and a host"
ORIGIN = re.compile(
    r"(?i:https?)://(?:[^/?#@\s]*@)?"
    r"(?:[a-zA-Z0-9\u00a1-\uffff](?:[a-zA-Z0-9\u00a1-\uffff.\-]*[a-zA-Z0-9\u00a1-\uffff])?"
    r"|\[[0-9a-fA-F:.]+\])\.?(?::\d{1,5})?(?=[/?#]|$)"
)
"""Only the scheme ignores case: a range of all letters that did would take 20 milliseconds to compile."""
SCHEME_CHARACTERS = len("https:")
SEVERAL = re.compile(r"(?<=[\w\s,;|])(?i:https?)://")
"""Where a second URL begins. One that is part of a URL follows a character of its syntax, as in ``?from=https://``."""
_HOST_LIKE = re.compile(r"(?:(?://)[a-z0-9\-.]+|www\.[a-z0-9\-.]+)\.[a-z]{2,}(?:[/?#]|$)", re.IGNORECASE)
_BLANK = re.compile(r"\s")
UNESCAPED = "!#$%&'()*+,/:;=?@[]~"


def url(field: Field) -> Rule:
    """Make the rule of a URL: absolute http or https without blanks; also lists of them if the field is repeated."""
    return repeated(field, _one_url) if field.repeated else _one_url


def lenient_url(value: object, path: str, context: RuleContext, issues: Issues) -> None:
    """Check a URL of a protocol, none of which says that another one cannot follow in the same text."""
    _one_url(value, path, context, issues, is_alone=False)


def _one_url(value: object, path: str, context: RuleContext, issues: Issues, *, is_alone: bool = True) -> None:
    if not isinstance(value, str):
        wrong_type(value, path, issues, expected="text")
        return
    if len(value) > URL_CHARACTERS_MAX:
        issues.append(issue("text_too_long", path, value=value, expected=f"at most {URL_CHARACTERS_MAX} characters"))
    before = len(issues)
    check_damage(value, path, context, issues)
    text = value.strip()
    if not text:
        return
    is_several = is_alone and ":" in text[SCHEME_CHARACTERS:] and SEVERAL.search(text)
    if context.ascii_only and " " not in text and ORIGIN.match(text) and not is_several:
        return  # a plain ASCII record holds no other blank
    if is_several:
        issues.append(issue("url_several", path, value=value))
    elif not ORIGIN.match(text):
        issues.append(issue("url_not_absolute", path, value=value, expected=EXPECTED, suggestion=_with_scheme(text)))
    elif _BLANK.search(text):
        issues.append(issue("url_blanks", path, value=value, suggestion=if_short(quote(text, safe=UNESCAPED))))
    elif not text.isascii() and len(issues) == before:
        issues.append(issue("url_not_ascii", path, value=value, suggestion=_percent_encoded(text)))


def _with_scheme(text: str) -> str | None:
    """Return the URL with the scheme that it lacks, if the rest is plainly a host."""
    return f"https://{text.removeprefix('//')}" if _HOST_LIKE.match(text) and not _BLANK.search(text) else None


def _percent_encoded(text: str) -> str | None:
    """Return the URL with its host in ASCII form and the rest percent-encoded."""
    origin = ORIGIN.match(text)
    if origin is None:
        return None
    scheme, _, host = origin.group().partition("://")
    try:
        ascii_host = host.encode("idna").decode("ascii")
    except UnicodeError:
        return None
    return if_short(f"{scheme}://{ascii_host}{quote(text[origin.end() :], safe=UNESCAPED)}")


