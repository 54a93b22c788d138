"""A provider of OpenID Connect, with which people sign in: discovery, the exchange of a code, and who signed in.

The flow is that of OpenID Connect Core 1.0, section 3.1 (authorization code), with PKCE (RFC 7636). Authlib builds the
address of the provider and checks the claims of ID tokens, joserfc their signatures. Requests are sent by httpx, to
addresses that were checked, and follow no redirect.
"""

import threading
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import httpx
import msgspec

from goodsgate.engine.outbox import DeliveryError
from goodsgate.http.webhooks import PORTS, resolve_host
from goodsgate.model.catalogue import MerchantId, Scope
from goodsgate.model.extras import needed_extra
from goodsgate.model.permissions import ROLES

DISCOVERY = "/.well-known/openid-configuration"
CACHED_SECONDS = 3_600.0
"""Time after which the configuration and the keys of the provider are read again."""
REREAD_SECONDS = 60.0
"""Shortest time between two reads of the keys because of an unknown one."""
TIMEOUT_SECONDS = 10.0
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Of signatures of ID tokens: none without a key, and none with a key that both sides have."""
NAME_CLAIMS = ("email", "preferred_username", "name", "sub")
"""Claims that may tell the name of a person, the best first."""
NAME_CHARACTERS_MAX = 200
VALUES_MAX = 1_000
"""Values of a claim that are looked at."""


class OpenIdSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach a provider, and what its claims mean."""

    issuer: str
    client_id: str
    client_secret: str
    """Empty: a public client, which has only PKCE."""
    name: str
    """How the provider is called on the page for signing in."""
    scopes: str
    merchant: str
    """Merchant of people without a claim that says theirs; empty: they are refused."""
    merchant_claim: str
    merchants: Mapping[str, str]
    """Value of the claim → merchant; empty: the value is the merchant."""
    role_claim: str
    roles: Mapping[str, str]
    """Value of the claim → role."""
    allow_private: bool
    """Whether the provider may have a private address, and HTTP without TLS."""
    leeway_seconds: int
    """Difference of the clocks that is accepted."""


class OpenIdError(Exception):
    """A sign-in that failed; the message is for the person."""


class OpenIdIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """Who has signed in, as the ID token says."""

    issuer: str
    subject: str
    """Unique for the issuer, and never given to somebody else."""
    name: str
    merchant: str
    scopes: frozenset[Scope]


class CheckedTransport(httpx.BaseTransport):
    """Sends requests to hosts whose addresses are all allowed, at the address that was checked."""

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._transport = httpx.HTTPTransport(trust_env=False)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request. Raises OpenIdError if the address is not allowed or not found."""
        url = urlsplit(str(request.url))
        if url.scheme not in PORTS or (url.scheme == "http" and not self._allow_private):
            raise OpenIdError(f"The provider of sign-ins has an address without TLS: {url.scheme}://{url.netloc}.")
        try:
            address = resolve_host(url, private=self._allow_private, timeout_seconds=TIMEOUT_SECONDS)
        except DeliveryError as fault:
            reason = fault.reason.replace("webhook_private", "oidc_private")
            raise OpenIdError(f"The provider of sign-ins cannot be reached: {reason}.") from fault
        request.extensions = {**request.extensions, "sni_hostname": url.hostname or ""}
        request.url = request.url.copy_with(host=address)  # the header Host keeps the name
        return self._transport.handle_request(request)

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()


class OpenIdProvider:
    """The provider that the settings name; safe for threads. Nothing is read before somebody signs in."""

    def __init__(self, settings: OpenIdSettings) -> None:
        self.settings = settings
        self._lock = threading.Lock()
        self._configuration: tuple[float, dict[str, Any]] | None = None
        self._keys: tuple[float, Any] | None = None

    def authorization_url(self, *, redirect_uri: str, state: str, nonce: str, verifier: str) -> str:
        """Return where the browser goes to sign in. Raises OpenIdError, ExtraMissingError."""
        with needed_extra("oidc", "Signing in with OpenID Connect"):
            from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
            from authlib.oauth2.rfc7636 import create_s256_code_challenge

        return str(prepare_grant_uri(
            self._endpoint("authorization_endpoint"), self.settings.client_id, "code", redirect_uri=redirect_uri,
            scope=self.settings.scopes, state=state, nonce=nonce,
            code_challenge=create_s256_code_challenge(verifier), code_challenge_method="S256",
        ))

    def identity(self, *, code: str, redirect_uri: str, nonce: str, verifier: str) -> OpenIdIdentity:
        """Exchange a code for an ID token and return who it is about. Raises OpenIdError, ExtraMissingError."""
        settings = self.settings
        form = {
            "grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri, "code_verifier": verifier,
        }
        auth: httpx.BasicAuth | None = None
        if settings.client_secret and self._takes_basic_auth():
            auth = httpx.BasicAuth(quote(settings.client_id, safe=""), quote(settings.client_secret, safe=""))
        else:
            form |= {"client_id": settings.client_id}
            form |= {"client_secret": settings.client_secret} if settings.client_secret else {}
        token = self._read_json(self._endpoint("token_endpoint"), form=form, auth=auth)
        id_token = token.get("id_token")
        if not isinstance(id_token, str):
            raise OpenIdError("The provider has sent no ID token; is `openid` among the scopes?")
        return self._read_identity(self._claims(id_token, nonce, str(token.get("access_token") or "")))

    def end_session_url(self, *, redirect_uri: str) -> str | None:
        """Return where people sign out of the provider, if it says so. Raises OpenIdError."""
        endpoint = self._read_configuration().get("end_session_endpoint")
        if not isinstance(endpoint, str) or urlsplit(endpoint).scheme not in PORTS:
            return None
        query = urlencode({"client_id": self.settings.client_id, "post_logout_redirect_uri": redirect_uri})
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{query}"

    # -- the ID token -------------------------------------------------------------------------------------------------

    def _claims(self, id_token: str, nonce: str, access_token: str) -> Mapping[str, Any]:
        """Return the claims of an ID token whose signature, issuer, audience, times and nonce are right."""
        from authlib.oidc.core import CodeIDToken
        from joserfc import jwt
        from joserfc.errors import InvalidKeyIdError, JoseError

        try:
            try:
                token = jwt.decode(id_token, self._read_keys(), algorithms=ALGORITHMS)
            except InvalidKeyIdError:  # the provider may have new keys
                token = jwt.decode(id_token, self._read_keys(again=True), algorithms=ALGORITHMS)
            expected = {
                "iss": {"essential": True, "value": self.settings.issuer},
                "aud": {"essential": True, "value": self.settings.client_id},
            }
            params = {"nonce": nonce, "client_id": self.settings.client_id, "access_token": access_token}
            claims = CodeIDToken(token.claims, token.header, expected, params)
            claims.validate(leeway=self.settings.leeway_seconds)
        except (JoseError, ValueError, TypeError, KeyError) as fault:
            raise OpenIdError(f"The ID token of the provider is not valid: {_reason(fault)}.") from fault
        return dict(claims)

    def _read_identity(self, claims: Mapping[str, Any]) -> OpenIdIdentity:
        """Return who the claims are about. Raises OpenIdError if they name no merchant or no role."""
        settings = self.settings
        names = (str(claims[name]) for name in NAME_CLAIMS if isinstance(claims.get(name), str))
        name = next(("".join(filter(str.isprintable, name)) for name in names), "")[:NAME_CHARACTERS_MAX]
        subject = claims.get("sub")
        if not isinstance(subject, str) or not 1 <= len(subject) <= 255:
            raise OpenIdError("The ID token of the provider is not valid: it has no subject.")
        values = _values(claims, settings.merchant_claim)
        merchants = [settings.merchants.get(value) if settings.merchants else value for value in values]
        merchant = next(filter(None, merchants), settings.merchant)
        roles = {settings.roles.get(value, "") for value in _values(claims, settings.role_claim)}
        scopes = frozenset(ROLES[role] for role in roles if role in ROLES)
        if not scopes:
            raise OpenIdError(f"{name or 'This account'} has no role here. Ask the operator for one.")
        if not merchant or not _is_merchant_id(merchant):
            raise OpenIdError(f"{name or 'This account'} belongs to no merchant here. Ask the operator.")
        return OpenIdIdentity(
            issuer=settings.issuer, subject=subject, name=name or subject[:NAME_CHARACTERS_MAX], merchant=merchant,
            scopes=scopes,
        )

    # -- the provider -------------------------------------------------------------------------------------------------

    def _takes_basic_auth(self) -> bool:
        """Return whether the secret is sent as RFC 6749, section 2.3.1, prefers; most providers say so, or nothing."""
        methods = self._read_configuration().get("token_endpoint_auth_methods_supported")
        return not isinstance(methods, list) or "client_secret_basic" in methods

    def _endpoint(self, name: str) -> str:
        endpoint = self._read_configuration().get(name)
        if not isinstance(endpoint, str) or urlsplit(endpoint).scheme not in PORTS:
            raise OpenIdError(f"The provider of sign-ins names no {name}.")
        return endpoint

    def _read_configuration(self) -> dict[str, Any]:
        """Return the configuration of the provider, which must say that it is the issuer."""
        with self._lock:
            known = self._configuration
            if known is not None and time.monotonic() - known[0] < CACHED_SECONDS:
                return known[1]
            document = self._read_json(f"{self.settings.issuer.rstrip('/')}{DISCOVERY}")
            if document.get("issuer") != self.settings.issuer:
                raise OpenIdError("The provider of sign-ins says that it is another issuer (setting oidc_issuer).")
            self._configuration = (time.monotonic(), document)
            return document

    def _read_keys(self, *, again: bool = False) -> Any:
        """Return the keys of the provider; `again` reads them anew, but not all the time."""
        uri = self._endpoint("jwks_uri")
        with self._lock:
            known = self._keys
            age = time.monotonic() - known[0] if known is not None else CACHED_SECONDS
            if known is None or age >= (REREAD_SECONDS if again else CACHED_SECONDS):
                known = self._keys = (time.monotonic(), self._import_keys(uri))
            return known[1]

    def _import_keys(self, uri: str) -> Any:
        from joserfc.errors import JoseError
        from joserfc.jwk import KeySet

        try:
            return KeySet.import_key_set(self._read_json(uri))  # type: ignore[arg-type]  # it checks the members
        except (JoseError, ValueError, TypeError, KeyError) as fault:
            raise OpenIdError(f"The keys of the provider cannot be used: {_reason(fault)}.") from fault

    def _read_json(self, url: str, *, form: Mapping[str, str] | None = None, auth: httpx.BasicAuth | None = None,
                   ) -> dict[str, Any]:
        """Return what the provider answers, to a form if there is one. Raises OpenIdError."""
        transport = CheckedTransport(allow_private=self.settings.allow_private)
        try:
            with httpx.Client(transport=transport, auth=auth, timeout=TIMEOUT_SECONDS, trust_env=False) as client:
                answer = client.get(url) if form is None else client.post(url, data=dict(form))
                document = msgspec.json.decode(answer.content, type=dict[str, Any]) if answer.content else {}
                if answer.status_code != 200:
                    error = document.get("error")
                    reason = error if isinstance(error, str) else "no reason given"
                    raise OpenIdError(f"The provider of sign-ins answers {answer.status_code} ({reason[:100]}).")
        except (httpx.HTTPError, httpx.InvalidURL, msgspec.MsgspecError) as fault:
            raise OpenIdError(f"The provider of sign-ins cannot be reached: {_reason(fault)}.") from fault
        return document


def _values(claims: Mapping[str, Any], name: str) -> list[str]:
    """Return the texts of a claim; its name may be a path with points, such as ``realm_access.roles``."""
    value: Any = claims.get(name)
    if value is None and "." in name:
        value = claims
        for part in name.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
    values = value if isinstance(value, list) else [value]
    return [text for text in values[:VALUES_MAX] if isinstance(text, str)]


def _is_merchant_id(text: str) -> bool:
    try:
        msgspec.convert(text, MerchantId)
    except msgspec.ValidationError:
        return False
    return True


def _reason(fault: Exception) -> str:
    """Return what went wrong as the end of a sentence, on one line."""
    text = "".join(filter(str.isprintable, str(fault))) or type(fault).__name__
    return text[:200].rstrip(".")
