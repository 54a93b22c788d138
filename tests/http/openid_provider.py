"""A provider of OpenID Connect on a socket of this machine, which can be told to cheat."""

import base64
import hashlib
import hmac
import json
import secrets
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT_ID, CLIENT_SECRET = "gate & shop", "s/cret:1"


class LocalProvider:
    """Serves configuration, keys and tokens; a test plays the browser and the person."""

    def __init__(self) -> None:
        self.key = RSAKey.generate_key(2048, parameters={"kid": "k1"})
        self.claims: dict[str, Any] = {}
        """Claims of the next ID tokens; None removes one that it would have."""
        self.configuration: dict[str, Any] = {}
        """Members of the configuration that differ."""
        self.signature: str | None = "RS256"
        """Algorithm of ID tokens; ``none`` does not sign, ``HS256`` signs with the public key."""
        self.requests: list[str] = []
        self.authorizations: list[str] = []
        self._codes: dict[str, dict[str, str]] = {}
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider._get(self)

            def do_POST(self) -> None:
                provider._post(self)

            def log_message(self, *_: object) -> None:
                """Stay silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self._server.server_address[1]}/realms/shop"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def authorize(self, url: str) -> str:
        """Return where the provider sends a browser that has come to `url`, after the person has signed in."""
        address = urlsplit(url)
        assert url.startswith(f"{self.issuer}/authorize?"), url
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        assert (query["client_id"], query["response_type"]) == (CLIENT_ID, "code")
        assert query["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(12)
        self._codes[code] = query
        return f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state'], 'iss': self.issuer})}"

    def _get(self, request: BaseHTTPRequestHandler) -> None:
        path = request.path.removeprefix("/realms/shop")
        self.requests.append(path)
        if path == "/.well-known/openid-configuration":
            endpoints = {
                "authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "keys",
                "end_session_endpoint": "logout",
            }
            document = {
                "issuer": self.issuer, **{name: f"{self.issuer}/{end}" for name, end in endpoints.items()},
                "token_endpoint_auth_methods_supported": ["client_secret_basic"], **self.configuration,
            }
            _answer(request, 200, {name: value for name, value in document.items() if value is not None})
        elif path == "/keys":
            _answer(request, 200, {"keys": [self.key.as_dict(private=False)]})
        else:
            _answer(request, 302, {}, location="http://169.254.169.254/")

    def _post(self, request: BaseHTTPRequestHandler) -> None:
        self.requests.append(request.path)
        self.authorizations.append(request.headers.get("authorization", ""))
        body = parse_qs(request.rfile.read(int(request.headers["content-length"])).decode())
        begun = self._codes.pop(body["code"][0], None)  # each code works once
        verifier = body.get("code_verifier", [""])[0]
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        if begun is None or challenge != begun["code_challenge"] or body["redirect_uri"][0] != begun["redirect_uri"]:
            _answer(request, 400, {"error": "invalid_grant"})
            return
        access_token = secrets.token_urlsafe(12)
        _answer(request, 200, {
            "access_token": access_token, "token_type": "Bearer", "expires_in": 60,
            "id_token": self._id_token(begun["nonce"]),
        })

    def _id_token(self, nonce: str) -> str:
        at = int(time.time())
        claims = {
            "iss": self.issuer, "sub": "u-1", "aud": CLIENT_ID, "iat": at, "exp": at + 300, "nonce": nonce,
            "email": "ada@example.com", "groups": ["feed-team"], "goodsgate_merchant": "acme", **self.claims,
        }
        claims = {name: value for name, value in claims.items() if value is not None}
        if self.signature == "none":
            return f"{_base64({'alg': 'none', 'kid': 'k1'})}.{_base64(claims)}."
        if self.signature == "HS256":
            signed = f"{_base64({'alg': 'HS256', 'kid': 'k1'})}.{_base64(claims)}"
            digest = hmac.digest(self.key.as_pem(private=False), signed.encode(), "sha256")
            return f"{signed}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"
        key = self.key if self.signature == "RS256" else RSAKey.generate_key(2048, parameters={"kid": "k1"})
        return jwt.encode({"alg": "RS256", "kid": key.kid}, claims, key)


def _base64(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def _answer(request: BaseHTTPRequestHandler, status: int, document: dict[str, Any], *, location: str = "") -> None:
    body = json.dumps(document).encode()
    request.send_response(status)
    request.send_header("content-type", "application/json")
    if location:
        request.send_header("location", location)
    request.send_header("content-length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)
