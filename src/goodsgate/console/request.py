"""A request to the console: its session, its merchant, and the fields of its form."""

import hashlib
import hmac
import re
from datetime import datetime
from urllib.parse import parse_qsl, urlencode

import msgspec
from starlette.requests import Request

from goodsgate.auth import Caller
from goodsgate.http.context import RequestBody, ServerContext, require_permission
from goodsgate.http.problems import refuse
from goodsgate.model.permissions import ROLES

SESSION_COOKIE = "goodsgate_session"
CSRF_FIELD = "csrf"
CSRF_HEADER = "x-csrf"
FORM_FIELDS_MAX = 5_000
NUMBER_DIGITS_MAX = 18
"""Digits of a number in a path or a form field; int() fails beyond some thousand."""
NAME = re.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""Name of a collection, profile, rule or guard."""
NUL = "\0"
"""PostgreSQL cannot store it in a text."""
SAME_SITE = frozenset({"same-origin", "none"})
"""Values of `Sec-Fetch-Site` for requests that no other site caused."""


class FormFields:
    """The fields of a submitted form or of a query string."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self.pairs = pairs
        self._first = dict(reversed(pairs))

    def get(self, name: str, default: str = "") -> str:
        """Return the first value of a field without surrounding whitespace."""
        return self._first.get(name, default).strip()

    def get_raw(self, name: str) -> str:
        """Return the first value of a field as it was sent."""
        return self._first.get(name, "")

    def get_all(self, name: str) -> list[str]:
        """Return all values of a field without surrounding whitespace."""
        return [value.strip() for field, value in self.pairs if field == name]


class ConsoleRequest:
    """A request of a user who is signed in."""

    def __init__(self, http: Request, context: ServerContext, *, caller: Caller, token: str) -> None:
        """`token` is the session token of the cookie."""
        self.http = http
        self.context = context
        self.caller = caller
        self.token = token
        self.query = _parse_fields(http.scope["query_string"].decode("latin-1"))

    @property
    def csrf(self) -> str:
        """The CSRF token of this session, which every form carries."""
        return csrf_token(self.token)

    @property
    def is_admin(self) -> bool:
        """Whether the user may see and manage all merchants."""
        return self.caller.may("admin")

    @property
    def role(self) -> str:
        """The role of the user, if the key has the scope of one."""
        return next((role for role, scope in ROLES.items() if scope in self.caller.scopes), "")

    @property
    def is_clerk(self) -> bool:
        """Whether the user works on records, and does not set the gate up."""
        return self.caller.may("correct") and not self.caller.may("configure")

    @property
    def is_fragment(self) -> bool:
        """Whether htmx asks for a fragment of the page."""
        return "hx-request" in self.http.headers and "hx-history-restore-request" not in self.http.headers

    def path_param(self, name: str) -> str:
        """Return a parameter of the path; raises not_found if it contains NUL, as no name does."""
        value = str(self.http.path_params[name])
        if NUL in value:
            raise refuse("not_found")
        return value

    def require_permission(self, permission: str) -> None:
        """Raise forbidden if the key lacks the permission."""
        require_permission(self.caller, permission)

    async def merchant(self) -> str:
        """Return the merchant in the path; raises merchant_unknown if it does not exist or is not the user's."""
        merchant = self.path_param("merchant")
        if merchant == self.caller.merchant:
            return merchant
        exists = self.context.authenticator.merchant_exists
        if not self.is_admin or not await self.context.run_in_thread(exists, merchant):
            raise refuse("merchant_unknown")
        return merchant

    def link(self, **changes: object) -> str:
        """Return the URL of this page with some query parameters changed; None removes one."""
        params = {**dict(self.query.pairs), **changes}
        query = urlencode({name: str(value) for name, value in params.items() if value is not None})
        return f"{self.http.url.path}?{query}" if query else self.http.url.path

    def body(self, bytes_max: int) -> RequestBody:
        """Return the request body; raises payload_too_large."""
        return RequestBody(self.http, bytes_max=bytes_max, idle_seconds=self.context.limits.body_idle_seconds)

    async def form(self) -> FormFields:
        """Return the fields of the submitted form; raises forbidden if it is not from a page of this session."""
        form = await read_form(self.http, self.context)
        self.check_csrf(form.get(CSRF_FIELD))
        return form

    def check_csrf(self, token: str | None = None) -> None:
        """Raise forbidden unless a page of this session sent the request."""
        sent = token or self.http.headers.get(CSRF_HEADER, "")
        if not hmac.compare_digest(sent.encode(), self.csrf.encode()) or not is_same_site(self.http):
            raise refuse("forbidden", "This form does not belong to your session. Reload the page and try again.")


async def read_form(http: Request, context: ServerContext) -> FormFields:
    """Return the fields of a form; raises body_invalid."""
    limit = context.limits.document_bytes_max
    body = RequestBody(http, bytes_max=limit, idle_seconds=context.limits.body_idle_seconds)
    return _parse_fields((await body.read(limit + 1)).decode("utf-8", "replace"))


def _parse_fields(text: str) -> FormFields:
    try:
        form = FormFields(parse_qsl(text, keep_blank_values=True, max_num_fields=FORM_FIELDS_MAX))
    except ValueError as error:
        raise refuse("body_invalid", "The form is malformed or has too many fields.") from error
    if any(NUL in name or NUL in value for name, value in form.pairs):
        raise refuse("parameter_invalid", "The form contains a NUL character.", parameter="form")
    return form


def csrf_token(secret: str) -> str:
    """Return the CSRF token for a session token: derived from it, so not stored, and not revealing it."""
    return hmac.new(secret.encode(), b"console form", hashlib.sha256).hexdigest()


def is_same_site(http: Request) -> bool:
    """Return whether the browser says that no other site caused the request; true for browsers that do not say."""
    return http.headers.get("sec-fetch-site", "none") in SAME_SITE


def is_https(http: Request) -> bool:
    """Return whether the browser uses TLS, to the gate or to a proxy that says so."""
    return http.url.scheme == "https" or http.headers.get("x-forwarded-proto", "").lower() == "https"


def parse_time(text: str) -> datetime | None:
    """Return the time in a form field, in UTC if it has no offset; raises parameter_invalid."""
    if not text:
        return None
    try:
        return msgspec.convert(text if len(text) > 10 else f"{text}T00:00:00Z", datetime, strict=False)
    except msgspec.ValidationError as error:
        raise refuse("parameter_invalid", f"{text[:40]!r} is not a valid time.", parameter="time") from error
