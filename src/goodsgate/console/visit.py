"""One request to the console: who asks, for which merchant, and what a form said."""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import parse_qsl, urlencode

import msgspec
from starlette.requests import Request

from goodsgate.auth import Caller
from goodsgate.http.context import RequestBody, ServerContext
from goodsgate.http.problems import refuse

COOKIE = "goodsgate_session"
CSRF_FIELD = "csrf"
CSRF_HEADER = "x-csrf"
FORM_FIELDS_MAX = 5_000
NUL = "\0"
"""Not every store can hold it in a text."""
OWN_SITE = frozenset({"same-origin", "none"})
"""What `Sec-Fetch-Site` says of a request that no other site has sent."""


class Form:
    """What was filled in, by name; blanks around a value are not meant."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self.pairs = pairs
        self._first = dict(reversed(pairs))

    def get(self, name: str, otherwise: str = "") -> str:
        """The first value, without blanks around it."""
        return self._first.get(name, otherwise).strip()

    def kept(self, name: str) -> str:
        """The first value as it was sent."""
        return self._first.get(name, "")

    def every(self, name: str) -> list[str]:
        """All values."""
        return [value.strip() for found, value in self.pairs if found == name]


class Visit:
    """A request of somebody who is signed in."""

    def __init__(self, request: Request, context: ServerContext, *, caller: Caller, secret: str) -> None:
        self.request = request
        self.context = context
        self.caller = caller
        self.secret = secret
        self.query = _form(request.scope["query_string"].decode("latin-1"))

    @property
    def csrf(self) -> str:
        """What every form of this session carries."""
        return csrf_of(self.secret)

    @property
    def runs_the_gate(self) -> bool:
        """Whether all merchants are open to the caller."""
        return self.caller.may("admin")

    @property
    def is_part(self) -> bool:
        """Whether a part of the page is asked for, and not the page."""
        return "hx-request" in self.request.headers and "hx-history-restore-request" not in self.request.headers

    def param(self, name: str) -> str:
        """A part of the path; raises not_found for one with a character that nothing is called by."""
        value = str(self.request.path_params[name])
        if NUL in value:
            raise refuse("not_found")
        return value

    def allow(self, scope: str) -> None:
        """Raises forbidden if the key lacks the scope."""
        if not self.caller.may(scope):
            raise refuse("forbidden", f"Your key lacks the scope {scope}.", scope=scope)

    async def merchant(self) -> str:
        """The one that the path names; to a stranger it is as unknown as one that is not there."""
        wanted = self.param("merchant")
        if wanted == self.caller.merchant:
            return wanted
        if not self.runs_the_gate or not await self.context.run_in_thread(self.context.authenticator.knows, wanted):
            raise refuse("merchant_unknown")
        return wanted

    def link(self, **changed: object) -> str:
        """The same question with other answers; those that are None are left out."""
        asked = {**dict(self.query.pairs), **changed}
        told = urlencode({name: str(value) for name, value in asked.items() if value is not None})
        return f"{self.request.url.path}?{told}" if told else self.request.url.path

    def body(self, bytes_max: int) -> RequestBody:
        """What was sent; raises payload_too_large."""
        return RequestBody(self.request, bytes_max=bytes_max, idle_seconds=self.context.config.body_idle_seconds)

    async def form(self) -> Form:
        """A form that was filled in on a page of this session; raises forbidden for any other."""
        form = await read_form(self.request, self.context)
        self.check(form.get(CSRF_FIELD))
        return form

    def check(self, told: str | None = None) -> None:
        """Raises forbidden unless a page of this session has sent the request."""
        given = told or self.request.headers.get(CSRF_HEADER, "")
        if not hmac.compare_digest(given.encode(), self.csrf.encode()) or not from_own_site(self.request):
            raise refuse("forbidden", "This form is not of your session; reload the page and try again.")


async def read_form(request: Request, context: ServerContext) -> Form:
    """A small body of fields; raises body_invalid."""
    limit = context.config.document_bytes_max
    body = RequestBody(request, bytes_max=limit, idle_seconds=context.config.body_idle_seconds)
    return _form((await body.read(limit + 1)).decode("utf-8", "replace"))


def _form(text: str) -> Form:
    try:
        form = Form(parse_qsl(text, keep_blank_values=True, max_num_fields=FORM_FIELDS_MAX))
    except ValueError as fault:
        raise refuse("body_invalid", "The form is none, or has too many fields.") from fault
    if any(NUL in name or NUL in value for name, value in form.pairs):
        raise refuse("parameter_invalid", "No value holds a NUL character.", parameter="form")
    return form


def csrf_of(secret: str) -> str:
    """Told by the session, so that nobody has to keep it, and telling nothing of it."""
    return hmac.new(secret.encode(), b"console form", hashlib.sha256).hexdigest()


def from_own_site(request: Request) -> bool:
    """What the browser says itself; browsers that say nothing are held by the form alone."""
    return request.headers.get("sec-fetch-site", "none") in OWN_SITE


def is_safe(request: Request) -> bool:
    """Whether the browser came by TLS, to us or to a proxy that says so."""
    forwarded: Mapping[str, str] = request.headers
    return request.url.scheme == "https" or forwarded.get("x-forwarded-proto", "").lower() == "https"


def moment_of(text: str) -> datetime | None:
    """A moment of a form, in UTC where it names no offset; raises parameter_invalid."""
    if not text:
        return None
    try:
        return msgspec.convert(text if len(text) > 10 else f"{text}T00:00:00Z", datetime, strict=False)
    except msgspec.ValidationError as fault:
        raise refuse("parameter_invalid", f"{text[:40]} is no time.", parameter="time") from fault
