"""Signing in with OpenID Connect: the way to the provider, and the way back with a code.

What a sign-in needs on the way back (state, nonce, the verifier of PKCE, the page to go to) travels in a cookie of the
browser, sealed, for ten minutes and one use. A person gets a key without a secret, whose scopes are those of the roles
at the last sign-in, and a session of it, as everybody who signs in with a key.
"""

import base64
import hashlib
import hmac
import secrets
import time
from functools import partial

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from goodsgate.auth import PERSON, Caller
from goodsgate.console.access import console_path, set_cookie
from goodsgate.console.endpoint import SIGN_IN_PATH
from goodsgate.console.rendering import HEADERS, PageRenderer
from goodsgate.console.request import SESSION_COOKIE, is_https
from goodsgate.console.sign_ins import SignIns
from goodsgate.http.admission import held_request
from goodsgate.http.context import ServerContext
from goodsgate.http.openid import OpenIdError, OpenIdIdentity, OpenIdProvider
from goodsgate.http.problems import refuse
from goodsgate.model.batch import now
from goodsgate.model.catalogue import Key
from goodsgate.model.extras import ExtraMissingError
from goodsgate.store.contract import StoreError

OPENID_PATH = f"{SIGN_IN_PATH}/openid"
CALLBACK_PATH = f"{OPENID_PATH}/callback"
SIGN_OUT_PATH = f"{OPENID_PATH}/sign-out"
COOKIE = "goodsgate_openid"
SECONDS = 600
STATES_MAX = 10_000
"""Used states that one process remembers."""
CODE_CHARACTERS_MAX = 4_096


class PendingSignIn(msgspec.Struct, frozen=True, kw_only=True):
    """A sign-in that has gone to the provider."""

    state: str
    nonce: str
    verifier: str
    next: str
    """The page to go to."""
    until: float
    """Seconds since 1970."""


class OpenIdPages:
    """The addresses of a sign-in with OpenID Connect."""

    def __init__(self, context: ServerContext, renderer: PageRenderer, sign_ins: SignIns,
                 provider: OpenIdProvider) -> None:
        self._context = context
        self._renderer = renderer
        self._provider = provider
        self._sign_ins = sign_ins
        self._used: dict[str, None] = {}

    async def start(self, http: Request) -> Response:
        """Send the browser to the provider."""
        pending = PendingSignIn(
            state=secrets.token_urlsafe(24), nonce=secrets.token_urlsafe(24), verifier=secrets.token_urlsafe(48),
            next=console_path(http.query_params.get("next", "")), until=time.time() + SECONDS,
        )

        def prepare() -> tuple[str, str]:
            url = self._provider.authorization_url(
                redirect_uri=self._callback_url(http), state=pending.state, nonce=pending.nonce,
                verifier=pending.verifier,
            )
            return url, self._seal(pending)

        url, cookie = await self._context.run_in_thread(prepare)
        response = RedirectResponse(url, 303, headers=HEADERS)
        # Lax: the browser comes back from another site.
        response.set_cookie(
            COOKIE, cookie, max_age=SECONDS, path=SIGN_IN_PATH, httponly=True, samesite="lax", secure=is_https(http)
        )
        return response

    async def callback(self, http: Request) -> Response:
        """Check what the provider says and start the session. Raises OpenIdError."""
        query = http.query_params
        pending = await self._context.run_in_thread(self._open, http.cookies.get(COOKIE, ""))
        state = query.get("state", "")
        if pending is None or not hmac.compare_digest(pending.state.encode(), state.encode()) or state in self._used:
            raise OpenIdError("This sign-in has expired, or was begun elsewhere. Please try again.")
        self._use(state)
        if "error" in query:
            raise OpenIdError("The provider has refused the sign-in.")
        if query.get("iss", self._provider.settings.issuer) != self._provider.settings.issuer:
            raise OpenIdError("The answer is from another provider.")
        code = query.get("code", "")
        if not 0 < len(code) <= CODE_CHARACTERS_MAX:
            raise OpenIdError("The provider has sent no code.")

        def sign_in() -> Caller:
            identity = self._provider.identity(
                code=code, redirect_uri=self._callback_url(http), nonce=pending.nonce, verifier=pending.verifier
            )
            return self._caller(identity)

        token = await self._sign_ins.accept(http, await self._context.run_in_thread(sign_in))
        # A page, no redirect: a browser that comes from another site would not send the cookie of the session along.
        response = self._renderer.response(None, "signed_in.html", {"next": pending.next})
        set_cookie(response, http, SESSION_COOKIE, token, seconds=int(self._context.limits.session_seconds))
        response.delete_cookie(COOKIE, path=SIGN_IN_PATH)
        return response

    async def sign_out(self, http: Request) -> Response:
        """Send the browser on to sign out of the provider, too, if that is possible. Raises OpenIdError."""
        home = f"{base_url(self._context, http)}{SIGN_IN_PATH}"
        url = await self._context.run_in_thread(partial(self._provider.end_session_url, redirect_uri=home))
        return RedirectResponse(url or SIGN_IN_PATH, 303, headers=HEADERS)

    async def answer(self, http: Request) -> Response:
        """Answer a request of one of the addresses; a failed sign-in is explained and recorded."""
        handlers = {OPENID_PATH: self.start, CALLBACK_PATH: self.callback, SIGN_OUT_PATH: self.sign_out}
        handler = handlers[http.url.path]
        try:
            return await handler(http)
        except OpenIdError as fault:
            await self._sign_ins.refuse(http, "nobody", reason=str(fault))
            return self._refusal(str(fault), 403)
        except ExtraMissingError as fault:
            return self._refusal(str(fault), 501)
        except StoreError:
            return self._refusal("Storage is currently unavailable. Please try again.", 503)

    def _refusal(self, error: str, status: int) -> Response:
        response = self._renderer.response(None, "openid_refused.html", {"error": error}, status=status)
        response.delete_cookie(COOKIE, path=SIGN_IN_PATH)
        return response

    def _callback_url(self, http: Request) -> str:
        return f"{base_url(self._context, http)}{CALLBACK_PATH}"

    def _use(self, state: str) -> None:
        """Remember a state, so that nobody uses it again."""
        if len(self._used) >= STATES_MAX:
            del self._used[next(iter(self._used))]
        self._used[state] = None

    # -- in a thread --------------------------------------------------------------------------------------------------

    def _caller(self, identity: OpenIdIdentity) -> Caller:
        """Return the person as a caller, whose key is created at the first sign-in. Raises OpenIdError."""
        store = self._context.store
        person = f"{identity.issuer} {identity.subject}"
        key_id = hashlib.sha256(person.encode()).hexdigest()[:20]
        if not self._context.authenticator.merchant_exists(identity.merchant):
            raise OpenIdError(f"{identity.name} belongs to the merchant {identity.merchant}, which does not exist.")
        known = next((key for key in store.keys(identity.merchant) if key.id == key_id), None)
        if known is None:
            store.add_key(Key(
                id=key_id, digest=secrets.token_bytes(32), merchant=identity.merchant, scopes=identity.scopes,
                label=identity.name, created_at=now(), settings={PERSON: person},
            ))
        elif not known.is_valid(now()):
            raise OpenIdError(f"The access of {identity.name} was revoked.")
        elif (known.scopes, known.label) != (identity.scopes, identity.name):
            store.change_key(
                identity.merchant, key_id, scopes=identity.scopes, label=identity.name, expires_at=known.expires_at
            )
            self._context.authenticator.forget()
        return Caller(
            key_id=key_id, merchant=identity.merchant, scopes=identity.scopes, settings={PERSON: person},
            person=identity.name,
        )

    def _seal(self, pending: PendingSignIn) -> str:
        body = base64.urlsafe_b64encode(msgspec.json.encode(pending)).decode()
        return f"{body}.{self._signature(body)}"

    def _open(self, cookie: str) -> PendingSignIn | None:
        body, _, signature = cookie.partition(".")
        if not cookie or not hmac.compare_digest(signature.encode(), self._signature(body).encode()):
            return None
        pending = msgspec.json.decode(base64.urlsafe_b64decode(body), type=PendingSignIn)
        return pending if pending.until > time.time() else None

    def _signature(self, body: str) -> str:
        key, _ = self._context.services.secrets.derived("sign-in", "openid")
        return hmac.new(key, body.encode(), hashlib.sha256).hexdigest()


class OpenIdEndpoint:
    """ASGI application of one address, which needs no session."""

    def __init__(self, template: str, pages: OpenIdPages, context: ServerContext) -> None:
        self.template = template
        self._pages = pages
        self._context = context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer GET; raises method_not_allowed."""
        with held_request(scope, receive, self._context.uploads) as receiver:
            http = Request(scope, receiver)
            if http.method != "GET":
                raise refuse("method_not_allowed", allow="GET")
            response = await self._pages.answer(http)
            await response(scope, receive, send)


def base_url(context: ServerContext, http: Request) -> str:
    """Return the address of the gate for its users, without a slash at the end."""
    return context.services.settings.public_url or str(http.base_url).rstrip("/")
