"""Authentication of signed requests: the merchant of an access key, its account, stores and queue, and its rate."""

import logging
import threading
import time

import msgspec

from goodsgate.auth import AccessKey, access_key, digest_of_access_key
from goodsgate.engine.merchant_documents import merchant_settings
from goodsgate.engine.refusal import Refusal
from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import ApiRequest
from goodsgate.http.problems import refuse
from goodsgate.http.rate_limit import RateLimit
from goodsgate.model.batch import now
from goodsgate.model.catalogue import Scope
from goodsgate.observe import KEY, MERCHANT
from goodsgate.protocols.justwalkout import sigv4, temporary_keys, unpublished
from goodsgate.protocols.justwalkout.sigv4 import RequestSignature, RequestTarget, SignatureError
from goodsgate.store.contract import Store

CACHE_SECONDS = 1.0
"""A changed account and a revoked key take effect after this time at the latest."""
CACHE_ENTRIES_MAX = 1024
ACCOUNT, QUEUE = "account", "queue"
"""Settings of a merchant: its AWS account and the ARN of its queue."""
STORES = "location"
"""The kind of reference data that holds a merchant's stores."""
PAGE = 5_000

log = logging.getLogger(__name__)


class RetailerAccount(msgspec.Struct, frozen=True, kw_only=True):
    """The merchant behind an access key, with everything that authentication needs."""

    merchant: str
    number: str
    """12 digits; empty for a merchant that is not onboarded."""
    queue: str
    """The ARN; empty if there is no queue."""
    stores: frozenset[str]
    key: AccessKey
    scopes: frozenset[Scope]
    key_id: str
    settings: dict[str, str]
    """Those of the key."""

    def may(self, scope: Scope) -> bool:
        """Return whether the access key has the scope."""
        return scope in self.scopes or Scope.ADMIN in self.scopes


class RequestAuthenticator:
    """Authenticates signed requests and limits their rate."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._verifies = context.services.settings.verify_signatures
        self._rate_limit = RateLimit(unpublished.REQUESTS_PER_SECOND, burst=unpublished.REQUESTS_PER_SECOND)
        self._cache: dict[str, tuple[float, RetailerAccount]] = {}
        self._lock = threading.Lock()
        if not self._verifies:
            log.warning("SIGNATURES ARE NOT VERIFIED: anybody who knows the id of an access key may use it")

    async def authenticate(self, request: ApiRequest, scope: Scope) -> tuple[RetailerAccount, bytes]:
        """Return the account that signed the request, and the body.

        Raises the refusals unauthorized, forbidden, too_many_requests, and those of `Body.read`.
        """
        account, signature, body = await self.verify(request)
        if not account.number or not account.may(scope):
            number = account.number or "000000000000"
            user = f"arn:aws:iam::{number}:user/{signature.access_key}"
            method, path = request.http.method, request.http.url.path
            resource = f"arn:aws:execute-api:{signature.region}:{number}:goodsgate/v1/{method}{path}"
            raise refuse(
                "forbidden",
                f"User: {user} is not authorized to perform: execute-api:Invoke on resource: {resource}",
            )
        self.check_rate(account)
        return account, body

    def check_rate(self, account: RetailerAccount) -> None:
        """Count a request of an account. Raises too_many_requests."""
        if self._rate_limit.take(account.number) > 0:
            raise refuse("too_many_requests")

    async def verify(self, request: ApiRequest, *, service: str = sigv4.SERVICE,
                     ) -> tuple[RetailerAccount, RequestSignature, bytes]:
        """Return the account that signed the request to a service, its signature, and the body.

        Raises the refusal unauthorized, and those of `Body.read`.
        """
        headers = request.http.scope["headers"]
        try:
            signature = sigv4.parse_signature(headers, service)
            if self._verifies:
                sigv4.check_timestamp(signature, now())
            account, key = await self._context.run_in_thread(self._find_signer, signature)
            request.http.scope[MERCHANT], request.http.scope[KEY] = account.merchant, key.id
            await self._context.apply_quotas(request.http, account.merchant, account.key_id, account.settings)
            if self._verifies:
                sigv4.check_session_token(signature, key.token)
            idle_seconds = self._context.limits.body_idle_seconds
            body = await request.body(unpublished.BODY_BYTES_MAX, idle_seconds).read(unpublished.BODY_BYTES_MAX + 1)
            if self._verifies:
                asgi_scope = request.http.scope
                path = asgi_scope.get("raw_path", asgi_scope["path"].encode())
                target = RequestTarget(asgi_scope["method"], path, asgi_scope["query_string"])
                await self._context.run_in_thread(
                    sigv4.verify_signature, signature, target, headers, body=body, secret=key.secret
                )
        except SignatureError as fault:
            raise refuse("unauthorized", fault.message, kind=fault.kind) from fault
        return account, signature, body

    def _find_signer(self, signature: RequestSignature) -> tuple[RetailerAccount, AccessKey]:
        """Return the account of the access key that signed, and the key, which may be temporary.

        Raises SignatureError and StoreError.
        """
        id, temporary = signature.access_key, None
        if id.startswith(temporary_keys.PREFIX):
            temporary = temporary_keys.read_temporary_key(
                id, signature.session_token, self._context.services.secrets, now=now()
            )
        account = self.find_account(temporary.owner if temporary is not None else id)
        if account is None:
            raise SignatureError(sigv4.UNKNOWN, sigv4.UNKNOWN_TEXT)
        return account, temporary.key if temporary is not None else account.key

    def find_account(self, access_key_id: str) -> RetailerAccount | None:
        """Return the account of an access key; None if the key is unknown or revoked.

        The store is read at most once a second for each key. Raises StoreError.
        """
        with self._lock:
            cached = self._cache.get(access_key_id)
        if cached is not None and cached[0] > time.monotonic():
            return cached[1]
        expires_at = time.monotonic() + CACHE_SECONDS
        account = _read_account(self._context, access_key_id)
        with self._lock:
            self._cache.pop(access_key_id, None)
            if account is not None:
                self._cache[access_key_id] = (expires_at, account)
            while len(self._cache) > CACHE_ENTRIES_MAX:
                del self._cache[next(iter(self._cache))]
        return account


def _read_account(context: ServerContext, access_key_id: str) -> RetailerAccount | None:
    store = context.store
    key = store.key(digest_of_access_key(access_key_id))
    signing_key = access_key(key, context.services.secrets) if key is not None and key.is_valid(now()) else None
    if key is None or signing_key is None:
        return None
    settings = merchant_settings(store, key.merchant)
    return RetailerAccount(
        merchant=key.merchant, number=settings.get(ACCOUNT, ""), queue=settings.get(QUEUE, ""),
        stores=frozenset(list_stores(store, key.merchant)), key=signing_key, scopes=key.scopes,
        key_id=key.id, settings=key.settings,
    )


def list_stores(store: Store, merchant: str) -> list[str]:
    """Return the codes of all stores of a merchant, in order."""
    codes: list[str] = []
    after = None
    while True:
        page = store.reference(merchant, STORES, after=after, limit=PAGE)
        codes += [entry.code for entry in page.rows]
        after = page.next
        if after is None:
            return codes


def bad_request(detail: str, reason: str = "") -> Refusal:
    """Return the refusal of a malformed request; `reason` says what a text of the vendor does not."""
    return refuse("body_invalid", detail, **({"reason": reason} if reason else {}))
