"""What the gate knows of a merchant: account, queue, stores, access keys, planogram; read, and settled by admins."""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.responses import Response

from goodsgate.auth import ACCESS_KEY, new_access_key
from goodsgate.engine.settled import facts_of, put_facts, settle, settled
from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import ApiRequest, Handler
from goodsgate.http.problems import refuse
from goodsgate.model.catalogue import ReferenceEntry, Scope
from goodsgate.model.message import DeliveryState
from goodsgate.protocols.justwalkout import guesses
from goodsgate.protocols.justwalkout.access import ACCOUNT, QUEUE, STORES, stores_of
from goodsgate.protocols.justwalkout.catalog import answer
from goodsgate.store.contract import BatchFilter

SCOPES = (Scope.SUBMIT, Scope.READ)
"""Of every access key that is made here."""

Sku = Annotated[str, Meta(min_length=1, max_length=255)]
StoreId = Annotated[str, Meta(pattern=r"^[!-~]{1,255}\Z")]


class NewSetup(msgspec.Struct, forbid_unknown_fields=True):
    """Body of PUT /v1/catalog/setup."""

    account: Annotated[str, Meta(pattern=r"^([0-9]{12})?\Z")] | UnsetType = msgspec.field(
        name="awsAccountId", default=UNSET
    )
    queue: Annotated[str, Meta(pattern=rf"^({guesses.QUEUE})?\Z")] | UnsetType = msgspec.field(
        name="sqsQueueArn", default=UNSET
    )
    stores: Annotated[list[StoreId], Meta(max_length=10_000)] | UnsetType = UNSET


class NewAccessKey(msgspec.Struct, forbid_unknown_fields=True):
    """Body of POST /v1/catalog/accessKeys."""

    label: Annotated[str, Meta(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*\Z")] = ""
    session: bool = False


class Planogram(msgspec.Struct, forbid_unknown_fields=True):
    """Body of PUT /v1/catalog/planogram, and answer of GET."""

    skus: Annotated[list[Sku], Meta(max_length=guesses.PLANOGRAM_MAX)] = msgspec.field(name="itemSkus")


class Setups:
    """Handlers of what is the gate's own."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._store = context.store

    def handlers(self) -> dict[str, Handler]:
        """By operation id."""
        return {
            "setup": self.setup, "set_up": self.set_up, "new_access_key": self.new_access_key,
            "planogram": self.planogram, "put_planogram": self.put_planogram,
        }

    async def setup(self, request: ApiRequest) -> Response:
        """GET /v1/catalog/setup."""
        return answer(await self._context.run_in_thread(self._told, request.merchant))

    async def set_up(self, request: ApiRequest) -> Response:
        """PUT /v1/catalog/setup."""
        wanted: NewSetup = await request.document(NewSetup, self._context)
        if wanted.stores is not UNSET and len(set(wanted.stores)) < len(wanted.stores):
            raise refuse("body_invalid", "A store is named twice.")
        return answer(await self._context.run_in_thread(self._settle, request.merchant, wanted))

    def _settle(self, merchant: str, wanted: NewSetup) -> dict[str, Any]:
        facts = {
            name: text for name, text in ((ACCOUNT, wanted.account), (QUEUE, wanted.queue)) if isinstance(text, str)
        }
        if facts:
            put_facts(self._store, merchant, facts)
        if isinstance(wanted.stores, list):
            self._store.put_reference(merchant, STORES, [ReferenceEntry(code=code) for code in wanted.stores],
                replace=True)
        return self._told(merchant)

    def _told(self, merchant: str) -> dict[str, Any]:
        facts = facts_of(self._store, merchant)
        keys = [key.facts[ACCESS_KEY] for key in self._store.keys(merchant) if _signs(key.facts, key.revoked_at)]
        called = self._store.batches(merchant, BatchFilter(protocol="justwalkout"), limit=1).rows
        return {
            "merchant": merchant, "awsAccountId": facts.get(ACCOUNT, ""), "sqsQueueArn": facts.get(QUEUE, ""),
            "stores": stores_of(self._store, merchant), "accessKeys": keys,
            "connectivityStatus": "Success" if called else "Unknown",
            "sqsSubscriptionStatus": self._subscription(merchant) if QUEUE in facts else "Unknown",
        }

    def _subscription(self, merchant: str) -> str:
        """Complete once a message has arrived in the queue, Pending while the first has not."""
        for told, word in ((DeliveryState.SENT, "Complete"), (None, "Pending")):
            if self._store.messages(merchant, topic=guesses.TOPIC, told=told, limit=1):
                return word
        return "Unknown"

    async def new_access_key(self, request: ApiRequest) -> Response:
        """POST /v1/catalog/accessKeys."""
        wanted: NewAccessKey = await request.document(NewAccessKey, self._context)
        return answer(await self._context.run_in_thread(self._made, request.merchant, wanted), status=201)

    def _made(self, merchant: str, wanted: NewAccessKey) -> dict[str, str]:
        secrets = self._context.engine.secrets
        key, made = new_access_key(merchant, SCOPES, secrets, label=wanted.label, session=wanted.session)
        self._store.add_key(key)
        token = {"sessionToken": made.token} if made.token is not None else {}
        return {"keyId": key.id, "accessKeyId": made.id, "secretAccessKey": made.secret, **token}

    async def planogram(self, request: ApiRequest) -> Response:
        """GET /v1/catalog/planogram."""
        body = await self._context.run_in_thread(settled, self._store, request.merchant, guesses.PLANOGRAM)
        return answer({"itemSkus": msgspec.json.decode(body, type=list[str]) if body is not None else []})

    async def put_planogram(self, request: ApiRequest) -> Response:
        """PUT /v1/catalog/planogram."""
        wanted: Planogram = await request.document(Planogram, self._context)
        body = msgspec.json.encode(sorted(set(wanted.skus)))
        await self._context.run_in_thread(settle, self._store, request.merchant, guesses.PLANOGRAM, lambda _: body)
        return Response(status_code=204)


def _signs(facts: dict[str, str], revoked_at: object) -> bool:
    return ACCESS_KEY in facts and revoked_at is None
