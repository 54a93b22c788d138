"""Who signed a request: access key → merchant, with its account, stores and queue; ten requests a second for each."""

import logging
import threading
import time

import msgspec

from goodsgate.auth import AccessKey, access_key, digest_of_access_key
from goodsgate.engine.refusal import Refusal
from goodsgate.engine.settled import facts_of
from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import ApiRequest
from goodsgate.http.problems import refuse
from goodsgate.http.rate_limit import RateLimit
from goodsgate.model.batch import now
from goodsgate.model.catalogue import Scope
from goodsgate.protocols.justwalkout import guesses, sigv4
from goodsgate.protocols.justwalkout.sigv4 import Signed, Target, Unsigned
from goodsgate.store.contract import Store

KNOWN_SECONDS = 1.0
"""What was settled of a merchant, and a key that was revoked, take effect this much later at most."""
KNOWN_MAX = 1024
ACCOUNT, QUEUE = "account", "queue"
"""Facts of a merchant."""
STORES = "location"
"""Kind of the reference data that holds a merchant's stores."""
PAGE = 5_000

log = logging.getLogger(__name__)


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """Whoever has an access key, as far as a request is judged by it."""

    merchant: str
    number: str
    """12 digits; empty for one that is not onboarded."""
    queue: str
    """ARN; empty for none."""
    stores: frozenset[str]
    key: AccessKey
    scopes: frozenset[Scope]

    def may(self, scope: Scope) -> bool:
        """Whether the key has it."""
        return scope in self.scopes or Scope.ADMIN in self.scopes


class Gateway:
    """Lets signed requests through."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._verifies = context.config.signatures == "verify"
        self._pace = RateLimit(guesses.REQUESTS_PER_SECOND, burst=guesses.REQUESTS_PER_SECOND)
        self._known: dict[str, tuple[float, Account]] = {}
        self._lock = threading.Lock()
        if not self._verifies:
            log.warning("SIGNATURES ARE NOT VERIFIED: whoever knows the id of an access key may use it")

    async def admit(self, request: ApiRequest, scope: Scope) -> tuple[Account, bytes]:
        """Who signed the request, and its body. Raises refusals: unauthorized, forbidden, too_many_requests, and what
        `Body.read` raises."""
        headers = request.http.scope["headers"]
        try:
            signed = sigv4.read(headers)
            if self._verifies:
                sigv4.check_moment(signed, now())
            account = await self._context.run_in_thread(self.account, signed.access_key)
            if account is None:
                raise Unsigned(sigv4.UNKNOWN, sigv4.UNKNOWN_TEXT)
            if self._verifies:
                sigv4.check_token(signed, account.key.token)
            idle_seconds = self._context.config.body_idle_seconds
            body = await request.body(guesses.BODY_BYTES_MAX, idle_seconds).read(guesses.BODY_BYTES_MAX + 1)
            if self._verifies:
                at = request.http.scope
                target = Target(at["method"], at.get("raw_path", at["path"].encode()), at["query_string"])
                await self._context.run_in_thread(sigv4.verify, signed, target, headers, body=body,
                    secret=account.key.secret)
        except Unsigned as fault:
            raise refuse("unauthorized", fault.message, kind=fault.kind) from fault
        self._allow(request, account, signed, scope)
        return account, body

    def _allow(self, request: ApiRequest, account: Account, signed: Signed, scope: Scope) -> None:
        if not account.number or not account.may(scope):
            who = f"arn:aws:iam::{account.number or '000000000000'}:user/{signed.access_key}"
            method, path = request.http.method, request.http.url.path
            what = f"arn:aws:execute-api:{signed.region}:{account.number or '000000000000'}:goodsgate/v1/{method}{path}"
            told = f"User: {who} is not authorized to perform: execute-api:Invoke on resource: {what}"
            raise refuse("forbidden", told)
        if self._pace.take(account.number) > 0:
            raise refuse("too_many_requests")

    def account(self, name: str) -> Account | None:
        """Of an access key; None if it is unknown or revoked. Looked up at most once a second; raises StoreError."""
        with self._lock:
            known = self._known.get(name)
        if known is not None and known[0] > time.monotonic():
            return known[1]
        until = time.monotonic() + KNOWN_SECONDS
        found = _look_up(self._context, name)
        with self._lock:
            self._known.pop(name, None)
            if found is not None:
                self._known[name] = (until, found)
            while len(self._known) > KNOWN_MAX:
                del self._known[next(iter(self._known))]
        return found


def _look_up(context: ServerContext, name: str) -> Account | None:
    store = context.store
    key = store.key(digest_of_access_key(name))
    made = access_key(key, context.engine.secrets) if key is not None and key.revoked_at is None else None
    if key is None or made is None:
        return None
    facts = facts_of(store, key.merchant)
    return Account(
        merchant=key.merchant, number=facts.get(ACCOUNT, ""), queue=facts.get(QUEUE, ""),
        stores=frozenset(stores_of(store, key.merchant)), key=made, scopes=key.scopes,
    )


def stores_of(store: Store, merchant: str) -> list[str]:
    """All stores of a merchant, in order."""
    found: list[str] = []
    after = None
    while True:
        page = store.reference(merchant, STORES, after=after, limit=PAGE)
        found += [entry.code for entry in page.rows]
        after = page.next
        if after is None:
            return found


def wrong(detail: str) -> Refusal:
    """A request that is not what it must be."""
    return refuse("body_invalid", detail)
